//! What may go in and out of the drill's security group. Decided in pure functions.

use std::collections::BTreeSet;

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{IpPermission, IpRange, Ipv6Range, PrefixListId, UserIdGroupPair};

use crate::cloud::fault::{Fault, FaultKind};
use crate::cloud::poll::Asked;
use crate::document::drill::Drill;
use crate::document::drill::aws::{AwsNetwork, Gateway};

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Peer {
    Cidr(String),
    Group(String),
    PrefixList(String),
}

/// One permission, for one peer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rule {
    pub egress: bool,
    /// `tcp`; `-1`: all.
    pub protocol: String,
    pub ports: Option<(i32, i32)>,
    pub peer: Peer,
}

/// What databases and file systems are reached by, from an instance of the drill: PostgreSQL, MySQL,
/// NFS.
const DATABASES: [i32; 2] = [5432, 3306];
const NFS: i32 = 2049;

/// All that is allowed; nothing else is. Pure.
pub(super) fn wanted(drill: &Drill, network: &AwsNetwork, group: &str) -> BTreeSet<Rule> {
    let tcp = |egress, port: i32, peer| Rule {
        egress,
        protocol: "tcp".into(),
        ports: Some((port, port)),
        peer,
    };
    let mut rules = BTreeSet::new();
    for aws in drill.steps.iter().filter_map(|s| s.aws.as_ref()) {
        let ssh = match (&aws.instance, &aws.fresh) {
            (Some(instance), _) => instance.ssh.as_ref(),
            (None, Some(fresh)) => Some(&fresh.ssh),
            _ => None,
        };
        if let (Some(ssh), Some(controller)) = (ssh, &network.controller) {
            let from = Peer::Cidr(controller.clone());
            rules.insert(tcp(false, i32::from(ssh.port), from));
        }
        let mut inside: Vec<i32> = Vec::new();
        if aws.rds.is_some() || aws.aurora.is_some() {
            inside.extend(DATABASES);
        }
        if aws.efs.as_ref().is_some_and(|efs| efs.mount.is_some()) {
            inside.push(NFS);
        }
        for port in inside {
            rules.insert(tcp(false, port, Peer::Group(group.into())));
            rules.insert(tcp(true, port, Peer::Group(group.into())));
        }
    }
    if network.gateway == Gateway::Internet {
        rules.insert(Rule {
            egress: true,
            protocol: "-1".into(),
            ports: None,
            peer: Peer::Cidr("0.0.0.0/0".into()),
        });
    }
    rules
}

/// Permissions of EC2 taken apart. Pure.
fn taken_apart(egress: bool, permissions: &[IpPermission]) -> BTreeSet<Rule> {
    let mut rules = BTreeSet::new();
    for one in permissions {
        let protocol = one.ip_protocol().unwrap_or("-1");
        let ports = match protocol {
            "-1" => None,
            _ => one.from_port().zip(one.to_port()),
        };
        let v4 = one.ip_ranges().iter().filter_map(IpRange::cidr_ip);
        let v6 = one.ipv6_ranges().iter().filter_map(Ipv6Range::cidr_ipv6);
        let groups = one.user_id_group_pairs().iter();
        let groups = groups.filter_map(UserIdGroupPair::group_id);
        let lists = one.prefix_list_ids().iter();
        let lists = lists.filter_map(PrefixListId::prefix_list_id);
        let peers = v4
            .chain(v6)
            .map(|cidr| Peer::Cidr(cidr.into()))
            .chain(groups.map(|id| Peer::Group(id.into())))
            .chain(lists.map(|id| Peer::PrefixList(id.into())));
        rules.extend(peers.map(|peer| Rule {
            egress,
            protocol: protocol.into(),
            ports,
            peer,
        }));
    }
    rules
}

/// As EC2 takes it.
fn permission(rule: &Rule) -> IpPermission {
    let permission = IpPermission::builder()
        .ip_protocol(&rule.protocol)
        .set_from_port(rule.ports.map(|(from, _)| from))
        .set_to_port(rule.ports.map(|(_, to)| to));
    match &rule.peer {
        Peer::Cidr(cidr) if cidr.contains(':') => {
            permission.ipv6_ranges(Ipv6Range::builder().cidr_ipv6(cidr).build())
        }
        Peer::Cidr(cidr) => permission.ip_ranges(IpRange::builder().cidr_ip(cidr).build()),
        Peer::Group(id) => {
            permission.user_id_group_pairs(UserIdGroupPair::builder().group_id(id).build())
        }
        Peer::PrefixList(id) => {
            permission.prefix_list_ids(PrefixListId::builder().prefix_list_id(id).build())
        }
    }
    .build()
}

/// What there is.
pub(in crate::cloud) async fn there(
    ec2: &Client,
    group: &str,
) -> Result<(Vec<IpPermission>, Vec<IpPermission>), Fault> {
    let what = "asking for the security group's rules";
    let answer = ec2.describe_security_groups().group_ids(group).send();
    let answer = answer.await.map_err(|e| Fault::of(what, e))?;
    let found = answer
        .security_groups
        .and_then(|all| all.into_iter().next());
    let found = found.ok_or_else(|| Fault {
        kind: FaultKind::NotFound,
        ..Fault::ours(what, "the group is not there")
    })?;
    let (coming, going) = (found.ip_permissions, found.ip_permissions_egress);
    Ok((coming.unwrap_or_default(), going.unwrap_or_default()))
}

