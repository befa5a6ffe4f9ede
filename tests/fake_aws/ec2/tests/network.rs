//! The order in which a network goes, groups, keys.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::{Ec2, count, text};

#[test]
fn the_network_goes_in_its_order_only() {
    let mut ec2 = Ec2::new();
    let (vpc, subnet, group) = ec2.network();
    let igw = ec2.ok("CreateInternetGateway", json!({}));
    let igw = text(&igw["InternetGateway"]["InternetGatewayId"]);
    let both = json!({"InternetGatewayId": igw, "VpcId": vpc});
    ec2.ok("AttachInternetGateway", both.clone());
    let table = ec2.ok("CreateRouteTable", json!({"VpcId": vpc}));
    let table = text(&table["RouteTable"]["RouteTableId"]);
    let route = json!({"RouteTableId": table, "DestinationCidrBlock": "0.0.0.0/0",
                       "GatewayId": igw});
    ec2.ok("CreateRoute", route);
    let tied = ec2.ok(
        "AssociateRouteTable",
        json!({"RouteTableId": table, "SubnetId": subnet}),
    );
    assert_eq!(ec2.left().len(), 5);

    let violation = "DependencyViolation";
    assert_eq!(ec2.refused("DeleteVpc", json!({"VpcId": vpc})), violation);
    let gateway = json!({"InternetGatewayId": igw});
    assert_eq!(
        ec2.refused("DeleteInternetGateway", gateway.clone()),
        violation
    );
    let of_table = json!({"RouteTableId": table});
    assert_eq!(ec2.refused("DeleteRouteTable", of_table.clone()), violation);
    ec2.ok(
        "DisassociateRouteTable",
        json!({"AssociationId": tied["AssociationId"]}),
    );
    ec2.ok("DeleteRouteTable", of_table);
    ec2.ok("DetachInternetGateway", both);
    ec2.ok("DeleteInternetGateway", gateway);
    ec2.ok("DeleteSubnet", json!({"SubnetId": subnet}));
    assert_eq!(ec2.refused("DeleteVpc", json!({"VpcId": vpc})), violation);
    ec2.ok("DeleteSecurityGroup", json!({"GroupId": group}));
    ec2.ok("DeleteVpc", json!({"VpcId": vpc}));
    assert_eq!(ec2.left(), Vec::<String>::new());
    assert_eq!(
        ec2.refused("DeleteVpc", json!({"VpcId": vpc})),
        "InvalidVpcID.NotFound"
    );
}

#[test]
fn a_group_in_use_or_named_by_another_stays() {
    let mut ec2 = Ec2::new();
    let (vpc, subnet, group) = ec2.network();
    let other = json!({"GroupName": "other", "Description": "d", "VpcId": vpc});
    let other = text(&ec2.ok("CreateSecurityGroup", other)["GroupId"]);
    let rule = json!({"GroupId": other, "IpPermissions": [{"IpProtocol": "tcp", "FromPort": 22,
        "ToPort": 22, "UserIdGroupPairs": [{"GroupId": group}]}]});
    ec2.ok("AuthorizeSecurityGroupIngress", rule.clone());
    assert_eq!(
        ec2.refused("AuthorizeSecurityGroupIngress", rule.clone()),
        "InvalidPermission.Duplicate"
    );
    let delete = json!({"GroupId": group});
    assert_eq!(
        ec2.refused("DeleteSecurityGroup", delete.clone()),
        "DependencyViolation"
    );
    ec2.ok("RevokeSecurityGroupIngress", rule);
    let instance = ec2.launch(&subnet, &group);
    assert_eq!(
        ec2.refused("DeleteSecurityGroup", delete.clone()),
        "DependencyViolation"
    );
    ec2.ok("TerminateInstances", json!({"InstanceIds": [instance]}));
    assert_eq!(
        ec2.refused("DeleteSubnet", json!({"SubnetId": subnet})),
        "DependencyViolation"
    );
    ec2.wait(60.0);
    ec2.ok("DeleteSecurityGroup", delete);
    ec2.ok("DeleteSubnet", json!({"SubnetId": subnet}));
}

