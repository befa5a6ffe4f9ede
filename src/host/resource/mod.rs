//! The kinds of thing that a rule can demand. One file each; to add one, write the file and name
//! it in [`resources!`].

pub mod account;
pub mod accounts;
pub mod command;
pub(crate) mod demand;
pub mod file;
pub(crate) mod glob;
pub mod kernel_module;
pub mod key_value;
pub mod line;
pub mod listener;
pub mod mount;
pub mod package;
pub mod passwd;
pub mod paths;
pub mod service;
pub mod sshd;
pub mod sshd_config;
pub mod sudoers;
pub mod sudoers_file;
pub mod sysctl;
mod sysctl_files;
pub mod walk;

use std::fmt::Debug;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::intent::Intent;
use super::probe::Queries;
use super::snapshot::Snapshot;

/// What is thought of one resource on one host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    pub verdict: Verdict,
    /// What is demanded, for a person.
    pub expected: String,
    /// What was seen, for a person. May hold anything the host sent; it is cleaned where it
    /// becomes a finding.
    pub actual: String,
    /// Why, where `actual` does not say it.
    pub reason: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Pass,
    Fail,
    NotApplicable,
    Unknown,
}

impl Judgement {
    pub fn new(verdict: Verdict, expected: impl Into<String>, actual: impl Into<String>) -> Self {
        Judgement {
            verdict,
            expected: expected.into(),
            actual: actual.into(),
            reason: None,
        }
    }

    pub fn pass_if(ok: bool, expected: impl Into<String>, actual: impl Into<String>) -> Self {
        let verdict = if ok { Verdict::Pass } else { Verdict::Fail };
        Self::new(verdict, expected, actual)
    }

    /// It could not be observed; why.
    pub fn unknown(expected: impl Into<String>, why: impl Into<String>) -> Self {
        Judgement {
            reason: Some(why.into()),
            ..Self::new(Verdict::Unknown, expected, "")
        }
    }

    /// It has no meaning on this host; why.
    pub fn not_applicable(expected: impl Into<String>, why: impl Into<String>) -> Self {
        Judgement {
            reason: Some(why.into()),
            ..Self::new(Verdict::NotApplicable, expected, "")
        }
    }

    #[must_use]
    pub fn because(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }
}

/// Why a failed demand cannot be brought about by `apply`; a whole sentence for a person.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unfixable(pub String);

impl Unfixable {
    pub fn new(why: impl Into<String>) -> Self {
        Unfixable(why.into())
    }
}

impl From<crate::shell::NulInText> for Unfixable {
    fn from(error: crate::shell::NulInText) -> Self {
        Unfixable(error.to_string())
    }
}

/// Two rules that claim the same key with different values contradict each other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Claim {
    /// E.g. `sysctl net.ipv4.ip_forward`.
    pub key: String,
    /// The demand, as text that is equal exactly when the demands are.
    pub value: String,
}

/// One demand on a host, of some kind. All of it is pure.
pub trait Resource: Debug + Send + Sync {
    /// What it is about, e.g. `net.ipv4.ip_forward`.
    fn target(&self) -> String;

    /// What is wrong with the parameters, beyond their types: `(field, message)`.
    fn problems(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// What it would contradict another demand on.
    fn claims(&self) -> Vec<Claim> {
        Vec::new()
    }

    /// What must be observed.
    fn ask(&self, queries: &mut Queries);

    /// Judges what was observed. What was not seen is `Unknown`.
    fn judge(&self, snapshot: &Snapshot) -> Judgement;

    /// What would bring it about. Called only where `judge` says `Fail`.
    fn fix(&self, snapshot: &Snapshot) -> Result<Vec<Intent>, Unfixable>;
}

/// A kind's documentation, from the comments in its file: what it demands, how it is observed,
/// changed and undone, and its parameters. `None`: no such kind.
pub fn docs(kind: &str) -> Option<String> {
    let schema = schema_of(kind)?;
    let text = |value: &serde_json::Value| {
        value
            .get("description")
            .and_then(serde_json::Value::as_str)
            .unwrap_or_default()
            .trim()
            .to_owned()
    };
    let mut out = format!("resource {kind}\n\n{}\n", text(schema.as_value()));
    let properties = schema
        .get("properties")
        .and_then(serde_json::Value::as_object);
    for (name, property) in properties.into_iter().flatten() {
        let about = text(property).replace('\n', "\n      ");
        out.push_str(&format!("\n  {name}\n      {about}\n"));
    }
    Some(out)
}

macro_rules! resources {
    ($($kind:ident: $type:ty),* $(,)?) => {
        /// One demand of some kind: a mapping with exactly one key, the kind.
        #[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        #[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
        pub struct AnyResource {
            $(
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub $kind: Option<$type>,
            )*
        }

        /// The kinds, in the order in which documentation lists them.
        pub const KINDS: &[&str] = &[$(stringify!($kind)),*];

        fn schema_of(kind: &str) -> Option<schemars::Schema> {
            $(if kind == stringify!($kind) { return Some(schemars::schema_for!($type)); })*
            None
        }

        impl AnyResource {
            /// The one demand that it holds; `None` where the document held none.
            pub fn get(&self) -> Option<&dyn Resource> {
                $(if let Some(one) = &self.$kind { return Some(one); })*
                None
            }

            /// Its kind's name.
            pub fn kind(&self) -> &'static str {
                $(if self.$kind.is_some() { return stringify!($kind); })*
                ""
            }
        }
    };
}

resources! {
    sysctl: sysctl::Sysctl,
    kernel_module: kernel_module::KernelModule,
    file: file::File,
    key_value: key_value::KeyValue,
    line: line::Line,
    package: package::Package,
    service: service::Service,
    mount: mount::Mount,
    sshd: sshd::Sshd,
    sudoers: sudoers::SudoRule,
    account: account::Account,
    accounts: accounts::AccountsRule,
    command: command::Command,
    walk: walk::Walk,
    listener: listener::Listener,
}
