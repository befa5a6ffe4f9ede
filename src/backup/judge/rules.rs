//! The rules that backups are judged by: what each is called, why it is there, and which controls
//! it serves.

use std::collections::BTreeMap;

use super::Said;
use crate::model::{Control, Finding, Severity};

/// One demand on the backups of a source.
pub struct Rule {
    pub id: &'static str,
    pub title: &'static str,
    pub why: &'static str,
    pub severity: Severity,
    /// Framework → requirements.
    controls: &'static [(&'static str, &'static [&'static str])],
}

const BACKED_UP: &[(&str, &[&str])] = &[
    ("cis-controls-8", &["11.2"]),
    ("iso-27001", &["A.8.13"]),
    ("soc-2", &["A1.2"]),
];
const PROTECTED: &[(&str, &[&str])] = &[
    ("cis-controls-8", &["11.3"]),
    ("iso-27001", &["A.8.13", "A.8.24"]),
    ("soc-2", &["A1.2", "CC6.1"]),
];
const ISOLATED: &[(&str, &[&str])] = &[
    ("cis-controls-8", &["11.4"]),
    ("iso-27001", &["A.8.13", "A.8.14"]),
    ("soc-2", &["A1.2"]),
];
const TESTED: &[(&str, &[&str])] = &[
    ("cis-controls-8", &["11.5"]),
    ("iso-27001", &["A.8.13"]),
    ("soc-2", &["A1.2", "A1.3"]),
];

/// What is judged of every source, without a key.
pub const WITHOUT_KEY: &[Rule] = &[
    Rule {
        id: "backup.present",
        title: "There is a backup",
        why: "A source that nobody backs up is noticed when it is gone.",
        severity: Severity::Critical,
        controls: BACKED_UP,
    },
    Rule {
        id: "backup.on-schedule",
        title: "The last scheduled backup was made",
        why: "A job that stopped running says nothing. Only asking the store shows it.",
        severity: Severity::High,
        controls: BACKED_UP,
    },
    Rule {
        id: "backup.fresh",
        title: "The newest data is no older than the RPO",
        why: "What was written after the newest backup is lost with the source. The time is that of \
              the data, from before reading began, and never that of a copy.",
        severity: Severity::High,
        controls: BACKED_UP,
    },
    Rule {
        id: "backup.size-plausible",
        title: "The newest backup has a plausible size",
        why: "An empty dump is a valid file, made on time. That it is a hundredth of yesterday's is \
              what gives it away.",
        severity: Severity::High,
        controls: TESTED,
    },
    Rule {
        id: "backup.signed",
        title: "Every backup is vouched for",
        why: "Whoever can write to a store could put another file there, or an old one under a new \
              name. A signature by the key of whoever makes backups is what they cannot put there.",
        severity: Severity::High,
        controls: PROTECTED,
    },
    Rule {
        id: "backup.encrypted-to",
        title: "The newest backup is encrypted to those demanded, and nobody else",
        why: "A recipient too few cannot restore; one too many reads everything.",
        severity: Severity::Critical,
        controls: PROTECTED,
    },
    Rule {
        id: "backup.hash",
        title: "The ciphertext is as it was made",
        why: "Disks and lines lose bits, and someone may help them. One wrong bit ends a restore.",
        severity: Severity::Critical,
        controls: PROTECTED,
    },
    Rule {
        id: "backup.places",
        title: "The newest backup is held in enough independent places",
        why: "What takes the source may take a store beside it.",
        severity: Severity::High,
        controls: ISOLATED,
    },
    Rule {
        id: "backup.kept",
        title: "Backups are kept as long as demanded",
        why: "Damage that is noticed after a month needs a backup from before.",
        severity: Severity::High,
        controls: BACKED_UP,
    },
    Rule {
        id: "backup.leftovers",
        title: "No half-made backup lies about",
        why: "A writer was killed. What it left is never taken for a backup, but takes room, and \
              says that something went wrong.",
        severity: Severity::Low,
        controls: BACKED_UP,
    },
];

/// What is judged besides where a key is at hand.
pub const WITH_KEY: &[Rule] = &[
    Rule {
        id: "backup.content",
        title: "The backup opens, and every byte is as its manifest says",
        why: "Only reading it to its end shows that it can be read to its end.",
        severity: Severity::Critical,
        controls: TESTED,
    },
    Rule {
        id: "backup.recipients",
        title: "Each key that was given opens it",
        why: "A key in a safe that opens nothing is found on the worst day.",
        severity: Severity::High,
        controls: TESTED,
    },
    Rule {
        id: "backup.canary",
        title: "The canary in it is the one that was planted",
        why: "It says of which moment the data is, by something that was written into the source.",
        severity: Severity::Medium,
        controls: TESTED,
    },
];

/// Rule → why it is there, for the report.
pub fn explained(with_key: bool) -> BTreeMap<String, String> {
    let keyed = WITH_KEY.iter().filter(|_| with_key);
    WITHOUT_KEY
        .iter()
        .chain(keyed)
        .map(|rule| (rule.id.to_owned(), rule.why.to_owned()))
        .collect()
}

/// What was said of a rule, as a finding on a source. `None`: there is no such rule.
pub(super) fn finding(id: &str, source: &str, said: Said) -> Option<Finding> {
    let rule = WITHOUT_KEY
        .iter()
        .chain(WITH_KEY)
        .find(|rule| rule.id == id)?;
    let controls = rule.controls.iter().flat_map(|(framework, ids)| {
        ids.iter().map(|id| Control {
            framework: (*framework).to_owned(),
            id: (*id).to_owned(),
        })
    });
    Some(Finding {
        host: source.to_owned(),
        rule: rule.id.to_owned(),
        title: rule.title.to_owned(),
        area: "backup".to_owned(),
        severity: rule.severity,
        level: 1,
        controls: controls.collect(),
        status: said.status,
        expected: said.expected,
        actual: said.actual,
        reason: said.reason,
        fixable: false,
        waiver: None,
    })
}
