//! Where a drill in AWS is held: an account and a region that are neither lost nor production's, a
//! network, and who may come in.

use std::net::{IpAddr, Ipv4Addr};
use std::ops::Range;
use std::time::Duration;

use super::super::super::playbook::Span;
use super::super::super::spans::Node;
use super::{DrillCheck, given};

/// What is forgotten in a scratch account is not to stay for longer.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

impl<'a> DrillCheck<'a> {
    /// `lost: {regions: …}`, of any drill; one in AWS has some.
    pub(super) fn regions(&mut self) {
        for (region, span) in self.lost("regions") {
            self.region(region, span);
        }
        if self.aws.is_some()
            && self.lost("regions").is_empty()
            && let Some(entry) = self.root.entry("lost")
        {
            let message = "no region is lost, so the region guard would have nothing to guard";
            self.check.error("no-region", &entry.key_span, message).help =
                Some("add the regions that are assumed gone: `regions: [eu-west-1]`".into());
        }
    }

    fn region(&mut self, region: &str, span: &Range<usize>) {
        if !is_region(region) {
            self.check
                .error(
                    "bad-region",
                    span,
                    format!("`{region}` is no region of AWS"),
                )
                .help = Some("as in eu-central-1".into());
        }
    }

    pub(super) fn aws_scratch(&mut self, aws: &'a Node) {
        if let Some((account, span)) = aws.text_at("account")
            && !is_account(account)
        {
            self.check
                .error(
                    "bad-account",
                    span,
                    format!("`{account}` is no account of AWS"),
                )
                .help = Some(
                "twelve digits, in quotes so that no zero is lost: `aws sts get-caller-identity`"
                    .into(),
            );
        }
        self.scratch_region(aws);
        self.own_arns(aws);
        if let Some(network) = given(aws, "network") {
            self.network(network);
        }
        self.expiry(aws);
        self.gateway(aws);
        if let Some((count, span)) = aws.text_at("restores")
            && count == "0"
        {
            let message = "at least one restore job must be allowed at a time";
            self.check.error("bad-parallel", span, message);
        }
        let free = self.root.get("scratch").and_then(|s| s.entry("free"));
        if let Some(entry) = free.filter(|entry| !entry.value.is_null()) {
            let message = "`free` is of a directory, and this scratch is a region";
            self.check
                .error("wrong-scratch", &entry.key_span, message)
                .help = Some("leave it away: quotas are looked at before the clock starts".into());
        }
    }

    /// Neither lost nor production's.
    fn scratch_region(&mut self, aws: &'a Node) {
        let production = aws.texts_at("production");
        for (region, span) in &production {
            self.region(region, span);
        }
        let Some((region, span)) = aws.text_at("region") else {
            return;
        };
        self.region(region, span);
        let lost = self.lost("regions").into_iter().map(|at| (at, "lost"));
        let taken = lost.chain(production.into_iter().map(|at| (at, "production")));
        for ((other, at), label) in taken {
            if other == region {
                let message = match label {
                    "lost" => "the scratch is in the region that is lost",
                    _ => "the scratch is where production runs",
                };
                let place = self.check.document.place(at);
                let error = self.check.error("scratch-is-lost", span, message);
                error.related.push((place, label.into()));
                error.help = Some("restore to the region that the copies are in".into());
            }
        }
    }

    fn own_arns(&mut self, aws: &Node) {
        let text = |key: &str| aws.text_at(key).map_or("", |(text, _)| text);
        let (account, region) = (text("account"), text("region"));
        if let Some((role, span)) = aws.text_at("restore_role") {
            let fits = Arn::of(role).is_some_and(|arn| {
                arn.service == "iam"
                    && arn.region.is_empty()
                    && arn.account == account
                    && arn
                        .rest
                        .strip_prefix("role/")
                        .is_some_and(|n| !n.is_empty())
            });
            if !fits {
                let message = "this is no role of the scratch's account";
                self.check.error("bad-arn", span, message).help =
                    Some(format!("arn:aws:iam::{}:role/NAME", or(account, "ACCOUNT")));
            }
        }
        if let Some((key, span)) = aws.text_at("kms_key") {
            let fits = Arn::of(key).is_some_and(|arn| {
                arn.service == "kms"
                    && arn.region == region
                    && arn.account == account
                    && arn.rest.strip_prefix("key/").is_some_and(|k| !k.is_empty())
            });
            if !fits {
                let message = "this is no key of the scratch's account and region";
                let error = self.check.error("bad-arn", span, message);
                error.help = Some(format!(
                    "arn:aws:kms:{}:{}:key/ID: a key elsewhere cannot be used there, and one in \
                     the lost region is lost too",
                    or(region, "REGION"),
                    or(account, "ACCOUNT")
                ));
            }
        }
    }