/// Takes away what is not wanted (egress is open in a new group) and adds what is missing. Ready
/// when what is there is what is wanted.
pub(super) async fn set(
    ec2: &Client,
    group: &str,
    wanted: &BTreeSet<Rule>,
) -> Result<Asked<()>, Fault> {
    let (coming, going) = there(ec2, group).await?;
    let mut now = taken_apart(false, &coming);
    now.extend(taken_apart(true, &going));
    if now == *wanted {
        return Ok(Asked::Ready(()));
    }
    for (egress, wrong) in split(now.difference(wanted)) {
        revoke(ec2, group, egress, wrong).await?;
    }
    for (egress, missing) in split(wanted.difference(&now)) {
        let what = "adding rules to the security group";
        let done = match egress {
            true => {
                let call = ec2.authorize_security_group_egress().group_id(group);
                let call = call.set_ip_permissions(Some(missing)).send().await;
                call.map(drop).map_err(|e| Fault::of(what, e))
            }
            false => {
                let call = ec2.authorize_security_group_ingress().group_id(group);
                let call = call.set_ip_permissions(Some(missing)).send().await;
                call.map(drop).map_err(|e| Fault::of(what, e))
            }
        };
        match done {
            Err(fault) if fault.kind != FaultKind::Exists => return Err(fault),
            _ => {}
        }
    }
    Ok(Asked::Wait(None))
}

fn split<'r>(rules: impl Iterator<Item = &'r Rule>) -> Vec<(bool, Vec<IpPermission>)> {
    let (going, coming): (Vec<&Rule>, Vec<&Rule>) = rules.partition(|rule| rule.egress);
    [(true, going), (false, coming)]
        .into_iter()
        .filter(|(_, rules)| !rules.is_empty())
        .map(|(egress, rules)| (egress, rules.into_iter().map(permission).collect()))
        .collect()
}

/// That they are gone already is as good.
pub(in crate::cloud) async fn revoke(
    ec2: &Client,
    group: &str,
    egress: bool,
    permissions: Vec<IpPermission>,
) -> Result<(), Fault> {
    let what = "revoking rules of the security group";
    if permissions.is_empty() {
        return Ok(());
    }
    let done = match egress {
        true => {
            let call = ec2.revoke_security_group_egress().group_id(group);
            let call = call.set_ip_permissions(Some(permissions)).send().await;
            call.map(drop).map_err(|e| Fault::of(what, e))
        }
        false => {
            let call = ec2.revoke_security_group_ingress().group_id(group);
            let call = call.set_ip_permissions(Some(permissions)).send().await;
            call.map(drop).map_err(|e| Fault::of(what, e))
        }
    };
    match done {
        Err(fault) if fault.kind != FaultKind::NotFound => Err(fault),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::metadata::testing::drill;

    #[test]
    fn what_is_taken_apart_is_what_was_put_together() {
        let rules = BTreeSet::from([
            Rule {
                egress: false,
                protocol: "tcp".into(),
                ports: Some((22, 22)),
                peer: Peer::Cidr("203.0.113.7/32".into()),
            },
            Rule {
                egress: false,
                protocol: "-1".into(),
                ports: None,
                peer: Peer::Cidr("2001:db8::7/128".into()),
            },
            Rule {
                egress: false,
                protocol: "tcp".into(),
                ports: Some((5432, 5432)),
                peer: Peer::Group("sg-1".into()),
            },
        ]);
        let permissions: Vec<IpPermission> = rules.iter().map(permission).collect();
        assert_eq!(taken_apart(false, &permissions), rules);
    }

    #[test]
    fn only_the_controller_comes_in_and_nothing_goes_out() {
        let drill = drill(
            r#"
- step: web
  aws: {resource: "arn:x", instance: {type: m7g.large, ssh: {user: admin, port: 2222}}}
  proofs: []
- step: disk
  aws: {resource: "arn:y", volume: {}}
  proofs: []
"#,
        );
        let mut network = AwsNetwork {
            controller: Some("203.0.113.7/32".into()),
            ..AwsNetwork::default()
        };
        let rules = wanted(&drill, &network, "sg-1");
        assert_eq!(rules.len(), 1);
        let rule = rules.first().unwrap();
        assert!(!rule.egress && rule.ports == Some((2222, 2222)));
        assert_eq!(rule.peer, Peer::Cidr("203.0.113.7/32".into()));
        network.gateway = Gateway::Internet;
        let rules = wanted(&drill, &network, "sg-1");
        assert_eq!(rules.iter().filter(|r| r.egress).count(), 1);
        network.controller = None;
        assert!(wanted(&drill, &network, "sg-1").iter().all(|r| r.egress));
    }

    #[test]
    fn databases_and_mounts_are_reached_within_the_group_alone() {
        let drill = drill(
            r#"
- step: db
  aws: {resource: "arn:x", rds: {}}
  proofs: []
- step: files
  aws: {resource: "arn:y", efs: {mount: {on: web, path: /srv}}}
  proofs: []
"#,
        );
        let rules = wanted(&drill, &AwsNetwork::default(), "sg-1");
        assert!(rules.iter().all(|r| r.peer == Peer::Group("sg-1".into())));
        let ports = |egress| -> Vec<i32> {
            let rules = rules.iter().filter(|r| r.egress == egress);
            rules.filter_map(|r| Some(r.ports?.0)).collect()
        };
        assert_eq!(ports(true), [2049, 3306, 5432]);
        assert_eq!(ports(false), ports(true));
    }
}
