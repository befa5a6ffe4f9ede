use serde_json::{Value, json};

use super::super::backup::tests::{ask, ends, job, newest, start, world};
use super::super::world::World;

const ORDERS: &str = "arn:aws:rds:eu-west-1:111122223333:db:orders";
const LEDGER: &str = "arn:aws:rds:eu-west-1:111122223333:cluster:ledger";

fn refused(answer: super::Answer, code: &str) {
    let refusal = answer.expect_err("this should have been refused");
    assert_eq!(refusal.code, code, "{}", refusal.message);
}

fn rds(world: &mut World, after: f64, operation: &str, params: Value) -> super::Answer {
    ask(world, after, "rds", operation, params)
}

/// A VPC with a subnet in each of two zones, and a security group: their ids.
pub fn network(world: &mut World) -> (Vec<Value>, Value) {
    let vpc = ask(
        world,
        0.0,
        "ec2",
        "CreateVpc",
        json!({"CidrBlock": "10.213.0.0/16"}),
    )
    .unwrap();
    let vpc = &vpc["Vpc"]["VpcId"];
    let subnets = [
        ("10.213.0.0/24", "eu-central-1a"),
        ("10.213.1.0/24", "eu-central-1b"),
    ];
    let subnets = subnets.map(|(cidr, zone)| {
        let params = json!({"VpcId": vpc, "CidrBlock": cidr, "AvailabilityZone": zone});
        let said = ask(world, 0.0, "ec2", "CreateSubnet", params).unwrap();
        said["Subnet"]["SubnetId"].clone()
    });
    let params = json!({"VpcId": vpc, "GroupName": "g", "Description": "g"});
    let group = ask(world, 0.0, "ec2", "CreateSecurityGroup", params).unwrap();
    (subnets.to_vec(), group["GroupId"].clone())
}

fn subnet_group(world: &mut World, subnets: &[Value]) -> super::Answer {
    let params = json!({
        "DBSubnetGroupName": "Drill", "DBSubnetGroupDescription": "d", "SubnetIds": subnets,
    });
    rds(world, 0.0, "CreateDBSubnetGroup", params)
}

/// What only the services here have left.
fn left(world: &World) -> Vec<String> {
    let mut left = world.left();
    left.retain(|one| one.contains(" db-"));
    left
}

