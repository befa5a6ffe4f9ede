//! Security groups. A new one lets everything out.

use serde_json::{Value, json};

use super::super::world::{Answer, Refusal};
use super::network::open_egress;
use super::state::{Group, Peer, Rule};
use super::tags;
use super::turn::{Turn, find, find_mut, invalid, missing, paged, refuse};

pub fn create(turn: &mut Turn<'_>) -> Answer {
    turn.taggable(&["security-group"])?;
    let (name, description) = (turn.needed("GroupName")?, turn.needed("Description")?);
    let vpc = match turn.text("VpcId") {
        Some(vpc) => vpc.to_owned(),
        None => default_vpc(turn)?,
    };
    find(&turn.state.vpcs, &vpc, turn.sight())?;
    if name.to_ascii_lowercase().starts_with("sg-") || name == "default" {
        return invalid(name, "groupName", "It is reserved.");
    }
    if (turn.state.groups.values()).any(|group| group.vpc == vpc && group.name == name) {
        return refuse(
            "InvalidGroup.Duplicate",
            format!("The security group '{name}' already exists for VPC '{vpc}'"),
        );
    }
    let group = Group {
        base: turn.base::<Group>()?,
        vpc,
        name: name.to_owned(),
        description: description.to_owned(),
        rules: vec![open_egress(turn.world.new_id("sgr"))],
    };
    let id = turn.id::<Group>();
    let tags = tags::shown(&group.base);
    turn.state.groups.insert(id.clone(), group);
    Ok(json!({ "GroupId": id, "SecurityGroupArn": arn(turn, &id), "Tags": tags }))
}

fn default_vpc(turn: &Turn<'_>) -> Result<String, Refusal> {
    let mut vpcs = turn.state.vpcs.iter();
    match vpcs.find(|(_, vpc)| vpc.is_default) {
        Some((id, _)) => Ok(id.clone()),
        None => refuse("VPCIdNotSpecified", "No default VPC for this user"),
    }
}

fn arn(turn: &Turn<'_>, id: &str) -> String {
    let (region, account) = (&turn.call.region, &turn.call.account);
    format!("arn:aws:ec2:{region}:{account}:security-group/{id}")
}

/// Rules of one direction, as a Describe groups them: by protocol and ports.
fn permissions(turn: &Turn<'_>, rules: &[Rule], egress: bool) -> Vec<Value> {
    let mut heads: Vec<&Rule> = Vec::new();
    let alike = |a: &Rule, b: &Rule| a.protocol == b.protocol && a.ports == b.ports;
    let rules: Vec<&Rule> = rules.iter().filter(|rule| rule.egress == egress).collect();
    for rule in &rules {
        if !heads.iter().any(|head| alike(head, rule)) {
            heads.push(rule);
        }
    }
    (heads.into_iter())
        .map(|head| {
            let those: Vec<&Rule> = (rules.iter().copied())
                .filter(|rule| alike(head, rule))
                .collect();
            permission(turn, head, &those)
        })
        .collect()
}

fn permission(turn: &Turn<'_>, head: &Rule, rules: &[&Rule]) -> Value {
    let of = |show: &dyn Fn(&Rule) -> Option<Value>| -> Vec<Value> {
        rules.iter().filter_map(|rule| show(rule)).collect()
    };
    json!({
        "IpProtocol": head.protocol,
        "FromPort": head.ports.map(|(from, _)| from),
        "ToPort": head.ports.map(|(_, to)| to),
        "IpRanges": of(&|rule| match &rule.peer {
            Peer::V4(cidr) => Some(json!({ "CidrIp": cidr, "Description": rule.description })),
            _ => None,
        }),
        "Ipv6Ranges": of(&|rule| match &rule.peer {
            Peer::V6(cidr) => Some(json!({ "CidrIpv6": cidr, "Description": rule.description })),
            _ => None,
        }),
        "UserIdGroupPairs": of(&|rule| match &rule.peer {
            Peer::Group(group) => Some(json!({
                "GroupId": group,
                "UserId": turn.call.account,
                "Description": rule.description,
            })),
            _ => None,
        }),
        "PrefixListIds": of(&|rule| match &rule.peer {
            Peer::List(list) => Some(json!({
                "PrefixListId": list,
                "Description": rule.description,
            })),
            _ => None,
        }),
    })
}