    fn network(&mut self, network: &Node) {
        if let Some((cidr, span)) = network.text_at("cidr") {
            match v4_network(cidr) {
                Err(why) => {
                    let message = format!("`{cidr}` is no network for a drill: {why}");
                    self.check.error("bad-network", span, message).help =
                        Some("a private one of /16 to /24, e.g. 10.213.0.0/16".into());
                }
                Ok(24) if self.steps.iter().any(|s| is_database(s.kind)) => {
                    let message = "a database wants subnets in two zones, and only one fits in";
                    self.check.error("bad-network", span, message).help =
                        Some("subnets are /24: take a /23 or wider".into());
                }
                Ok(_) => {}
            }
        }
        if let Some((address, span)) = network.text_at("controller")
            && !is_one_address(address)
        {
            let message = format!("`{address}` is not one address");
            self.check.error("bad-network", span, message).help =
                Some("the address that this machine is seen at, as in 198.51.100.7/32".into());
        }
        if let (Some((zone, span)), Some((region, _))) = (
            network.text_at("zone"),
            self.aws.and_then(|aws| aws.text_at("region")),
        ) && !zone.starts_with(region)
        {
            let message = format!("the zone `{zone}` is not in {region}");
            self.check.error("bad-network", span, message).help =
                Some(format!("as in {region}a, or leave it away"));
        }
    }

    /// Not for ever, and not for less than the drill may take.
    fn expiry(&mut self, aws: &Node) {
        let Some((text, span)) = aws.text_at("expires") else {
            return;
        };
        let Ok(expires) = text.parse::<Span>() else {
            return;
        };
        let objective = self.root.get("objectives").and_then(|o| o.text_at("rto"));
        let objective = objective.and_then(|(text, _)| text.parse::<Span>().ok());
        if expires.0 > LONGEST {
            let message = "what a drill makes may live for 7d at most";
            self.check.error("bad-expiry", span, message).help =
                Some("it is there for the case that nobody takes it away".into());
        } else if expires.0.is_zero() || objective.is_some_and(|rto| expires.0 < rto.0) {
            let message = "instances would end themselves before the drill's own objective is over";
            self.check.error("bad-expiry", span, message).help =
                Some("let it be longer than `objectives: {rto: …}`".into());
        }
    }

    /// Instances that are logged in to must be reachable, by the one address that may.
    fn gateway(&mut self, aws: &'a Node) {
        let network = given(aws, "network");
        let gateway = network.and_then(|n| n.text_at("gateway"));
        let is_open = gateway.is_some_and(|(gateway, _)| gateway != "none");
        let has_controller = network.is_some_and(|n| n.text_at("controller").is_some());
        let known = self.steps.clone();
        let over_internet = known.iter().find_map(|step| {
            let ssh = step.ssh?;
            let private = ssh.get("private").and_then(Node::boolean) == Some(true);
            (!private).then(|| (step.name, ssh.head()))
        });
        match (&over_internet, gateway) {
            (Some((name, span)), _) if !is_open => {
                let message = format!(
                    "nothing leads to the instance of `{name}`: its network has no gateway"
                );
                self.check.error("no-way-in", span, message).help = Some(
                    "write `network: {gateway: controller, controller: ADDRESS/32}`; or \
                     `private: true`, where this machine has a way of its own into that network"
                        .into(),
                );
            }
            (Some((name, span)), _) if !has_controller => {
                let message = format!("nobody may come in to the instance of `{name}`");
                self.check.error("no-way-in", span, message).help =
                    Some("add `network: {controller: ADDRESS/32}`: this machine's address".into());
            }
            (None, Some(("controller", span))) if !has_controller => {
                let message = "the gateway leads to the controller, and its address is not given";
                self.check.error("no-way-in", span, message).help =
                    Some("add `controller: ADDRESS/32`: this machine's address".into());
            }
            (None, _) if !has_controller => {
                if let Some((name, ssh)) = known.iter().find_map(|s| Some((s.name, s.ssh?))) {
                    let message = format!(
                        "the instance of `{name}` lets nobody in: no controller's address is given"
                    );
                    self.check.warning("no-way-in", &ssh.head(), message).help =
                        Some("add `network: {controller: ADDRESS/32}`".into());
                }
            }
            _ => {}
        }
    }
}

