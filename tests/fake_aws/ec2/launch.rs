//! RunInstances.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::super::world::{Answer, Refusal};
use super::instances::reservation;
use super::lifecycle::BOOT_S;
use super::network::cidr;
use super::state::{Attachment, Base, Image, Instance, Interface, State, Subnet, Volume};
use super::turn::{Turn, find, invalid, refuse, texts};
use super::volumes::Disk;
use super::{groups, keys};

/// What a launch comes to, after all that can be wrong with it was looked at.
pub struct Plan {
    pub base: Base,
    pub volume_base: Base,
    pub interface_base: Base,
    pub reservation: String,
    pub index: u64,
    pub image: String,
    pub root: String,
    pub architecture: String,
    pub kind: String,
    pub subnet: String,
    pub groups: Vec<String>,
    pub public: bool,
    pub key: Option<String>,
    pub token: Option<String>,
    pub profile: Option<String>,
    pub user_data: Option<String>,
    pub terminates: bool,
    pub protected: bool,
    pub metadata: Value,
    pub disks: Vec<(String, Disk, bool)>,
    pub runs: f64,
}

impl State {
    /// Whether a type can be launched there; `count` of it.
    pub fn may_launch(
        &self,
        kind: &str,
        zone: &str,
        image: &Image,
        count: u64,
    ) -> Result<(), Refusal> {
        let Some(known) = self.instance_type(kind) else {
            return refuse(
                "Unsupported",
                "The requested configuration is currently not supported. Please check the \
                 documentation for supported configurations.",
            );
        };
        if known.architecture != image.architecture {
            return refuse(
                "InvalidParameterValue",
                format!(
                    "The architecture '{}' of the specified instance type does not match the \
                     architecture '{}' of the specified AMI. Specify an instance type and an AMI \
                     that have matching architectures, and try again.",
                    known.architecture, image.architecture
                ),
            );
        }
        if let Some(zones) = &known.zones
            && !zones.iter().any(|one| one == zone)
        {
            return refuse(
                "Unsupported",
                format!(
                    "Your requested instance type ({kind}) is not supported in your requested \
                     Availability Zone ({zone}). Please retry your request by not specifying an \
                     Availability Zone or choosing {}.",
                    zones.join(", ")
                ),
            );
        }
        let used: u64 = (self.instances.values())
            .filter(|one| !["terminated", "stopped"].contains(&one.state(self.now)))
            .filter_map(|one| self.instance_type(&one.kind))
            .map(|kind| kind.vcpus)
            .sum();
        let wanted = used + count * known.vcpus;
        if let Some(limit) = self.limits.vcpus.filter(|limit| wanted > *limit) {
            return refuse(
                "VcpuLimitExceeded",
                format!(
                    "You have requested more vCPU capacity than your current vCPU limit of {limit} \
                     allows for the instance bucket that the specified instance type belongs to."
                ),
            );
        }
        if self.no_capacity.iter().any(|one| one == kind) {
            return Err(Refusal::new(
                500,
                "InsufficientInstanceCapacity",
                format!(
                    "We currently do not have sufficient {kind} capacity in the Availability Zone \
                     you requested ({zone}). Our system will be working on provisioning additional \
                     capacity."
                ),
            ));
        }
        Ok(())
    }

    /// The instance, its interface and its volumes.
    pub fn launch(&mut self, plan: Plan, ids: &mut dyn FnMut(&str) -> String) -> String {
        let id = ids("i");
        let interface = ids("eni");
        let made = plan.base.made;
        let subnet = self.subnets.get(&plan.subnet);
        let zone = subnet.map(|s| s.zone.clone()).unwrap_or_default();
        let place = self.launched as u32;
        self.launched += 1;
        let seeded = (self
            .addresses
            .get(self.launched.wrapping_sub(1) % self.addresses.len().max(1)))
        .cloned();
        let private_ip = seeded.clone().unwrap_or_else(|| {
            let first = subnet.and_then(|s| cidr(&s.cidr)).map_or(0, |(at, _)| at);
            std::net::Ipv4Addr::from(first + 4 + place % 240).to_string()
        });
        let public_ip = plan
            .public
            .then(|| seeded.unwrap_or_else(|| format!("203.0.113.{}", place % 250 + 1)));
        let mut denied = false;
        for (device, disk, goes_with_instance) in plan.disks {
            denied |= self.denies(disk.key.as_deref());
            let mut volume: Volume = self.volume(disk, plan.volume_base.clone(), &zone, made);
            volume.broken = false;
            volume.attachment = Some(Attachment {
                instance: id.clone(),
                device,
                since: made,
                done: plan.runs,
                released: None,
                goes_with_instance,
            });
            self.volumes.insert(ids("vol"), volume);
        }
        self.interfaces.insert(
            interface.clone(),
            Interface {
                base: plan.interface_base,
                subnet: plan.subnet.clone(),
                groups: plan.groups.clone(),
                instance: Some(id.clone()),
                private_ip: private_ip.clone(),
            },
        );
        // With a key that may not be used, an instance never gets beyond `pending`.
        let ends = denied.then_some((plan.runs, plan.runs));
        let reason = denied.then_some((
            "Client.InternalError",
            "Client.InternalError: Client error on launch",
        ));
        let instance = Instance {
            base: plan.base,
            reservation: plan.reservation,
            index: plan.index,
            image: plan.image,
            kind: plan.kind,
            architecture: plan.architecture,
            subnet: plan.subnet,
            zone,
            groups: plan.groups,
            key: plan.key,
            token: plan.token,
            interface,
            private_ip,
            public_ip,
            root: plan.root,
            profile: plan.profile,
            user_data: plan.user_data,
            terminates: plan.terminates,
            protected: plan.protected,
            metadata: plan.metadata,
            runs: plan.runs,
            stops: None,
            ends,
            reason,
            cleared: false,
        };
        self.instances.insert(id.clone(), instance);
        id
    }

