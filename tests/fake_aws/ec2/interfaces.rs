//! Network interfaces: each instance has one, and it goes with it.

use serde_json::json;

use super::super::world::Answer;
use super::state::Interface;
use super::tags;
use super::turn::{Turn, find, paged, refuse};

pub fn describe(turn: &mut Turn<'_>) -> Answer {
    let show = |id: &str, one: &Interface| {
        let subnet = turn.state.subnets.get(&one.subnet);
        let instance = one.instance.as_ref();
        let of = instance.and_then(|id| turn.state.instances.get(id));
        let groups: Vec<_> = (one.groups.iter())
            .map(|id| {
                let group = turn.state.groups.get(id);
                json!({ "GroupId": id, "GroupName": group.map(|group| &group.name) })
            })
            .collect();
        json!({
            "NetworkInterfaceId": id,
            "OwnerId": turn.call.account,
            "SubnetId": one.subnet,
            "VpcId": subnet.map(|subnet| &subnet.vpc),
            "AvailabilityZone": subnet.map(|subnet| &subnet.zone),
            "InterfaceType": "interface",
            "Description": "",
            "Groups": groups,
            "PrivateIpAddress": one.private_ip,
            "RequesterManaged": false,
            "SourceDestCheck": true,
            "Status": if one.instance.is_some() { "in-use" } else { "available" },
            "Attachment": instance.map(|instance| json!({
                "AttachmentId": format!("eni-attach-{}", id.trim_start_matches("eni-")),
                "DeleteOnTermination": true,
                "DeviceIndex": 0,
                "InstanceId": instance,
                "InstanceOwnerId": turn.call.account,
                "Status": "attached",
            })),
            "Association": of.and_then(|of| of.shown_public(turn.now)).map(|public| json!({
                "IpOwnerId": "amazon",
                "PublicIp": public,
            })),
            "TagSet": tags::shown(&one.base),
        })
    };
    let filters = &[
        ("network-interface-id", "NetworkInterfaceId"),
        ("vpc-id", "VpcId"),
        ("subnet-id", "SubnetId"),
        ("group-id", "Groups.GroupId"),
        ("attachment.instance-id", "Attachment.InstanceId"),
        ("attachment.status", "Attachment.Status"),
        ("availability-zone", "AvailabilityZone"),
        ("description", "Description"),
        ("interface-type", "InterfaceType"),
        ("private-ip-address", "PrivateIpAddress"),
        ("requester-managed", "RequesterManaged"),
        ("association.public-ip", "Association.PublicIp"),
        ("status", "Status"),
        ("owner-id", "OwnerId"),
    ];
    let page = turn.list(&turn.state.interfaces, "NetworkInterfaceIds", filters, show)?;
    paged("NetworkInterfaces", page)
}

pub fn delete(turn: &mut Turn<'_>) -> Answer {
    let id = turn.needed("NetworkInterfaceId")?;
    let one = find(&turn.state.interfaces, id, turn.sight())?;
    if one.instance.is_some() {
        return refuse(
            "InvalidParameterValue",
            format!("Network interface '{id}' is currently in use."),
        );
    }
    turn.slow_delete(id, "InvalidNetworkInterface.InUse")?;
    if let Some(gone) = turn.state.interfaces.remove(id) {
        turn.bury(id, &gone);
    }
    Ok(json!({}))
}

/// There are no Elastic IPs here: none of the operations makes one.
pub fn addresses(turn: &mut Turn<'_>) -> Answer {
    turn.filters(
        &[
            ("allocation-id", "AllocationId"),
            ("association-id", "AssociationId"),
            ("instance-id", "InstanceId"),
            ("network-interface-id", "NetworkInterfaceId"),
            ("public-ip", "PublicIp"),
        ],
        true,
    )?;
    if let Some(id) = turn.texts("AllocationIds").first() {
        return refuse(
            "InvalidAllocationID.NotFound",
            format!("The allocation ID '{id}' does not exist"),
        );
    }
    if let Some(address) = turn.texts("PublicIps").first() {
        return refuse(
            "InvalidAddress.NotFound",
            format!("Address '{address}' not found."),
        );
    }
    Ok(json!({ "Addresses": [] }))
}
