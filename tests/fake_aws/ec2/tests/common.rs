//! What all operations do alike: sight, tags, pages, slow deletions.

use serde_json::json;

use super::{Ec2, ZONE, count, text};

#[test]
fn what_was_just_made_is_not_seen() {
    let mut ec2 = Ec2::new();
    ec2.world.script.consistency_s = 5.0;
    let vpc = ec2.ok("CreateVpc", json!({"CidrBlock": "10.0.0.0/16"}));
    let vpc = text(&vpc["Vpc"]["VpcId"]);
    let subnet = json!({"VpcId": vpc, "CidrBlock": "10.0.1.0/24"});
    assert_eq!(
        ec2.refused("DescribeVpcs", json!({"VpcIds": [vpc]})),
        "InvalidVpcID.NotFound"
    );
    assert_eq!(count(&ec2.ok("DescribeVpcs", json!({}))["Vpcs"]), 0);
    assert_eq!(
        ec2.refused("CreateSubnet", subnet.clone()),
        "InvalidVpcID.NotFound"
    );
    let tag = json!({"Resources": [vpc], "Tags": [{"Key": "a", "Value": "b"}]});
    assert_eq!(ec2.refused("CreateTags", tag), "InvalidVpcID.NotFound");
    ec2.wait(5.0);
    ec2.ok("CreateSubnet", subnet);
    assert_eq!(ec2.world.left().len(), 2);
}

#[test]
fn filters_find_new_tags_late_and_the_index_old_ones_long() {
    let mut ec2 = Ec2::new();
    ec2.world.script.tag_lag_s = 30.0;
    let tags = json!([{"Key": "seawall:drill", "Value": "x"}]);
    let made = ec2.ok(
        "CreateVpc",
        json!({"CidrBlock": "10.0.0.0/16",
               "TagSpecifications": [{"ResourceType": "vpc", "Tags": tags}]}),
    );
    let vpc = text(&made["Vpc"]["VpcId"]);
    let by_tag = json!({"Filters": [{"Name": "tag:seawall:drill", "Values": ["x"]}]});
    let index = json!({"Filters": [{"Name": "key", "Values": ["seawall:*"]}]});
    assert_eq!(count(&ec2.ok("DescribeVpcs", by_tag.clone())["Vpcs"]), 0);
    let by_id = ec2.ok("DescribeVpcs", json!({"VpcIds": [vpc]}));
    assert_eq!(by_id["Vpcs"][0]["Tags"][0]["Value"], "x");
    ec2.wait(30.0);
    assert_eq!(count(&ec2.ok("DescribeVpcs", by_tag.clone())["Vpcs"]), 1);
    assert_eq!(count(&ec2.ok("DescribeTags", index.clone())["Tags"]), 1);
    ec2.ok("DeleteVpc", json!({"VpcId": vpc}));
    assert_eq!(count(&ec2.ok("DescribeVpcs", by_tag)["Vpcs"]), 0);
    assert_eq!(
        ec2.ok("DescribeTags", index.clone())["Tags"][0]["ResourceId"],
        vpc
    );
    ec2.wait(31.0);
    assert_eq!(count(&ec2.ok("DescribeTags", index)["Tags"]), 0);
}

#[test]
fn tags_are_set_and_taken_away() {
    let mut ec2 = Ec2::new();
    let (vpc, subnet, _) = ec2.network();
    let set =
        |value: &str| json!({"Resources": [vpc, subnet], "Tags": [{"Key": "a", "Value": value}]});
    ec2.ok("CreateTags", set("1"));
    ec2.ok("CreateTags", set("2"));
    ec2.ok("DeleteTags", set("1"));
    let both = json!({"Filters": [{"Name": "value", "Values": ["2"]}]});
    assert_eq!(count(&ec2.ok("DescribeTags", both.clone())["Tags"]), 2);
    ec2.ok(
        "DeleteTags",
        json!({"Resources": [vpc], "Tags": [{"Key": "a"}]}),
    );
    assert_eq!(count(&ec2.ok("DescribeTags", both)["Tags"]), 1);
    let reserved = json!({"Resources": [vpc], "Tags": [{"Key": "aws:x", "Value": ""}]});
    assert_eq!(ec2.refused("CreateTags", reserved), "InvalidParameterValue");
    let unknown = json!({"Filters": [{"Name": "colour", "Values": ["blue"]}]});
    assert_eq!(
        ec2.refused("DescribeVpcs", unknown),
        "InvalidParameterValue"
    );
}