#[test]
fn a_new_group_lets_everything_out_until_it_is_revoked() {
    let mut ec2 = Ec2::new();
    let (_, _, group) = ec2.network();
    let egress = |ec2: &mut Ec2| {
        let answer = ec2.ok("DescribeSecurityGroups", json!({"GroupIds": [group]}));
        answer["SecurityGroups"][0]["IpPermissionsEgress"].clone()
    };
    let open = egress(&mut ec2);
    assert_eq!(open[0]["IpRanges"][0]["CidrIp"], "0.0.0.0/0");
    let rule = json!([{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]);
    let revoke = json!({"GroupId": group, "IpPermissions": rule});
    let gone = ec2.ok("RevokeSecurityGroupEgress", revoke.clone());
    assert_eq!(count(&gone["RevokedSecurityGroupRules"]), 1);
    assert_eq!(count(&egress(&mut ec2)), 0);
    let again = ec2.ok("RevokeSecurityGroupEgress", revoke);
    assert_eq!(count(&again["UnknownIpPermissions"]), 1);
}

#[test]
fn a_key_pair_is_imported_once_and_deleted_twice() {
    let mut ec2 = Ec2::new();
    let mut blob = vec![0, 0, 0, 11];
    blob.extend(b"ssh-ed25519\0\0\0\x20");
    blob.extend([7; 32]);
    let line = format!("ssh-ed25519 {} drill", STANDARD.encode(blob));
    let key = json!({"KeyName": "drill", "PublicKeyMaterial": STANDARD.encode(line)});
    ec2.ok("ImportKeyPair", key.clone());
    assert_eq!(
        ec2.refused("ImportKeyPair", key),
        "InvalidKeyPair.Duplicate"
    );
    let nonsense = json!({"KeyName": "n", "PublicKeyMaterial": STANDARD.encode("ssh-ed25519 x")});
    assert_eq!(ec2.refused("ImportKeyPair", nonsense), "InvalidKey.Format");
    let named = json!({"KeyNames": ["drill"]});
    let found = ec2.ok("DescribeKeyPairs", named.clone());
    assert_eq!(found["KeyPairs"][0]["KeyType"], "ed25519");
    assert_eq!(ec2.left().len(), 1);
    let delete = json!({"KeyName": "drill"});
    ec2.ok("DeleteKeyPair", delete.clone());
    ec2.ok("DeleteKeyPair", delete);
    assert_eq!(
        ec2.refused("DescribeKeyPairs", named),
        "InvalidKeyPair.NotFound"
    );
}

#[test]
fn an_interface_is_its_instances() {
    let mut ec2 = Ec2::new();
    let (vpc, subnet, group) = ec2.network();
    ec2.ok(
        "ModifyVpcAttribute",
        json!({"VpcId": vpc, "EnableDnsHostnames": {"Value": true}}),
    );
    ec2.launch(&subnet, &group);
    let all = ec2.ok("DescribeNetworkInterfaces", json!({}));
    let id = text(&all["NetworkInterfaces"][0]["NetworkInterfaceId"]);
    let delete = json!({"NetworkInterfaceId": id});
    assert_eq!(
        ec2.refused("DeleteNetworkInterface", delete),
        "InvalidParameterValue"
    );
    let mut permission = json!({"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443,
        "IpRanges": [{"CidrIp": "10.0.0.0/16"}]});
    let egress = json!({"GroupId": group, "IpPermissions": [permission]});
    ec2.ok("AuthorizeSecurityGroupEgress", egress);
    permission["IpRanges"][0]["CidrIp"] = json!("10.0.0.1/16");
    let egress = json!({"GroupId": group, "IpPermissions": [permission]});
    assert_eq!(
        ec2.refused("AuthorizeSecurityGroupEgress", egress),
        "InvalidParameterValue"
    );
}

#[test]
fn a_gateway_stays_while_a_public_address_is_mapped() {
    let mut ec2 = Ec2::new();
    let (vpc, subnet, group) = ec2.network();
    let igw = ec2.ok("CreateInternetGateway", json!({}));
    let both = json!({"InternetGatewayId": igw["InternetGateway"]["InternetGatewayId"],
                      "VpcId": vpc});
    ec2.ok("AttachInternetGateway", both.clone());
    ec2.ok(
        "ModifySubnetAttribute",
        json!({"SubnetId": subnet, "MapPublicIpOnLaunch": {"Value": true}}),
    );
    let id = ec2.launch(&subnet, &group);
    ec2.wait(60.0);
    assert_eq!(
        ec2.refused("DetachInternetGateway", both.clone()),
        "DependencyViolation"
    );
    ec2.ok("TerminateInstances", json!({"InstanceIds": [id]}));
    ec2.wait(60.0);
    ec2.ok("DetachInternetGateway", both.clone());
    assert_eq!(
        ec2.refused("DetachInternetGateway", both),
        "Gateway.NotAttached"
    );
}