pub fn describe(turn: &mut Turn<'_>) -> Answer {
    let names = turn.texts("GroupNames");
    let show = |id: &str, group: &Group| {
        json!({
            "GroupId": id,
            "SecurityGroupArn": arn(turn, id),
            "GroupName": group.name,
            "Description": group.description,
            "OwnerId": turn.call.account,
            "VpcId": group.vpc,
            "IpPermissions": permissions(turn, &group.rules, false),
            "IpPermissionsEgress": permissions(turn, &group.rules, true),
            "Tags": tags::shown(&group.base),
        })
    };
    let listed = |group: &Group| names.is_empty() || names.contains(&group.name.as_str());
    let filters = &[
        ("group-id", "GroupId"),
        ("group-name", "GroupName"),
        ("description", "Description"),
        ("vpc-id", "VpcId"),
        ("owner-id", "OwnerId"),
        (
            "ip-permission.group-id",
            "IpPermissions.UserIdGroupPairs.GroupId",
        ),
        ("ip-permission.cidr", "IpPermissions.IpRanges.CidrIp"),
        (
            "egress.ip-permission.group-id",
            "IpPermissionsEgress.UserIdGroupPairs.GroupId",
        ),
        (
            "egress.ip-permission.cidr",
            "IpPermissionsEgress.IpRanges.CidrIp",
        ),
    ];
    let page = turn.list_where(&turn.state.groups, "GroupIds", filters, show, listed)?;
    paged("SecurityGroups", page)
}

pub fn delete(turn: &mut Turn<'_>) -> Answer {
    let id = turn.needed("GroupId")?;
    let group = find(&turn.state.groups, id, turn.sight())?;
    if group.name == "default" {
        return refuse(
            "CannotDelete",
            format!("the specified group: \"{id}\" name: \"default\" cannot be deleted by a user"),
        );
    }
    let state = &turn.state;
    let named = |group: &Group| {
        let mut rules = group.rules.iter();
        rules.any(|rule| rule.peer == Peer::Group(id.to_owned()))
    };
    let used = (state.interfaces.values()).any(|one| one.groups.iter().any(|group| group == id))
        || (state.groups.iter()).any(|(other, group)| other != id && named(group));
    if used {
        return refuse(
            "DependencyViolation",
            format!("resource {id} has a dependent object"),
        );
    }
    turn.slow_delete(id, "DependencyViolation")?;
    if let Some(gone) = turn.state.groups.remove(id) {
        turn.bury(id, &gone);
    }
    Ok(json!({ "Return": true, "GroupId": id }))
}

/// The rules that a request names, without ids.
fn asked(turn: &Turn<'_>, egress: bool) -> Result<Vec<Rule>, Refusal> {
    let mut rules = Vec::new();
    // The old form: one rule, in members of its own.
    let old = turn.text("CidrIp").map(|cidr| {
        json!([{
            "IpProtocol": turn.text("IpProtocol"),
            "FromPort": turn.number("FromPort"),
            "ToPort": turn.number("ToPort"),
            "IpRanges": [{ "CidrIp": cidr }],
        }])
    });
    let given = old.as_ref().or(turn.member("IpPermissions"));
    let items = |value: &Value, name: &str| -> Vec<Value> {
        let list = value.get(name).and_then(Value::as_array);
        list.cloned().unwrap_or_default()
    };
    for permission in given.and_then(Value::as_array).into_iter().flatten() {
        let text = |value: &Value, name: &str| value.get(name)?.as_str().map(str::to_owned);
        let protocol = match text(permission, "IpProtocol").as_deref() {
            Some("6") => "tcp".to_owned(),
            Some("17") => "udp".to_owned(),
            Some("1") => "icmp".to_owned(),
            Some("all") => "-1".to_owned(),
            Some(other) => other.to_owned(),
            None => {
                return refuse(
                    "MissingParameter",
                    "The request must contain the parameter ipProtocol",
                );
            }
        };
        let port = |name: &str| permission.get(name).and_then(Value::as_i64);
        let ports = match (protocol.as_str(), port("FromPort"), port("ToPort")) {
            ("tcp" | "udp" | "icmp", Some(from), Some(to)) => Some((from, to)),
            ("tcp" | "udp", _, _) => {
                return invalid("", "portRange", "Must specify both from and to ports.");
            }
            _ => None,
        };
        for (list, name) in [
            ("IpRanges", "CidrIp"),
            ("Ipv6Ranges", "CidrIpv6"),
            ("UserIdGroupPairs", "GroupId"),
            ("PrefixListIds", "PrefixListId"),
        ] {
            for one in items(permission, list) {
                let Some(value) = text(&one, name) else {
                    continue;
                };
                let peer = match name {
                    "CidrIp" => Peer::V4(value),
                    "CidrIpv6" => Peer::V6(value),
                    "GroupId" => Peer::Group(value),
                    _ => Peer::List(value),
                };
                match &peer {
                    Peer::V4(cidr) if super::network::cidr(cidr).is_none() => {
                        return refuse(
                            "InvalidParameterValue",
                            format!("CIDR block {cidr} is malformed"),
                        );
                    }
                    Peer::Group(group) => {
                        find(&turn.state.groups, group, turn.sight())?;
                    }
                    _ => {}
                }
                rules.push(Rule {
                    id: String::new(),
                    egress,
                    protocol: protocol.clone(),
                    ports,
                    peer,
                    description: text(&one, "Description"),
                });
            }
        }
    }
    Ok(rules)
}

