//! What things cost, roughly: an estimate for `drill plan`, and what something that is left over
//! costs a day. Pure.
//!
//! On-demand list prices in USD without tax, Linux, of us-east-1, as AWS published them in 2025
//! (aws.amazon.com/ec2/pricing/on-demand, /ebs/pricing, /rds/…/pricing, /efs/pricing, /s3/pricing,
//! /dynamodb/pricing), rounded. Other regions by one factor each, which is right within about 10 %.
//! They change: it is an estimate, and never an offer. What is not in the table has no price here,
//! and is said to be unknown.

/// When the table was made.
pub const AS_OF: &str = "2025";

/// Something with a price.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Priced<'a> {
    /// An instance type: `m7g.large`.
    Instance(&'a str),
    /// A volume's type and its GiB.
    Volume(&'a str, f64),
    Snapshot(f64),
    /// A class of RDS, and its GiB.
    Database(&'a str, f64),
    /// An instance of an Aurora cluster.
    Aurora(&'a str),
    /// The storage of an Aurora cluster.
    Cluster(f64),
    Bucket(f64),
    Table(f64),
    FileSystem(f64),
    /// A public IPv4 address.
    Address,
}

/// A month, as AWS reckons it.
const HOURS: f64 = 730.0;

/// USD an hour for the size `large`; others are in proportion.
const INSTANCES: [(&str, f64); 33] = [
    ("t2", 0.0928),
    ("t3", 0.0832),
    ("t3a", 0.0752),
    ("t4g", 0.0672),
    ("m5", 0.096),
    ("m5a", 0.086),
    ("m6a", 0.0864),
    ("m6g", 0.077),
    ("m6i", 0.096),
    ("m7a", 0.1159),
    ("m7g", 0.0816),
    ("m7i", 0.1008),
    ("m8g", 0.0898),
    ("c5", 0.085),
    ("c5a", 0.077),
    ("c6a", 0.0765),
    ("c6g", 0.068),
    ("c6i", 0.085),
    ("c7a", 0.1026),
    ("c7g", 0.0725),
    ("c7i", 0.0893),
    ("c8g", 0.0798),
    ("r5", 0.126),
    ("r5a", 0.113),
    ("r6a", 0.1134),
    ("r6g", 0.1008),
    ("r6i", 0.126),
    ("r7a", 0.1522),
    ("r7g", 0.1071),
    ("r7i", 0.1323),
    ("r8g", 0.1178),
    ("i3", 0.156),
    ("i4i", 0.172),
];

/// RDS for PostgreSQL, one zone, and MySQL nearly the same.
const DATABASES: [(&str, f64); 10] = [
    ("t3", 0.145),
    ("t4g", 0.129),
    ("m5", 0.178),
    ("m6g", 0.159),
    ("m6i", 0.178),
    ("m7g", 0.168),
    ("r5", 0.25),
    ("r6g", 0.225),
    ("r6i", 0.25),
    ("r7g", 0.239),
];

const AURORA: [(&str, f64); 7] = [
    ("t3", 0.164),
    ("t4g", 0.146),
    ("r5", 0.29),
    ("r6g", 0.26),
    ("r6i", 0.29),
    ("r7g", 0.276),
    ("r8g", 0.276),
];

/// USD a GiB and month, without provisioned IOPS and throughput.
const VOLUMES: [(&str, f64); 7] = [
    ("gp3", 0.08),
    ("gp2", 0.10),
    ("io1", 0.125),
    ("io2", 0.125),
    ("st1", 0.045),
    ("sc1", 0.015),
    ("standard", 0.05),
];

const SNAPSHOT: f64 = 0.05;
const DATABASE: f64 = 0.115;
const CLUSTER: f64 = 0.10;
const BUCKET: f64 = 0.023;
const TABLE: f64 = 0.25;
const FILE_SYSTEM: f64 = 0.30;
/// An hour.
const ADDRESS: f64 = 0.005;

/// How much dearer than us-east-1, by compute and storage together.
const REGIONS: [(&str, f64); 20] = [
    ("us-east-1", 1.0),
    ("us-east-2", 1.0),
    ("us-west-1", 1.18),
    ("us-west-2", 1.0),
    ("ca-central-1", 1.11),
    ("eu-west-1", 1.11),
    ("eu-west-2", 1.16),
    ("eu-west-3", 1.17),
    ("eu-central-1", 1.20),
    ("eu-central-2", 1.32),
    ("eu-north-1", 1.06),
    ("eu-south-1", 1.17),
    ("eu-south-2", 1.12),
    ("ap-south-1", 1.06),
    ("ap-southeast-1", 1.25),
    ("ap-southeast-2", 1.25),
    ("ap-northeast-1", 1.29),
    ("ap-northeast-2", 1.23),
    ("ap-northeast-3", 1.29),
    ("sa-east-1", 1.59),
];

/// USD a day; `None`: its type or its region is not in the table.
pub fn per_day(region: &str, what: Priced<'_>) -> Option<f64> {
    let factor = of(&REGIONS, region)?;
    let by_month = |price: f64, gib: f64| gib.is_finite().then_some(price * gib.max(0.0) / HOURS);
    let hour = match what {
        Priced::Instance(kind) => sized(&INSTANCES, kind)?,
        Priced::Aurora(class) => sized(&AURORA, class.strip_prefix("db.")?)?,
        Priced::Database(class, gib) => {
            sized(&DATABASES, class.strip_prefix("db.")?)? + by_month(DATABASE, gib)?
        }
        Priced::Volume(kind, gib) => by_month(of(&VOLUMES, kind)?, gib)?,
        Priced::Snapshot(gib) => by_month(SNAPSHOT, gib)?,
        Priced::Cluster(gib) => by_month(CLUSTER, gib)?,
        Priced::Bucket(gib) => by_month(BUCKET, gib)?,
        Priced::Table(gib) => by_month(TABLE, gib)?,
        Priced::FileSystem(gib) => by_month(FILE_SYSTEM, gib)?,
        // The same in every region.
        Priced::Address => return Some(ADDRESS * 24.0),
    };
    Some(hour * factor * 24.0)
}

/// `1.23`, for a person; never `0.00` for what costs something.
pub fn shown(usd: f64) -> String {
    match usd {
        usd if usd > 0.0 && usd < 0.01 => "less than 0.01 USD".to_owned(),
        usd => format!("{usd:.2} USD"),
    }
}

fn of(table: &[(&str, f64)], name: &str) -> Option<f64> {
    (table.iter().find(|(key, _)| *key == name)).map(|(_, value)| *value)
}

/// The price of `m7g.2xlarge`, from that of `large`.
fn sized(table: &[(&str, f64)], kind: &str) -> Option<f64> {
    let (family, size) = kind.split_once('.')?;
    let times = match size {
        "nano" => 0.0625,
        "micro" => 0.125,
        "small" => 0.25,
        "medium" => 0.5,
        "large" => 1.0,
        "xlarge" => 2.0,
        _ => {
            let many: u8 = size.strip_suffix("xlarge")?.parse().ok()?;
            2.0 * f64::from(many)
        }
    };
    Some(of(table, family)? * times)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(one: Option<f64>, other: f64) {
        let one = one.unwrap();
        assert!((one - other).abs() < 0.01, "{one} and not {other}");
    }

    #[test]
    fn a_day_costs_what_the_list_says() {
        let day = |what| per_day("us-east-1", what);
        close(day(Priced::Instance("m5.large")), 0.096 * 24.0);
        close(day(Priced::Instance("m5.4xlarge")), 0.768 * 24.0);
        close(day(Priced::Instance("t3.micro")), 0.0104 * 24.0);
        close(day(Priced::Volume("gp3", 730.0)), 0.08 * 24.0);
        close(day(Priced::Database("db.m5.large", 0.0)), 0.178 * 24.0);
        close(day(Priced::Aurora("db.r6g.xlarge")), 0.52 * 24.0);
        close(day(Priced::Address), 0.12);
        let here = per_day("eu-central-1", Priced::Instance("m5.large"));
        close(here, 0.1152 * 24.0);
    }

    #[test]
    fn what_is_not_in_the_table_has_no_price() {
        for what in [
            Priced::Instance("zz9.large"),
            Priced::Instance("m5.metal"),
            Priced::Instance("m5"),
            Priced::Instance("m5.999xlarge"),
            Priced::Volume("new", 1.0),
            Priced::Volume("gp3", f64::NAN),
            Priced::Database("m5.large", 1.0),
            Priced::Aurora("db.zz.large"),
        ] {
            assert_eq!(per_day("us-east-1", what), None, "{what:?}");
        }
        assert_eq!(per_day("xx-east-1", Priced::Instance("m5.large")), None);
    }

    #[test]
    fn what_costs_something_is_never_shown_as_nothing() {
        assert_eq!(shown(0.0), "0.00 USD");
        assert_eq!(shown(0.001), "less than 0.01 USD");
        assert_eq!(shown(12.345), "12.35 USD");
    }
}
