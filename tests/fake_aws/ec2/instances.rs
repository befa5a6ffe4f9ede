//! Instances as they are described, their checks, attributes and consoles.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::super::world::Answer;
use super::lifecycle::shown_state;
use super::state::Instance;
use super::turn::{Filters, Turn, find, find_mut, paged, refuse};
use super::{groups, tags};

/// Seconds after `running` until the checks of the host, of the instance and of its volumes pass.
const CHECKS_S: (f64, f64, f64) = (60.0, 120.0, 130.0);
/// Seconds from the launch until the console shows something.
const CONSOLE_S: f64 = 60.0;

const FILTERS: Filters = &[
    ("instance-id", "InstanceId"),
    ("image-id", "ImageId"),
    ("instance-state-name", "State.Name"),
    ("instance-state-code", "State.Code"),
    ("instance-type", "InstanceType"),
    ("architecture", "Architecture"),
    ("key-name", "KeyName"),
    ("client-token", "ClientToken"),
    ("reservation-id", "ReservationId"),
    ("launch-index", "AmiLaunchIndex"),
    ("vpc-id", "VpcId"),
    ("subnet-id", "SubnetId"),
    ("availability-zone", "Placement.AvailabilityZone"),
    ("instance.group-id", "SecurityGroups.GroupId"),
    ("instance.group-name", "SecurityGroups.GroupName"),
    ("network-interface.group-id", "SecurityGroups.GroupId"),
    (
        "network-interface.network-interface-id",
        "NetworkInterfaces.NetworkInterfaceId",
    ),
    ("network-interface.subnet-id", "NetworkInterfaces.SubnetId"),
    ("network-interface.vpc-id", "NetworkInterfaces.VpcId"),
    ("private-ip-address", "PrivateIpAddress"),
    ("ip-address", "PublicIpAddress"),
    ("iam-instance-profile.arn", "IamInstanceProfile.Arn"),
    (
        "block-device-mapping.volume-id",
        "BlockDeviceMappings.Ebs.VolumeId",
    ),
    (
        "block-device-mapping.device-name",
        "BlockDeviceMappings.DeviceName",
    ),
];

fn show(turn: &Turn<'_>, id: &str, one: &Instance) -> Value {
    let state = one.state(turn.now);
    // Of a terminated instance EC2 tells little.
    let there = state != "terminated";
    let subnet = turn.state.subnets.get(&one.subnet).filter(|_| there);
    let vpc = subnet.map(|subnet| &subnet.vpc);
    let devices: Vec<Value> = (turn.state.volumes.iter())
        .filter_map(|(volume, what)| Some((volume, what.attachment.as_ref()?)))
        .filter(|(_, attachment)| attachment.instance == id)
        .map(|(volume, attachment)| {
            let shown = attachment.shown(volume, turn.now);
            json!({
                "DeviceName": attachment.device,
                "Ebs": {
                    "AttachTime": attachment.since,
                    "DeleteOnTermination": attachment.goes_with_instance,
                    "Status": shown["State"],
                    "VolumeId": volume,
                },
            })
        })
        .collect();
    let groups: Vec<Value> = (one.groups.iter().filter(|_| there))
        .map(|id| {
            let group = turn.state.groups.get(id);
            json!({ "GroupId": id, "GroupName": group.map(|group| &group.name) })
        })
        .collect();
    let public = one.shown_public(turn.now);
    let interface = json!({
        "NetworkInterfaceId": one.interface,
        "OwnerId": turn.call.account,
        "SubnetId": one.subnet,
        "VpcId": vpc,
        "Groups": groups,
        "PrivateIpAddress": one.private_ip,
        "SourceDestCheck": true,
        "Status": "in-use",
        "InterfaceType": "interface",
        "Attachment": {
            "AttachmentId": format!("eni-attach-{}", one.interface.trim_start_matches("eni-")),
            "DeleteOnTermination": true,
            "DeviceIndex": 0,
            "Status": "attached",
        },
        "Association": public.map(|ip| json!({ "IpOwnerId": "amazon", "PublicIp": ip })),
    });
    let ended = one.ends.is_some();
    let reason = one.reason.filter(|_| ended);
    let user = reason.is_some_and(|(code, _)| code.starts_with("Client.User"));
    json!({
        "ReservationId": one.reservation,
        "InstanceId": id,
        "ImageId": one.image,
        "State": shown_state(state),
        "StateReason": reason.map(|(code, message)| json!({ "Code": code, "Message": message })),
        "StateTransitionReason": if user { "User initiated" } else { "" },
        "AmiLaunchIndex": one.index,
        "Architecture": one.architecture,
        "BlockDeviceMappings": devices,
        "ClientToken": one.token.as_deref().unwrap_or_default(),
        "EbsOptimized": false,
        "EnaSupport": true,
        "Hypervisor": "xen",
        "IamInstanceProfile": one.profile.as_ref().map(|arn| json!({ "Arn": arn })),
        "InstanceType": one.kind,
        "KeyName": one.key,
        "LaunchTime": one.base.made,
        "MetadataOptions": one.metadata,
        "Monitoring": { "State": "disabled" },
        "NetworkInterfaces": if there { vec![interface] } else { Vec::new() },
        "Placement": { "AvailabilityZone": one.zone, "Tenancy": "default" },
        "PrivateIpAddress": there.then_some(&one.private_ip),
        "PublicIpAddress": public,
        "PrivateDnsName": "",
        "PublicDnsName": "",
        "RootDeviceName": one.root,
        "RootDeviceType": "ebs",
        "SecurityGroups": groups,
        "SourceDestCheck": true,
        "SubnetId": there.then_some(&one.subnet),
        "VpcId": vpc,
        "VirtualizationType": "hvm",
        "Tags": tags::shown(&one.base),
    })
}

