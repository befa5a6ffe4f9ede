//! Zones, instance types, and which zone offers which.

use serde_json::{Value, json};

use super::super::world::Answer;
use super::state::{InstanceType, State, Zone};
use super::turn::{Turn, paged, refuse};

/// `eu-central-1` → its zones a, b and c, with ids as EC2 forms them: `euc1-az1`.
pub fn three_zones(region: &str) -> Vec<Zone> {
    let parts: Vec<&str> = region.split('-').collect();
    let short = match parts.as_slice() {
        [area, place, number] => {
            let place = match *place {
                "northeast" => "ne",
                "northwest" => "nw",
                "southeast" => "se",
                "southwest" => "sw",
                other => other.get(..1).unwrap_or_default(),
            };
            format!("{area}{place}{number}")
        }
        _ => region.to_owned(),
    };
    (["a", "b", "c"].into_iter().zip(1..))
        .map(|(letter, number)| Zone {
            name: format!("{region}{letter}"),
            id: format!("{short}-az{number}"),
        })
        .collect()
}

/// vCPUs and MiB as EC2's list of instance types gives them.
const TYPES: [(&str, u64, u64, &str); 17] = [
    ("t3.nano", 2, 512, "x86_64"),
    ("t3.micro", 2, 1024, "x86_64"),
    ("t3.small", 2, 2048, "x86_64"),
    ("t3.medium", 2, 4096, "x86_64"),
    ("t3.large", 2, 8192, "x86_64"),
    ("t4g.micro", 2, 1024, "arm64"),
    ("t4g.small", 2, 2048, "arm64"),
    ("t4g.medium", 2, 4096, "arm64"),
    ("m5.large", 2, 8192, "x86_64"),
    ("m5.xlarge", 4, 16384, "x86_64"),
    ("m6i.large", 2, 8192, "x86_64"),
    ("m6i.xlarge", 4, 16384, "x86_64"),
    ("m6g.large", 2, 8192, "arm64"),
    ("m7g.large", 2, 8192, "arm64"),
    ("c6i.large", 2, 4096, "x86_64"),
    ("c6i.xlarge", 4, 8192, "x86_64"),
    ("r6i.large", 2, 16384, "x86_64"),
];

impl State {
    /// Seeded types; where none were seeded, the usual ones.
    pub fn instance_type(&self, name: &str) -> Option<InstanceType> {
        self.all_types()
            .into_iter()
            .find(|(one, _)| one == name)
            .map(|(_, kind)| kind)
    }

    fn all_types(&self) -> Vec<(String, InstanceType)> {
        if !self.types.is_empty() {
            let types = self.types.iter();
            return types.map(|(n, kind)| (n.clone(), kind.clone())).collect();
        }
        (TYPES.into_iter())
            .map(|(name, vcpus, memory_mib, architecture)| {
                let kind = InstanceType {
                    vcpus,
                    memory_mib,
                    architecture: architecture.into(),
                    zones: None,
                };
                (name.to_owned(), kind)
            })
            .collect()
    }

    pub fn zone(&self, name: &str) -> Option<&Zone> {
        self.zones.iter().find(|zone| zone.name == name)
    }

    pub fn zone_id(&self, name: &str) -> Option<String> {
        self.zone(name).map(|zone| zone.id.clone())
    }
}

pub fn zones(turn: &mut Turn<'_>) -> Answer {
    let filters = turn.filters(
        &[
            ("zone-name", "ZoneName"),
            ("zone-id", "ZoneId"),
            ("zone-type", "ZoneType"),
            ("region-name", "RegionName"),
            ("group-name", "GroupName"),
            ("opt-in-status", "OptInStatus"),
            ("state", "State"),
        ],
        false,
    )?;
    let (names, ids) = (turn.texts("ZoneNames"), turn.texts("ZoneIds"));
    for name in &names {
        if turn.state.zone(name).is_none() {
            return refuse(
                "InvalidParameterValue",
                format!("Invalid availability zone: [{name}]"),
            );
        }
    }
    let zones: Vec<Value> = (turn.state.zones.iter())
        .filter(|zone| names.is_empty() || names.contains(&zone.name.as_str()))
        .filter(|zone| ids.is_empty() || ids.contains(&zone.id.as_str()))
        .map(|zone| {
            json!({
                "OptInStatus": "opt-in-not-required",
                "RegionName": turn.call.region,
                "ZoneName": zone.name,
                "ZoneId": zone.id,
                "GroupName": format!("{}-zg-1", turn.call.region),
                "NetworkBorderGroup": turn.call.region,
                "ZoneType": "availability-zone",
                "State": "available",
                "Messages": [],
            })
        })
        .filter(|zone| filters.iter().all(|filter| filter.fits(zone, &[], 0.0)))
        .collect();
    Ok(json!({ "AvailabilityZones": zones }))
}

