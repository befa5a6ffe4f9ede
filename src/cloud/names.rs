//! Tags, names, idempotency tokens, and the kinds of things that a drill makes. Pure.

use std::collections::BTreeMap;

/// Every tag that a drill writes. The run's id is the one that a sweep looks for.
pub const TAG_DRILL: &str = "seawall:drill";
pub const TAG_STEP: &str = "seawall:step";
/// The ledger's token of the entry: what finds a thing that was made and whose id was never written
/// down.
pub const TAG_TOKEN: &str = "seawall:token";
/// RFC 3339: after this it may be taken away by anybody.
pub const TAG_EXPIRES: &str = "seawall:expires";

/// What a ledger entry names. The text is what stands in the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The lock on the scratch: one drill at a time.
    Scratch,
    /// The private key on the controller.
    KeyFile,
    KeyPair,
    Vpc,
    InternetGateway,
    RouteTable,
    Subnet,
    SecurityGroup,
    /// Of AWS Backup. Its id is the job's; what it creates has an entry of its own.
    RestoreJob,
    Volume,
    Snapshot,
    Image,
    Instance,
    DbSubnetGroup,
    DbInstance,
    DbCluster,
    Bucket,
    Table,
    FileSystem,
    MountTarget,
    /// What was unpacked or mounted on an instance: it goes with that.
    OnInstance,
}

impl Kind {
    pub const ALL: [Kind; 21] = [
        Kind::Scratch,
        Kind::KeyFile,
        Kind::KeyPair,
        Kind::Vpc,
        Kind::InternetGateway,
        Kind::RouteTable,
        Kind::Subnet,
        Kind::SecurityGroup,
        Kind::RestoreJob,
        Kind::Volume,
        Kind::Snapshot,
        Kind::Image,
        Kind::Instance,
        Kind::DbSubnetGroup,
        Kind::DbInstance,
        Kind::DbCluster,
        Kind::Bucket,
        Kind::Table,
        Kind::FileSystem,
        Kind::MountTarget,
        Kind::OnInstance,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Scratch => "scratch",
            Kind::KeyFile => "key-file",
            Kind::KeyPair => "key-pair",
            Kind::Vpc => "vpc",
            Kind::InternetGateway => "internet-gateway",
            Kind::RouteTable => "route-table",
            Kind::Subnet => "subnet",
            Kind::SecurityGroup => "security-group",
            Kind::RestoreJob => "restore-job",
            Kind::Volume => "volume",
            Kind::Snapshot => "snapshot",
            Kind::Image => "image",
            Kind::Instance => "instance",
            Kind::DbSubnetGroup => "db-subnet-group",
            Kind::DbInstance => "db-instance",
            Kind::DbCluster => "db-cluster",
            Kind::Bucket => "bucket",
            Kind::Table => "table",
            Kind::FileSystem => "file-system",
            Kind::MountTarget => "mount-target",
            Kind::OnInstance => "on-instance",
        }
    }

    pub fn parse(text: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// The name of what an attempt at a step makes: lower-case letters, digits and `-`, at most 63 long
/// (what RDS and S3 take), unique to the run, the step and the attempt, and known beforehand.
pub fn resource_name(run: &str, step: &str, attempt: u32) -> String {
    let step: String = (step.chars())
        .map(|c| match c {
            'a'..='z' | '0'..='9' => c,
            'A'..='Z' => c.to_ascii_lowercase(),
            _ => '-',
        })
        .collect();
    // Two steps that look alike when they are cut differ in this.
    let mark = &crate::model::sha256_hex(format!("{run}\n{step}\n{attempt}").as_bytes())[..6];
    let run = run.to_ascii_lowercase();
    let mut short = step.as_str();
    while short.len() > 20 {
        short = &short[..short.len() - 1];
    }
    let short = short.trim_matches('-');
    let name = format!("seawall-{run}-{short}-{attempt}-{mark}");
    name.replace("--", "-")
}

/// The idempotency token of a restore: another attempt, or other metadata, is another restore. (A
/// failed validation of the metadata can use a token up.)
pub fn restore_token(
    run: &str,
    step: &str,
    attempt: u32,
    metadata: &BTreeMap<String, String>,
) -> String {
    let mut text = format!("{run}\n{step}\n{attempt}\n");
    for (key, value) in metadata {
        text.push_str(&format!("{}:{key}={}:{value}\n", key.len(), value.len()));
    }
    crate::model::sha256_hex(text.as_bytes())[..48].to_owned()
}
