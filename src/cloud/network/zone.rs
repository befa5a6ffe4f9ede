//! Which zone, which subnets. Decided in pure functions.

use std::collections::BTreeSet;

use aws_sdk_ec2::types::LocationType;

use crate::cloud::client::Clients;
use crate::cloud::fault::Fault;
use crate::cloud::find::filter;
use crate::document::drill::Drill;

/// A zone, and those of the drill's instance types that it has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Offered {
    pub zone: String,
    pub types: BTreeSet<String>,
}

/// The types that the drill's instances want; substitutes left out. Pure.
pub(super) fn types(drill: &Drill) -> BTreeSet<String> {
    let all = drill.steps.iter().filter_map(|s| s.aws.as_ref());
    all.filter_map(|aws| match (&aws.instance, &aws.fresh) {
        (Some(instance), _) => Some(instance.kind.clone()),
        (None, Some(fresh)) => Some(fresh.kind.clone()),
        _ => None,
    })
    .collect()
}

/// Whether some fresh instance is logged in to with a key that the drill makes. Pure.
pub(super) fn wants_key(drill: &Drill) -> bool {
    let all = drill.steps.iter().filter_map(|s| s.aws.as_ref());
    let mut fresh = all.filter_map(|aws| aws.fresh.as_ref());
    fresh.any(|fresh| fresh.ssh.identity.is_none())
}

/// The document's zone, or the first that has all types; where none has, the first with the most of
/// them (a substitute may be allowed). Pure.
pub(super) fn choose(
    wanted: Option<&str>,
    zones: &[Offered],
    types: &BTreeSet<String>,
) -> Result<String, String> {
    if let Some(wanted) = wanted {
        return match zones.iter().any(|z| z.zone == wanted) {
            true => Ok(wanted.to_owned()),
            false => Err(format!(
                "choosing a zone: {wanted} is none that is open to this account; there are: {}",
                names(zones)
            )),
        };
    }
    let mut best: Option<(usize, &Offered)> = None;
    for zone in zones {
        let count = types.intersection(&zone.types).count();
        if best.is_none_or(|(most, _)| count > most) {
            best = Some((count, zone));
        }
    }
    let best = best.map(|(_, zone)| zone.zone.clone());
    best.ok_or_else(|| "choosing a zone: none is open to this account here".to_owned())
}

/// A DB subnet group wants two zones. Pure.
pub(super) fn another(zone: &str, zones: &[Offered]) -> Result<String, String> {
    let other = zones.iter().find(|z| z.zone != zone);
    other.map(|z| z.zone.clone()).ok_or_else(|| {
        format!("choosing a second zone for databases: only {zone} is open to this account")
    })
}

fn names(zones: &[Offered]) -> String {
    let names: Vec<&str> = zones.iter().map(|z| z.zone.as_str()).collect();
    names.join(", ")
}

/// Two subnets in the document's range: /24 each, or its halves where it is smaller. Pure.
pub(super) fn subnets(cidr: &str) -> Result<(String, String), String> {
    let wrong = || {
        format!(
            "the network `{cidr}` is none that AWS takes: write it as 10.213.0.0/16 (/16 to /27)"
        )
    };
    let (address, length) = cidr.split_once('/').ok_or_else(wrong)?;
    let address: std::net::Ipv4Addr = address.parse().map_err(|_| wrong())?;
    let length: u32 = length.parse().map_err(|_| wrong())?;
    if !(16..=27).contains(&length) {
        return Err(wrong());
    }
    let part = (length + 1).max(24);
    let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
    let first = u32::from(address) & mask;
    let second = first | (1 << (32 - part));
    let shown = |address: u32| format!("{}/{part}", std::net::Ipv4Addr::from(address));
    Ok((shown(first), shown(second)))
}

/// The zones that are open to the account, in the order of their names, and what they have.
pub(super) async fn offered(
    clients: &Clients,
    types: &BTreeSet<String>,
) -> Result<Vec<Offered>, Fault> {
    let what = "asking for availability zones";
    let answer = clients.ec2.describe_availability_zones();
    let answer = answer.filters(filter("state", "available"));
    // Local zones and wavelength zones lack most services.
    let answer = answer.filters(filter("zone-type", "availability-zone"));
    let answer = answer.send().await.map_err(|e| Fault::of(what, e))?;
    let mut zones: Vec<Offered> = (answer.availability_zones().iter())
        .filter_map(|zone| zone.zone_name())
        .map(|zone| Offered {
            zone: zone.to_owned(),
            types: BTreeSet::new(),
        })
        .collect();
    zones.sort_by(|a, b| a.zone.cmp(&b.zone));
    if types.is_empty() {
        return Ok(zones);
    }
    let what = "asking which zone has which instance types";
    let request = clients.ec2.describe_instance_type_offerings();
    let request = request.location_type(LocationType::AvailabilityZone);
    let only = aws_sdk_ec2::types::Filter::builder()
        .name("instance-type")
        .set_values(Some(types.iter().cloned().collect()));
    let mut pages = request.filters(only.build()).into_paginator().send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|e| Fault::of(what, e))?;
        for offering in page.instance_type_offerings() {
            let zone = (zones.iter_mut()).find(|z| Some(z.zone.as_str()) == offering.location());
            if let (Some(zone), Some(kind)) = (zone, offering.instance_type()) {
                zone.types.insert(kind.as_str().to_owned());
            }
        }
    }
    Ok(zones)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(name: &str, types: &[&str]) -> Offered {
        Offered {
            zone: name.into(),
            types: types.iter().map(|t| (*t).to_owned()).collect(),
        }
    }

    #[test]
    fn the_first_zone_with_all_types_is_taken() {
        let zones = [
            zone("a", &["m7g.large"]),
            zone("b", &["m7g.large", "r7i.large"]),
            zone("c", &["m7g.large", "r7i.large"]),
        ];
        let all = zone("", &["m7g.large", "r7i.large"]).types;
        assert_eq!(choose(None, &zones, &all).unwrap(), "b");
        assert_eq!(choose(Some("c"), &zones, &all).unwrap(), "c");
        assert!(
            choose(Some("d"), &zones, &all)
                .unwrap_err()
                .contains("a, b, c")
        );
        assert_eq!(choose(None, &zones, &BTreeSet::new()).unwrap(), "a");
        assert!(choose(None, &[], &all).is_err());
        assert_eq!(another("a", &zones).unwrap(), "b");
        assert!(another("a", &zones[..1]).is_err());
    }

    #[test]
    fn subnets_lie_in_the_network_and_apart() {
        let two = |a: &str, b: &str| Ok((a.to_owned(), b.to_owned()));
        assert_eq!(
            subnets("10.213.0.0/16"),
            two("10.213.0.0/24", "10.213.1.0/24")
        );
        assert_eq!(
            subnets("10.213.4.7/23"),
            two("10.213.4.0/24", "10.213.5.0/24")
        );
        assert_eq!(subnets("10.0.0.0/24"), two("10.0.0.0/25", "10.0.0.128/25"));
        assert_eq!(subnets("10.0.0.32/27"), two("10.0.0.32/28", "10.0.0.48/28"));
        for wrong in ["10.0.0.0", "10.0.0.0/28", "10.0.0.0/8", "fd00::/48", "x/16"] {
            assert!(subnets(wrong).is_err(), "{wrong}");
        }
    }
}
