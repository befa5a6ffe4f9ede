//! What a resource wants done to a host. The planner merges the intents of many rules into
//! changes: all edits of one file become one write.

use serde::{Deserialize, Serialize};

use super::edit::Edit;

/// How much harm a change could do.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Risk {
    /// Nothing that runs notices.
    Safe,
    /// A service restarts, a package goes.
    Disruptive,
    /// It could keep us (and everyone) out: sshd, PAM, sudo, firewall, accounts, network.
    LockOut,
}

/// When, in a run on one host. What could lock us out comes last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Stage {
    Package,
    File,
    /// Running values: sysctls, mounts, modules.
    Kernel,
    Service,
    Account,
    /// Files and scripts whose risk is [`Risk::LockOut`].
    Access,
}

/// Something to run once after all the files it belongs to are written, and again after an undo,
/// e.g. `systemctl reload ssh`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Reaction {
    /// Which one; equal names are run once. Only `[a-z0-9.-]`.
    pub name: String,
    /// sh. Its status counts.
    pub run: String,
}

/// Owner, group and mode.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ownership {
    pub owner: String,
    pub group: String,
    pub mode: u32,
}

impl Ownership {
    /// `root:root` with this mode.
    pub fn root(mode: u32) -> Self {
        Ownership {
            owner: "root".into(),
            group: "root".into(),
            mode,
        }
    }
}

/// One thing to be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Intent {
    File(FileIntent),
    Script(ScriptIntent),
}

/// An edit of one file. Content must have been asked for ([`super::probe::Queries::text`]).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileIntent {
    /// Absolute; not a symbolic link (the planner resolves none and refuses them).
    pub path: String,
    pub edit: Edit,
    /// What a new file gets. A file that is there keeps its own unless `edit` is `Edit::Own`.
    pub create: Ownership,
    pub risk: Risk,
    /// sh that judges the new file before it takes its place: `$new` is its path, `$path` where
    /// it will be. Not 0: the file is left as it was.
    pub validate_new: Option<String>,
    /// sh that judges the host with the new file in place, e.g. `sshd -t`. Not 0: the former
    /// file is put back at once, and no reaction runs.
    pub validate_placed: Option<String>,
    pub reaction: Option<Reaction>,
}

/// Anything else, as three small pieces of sh. Each runs in a function of its own, under
/// `set -u`, with `$store` (this run's private directory on the host) and `$step` set; `undo`
/// may use files that `act` left as `"$store/$step.NAME"`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScriptIntent {
    /// What is changed, e.g. `sysctl net.ipv4.ip_forward`; equal targets of several rules are
    /// merged into one when the rest is equal too, and are a conflict otherwise.
    pub target: String,
    /// As a diff for a person: how it is, and how it will be.
    pub before: String,
    pub after: String,
    pub risk: Risk,
    pub stage: Stage,
    /// sh: 0 if the thing is still as `before` says. Otherwise nothing is done ("stale").
    pub guard: String,
    /// sh: brings it about. Standard output is dropped, standard error is the reason if it fails.
    pub act: String,
    /// sh: brings back what was, exactly.
    pub undo: String,
    /// sh, or empty: 0 if the thing is still as `act` left it. Rollback refuses otherwise.
    pub unchanged_since: String,
    /// What an undo cannot bring back, said before the change is made.
    pub no_way_back: Option<String>,
    pub reaction: Option<Reaction>,
}