/// What RunInstances answers, at the first time and at each one after.
pub fn reservation(turn: &Turn<'_>, ids: &[&str]) -> Value {
    let mut name = Value::Null;
    let mut instances = Vec::new();
    for id in ids {
        if let Some(one) = turn.state.instances.get(*id) {
            let mut shown = show(turn, id, one);
            name = take(&mut shown, "ReservationId");
            instances.push(shown);
        }
    }
    json!({
        "ReservationId": name,
        "OwnerId": turn.call.account,
        "Groups": [],
        "Instances": instances,
    })
}

fn take(value: &mut Value, member: &str) -> Value {
    let members = value.as_object_mut();
    members
        .and_then(|members| members.remove(member))
        .unwrap_or_default()
}

pub fn describe(turn: &mut Turn<'_>) -> Answer {
    let map = &turn.state.instances;
    let show = |id: &str, one: &Instance| show(turn, id, one);
    let (instances, next) = turn.list(map, "InstanceIds", FILTERS, show)?;
    let mut reservations: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for mut instance in instances {
        let name = take(&mut instance, "ReservationId");
        let name = name.as_str().unwrap_or_default().to_owned();
        reservations.entry(name).or_default().push(instance);
    }
    let reservations = (reservations.into_iter())
        .map(|(name, instances)| {
            json!({
                "ReservationId": name,
                "OwnerId": turn.call.account,
                "Groups": [],
                "Instances": instances,
            })
        })
        .collect();
    paged("Reservations", (reservations, next))
}

pub fn status(turn: &mut Turn<'_>) -> Answer {
    let all = turn.flag("IncludeAllInstances") == Some(true);
    let show = |id: &str, one: &Instance| {
        let state = one.state(turn.now);
        let check = |after: f64| match state {
            "running" if turn.now >= one.runs + after => json!({
                "Status": "ok",
                "Details": [{ "Name": "reachability", "Status": "passed" }],
            }),
            "running" => json!({
                "Status": "initializing",
                "Details": [{ "Name": "reachability", "Status": "initializing" }],
            }),
            _ => json!({ "Status": "not-applicable" }),
        };
        json!({
            "InstanceId": id,
            "AvailabilityZone": one.zone,
            "AvailabilityZoneId": turn.state.zone_id(&one.zone),
            "InstanceState": shown_state(state),
            "SystemStatus": check(CHECKS_S.0),
            "InstanceStatus": check(CHECKS_S.1),
            "AttachedEbsStatus": check(CHECKS_S.2),
            "Events": [],
        })
    };
    let filters = &[
        ("availability-zone", "AvailabilityZone"),
        ("instance-state-name", "InstanceState.Name"),
        ("instance-state-code", "InstanceState.Code"),
        ("instance-status.status", "InstanceStatus.Status"),
        ("system-status.status", "SystemStatus.Status"),
        ("attached-ebs-status.status", "AttachedEbsStatus.Status"),
    ];
    // Without being asked for others it tells of running instances only, also by id.
    let (mut statuses, next) = turn.list(&turn.state.instances, "InstanceIds", filters, show)?;
    statuses.retain(|one| all || one["InstanceState"]["Name"] == "running");
    paged("InstanceStatuses", (statuses, next))
}

