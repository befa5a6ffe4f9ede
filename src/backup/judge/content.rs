//! What is judged with a key: what is inside.

use std::collections::BTreeSet;

use super::{Facts, Said, Seen, bare, some};
use crate::backup::archive::ArchiveHeader;
use crate::model::{Status, sha256_hex};
use crate::shell::clean;

/// One archive that was opened.
#[derive(Clone, Debug)]
pub struct Opened {
    pub name: String,
    pub store: String,
    /// What was found inside, read to its end; or why it was not.
    pub inside: Result<Inside, String>,
    /// Each identity that was tried on its header alone.
    pub unlocked: Vec<Unlocked>,
}

/// What is inside an archive.
#[derive(Clone, Debug, Default)]
pub struct Inside {
    /// What it is, in words.
    pub form: String,
    pub header: Option<ArchiveHeader>,
    pub has_manifest: bool,
    pub files: u64,
    pub bytes: u64,
    /// Where it differs from its own manifest.
    pub differences: Vec<String>,
    /// Whether the manifest knows the canary's file; `None`: it has none.
    pub canary_file: Option<bool>,
}

/// One identity, and whether it opens an archive.
#[derive(Clone, Debug)]
pub struct Unlocked {
    /// Where it came from: a file, the environment.
    pub label: String,
    /// The recipients that it stands for, as far as that is known.
    pub recipients: Vec<String>,
    pub opens: Result<(), String>,
}

pub(super) fn judge(facts: &Facts, seen: &Seen, opened: &[Opened]) -> Vec<(&'static str, Said)> {
    vec![
        ("backup.content", content(facts, seen, opened)),
        ("backup.recipients", recipients(facts, opened)),
        ("backup.canary", canary(facts, seen, opened)),
    ]
}

fn list(all: &[String]) -> String {
    some(&all.iter().map(String::as_str).collect::<Vec<_>>())
}

fn content(facts: &Facts, seen: &Seen, opened: &[Opened]) -> Said {
    let expected = "it opens to its end, and every byte is as its manifest says";
    let (mut wrong, mut unknown, mut right) = (Vec::new(), Vec::new(), Vec::new());
    for one in opened {
        let place = format!("{} in {}", one.name, one.store);
        let inside = match &one.inside {
            Ok(inside) => inside,
            Err(why) => {
                wrong.push(format!("{place}: {why}"));
                continue;
            }
        };
        if let Some(difference) = inside.differences.first() {
            let more = inside.differences.len() - 1;
            wrong.push(format!(
                "{place}: {difference}, and {more} more differences"
            ));
            continue;
        }
        if let Some(why) = inside
            .header
            .as_ref()
            .and_then(|header| stranger(header, facts, seen, one))
        {
            wrong.push(why);
            continue;
        }
        let told = format!(
            "{place}: {}, {} files, {} bytes",
            inside.form, inside.files, inside.bytes
        );
        match inside.has_manifest {
            true => right.push(told),
            false => unknown.push(format!(
                "{told}; it has no manifest to compare with, so more is not known"
            )),
        }
    }
    if !wrong.is_empty() {
        return Said::new(Status::Fail, expected, list(&wrong));
    }
    if !unknown.is_empty() || right.is_empty() {
        let why = if unknown.is_empty() {
            "nothing was opened".to_owned()
        } else {
            list(&unknown)
        };
        return Said::new(Status::Unknown, expected, list(&right)).because(why);
    }
    Said::new(Status::Pass, expected, list(&right))
}

/// Why what is inside is not what it is called: another archive under this name.
fn stranger(header: &ArchiveHeader, facts: &Facts, seen: &Seen, one: &Opened) -> Option<String> {
    if header.source != facts.source.source {
        return Some(format!(
            "{}: inside is a backup of {}",
            one.name,
            clean(&header.source, 80)
        ));
    }
    let sidecar = seen.sidecar(&one.name)?;
    (header.data_time != sidecar.data_time).then(|| {
        format!(
            "{}: inside is a backup of {}, and its sidecar says {}",
            one.name,
            clean(&header.data_time, 40),
            clean(&sidecar.data_time, 40)
        )
    })
}

fn recipients(facts: &Facts, opened: &[Opened]) -> Said {
    let expected = "each key that was given opens it";
    let mut wrong = Vec::new();
    let mut right: BTreeSet<&str> = BTreeSet::new();
    let mut tried: BTreeSet<String> = BTreeSet::new();
    for one in opened {
        for unlocked in &one.unlocked {
            match &unlocked.opens {
                Ok(()) => {
                    right.insert(&unlocked.label);
                    tried.extend(unlocked.recipients.iter().map(|r| bare(r)));
                }
                Err(why) => wrong.push(format!("{} on {}: {why}", unlocked.label, one.name)),
            }
        }
    }
    if !wrong.is_empty() {
        return Said::new(Status::Fail, expected, list(&wrong));
    }
    if right.is_empty() {
        return Said::new(Status::Unknown, expected, "none was tried")
            .because("there was nothing to open");
    }
    let mut actual = right.into_iter().collect::<Vec<_>>().join(", ");
    let untried = facts
        .policy
        .recipients
        .iter()
        .filter(|recipient| !tried.contains(&bare(recipient)))
        .count();
    if untried > 0 {
        actual = format!("{actual}; of the policy's recipients {untried} were not tried");
    }
    Said::new(Status::Pass, expected, actual)
}

fn canary(facts: &Facts, seen: &Seen, opened: &[Opened]) -> Said {
    let expected = "the canary inside is the one that its signed sidecar speaks of";
    if facts.source.canary.is_none() {
        return Said::new(Status::NotApplicable, expected, "none")
            .because("the policy asks for no canary in this source");
    }
    let (mut wrong, mut unknown, mut right) = (Vec::new(), Vec::new(), Vec::new());
    for one in opened {
        let Ok(inside) = &one.inside else {
            unknown.push(format!("{} was not opened", one.name));
            continue;
        };
        let canary = inside
            .header
            .as_ref()
            .and_then(|header| header.canary.as_ref());
        let claim = seen.sidecar(&one.name).and_then(|s| s.canary.as_ref());
        match (canary, claim) {
            (None, _) => wrong.push(format!("{}: there is none inside", one.name)),
            (Some(_), None) => wrong.push(format!("{}: its sidecar knows of none", one.name)),
            (Some(canary), Some(claim))
                if sha256_hex(canary.token.as_bytes()) != claim.token_sha256
                    || canary.at != claim.at =>
            {
                wrong.push(format!("{}: it is another than its sidecar says", one.name));
            }
            (Some(canary), Some(_)) if inside.canary_file == Some(false) => wrong.push(format!(
                "{}: its file {} is not inside",
                one.name,
                clean(&canary.place, 120)
            )),
            (Some(canary), Some(_)) => {
                let table = match inside.canary_file {
                    Some(_) => "",
                    None => " (that its row is in the database, a drill proves)",
                };
                right.push(format!("planted {}{table}", clean(&canary.at, 40)));
            }
        }
    }
    if !wrong.is_empty() {
        return Said::new(Status::Fail, expected, list(&wrong));
    }
    if !unknown.is_empty() || right.is_empty() {
        return Said::new(Status::Unknown, expected, list(&right)).because(list(&unknown));
    }
    Said::new(Status::Pass, expected, list(&right))
}