    pub fn denies(&self, key: Option<&str>) -> bool {
        key.is_some_and(|key| self.denied_keys.iter().any(|denied| denied == key))
    }
}

pub fn run(turn: &mut Turn<'_>) -> Answer {
    turn.taggable(&["instance", "volume", "network-interface"])?;
    if let Some(before) = turn.before()? {
        return Ok(reservation(turn, &texts(Some(&before))));
    }
    let (least, most) = (turn.number("MinCount"), turn.number("MaxCount"));
    let (least, most) = (least.unwrap_or(1), most.unwrap_or(1));
    if least < 1 || most < least {
        return invalid(&most.to_string(), "maxCount", "It is below minCount.");
    }
    let image_id = turn.needed("ImageId")?;
    let image = find(&turn.state.images, image_id, turn.sight())?;
    let kind = turn.text("InstanceType").unwrap_or("m1.small");
    let (subnet_id, groups, public) = network(turn)?;
    let subnet = find(&turn.state.subnets, &subnet_id, turn.sight())?;
    groups::check(turn, &groups, &subnet.vpc)?;
    let key = turn.text("KeyName");
    if let Some(name) = key {
        keys::named(turn, name)?;
    }
    let profile = turn.member("IamInstanceProfile").map(|profile| {
        let text = |name: &str| profile.get(name).and_then(Value::as_str);
        let account = &turn.call.account;
        match (text("Arn"), text("Name")) {
            (Some(arn), _) => arn.to_owned(),
            (None, name) => {
                let name = name.unwrap_or_default();
                format!("arn:aws:iam::{account}:instance-profile/{name}")
            }
        }
    });
    let plan = Plan {
        base: turn.base::<Instance>()?,
        volume_base: turn.base::<Volume>()?,
        interface_base: turn.base::<Interface>()?,
        reservation: String::new(),
        index: 0,
        image: image_id.to_owned(),
        root: image.root.clone(),
        architecture: image.architecture.clone(),
        kind: kind.to_owned(),
        public: public.unwrap_or(subnet.public),
        groups,
        key: key.map(str::to_owned),
        token: turn.text("ClientToken").map(str::to_owned),
        profile,
        user_data: user_data(turn)?,
        terminates: turn.text("InstanceInitiatedShutdownBehavior") == Some("terminate"),
        protected: turn.flag("DisableApiTermination") == Some(true),
        metadata: metadata(turn.member("MetadataOptions")),
        disks: disks(turn, image)?,
        runs: turn.now + BOOT_S,
        subnet: subnet_id.clone(),
    };
    turn.refuse_dry_run()?;
    let zone = subnet.zone.clone();
    turn.state
        .may_launch(kind, &zone, image, most.unsigned_abs())?;
    let name = turn.world.new_id("r");
    let mut made = Vec::new();
    for index in 0..most.unsigned_abs() {
        let one = Plan {
            base: plan.base.clone(),
            volume_base: plan.volume_base.clone(),
            interface_base: plan.interface_base.clone(),
            reservation: name.clone(),
            index,
            image: plan.image.clone(),
            root: plan.root.clone(),
            architecture: plan.architecture.clone(),
            kind: plan.kind.clone(),
            subnet: plan.subnet.clone(),
            groups: plan.groups.clone(),
            key: plan.key.clone(),
            token: plan.token.clone(),
            profile: plan.profile.clone(),
            user_data: plan.user_data.clone(),
            metadata: plan.metadata.clone(),
            disks: plan.disks.clone(),
            ..plan
        };
        let world = &mut *turn.world;
        made.push(turn.state.launch(one, &mut |prefix| world.new_id(prefix)));
    }
    turn.remember(json!(made));
    let ids: Vec<&str> = made.iter().map(String::as_str).collect();
    Ok(reservation(turn, &ids))
}

