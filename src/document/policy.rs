//! Backup policies: what is backed up, how often, for whom it is encrypted, and where it is kept.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::playbook::Span;
use super::scalar::as_text;

/// A backup policy.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Its name, e.g. `nightly`.
    pub policy: String,
    /// A few words for a person.
    pub title: String,
    #[serde(default)]
    pub about: Option<String>,
    /// Whom every backup is encrypted to: `age1…`, `ssh-ed25519 …`, `ssh-rsa …`, or a plugin's
    /// `age1NAME1…`. All of them, and nobody else.
    #[serde(default)]
    pub recipients: Vec<String>,
    /// Instead of recipients: the environment variable that holds a passphrase.
    #[serde(default)]
    pub passphrase_env: Option<String>,
    /// The places that hold backups, by name.
    pub stores: BTreeMap<String, StoreDocument>,
    /// What schedules are told in, e.g. `Europe/Berlin`. Default: UTC.
    #[serde(default)]
    pub time_zone: Option<String>,
    pub sources: Vec<SourceDocument>,
    /// Public keys (`ssh-ed25519 AAAA…`) of those whose signature on a backup counts. Empty: that
    /// of this machine's own signing key alone.
    #[serde(default)]
    pub signers: Vec<String>,
    /// Who is told when a backup fails or is missed.
    #[serde(default)]
    pub notify: Vec<Notify>,
}

/// A place that holds backups: `directory` or `s3`, one of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StoreDocument {
    /// Where it is, as far as one disaster can reach: two stores in one `place` are lost together.
    pub place: String,
    /// A directory on this machine.
    #[serde(default)]
    pub directory: Option<String>,
    #[serde(default)]
    pub s3: Option<S3>,
}

/// A bucket, or a part of one. Credentials come from the environment (`AWS_ACCESS_KEY_ID`…).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct S3 {
    pub bucket: String,
    /// Prefix of every name in it.
    #[serde(default)]
    pub prefix: Option<String>,
    pub region: String,
    /// For a service other than AWS, e.g. `http://127.0.0.1:8333`.
    #[serde(default)]
    pub endpoint: Option<String>,
}

/// One thing that is backed up: `directories`, `postgresql`, `git` or `command`, one of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceDocument {
    /// Its name; part of the names of its backups.
    pub source: String,
    #[serde(default)]
    pub about: Option<String>,
    #[serde(default)]
    pub directories: Option<Directories>,
    #[serde(default)]
    pub postgresql: Option<Postgresql>,
    #[serde(default)]
    pub git: Option<Git>,
    #[serde(default)]
    pub command: Option<CommandSource>,
    /// When it is made, as five cron fields: `30 2 * * *`.
    pub schedule: String,
    /// How late a backup may be before it counts as missed. Default: 1h.
    #[serde(default = "one_hour")]
    pub grace: Span,
    /// How old the newest data may be.
    pub rpo: Span,
    /// Names of stores. Default: all.
    #[serde(default)]
    pub to: Vec<String>,
    /// In how many independent places each backup must be held. Default: 1.
    #[serde(default = "one")]
    pub places: u32,
    #[serde(default)]
    pub keep: Keep,
    /// A token that is written into the source before each backup, so that a restore proves of
    /// which moment it is.
    #[serde(default)]
    pub canary: Option<CanaryDocument>,
}

fn one_hour() -> Span {
    Span(std::time::Duration::from_secs(3600))
}

fn one() -> u32 {
    1
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Directories {
    /// Absolute; each is kept under its own last name.
    pub paths: Vec<String>,
    /// Globs against paths relative to each directory, e.g. `cache/**`.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// Other file systems that are mounted below are left out.
    #[serde(default)]
    pub one_file_system: bool,
}

/// `pg_dump` in its custom format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Postgresql {
    pub database: String,
    /// A host name, or the directory of a local socket. Default: libpq's.
    #[serde(default)]
    pub host: Option<String>,
    #[serde(default)]
    pub port: Option<u16>,
    #[serde(default)]
    pub user: Option<String>,
    /// The environment variable that holds the password. (libpq's own ways, such as `.pgpass`,
    /// work too.)
    #[serde(default)]
    pub password_env: Option<String>,
    /// pg_dump runs on this host, reached with ssh, instead of on this machine.
    #[serde(default)]
    pub ssh: Option<String>,
}

/// A bundle with all refs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Git {
    /// The repository's directory (bare or with a work tree).
    pub repository: String,
}

/// What a program prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandSource {
    /// The program and its arguments; no shell.
    pub run: Vec<String>,
    /// What its output is called when it is restored.
    pub file: String,
}

/// How long backups are kept. Nothing is removed by Seawall; `verify` says what is missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Keep {
    /// At least so many. Default: 1.
    #[serde(default = "one")]
    pub at_least: u32,
    /// Every scheduled backup of the last so many days must be there, as far back as the first.
    #[serde(default)]
    pub days: Option<u32>,
}

impl Default for Keep {
    fn default() -> Self {
        Keep {
            at_least: 1,
            days: None,
        }
    }
}

/// Where the canary is written: `file` for directories, `table` for PostgreSQL, one of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CanaryDocument {
    /// A path within the backed-up directories.
    #[serde(default)]
    pub file: Option<String>,
    /// A table of our own (`token text, at timestamptz`), made where it is missing.
    #[serde(default)]
    pub table: Option<String>,
}

/// Someone who is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Notify {
    /// The environment variable that holds the webhook's URL: it is a secret.
    pub url_env: String,
    #[serde(default)]
    pub shape: Shape,
    /// Default: both.
    #[serde(default = "both")]
    pub on: Vec<Occasion>,
}

fn both() -> Vec<Occasion> {
    vec![Occasion::Failure, Occasion::Missed]
}

/// What the webhook's body looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// A JSON object of ours.
    #[default]
    Generic,
    /// What Slack's incoming webhooks take.
    Slack,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Occasion {
    /// A backup, a verification or a drill did not do what it should.
    Failure,
    /// A schedule was missed.
    Missed,
    /// All went well.
    Success,
}

/// A number of bytes: `512`, `500M`, `2G` (powers of 1024).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

impl FromStr for ByteSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not a size such as 512, 500M or 2G");
        let end = text.find(|c: char| !c.is_ascii_digit());
        let (count, unit) = text.split_at(end.unwrap_or(text.len()));
        let count: u64 = count.parse().map_err(|_| wrong())?;
        let shift = match unit.trim().trim_end_matches("iB").trim_end_matches('B') {
            "" => 0,
            "K" | "k" => 10,
            "M" => 20,
            "G" => 30,
            "T" => 40,
            _ => return Err(wrong()),
        };
        count
            .checked_mul(1 << shift)
            .map(ByteSize)
            .ok_or_else(wrong)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        for (shift, unit) in [(40, "T"), (30, "G"), (20, "M"), (10, "K")] {
            if self.0 > 0 && self.0.is_multiple_of(1 << shift) {
                return write!(f, "{}{unit}", self.0 >> shift);
            }
        }
        write!(f, "{}", self.0)
    }
}

as_text!(
    ByteSize,
    "^[0-9]+ ?([KkMGT]i?B?)?$",
    "A number of bytes: 512, 500M, 2G."
);