#[test]
fn long_lists_come_in_pages() {
    let mut ec2 = Ec2::new();
    for _ in 0..7 {
        ec2.volume(json!({"AvailabilityZone": ZONE, "Size": 1}));
    }
    let first = ec2.ok("DescribeVolumes", json!({"MaxResults": 5}));
    assert_eq!(count(&first["Volumes"]), 5);
    let token = first["NextToken"].clone();
    let second = ec2.ok(
        "DescribeVolumes",
        json!({"MaxResults": 5, "NextToken": token}),
    );
    assert_eq!(count(&second["Volumes"]), 2);
    assert!(second.get("NextToken").is_none());
    let wrong = json!({"NextToken": "nonsense"});
    assert_eq!(
        ec2.refused("DescribeVolumes", wrong),
        "InvalidParameterValue"
    );
}

#[test]
fn deletion_is_slow_where_the_script_says_so() {
    let mut ec2 = Ec2::new();
    let (_, subnet, _) = ec2.network();
    ec2.world.script.slow_deletes_s = [("subnet-".to_owned(), 60.0)].into();
    let delete = json!({"SubnetId": subnet});
    assert_eq!(
        ec2.refused("DeleteSubnet", delete.clone()),
        "DependencyViolation"
    );
    ec2.wait(59.0);
    assert_eq!(
        ec2.refused("DeleteSubnet", delete.clone()),
        "DependencyViolation"
    );
    ec2.wait(2.0);
    ec2.ok("DeleteSubnet", delete);
}

#[test]
fn the_region_tells_of_its_zones_and_types() {
    let mut ec2 = Ec2::new();
    let zones = ec2.ok("DescribeAvailabilityZones", json!({}));
    assert_eq!(zones["AvailabilityZones"][1]["ZoneId"], "euc1-az2");
    let types = json!({"InstanceTypes": ["m5.xlarge"]});
    let types = ec2.ok("DescribeInstanceTypes", types);
    assert_eq!(types["InstanceTypes"][0]["VCpuInfo"]["DefaultVCpus"], 4);
    let none = json!({"InstanceTypes": ["q1.large"]});
    assert_eq!(
        ec2.refused("DescribeInstanceTypes", none),
        "InvalidInstanceType"
    );
    let offered = json!({"LocationType": "availability-zone",
        "Filters": [{"Name": "instance-type", "Values": ["t3.small"]}]});
    let offered = ec2.ok("DescribeInstanceTypeOfferings", offered);
    assert_eq!(count(&offered["InstanceTypeOfferings"]), 2);
    assert_eq!(ec2.refused("RunForever", json!({})), "InvalidAction");
}

#[test]
fn every_list_is_found_by_what_it_belongs_to() {
    let mut ec2 = Ec2::new();
    let (vpc, subnet, group) = ec2.network();
    let instance = ec2.launch(&subnet, &group);
    ec2.wait(60.0);
    let cases = [
        ("DescribeSubnets", "Subnets", "vpc-id", &vpc, 1),
        ("DescribeSubnets", "Subnets", "availability-zone", &vpc, 0),
        ("DescribeRouteTables", "RouteTables", "vpc-id", &vpc, 1),
        (
            "DescribeInternetGateways",
            "InternetGateways",
            "attachment.vpc-id",
            &vpc,
            0,
        ),
        (
            "DescribeSecurityGroups",
            "SecurityGroups",
            "vpc-id",
            &vpc,
            2,
        ),
        (
            "DescribeNetworkInterfaces",
            "NetworkInterfaces",
            "attachment.instance-id",
            &instance,
            1,
        ),
        (
            "DescribeNetworkInterfaces",
            "NetworkInterfaces",
            "subnet-id",
            &subnet,
            1,
        ),
        (
            "DescribeInstances",
            "Reservations",
            "instance.group-id",
            &group,
            1,
        ),
        ("DescribeInstances", "Reservations", "vpc-id", &vpc, 1),
        (
            "DescribeVolumes",
            "Volumes",
            "attachment.instance-id",
            &instance,
            1,
        ),
        ("DescribeSnapshots", "Snapshots", "status", &vpc, 0),
        (
            "DescribeAddresses",
            "Addresses",
            "instance-id",
            &instance,
            0,
        ),
        ("DescribeImages", "Images", "name", &"ba?e".to_owned(), 1),
    ];
    for (operation, list, name, value, expected) in cases {
        let filters = json!({"Filters": [{"Name": name, "Values": [value]}]});
        let found = ec2.ok(operation, filters);
        assert_eq!(count(&found[list]), expected, "{operation} by {name}");
    }
    let own = ec2.ok("DescribeSnapshots", json!({"OwnerIds": ["self"]}));
    assert_eq!(count(&own["Snapshots"]), 2);
    let own = ec2.ok("DescribeImages", json!({"Owners": ["self"]}));
    assert_eq!(count(&own["Images"]), 1);
}
