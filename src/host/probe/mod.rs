//! Observing: one program for one host, whatever the number of rules.
//!
//! Resources say what they need to know ([`Queries`]); each probe writes one sh function that
//! observes all of its kind at once and says it in frames, and reads those frames into the
//! [`Snapshot`](super::snapshot::Snapshot).

pub mod accounts;
pub mod commands;
pub mod facts;
pub mod files;
pub mod listeners;
pub mod modules;
pub mod mounts;
pub mod packages;
pub(crate) mod section;
pub mod sshd;
pub mod sysctls;
pub mod units;
pub mod walk;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::shell::{Frame, Nonce, NulInText, assemble};

use super::snapshot::Snapshot;

/// What a set of rules needs to know of a host. Duplicates fall together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queries {
    pub sysctls: BTreeSet<String>,
    /// Absolute paths; `true`: with the text.
    pub files: BTreeMap<String, bool>,
    /// Absolute sh globs (`*`, `?`, `[…]` only); `true`: with the text of what they find.
    pub globs: BTreeMap<String, bool>,
    pub packages: BTreeSet<String>,
    /// Unit names with their suffix.
    pub units: BTreeSet<String>,
    /// Module names.
    pub modules: BTreeSet<String>,
    pub mounts: bool,
    pub sshd: bool,
    pub accounts: bool,
    pub walk: bool,
    pub listeners: bool,
    /// Own checks: id → sh. Ids hold only `[A-Za-z0-9_.:-]`.
    pub commands: BTreeMap<String, String>,
}

impl Queries {
    /// Owner, group and mode of a path.
    pub fn file(&mut self, path: &str) {
        self.files.entry(path.into()).or_insert(false);
    }

    /// A file with its text.
    pub fn text(&mut self, path: &str) {
        self.files.insert(path.into(), true);
    }

    /// All that a glob finds, without their text.
    pub fn glob(&mut self, pattern: &str) {
        self.globs.entry(pattern.into()).or_insert(false);
    }

    /// All that a glob finds, with their text.
    pub fn texts(&mut self, pattern: &str) {
        self.globs.insert(pattern.into(), true);
    }
}

/// One kind of observation.
struct Probe {
    /// The sh function's name, and the section's.
    name: &'static str,
    script: fn(&Queries) -> Result<Option<String>, NulInText>,
    read: fn(&[Frame], &Queries, &mut Snapshot),
}

macro_rules! probes {
    ($($name:ident),* $(,)?) => {
        /// Cheapest first, so that a slow one delays nobody else's frames.
        const PROBES: &[Probe] = &[
            $(Probe { name: stringify!($name), script: $name::script, read: $name::read }),*
        ];
    };
}

probes![
    facts, sysctls, modules, mounts, listeners, accounts, files, packages, units, sshd, commands,
    walk,
];

/// The observing program, but for the nonce.
#[derive(Debug)]
pub struct Program {
    functions: String,
    calls: String,
}

/// The last frame of an observation: without it, what came is not the whole.
const END: &str = "end";

impl Program {
    pub fn new(queries: &Queries) -> Result<Program, NulInText> {
        let (mut functions, mut calls) = (String::new(), String::new());
        for probe in PROBES {
            if let Some(body) = (probe.script)(queries)? {
                functions.push_str(&format!(
                    "probe_{}() {{\n{}\n}}\n",
                    probe.name,
                    body.trim_end()
                ));
                calls.push_str(&format!("probe_{}\n", probe.name));
            }
        }
        calls.push_str(&format!("frame {END} observe 0 ''\n"));
        Ok(Program { functions, calls })
    }

    /// As a program of its own.
    pub fn whole(&self, nonce: &Nonce) -> String {
        assemble(nonce, &self.functions, &self.calls)
    }

    /// Function definitions, and the calls that use them.
    pub fn parts(&self) -> (&str, &str) {
        (&self.functions, &self.calls)
    }
}

/// Reads the frames of an observation. Whatever was asked for and not answered is `Seen::No`.
pub fn read(frames: &[Frame], queries: &Queries, host: &str, taken: &str) -> Snapshot {
    let mut snapshot = Snapshot {
        format: 1,
        host: host.to_owned(),
        taken: taken.to_owned(),
        ..Snapshot::default()
    };
    for probe in PROBES {
        (probe.read)(frames, queries, &mut snapshot);
    }
    snapshot
}

/// Whether the observation came to its end.
pub fn is_whole(frames: &[Frame]) -> bool {
    frames
        .iter()
        .any(|f| f.kind == END && f.name == "observe" && f.status == 0)
}