fn or<'t>(text: &'t str, otherwise: &'t str) -> &'t str {
    if text.is_empty() { otherwise } else { text }
}

fn is_database(kind: Option<&str>) -> bool {
    matches!(kind, Some("rds" | "aurora"))
}

/// The parts of an ARN.
pub(super) struct Arn<'t> {
    pub service: &'t str,
    pub region: &'t str,
    pub account: &'t str,
    pub rest: &'t str,
}

impl<'t> Arn<'t> {
    pub fn of(text: &'t str) -> Option<Arn<'t>> {
        let mut parts = text.splitn(6, ':');
        let (arn, partition) = (parts.next()?, parts.next()?);
        let (service, region, account) = (parts.next()?, parts.next()?, parts.next()?);
        let rest = parts.next().filter(|rest| !rest.is_empty())?;
        let fits = arn == "arn" && partition.starts_with("aws");
        (fits && !text.contains(char::is_whitespace)).then_some(Arn {
            service,
            region,
            account,
            rest,
        })
    }
}

pub(super) fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|b| b.is_ascii_digit())
}

/// `eu-central-1`, `us-gov-west-1`.
pub(super) fn is_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let Some((number, words)) = parts.split_last() else {
        return false;
    };
    let is_word =
        |w: &&str| (2..=10).contains(&w.len()) && w.bytes().all(|b| b.is_ascii_lowercase());
    (2..=3).contains(&words.len())
        && words.iter().all(is_word)
        && matches!(number.len(), 1..=2)
        && number.bytes().all(|b| b.is_ascii_digit())
}

/// The length of its prefix.
fn v4_network(cidr: &str) -> Result<u32, &'static str> {
    let (address, length) = cidr.split_once('/').ok_or("it has no length")?;
    let address: Ipv4Addr = address.parse().map_err(|_| "it has no IPv4 address")?;
    let length: u32 = length.parse().map_err(|_| "its length is no number")?;
    if !(16..=24).contains(&length) {
        return Err("its length must be from /16 to /24");
    }
    if !address.is_private() {
        return Err("it is not private");
    }
    match u32::from(address).checked_shl(length) {
        Some(0) => Ok(length),
        _ => Err("it has bits beyond its length"),
    }
}

fn is_one_address(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else {
        return false;
    };
    match address.parse() {
        Ok(IpAddr::V4(_)) => length == "32",
        Ok(IpAddr::V6(_)) => length == "128",
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_look_like_regions() {
        for region in [
            "eu-west-1",
            "us-gov-west-1",
            "ap-southeast-3",
            "eusc-de-east-1",
        ] {
            assert!(is_region(region), "{region}");
        }
        for other in [
            "",
            "eu",
            "eu-west",
            "eu-west-1a",
            "EU-WEST-1",
            "eu west 1",
            "eu--1",
            "1",
        ] {
            assert!(!is_region(other), "{other}");
        }
    }

    #[test]
    fn a_network_is_private_and_neither_too_wide_nor_too_narrow() {
        assert_eq!(v4_network("10.213.0.0/16"), Ok(16));
        assert_eq!(v4_network("192.168.7.0/24"), Ok(24));
        for wrong in [
            "10.213.0.0",
            "10.213.0.0/15",
            "10.213.0.0/25",
            "8.8.8.0/24",
            "10.213.0.1/16",
            "x/16",
            "172.32.0.0/16",
            "fd00::/16",
            "10.213.0.0/-1",
            "10.213.0.0/99999999999",
        ] {
            assert!(v4_network(wrong).is_err(), "{wrong}");
        }
        assert!(is_one_address("198.51.100.7/32") && is_one_address("2001:db8::1/128"));
        for many in [
            "198.51.100.0/24",
            "198.51.100.7",
            "0.0.0.0/0",
            "2001:db8::1/32",
        ] {
            assert!(!is_one_address(many), "{many}");
        }
    }

    #[test]
    fn an_arn_has_six_parts() {
        let arn = Arn::of("arn:aws:rds:eu-west-1:111122223333:db:shop").unwrap();
        assert_eq!(
            (arn.service, arn.region, arn.rest),
            ("rds", "eu-west-1", "db:shop")
        );
        assert!(Arn::of("arn:aws:s3:::shop").is_some_and(|a| a.account.is_empty()));
        for wrong in [
            "",
            "arn",
            "arn:aws:s3::",
            "arn:aws:s3:::",
            "urn:aws:s3:::b",
            "arn:gcp:s3:::b",
        ] {
            assert!(Arn::of(wrong).is_none(), "{wrong}");
        }
    }
}