pub fn types(turn: &mut Turn<'_>) -> Answer {
    let filters = turn.filters(
        &[
            ("instance-type", "InstanceType"),
            ("current-generation", "CurrentGeneration"),
            ("bare-metal", "BareMetal"),
            ("hypervisor", "Hypervisor"),
            ("memory-info.size-in-mib", "MemoryInfo.SizeInMiB"),
            ("vcpu-info.default-vcpus", "VCpuInfo.DefaultVCpus"),
            (
                "processor-info.supported-architecture",
                "ProcessorInfo.SupportedArchitectures",
            ),
            ("supported-usage-class", "SupportedUsageClasses"),
        ],
        false,
    )?;
    let wanted = turn.texts("InstanceTypes");
    let unknown: Vec<&str> = (wanted.iter().copied())
        .filter(|name| turn.state.instance_type(name).is_none())
        .collect();
    if !unknown.is_empty() {
        let message = format!(
            "The following supplied instance types do not exist: [{}]",
            unknown.join(", ")
        );
        return refuse("InvalidInstanceType", message);
    }
    let types = (turn.state.all_types().into_iter())
        .filter(|(name, _)| wanted.is_empty() || wanted.contains(&name.as_str()))
        .map(|(name, kind)| {
            json!({
                "InstanceType": name,
                "CurrentGeneration": true,
                "FreeTierEligible": false,
                "SupportedUsageClasses": ["on-demand", "spot"],
                "SupportedRootDeviceTypes": ["ebs"],
                "SupportedVirtualizationTypes": ["hvm"],
                "BareMetal": false,
                "Hypervisor": "nitro",
                "ProcessorInfo": { "SupportedArchitectures": [kind.architecture] },
                "VCpuInfo": { "DefaultVCpus": kind.vcpus },
                "MemoryInfo": { "SizeInMiB": kind.memory_mib },
                "EbsInfo": { "EbsOptimizedSupport": "default", "EncryptionSupport": "supported",
                    "NvmeSupport": "required" },
                "BurstablePerformanceSupported": name.starts_with('t'),
                "InstanceStorageSupported": false,
            })
        })
        .filter(|kind| filters.iter().all(|filter| filter.fits(kind, &[], 0.0)))
        .collect();
    paged("InstanceTypes", turn.page(types)?)
}

pub fn offerings(turn: &mut Turn<'_>) -> Answer {
    let filters = turn.filters(
        &[("instance-type", "InstanceType"), ("location", "Location")],
        false,
    )?;
    let by = turn.text("LocationType").unwrap_or("region");
    let mut offerings = Vec::new();
    for (name, kind) in turn.state.all_types() {
        let offers = |zone: &Zone| {
            let zones = kind.zones.as_ref();
            zones.is_none_or(|zones| zones.contains(&zone.name))
        };
        let zones = turn.state.zones.iter().filter(|zone| offers(zone));
        let locations: Vec<String> = match by {
            "availability-zone" => zones.map(|zone| zone.name.clone()).collect(),
            "availability-zone-id" => zones.map(|zone| zone.id.clone()).collect(),
            "region" if zones.count() > 0 => vec![turn.call.region.clone()],
            _ => Vec::new(),
        };
        offerings.extend(locations.into_iter().map(
            |location| json!({ "InstanceType": name, "LocationType": by, "Location": location }),
        ));
    }
    offerings.retain(|one| filters.iter().all(|filter| filter.fits(one, &[], 0.0)));
    paged("InstanceTypeOfferings", turn.page(offerings)?)
}