#[test]
fn a_subnet_group_needs_two_zones() {
    let mut world = world();
    let (subnets, _) = network(&mut world);
    refused(
        subnet_group(&mut world, &subnets[..1]),
        "DBSubnetGroupDoesNotCoverEnoughAZs",
    );
    let strange = [json!("subnet-0fedcba9876543210")];
    refused(subnet_group(&mut world, &strange), "InvalidSubnet");
    subnet_group(&mut world, &subnets).unwrap();
    refused(
        subnet_group(&mut world, &subnets),
        "DBSubnetGroupAlreadyExists",
    );
    let asked = json!({"DBSubnetGroupName": "drill"});
    let said = rds(&mut world, 1.0, "DescribeDBSubnetGroups", asked.clone()).unwrap();
    assert_eq!(
        said["DBSubnetGroups"][0]["Subnets"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    rds(&mut world, 1.0, "DeleteDBSubnetGroup", asked.clone()).unwrap();
    let gone = rds(&mut world, 1.0, "DeleteDBSubnetGroup", asked);
    refused(gone, "DBSubnetGroupNotFoundFault");
}

#[test]
fn an_instance_is_restored_and_goes() {
    let mut world = world();
    let (subnets, group) = network(&mut world);
    subnet_group(&mut world, &subnets).unwrap();
    let security = json!({"GroupId": group});
    let mut metadata = json!({
        "DBInstanceIdentifier": "Drill-Orders", "DBSubnetGroupName": "drill",
        "DeletionProtection": "true", "VpcSecurityGroupIds": "[\"sg-0fedcba9876543210\"]",
    });
    let (status, why) = ends(&mut world, ORDERS, metadata.clone());
    assert!(
        status == "FAILED" && why.contains("security group"),
        "{status} {why}"
    );
    metadata["VpcSecurityGroupIds"] = json!(format!("[{group}]"));
    let id = start(&mut world, 0.0, ORDERS, metadata).unwrap()["RestoreJobId"].clone();

    let of = json!({"DBInstanceIdentifier": "drill-orders"});
    let shown = |world: &mut World, after: f64| {
        let said = rds(world, after, "DescribeDBInstances", of.clone()).unwrap();
        said["DBInstances"][0].clone()
    };
    let early = shown(&mut world, 100.0);
    assert_eq!(early["DBInstanceStatus"], "creating");
    assert!(early.get("Endpoint").is_none());
    let now = 1000.0;
    let made = job(&mut world, now, &id)["CreatedResourceArn"].clone();
    assert_eq!(
        made,
        "arn:aws:rds:eu-central-1:111122223333:db:drill-orders"
    );
    assert_eq!(shown(&mut world, now)["Endpoint"]["Port"], 5432);

    let tag = json!({"ResourceName": made, "Tags": [{"Key": "a", "Value": "b"}]});
    rds(&mut world, now, "AddTagsToResource", tag).unwrap();
    let of_made = json!({"ResourceName": made});
    let tags = rds(&mut world, now, "ListTagsForResource", of_made).unwrap();
    assert_eq!(tags["TagList"][0]["Key"], "a");
    assert_eq!(shown(&mut world, now)["TagList"][0]["Value"], "b");

    let mut delete = of.clone();
    let plain = rds(&mut world, now, "DeleteDBInstance", delete.clone());
    refused(plain, "InvalidParameterCombination");
    delete["SkipFinalSnapshot"] = json!(true);
    let protected = rds(&mut world, now, "DeleteDBInstance", delete.clone());
    refused(protected, "InvalidParameterCombination");
    let mut free = of.clone();
    free["DeletionProtection"] = json!(false);
    rds(&mut world, now, "ModifyDBInstance", free).unwrap();
    rds(&mut world, now, "DeleteDBInstance", delete).unwrap();
    let group = json!({"DBSubnetGroupName": "drill"});
    let used = rds(&mut world, now + 10.0, "DeleteDBSubnetGroup", group.clone());
    refused(used, "InvalidDBSubnetGroupStateFault");
    let held = ask(
        &mut world,
        now + 10.0,
        "ec2",
        "DeleteSubnet",
        json!({"SubnetId": subnets[0]}),
    );
    refused(held, "DependencyViolation");
    let held = ask(
        &mut world,
        now + 10.0,
        "ec2",
        "DeleteSecurityGroup",
        security.clone(),
    );
    refused(held, "DependencyViolation");
    assert_eq!(left(&world).len(), 2);
    let gone = rds(&mut world, now + 301.0, "DescribeDBInstances", of);
    refused(gone, "DBInstanceNotFound");
    rds(&mut world, now + 301.0, "DeleteDBSubnetGroup", group).unwrap();
    assert_eq!(left(&world), Vec::<String>::new());
    ask(
        &mut world,
        now + 301.0,
        "ec2",
        "DeleteSecurityGroup",
        security,
    )
    .unwrap();
}

#[test]
fn a_cluster_has_no_instance_until_one_is_made() {
    let mut world = world();
    let (subnets, _) = network(&mut world);
    subnet_group(&mut world, &subnets).unwrap();
    let metadata = json!({
        "DBClusterIdentifier": "c", "Engine": "aurora-postgresql", "DBSubnetGroupName": "drill",
        "DeletionProtection": "true",
    });
    let id = start(&mut world, 0.0, LEDGER, metadata).unwrap()["RestoreJobId"].clone();
    let one = json!({
        "DBInstanceIdentifier": "c-1", "DBInstanceClass": "db.r7g.large",
        "Engine": "aurora-postgresql", "DBClusterIdentifier": "c",
    });
    let early = rds(&mut world, 200.0, "CreateDBInstance", one.clone());
    refused(early, "InvalidDBClusterStateFault");
    assert_eq!(job(&mut world, 1000.0, &id)["Status"], "COMPLETED");
    let members = |world: &mut World| {
        let said = rds(world, 1000.0, "DescribeDBClusters", json!({})).unwrap();
        said["DBClusters"][0]["DBClusterMembers"]
            .as_array()
            .unwrap()
            .len()
    };
    assert_eq!(members(&mut world), 0);
    rds(&mut world, 1000.0, "CreateDBInstance", one).unwrap();
    assert_eq!(members(&mut world), 1);
    let said = rds(&mut world, 1599.0, "DescribeDBInstances", json!({})).unwrap();
    assert_eq!(said["DBInstances"][0]["DBInstanceStatus"], "creating");

    let cluster = json!({"DBClusterIdentifier": "c", "SkipFinalSnapshot": true});
    let full = rds(&mut world, 1700.0, "DeleteDBCluster", cluster.clone());
    refused(full, "InvalidDBClusterStateFault");
    let one = json!({"DBInstanceIdentifier": "c-1"});
    rds(&mut world, 1700.0, "DeleteDBInstance", one).unwrap();
    let protected = rds(&mut world, 1700.0, "DeleteDBCluster", cluster.clone());
    refused(protected, "InvalidParameterCombination");
    let free = json!({"DBClusterIdentifier": "c", "DeletionProtection": false});
    rds(&mut world, 1700.0, "ModifyDBCluster", free).unwrap();
    rds(&mut world, 1700.0, "DeleteDBCluster", cluster).unwrap();
    let filter = json!({"Filters": [{"Name": "db-cluster-id", "Values": ["c"]}]});
    let said = rds(&mut world, 2100.0, "DescribeDBInstances", filter).unwrap();
    assert_eq!(said["DBInstances"], json!([]));
    let gone = rds(
        &mut world,
        2100.0,
        "DescribeDBClusters",
        json!({"DBClusterIdentifier": "c"}),
    );
    refused(gone, "DBClusterNotFoundFault");
}

#[test]
fn a_snapshot_says_what_time_its_data_is_of() {
    let mut world = world();
    let arn = newest(&mut world, ORDERS);
    let said = rds(
        &mut world,
        0.0,
        "DescribeDBSnapshots",
        json!({"DBSnapshotIdentifier": arn}),
    );
    let snapshot = said.unwrap()["DBSnapshots"][0].clone();
    let time = |name: &str| snapshot[name].as_f64().unwrap() - world.began;
    assert_eq!(time("SnapshotDatabaseTime"), -7200.0);
    assert_eq!(time("SnapshotCreateTime"), -4800.0);
    let plain = rds(&mut world, 0.0, "DescribeDBSnapshots", json!({})).unwrap();
    assert_eq!(plain["DBSnapshots"], json!([]));
    let asked = json!({"SnapshotType": "awsbackup"});
    let said = rds(&mut world, 0.0, "DescribeDBClusterSnapshots", asked).unwrap();
    assert_eq!(said["DBClusterSnapshots"].as_array().unwrap().len(), 3);
}

#[test]
fn what_can_be_ordered() {
    let mut world = world();
    let asked = json!({"Engine": "postgres", "DBInstanceClass": "db.m7g.large"});
    let said = rds(&mut world, 0.0, "DescribeOrderableDBInstanceOptions", asked).unwrap();
    assert_eq!(
        said["OrderableDBInstanceOptions"].as_array().unwrap().len(),
        1
    );
    let asked = json!({"Engine": "postgres", "DBInstanceClass": "db.x9.huge"});
    let said = rds(&mut world, 0.0, "DescribeOrderableDBInstanceOptions", asked).unwrap();
    assert_eq!(said["OrderableDBInstanceOptions"], json!([]));
}