fn same(a: &Rule, b: &Rule) -> bool {
    a.egress == b.egress && a.protocol == b.protocol && a.ports == b.ports && a.peer == b.peer
}

fn show_rule(turn: &Turn<'_>, group: &str, rule: &Rule) -> Value {
    json!({
        "SecurityGroupRuleId": rule.id,
        "GroupId": group,
        "IsEgress": rule.egress,
        "IpProtocol": rule.protocol,
        "FromPort": rule.ports.map_or(-1, |(from, _)| from),
        "ToPort": rule.ports.map_or(-1, |(_, to)| to),
        "CidrIpv4": match &rule.peer { Peer::V4(cidr) => Some(cidr), _ => None },
        "CidrIpv6": match &rule.peer { Peer::V6(cidr) => Some(cidr), _ => None },
        "PrefixListId": match &rule.peer { Peer::List(list) => Some(list), _ => None },
        "ReferencedGroupInfo": match &rule.peer {
            Peer::Group(id) => Some(json!({ "GroupId": id, "UserId": turn.call.account })),
            _ => None,
        },
        "Description": rule.description,
    })
}

pub fn authorize(turn: &mut Turn<'_>, egress: bool) -> Answer {
    let id = turn.needed("GroupId")?;
    let group = find(&turn.state.groups, id, turn.sight())?;
    let mut rules = asked(turn, egress)?;
    if rules.is_empty() {
        return refuse(
            "MissingParameter",
            "Either 'ipPermissions' or 'securityGroupRuleIds' should be provided.",
        );
    }
    if let Some(there) = (rules.iter()).find(|rule| group.rules.iter().any(|one| same(one, rule))) {
        return refuse(
            "InvalidPermission.Duplicate",
            format!(
                "the specified rule \"peer: {:?}, {}, ports: {:?}, ALLOW\" already exists",
                there.peer, there.protocol, there.ports
            ),
        );
    }
    for rule in &mut rules {
        rule.id = turn.world.new_id("sgr");
    }
    let shown: Vec<Value> = (rules.iter())
        .map(|rule| {
            let mut shown = show_rule(turn, id, rule);
            shown["GroupOwnerId"] = json!(turn.call.account);
            shown
        })
        .collect();
    let sight = turn.sight();
    let group = find_mut(&mut turn.state.groups, id, sight)?;
    group.rules.extend(rules);
    Ok(json!({ "Return": true, "SecurityGroupRules": shown }))
}

/// Rules that are not there are named in the answer, and are no error outside the default VPC.
pub fn revoke(turn: &mut Turn<'_>, egress: bool) -> Answer {
    let id = turn.needed("GroupId")?;
    let group = find(&turn.state.groups, id, turn.sight())?;
    let mut gone: Vec<Rule> = Vec::new();
    for rule in turn.texts("SecurityGroupRuleIds") {
        let mut rules = group.rules.iter();
        match rules.find(|one| one.id == rule && one.egress == egress) {
            Some(one) => gone.push(one.clone()),
            None => {
                return refuse(
                    "InvalidSecurityGroupRuleId.NotFound",
                    format!("The security group rule ID '{rule}' does not exist"),
                );
            }
        }
    }
    let mut unknown = Vec::new();
    for rule in asked(turn, egress)? {
        match group.rules.iter().find(|one| same(one, &rule)) {
            Some(one) => gone.push(one.clone()),
            None => unknown.push(rule),
        }
    }
    let in_default = (turn.state.vpcs.get(&group.vpc)).is_some_and(|vpc| vpc.is_default);
    if in_default && !unknown.is_empty() {
        return refuse(
            "InvalidPermission.NotFound",
            "The specified rule does not exist in this security group.",
        );
    }
    let shown: Vec<Value> = (gone.iter())
        .map(|rule| {
            let mut shown = show_rule(turn, id, rule);
            shown["ReferencedGroupId"] = shown["ReferencedGroupInfo"]["GroupId"].clone();
            shown["ReferencedGroupInfo"] = Value::Null;
            shown
        })
        .collect();
    let unknown: Vec<Value> = (unknown.iter())
        .map(|rule| permission(turn, rule, &[rule]))
        .collect();
    let sight = turn.sight();
    let group = find_mut(&mut turn.state.groups, id, sight)?;
    group.rules.retain(|rule| !gone.contains(rule));
    Ok(json!({
        "Return": true,
        "RevokedSecurityGroupRules": shown,
        "UnknownIpPermissions": unknown,
    }))
}

/// Groups of an instance: they exist, and in its subnet's VPC.
pub fn check(turn: &Turn<'_>, groups: &[String], vpc: &str) -> Result<(), Refusal> {
    for id in groups {
        let group = find(&turn.state.groups, id, turn.sight())?;
        if group.vpc != vpc {
            return refuse(
                "InvalidParameter",
                format!("Security group {id} and the subnet belong to different networks."),
            );
        }
    }
    if groups.is_empty() {
        return Err(missing::<Group>(""));
    }
    Ok(())
}