pub fn attribute(turn: &mut Turn<'_>) -> Answer {
    let id = turn.needed("InstanceId")?;
    let one = find(&turn.state.instances, id, turn.sight())?;
    let behaviour = if one.terminates { "terminate" } else { "stop" };
    let (name, value) = match turn.needed("Attribute")? {
        "userData" => ("UserData", json!({ "Value": one.user_data })),
        "disableApiTermination" => ("DisableApiTermination", json!({ "Value": one.protected })),
        "instanceInitiatedShutdownBehavior" => (
            "InstanceInitiatedShutdownBehavior",
            json!({ "Value": behaviour }),
        ),
        "instanceType" => ("InstanceType", json!({ "Value": one.kind })),
        "rootDeviceName" => ("RootDeviceName", json!({ "Value": one.root })),
        other => {
            return refuse(
                "UnsupportedOperation",
                format!("this double tells nothing of {other}"),
            );
        }
    };
    let mut answer = json!({ "InstanceId": id });
    answer[name] = value;
    Ok(answer)
}

pub fn modify(turn: &mut Turn<'_>) -> Answer {
    let id = turn.needed("InstanceId")?;
    let (now, sight) = (turn.now, turn.sight());
    let one = find(&turn.state.instances, id, sight)?;
    let groups: Vec<String> = (turn.texts("Groups").into_iter())
        .map(str::to_owned)
        .collect();
    if !groups.is_empty() {
        let vpc = turn.state.subnets.get(&one.subnet).map(|s| s.vpc.clone());
        groups::check(turn, &groups, &vpc.unwrap_or_default())?;
    }
    for needs_stop in ["InstanceType", "UserData"] {
        if turn.member(needs_stop).is_some() && one.state(now) != "stopped" {
            return refuse(
                "IncorrectInstanceState",
                format!("The instance '{id}' is not in the 'stopped' state."),
            );
        }
    }
    // In both forms: {"Attribute": "disableApiTermination", "Value": "true"} is the older one.
    let old = |name: &str| {
        turn.text("Value")
            .filter(|_| turn.text("Attribute") == Some(name))
    };
    let protected = match turn
        .wrapped("DisableApiTermination")
        .and_then(Value::as_bool)
    {
        Some(given) => Some(given),
        None => old("disableApiTermination").map(|text| text == "true"),
    };
    let behaviour = (turn.wrapped("InstanceInitiatedShutdownBehavior"))
        .and_then(Value::as_str)
        .or(old("instanceInitiatedShutdownBehavior"));
    if let Some(other) = behaviour.filter(|one| !["stop", "terminate"].contains(one)) {
        return refuse(
            "InvalidParameterValue",
            format!("Invalid value '{other}' for instanceInitiatedShutdownBehavior"),
        );
    }
    let kind = turn.wrapped("InstanceType").and_then(Value::as_str);
    let user_data = turn.wrapped("UserData").and_then(Value::as_str);
    let mappings = turn.member("BlockDeviceMappings").and_then(Value::as_array);
    for mapping in mappings.into_iter().flatten() {
        let device = mapping.get("DeviceName").and_then(Value::as_str);
        let goes = (mapping.get("Ebs"))
            .and_then(|ebs| ebs.get("DeleteOnTermination"))
            .and_then(Value::as_bool);
        let mut attachments = (turn.state.volumes.values_mut())
            .filter_map(|volume| volume.attachment.as_mut())
            .filter(|one| one.instance == id);
        match attachments.find(|one| Some(one.device.as_str()) == device) {
            Some(one) => one.goes_with_instance = goes.unwrap_or(one.goes_with_instance),
            None => {
                return refuse(
                    "InvalidInstanceAttributeValue",
                    format!(
                        "No device is currently mapped at {}",
                        device.unwrap_or_default()
                    ),
                );
            }
        }
    }
    let interface = {
        let one = find_mut(&mut turn.state.instances, id, sight)?;
        one.protected = protected.unwrap_or(one.protected);
        one.terminates = behaviour.map_or(one.terminates, |text| text == "terminate");
        one.kind = kind.map_or(one.kind.clone(), str::to_owned);
        one.user_data = user_data.map(str::to_owned).or(one.user_data.take());
        if groups.is_empty() {
            return Ok(json!({}));
        }
        one.groups = groups.clone();
        one.interface.clone()
    };
    if let Some(interface) = turn.state.interfaces.get_mut(&interface) {
        interface.groups = groups;
    }
    Ok(json!({}))
}

pub fn console(turn: &mut Turn<'_>) -> Answer {
    let id = turn.needed("InstanceId")?;
    let one = find(&turn.state.instances, id, turn.sight())?;
    let booted = turn.now >= one.base.made.max(one.runs - super::lifecycle::BOOT_S) + CONSOLE_S;
    let shown = booted && one.state(turn.now) != "terminated";
    let text = turn.state.consoles.get(&one.private_ip);
    let text = text.filter(|_| shown).map(String::as_str);
    Ok(json!({
        "InstanceId": id,
        "Timestamp": turn.now,
        "Output": STANDARD.encode(text.unwrap_or_default()),
    }))
}