/// Subnet, groups, and whether a public address is asked for.
fn network(turn: &Turn<'_>) -> Result<(String, Vec<String>, Option<bool>), Refusal> {
    let interface =
        (turn.member("NetworkInterfaces").and_then(Value::as_array)).and_then(|list| list.first());
    let (subnet, groups, public) = match interface {
        Some(interface) => {
            if turn.text("SubnetId").is_some() || !turn.texts("SecurityGroupIds").is_empty() {
                return refuse(
                    "InvalidParameterCombination",
                    "Network interfaces and an instance-level subnet ID or security groups may not \
                     be specified on the same request",
                );
            }
            let public = interface.get("AssociatePublicIpAddress");
            (
                interface.get("SubnetId").and_then(Value::as_str),
                texts(interface.get("Groups")),
                public.and_then(Value::as_bool),
            )
        }
        None => (turn.text("SubnetId"), turn.texts("SecurityGroupIds"), None),
    };
    let placed = turn
        .member("Placement")
        .and_then(|p| p.get("AvailabilityZone"));
    let placed = placed.and_then(Value::as_str);
    let subnet = match subnet {
        Some(subnet) => subnet.to_owned(),
        None => {
            let fits = |one: &Subnet| one.is_default && placed.is_none_or(|zone| zone == one.zone);
            match turn.state.subnets.iter().find(|(_, one)| fits(one)) {
                Some((id, _)) => id.clone(),
                None => return refuse("MissingInput", "No subnets found for the default VPC"),
            }
        }
    };
    let there = find(&turn.state.subnets, &subnet, turn.sight())?;
    if let Some(zone) = placed.filter(|zone| *zone != there.zone) {
        return invalid(zone, "availabilityZone", "The subnet is in another zone.");
    }
    let mut groups: Vec<String> = groups.into_iter().map(str::to_owned).collect();
    if groups.is_empty() {
        let default = (turn.state.groups.iter())
            .find(|(_, group)| group.vpc == there.vpc && group.name == "default");
        groups.extend(default.map(|(id, _)| id.clone()));
    }
    Ok((subnet, groups, public))
}

fn user_data(turn: &Turn<'_>) -> Result<Option<String>, Refusal> {
    let Some(text) = turn.text("UserData") else {
        return Ok(None);
    };
    match STANDARD.decode(text) {
        Err(_) => refuse(
            "InvalidUserData.Malformed",
            "Invalid BASE64 encoding of user data",
        ),
        Ok(bytes) if bytes.len() > 16_384 => refuse(
            "InvalidParameterValue",
            "User data is limited to 16384 bytes",
        ),
        Ok(_) => Ok(Some(text.to_owned())),
    }
}

pub fn metadata(asked: Option<&Value>) -> Value {
    let mut options = json!({
        "State": "applied",
        "HttpTokens": "optional",
        "HttpPutResponseHopLimit": 1,
        "HttpEndpoint": "enabled",
        "HttpProtocolIpv6": "disabled",
        "InstanceMetadataTags": "disabled",
    });
    for (name, value) in asked.and_then(Value::as_object).into_iter().flatten() {
        options[name.as_str()] = value.clone();
    }
    options
}

/// The image's devices, as the request's mappings change them.
pub fn disks(turn: &Turn<'_>, image: &Image) -> Result<Vec<(String, Disk, bool)>, Refusal> {
    let given = turn.member("BlockDeviceMappings").and_then(Value::as_array);
    image_disks(
        &turn.state,
        image,
        given.map(Vec::as_slice).unwrap_or_default(),
    )
}

pub fn image_disks(
    state: &State,
    image: &Image,
    given: &[Value],
) -> Result<Vec<(String, Disk, bool)>, Refusal> {
    let mut disks = Vec::new();
    for device in &image.devices {
        let disk = Disk::of_snapshot(state, &device.snapshot, device.size_gib);
        disks.push((device.device.clone(), disk, true));
    }
    for mapping in given {
        let name = mapping.get("DeviceName").and_then(Value::as_str);
        let Some(name) = name else {
            return refuse(
                "MissingParameter",
                "A block device mapping has no deviceName",
            );
        };
        if mapping.get("NoDevice").is_some() {
            disks.retain(|(device, _, _)| device != name);
            continue;
        }
        let Some(ebs) = mapping.get("Ebs") else {
            continue;
        };
        let goes = ebs.get("DeleteOnTermination").and_then(Value::as_bool);
        let there = disks.iter().position(|(device, _, _)| device == name);
        match there {
            Some(at) => {
                let (_, disk, with_instance) = &mut disks[at];
                disk.change(state, ebs)?;
                *with_instance = goes.unwrap_or(*with_instance);
            }
            None => {
                let mut disk = Disk::default();
                disk.change(state, ebs)?;
                disks.push((name.to_owned(), disk, goes.unwrap_or(true)));
            }
        }
    }
    if let Some((device, disk, _)) = disks.iter().find(|(_, disk, _)| disk.size_gib < disk.least) {
        return refuse(
            "InvalidBlockDeviceMapping",
            format!(
                "Volume of size {}GB is smaller than snapshot of {device}, expect size >= {}GB",
                disk.size_gib, disk.least
            ),
        );
    }
    Ok(disks)
}
