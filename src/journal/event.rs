//! The events of a run.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{DrillEvent, Link, PatchEvent};
use crate::model::{ConnectionFacts, Finding, Phase};

/// One thing that happened. The journal's lines are these, each with a number, a time and the
/// hash of the line before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// The first event of each run: the run that was begun before it. `None`: there was none.
    Chained {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        former: Option<Link>,
    },
    RunStarted {
        run: String,
        /// `check`, `apply`, `rollback`…
        verb: String,
        /// Our own version.
        version: String,
        playbook: String,
        playbook_title: String,
        level: u8,
        hosts: Vec<String>,
        /// How many rules are judged on each host.
        rules: usize,
        /// Path → SHA-256 of each document that was read.
        documents: BTreeMap<String, String>,
        /// Who started it: the local account's name and the machine's.
        by: String,
        /// Host → its data classification, where the inventory says one.
        #[serde(default)]
        data: BTreeMap<String, String>,
    },
    /// Why each rule is there, by its id: what a report says beside a finding.
    RulesExplained { why: BTreeMap<String, String> },
    WaveStarted {
        /// From 1.
        wave: usize,
        of: usize,
        hosts: Vec<String>,
    },
    HostConnected {
        host: String,
        /// `observe`, `confirm`, `rollback`: what for.
        purpose: String,
        connection: ConnectionFacts,
        /// From the start of the connection to a usable session.
        millis: u64,
    },
    HostUnreachable {
        host: String,
        phase: Phase,
        reason: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hint: Option<String>,
    },
    /// A snapshot was taken; it lies in the run's folder.
    Observed {
        host: String,
        /// File name, relative to the run's folder.
        snapshot: String,
        sha256: String,
        millis: u64,
        bytes: u64,
        /// `before`, or `after` a change.
        when: String,
    },
    /// All findings of one host. The last such event of a host is the one that counts.
    Judged {
        host: String,
        findings: Vec<Finding>,
    },
    /// What is about to be done; stands in the journal before it is done.
    Planned {
        host: String,
        changes: Vec<ChangeNote>,
    },
    /// The host now undoes all of it by itself unless it is told to keep.
    ConfirmArmed { host: String, window_seconds: u64 },
    StepEnded {
        host: String,
        step: String,
        outcome: StepOutcome,
        /// Untrusted, cleaned.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
    },
    /// A fresh connection, log-in and sudo worked, and the host was told to keep.
    Confirmed { host: String },
    /// No fresh log-in was possible (or the host answers otherwise): the host undoes the run.
    ConfirmFailed { host: String, reason: String },
    /// The host is as it was before the run; seen by us.
    Undone {
        host: String,
        /// By whom: `host` (its own watchdog) or `controller`.
        by: String,
        steps: Vec<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
    },
    HostEnded {
        host: String,
        outcome: HostOutcome,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        millis: u64,
    },
    /// Something in a recovery drill.
    Drill(DrillEvent),
    /// Something in a patch run.
    Patch(PatchEvent),
    /// A backup was made, whole, in all the stores that it was for.
    BackupMade {
        source: String,
        name: String,
        stores: Vec<String>,
        /// RFC 3339: before reading began.
        data_time: String,
        /// Of the plaintext and of the ciphertext.
        bytes: u64,
        size: u64,
        files: u64,
        sha256: String,
        millis: u64,
        /// What is odd about it, e.g. files that changed while they were read.
        #[serde(default)]
        warnings: Vec<String>,
    },
    /// None was made; what had been begun is gone.
    BackupFailed { source: String, reason: String },
    /// Something that a person should know and that belongs to no other event.
    Note {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        host: Option<String>,
        text: String,
    },
    RunEnded {
        /// The exit code.
        code: u8,
        millis: u64,
        /// Why it stopped early, if it did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        stopped: Option<String>,
    },
}

/// One planned change, as a person reads it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChangeNote {
    /// The step's id within the run and host, e.g. `s3`.
    pub step: String,
    /// What is changed, e.g. `file /etc/ssh/sshd_config.d/00-seawall.conf`.
    pub target: String,
    /// The rules it serves.
    pub rules: Vec<String>,
    /// `safe`, `disruptive`, `lock-out`.
    pub risk: String,
    /// A unified diff, or `-before` / `+after` lines.
    pub diff: String,
    /// What an undo cannot bring back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_way_back: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StepOutcome {
    Done,
    /// It was no longer as planned; nothing was done.
    Stale,
    /// It went wrong and was undone at once.
    Failed,
    /// It was undone (rollback).
    Undone,
    /// It could not be undone.
    UndoFailed,
    /// Not begun.
    Skipped,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HostOutcome {
    /// All as demanded, nothing changed.
    Clean,
    /// Findings remain.
    Findings,
    /// Changed, confirmed, and now as demanded as far as `apply` can bring it.
    Changed,
    /// A change failed, or the host undid the run.
    Failed,
    /// Not seen, or not to the end.
    Unknown,
    /// A wave before it used up the failure budget.
    NotStarted,
}
