//! Planning: failed rules + snapshot → steps, each with its inverse. Pure.
//!
//! All edits of one file become one write; equal scripts fall together; what contradicts what is
//! already planned is left out, with the reason. What could lock us out comes last.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::journal::ChangeNote;
use crate::shell::is_dangerous;

use super::edit::{self, Edit};
use super::intent::{FileIntent, Intent, Ownership, Reaction, Risk, ScriptIntent, Stage};
use super::judge::Judged;
use super::rules::RuleSet;
use super::snapshot::{FileKind, FileState, Seen, Snapshot};

/// What would be done on one host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub steps: Vec<Step>,
    /// Rules that fail and cannot be brought about, with the reason.
    pub blocked: BTreeMap<String, String>,
}

/// One change of one thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// `s1`, `s2`… in the order in which they are done.
    pub id: String,
    pub target: String,
    pub rules: Vec<String>,
    pub risk: Risk,
    pub stage: Stage,
    pub diff: String,
    pub no_way_back: Option<String>,
    pub work: Work,
    pub reaction: Option<Reaction>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Work {
    File(FileWork),
    Script(ScriptIntent),
}

/// One file, from how it was seen to how it shall be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileWork {
    pub path: String,
    /// How it was; `None`: not there.
    pub before: Option<FileState>,
    /// The new text; `None`: the text is left alone (or was never looked at).
    pub content: Option<String>,
    /// It shall not be there.
    pub remove: bool,
    /// A directory is to be made.
    pub directory: bool,
    /// Ownership afterwards, where it is set; a new file always has one.
    pub own: Option<Ownership>,
    pub validate_new: Vec<String>,
    pub validate_placed: Vec<String>,
    /// Who wants what, in order: what rollback of one rule needs.
    pub edits: Vec<(String, Edit)>,
}

impl Plan {
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// As the journal tells it.
    pub fn notes(&self) -> Vec<ChangeNote> {
        self.steps
            .iter()
            .map(|step| ChangeNote {
                step: step.id.clone(),
                target: step.target.clone(),
                rules: step.rules.clone(),
                risk: match step.risk {
                    Risk::Safe => "safe",
                    Risk::Disruptive => "disruptive",
                    Risk::LockOut => "lock-out",
                }
                .into(),
                diff: step.diff.clone(),
                no_way_back: step.no_way_back.clone(),
            })
            .collect()
    }
}

/// The hash by which a file's text is recognised: SHA-256 in hexadecimal, as `sha256sum` has it.
pub fn text_hash(text: &str) -> String {
    Sha256::digest(text.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// Plans the mending of every failed rule that `wanted` lets through, and says in each finding
/// whether it can be mended.
pub fn plan(
    set: &RuleSet,
    judged: &mut [Judged],
    snapshot: &Snapshot,
    wanted: &dyn Fn(&str) -> bool,
) -> Plan {
    let mut gathering = Gathering::default();
    for (rule, one) in set.rules.iter().zip(judged.iter_mut()) {
        if one.finding.status != crate::model::Status::Fail || one.failed.is_empty() {
            continue;
        }
        let mut intents = Vec::new();
        let mut reason = None;
        for index in &one.failed {
            let Some(resource) = rule.resources.get(*index).and_then(|r| r.get()) else {
                continue;
            };
            match resource.fix(snapshot) {
                Ok(some) => intents.extend(some),
                Err(why) => reason = Some(why.0),
            }
        }
        if intents.is_empty() && reason.is_none() {
            reason = Some("no way to change it is known".into());
        }
        one.finding.fixable = reason.is_none();
        if !wanted(&rule.id) {
            continue;
        }
        if reason.is_none() {
            reason = gathering.take(&rule.id, intents, snapshot).err();
        }
        if let Some(why) = reason {
            one.finding.fixable = false;
            if one.finding.reason.is_none() {
                one.finding.reason = Some(why.clone());
            }
            gathering.blocked.insert(rule.id.clone(), why);
        }
    }
    gathering.finish(snapshot)
}

/// Steps as they come together.
#[derive(Default)]
struct Gathering {
    files: Vec<(String, Vec<(String, FileIntent)>)>,
    scripts: Vec<(Vec<String>, ScriptIntent)>,
    blocked: BTreeMap<String, String>,
}

impl Gathering {
    /// Takes all intents of a rule, or none of them.
    fn take(
        &mut self,
        rule: &str,
        intents: Vec<Intent>,
        snapshot: &Snapshot,
    ) -> Result<(), String> {
        for intent in &intents {
            match intent {
                Intent::File(file) => self.fits_file(file, snapshot)?,
                Intent::Script(script) => self.fits_script(script)?,
            }
        }
        for intent in intents {
            match intent {
                Intent::File(file) => match self.files.iter_mut().find(|(p, _)| *p == file.path) {
                    Some((_, all)) => all.push((rule.to_owned(), file)),
                    None => self
                        .files
                        .push((file.path.clone(), vec![(rule.to_owned(), file)])),
                },
                Intent::Script(script) => {
                    match self.scripts.iter_mut().find(|(_, s)| *s == script) {
                        Some((rules, _)) => rules.push(rule.to_owned()),
                        None => self.scripts.push((vec![rule.to_owned()], script)),
                    }
                }
            }
        }
        Ok(())
    }

    fn fits_file(&self, file: &FileIntent, snapshot: &Snapshot) -> Result<(), String> {
        let path = &file.path;
        if !path.starts_with('/') || path.chars().any(|c| is_dangerous(c) || c == '\\') {
            return Err(format!("{path:?} is not a path that can be changed safely"));
        }
        let touches_text = !matches!(
            file.edit,
            Edit::Own { .. } | Edit::Directory(_) | Edit::Absent
        );
        match snapshot.files.get(path) {
            None => return Err(format!("{path} was not looked at")),
            Some(Seen::No(why)) => return Err(format!("{path} was not seen: {why}")),
            Some(Seen::Yes(state)) if touches_text && state.kind == FileKind::File => {
                if let Seen::No(why) = &state.content {
                    return Err(format!("the text of {path} was not seen: {why}"));
                }
            }
            Some(_) => {}
        }
        if let Some(Seen::Yes(state)) = snapshot.files.get(path) {
            let right = match file.edit {
                Edit::Own { .. } => state.kind != FileKind::Link,
                Edit::Directory(_) => state.kind == FileKind::Directory,
                Edit::Absent => state.kind == FileKind::File || state.kind == FileKind::Link,
                _ => state.kind == FileKind::File,
            };
            if !right {
                return Err(match &state.link {
                    Some(to) => format!("{path} is a symbolic link to {to}: change that file"),
                    None => format!("{path} is not a plain file"),
                });
            }
        }
        let same = self.files.iter().find(|(p, _)| p == path);
        for (other, earlier) in same.iter().flat_map(|(_, all)| all) {
            if edit::conflict(&earlier.edit, &file.edit) {
                return Err(format!("rule {other} wants something else of {path}"));
            }
        }
        Ok(())
    }

    fn fits_script(&self, script: &ScriptIntent) -> Result<(), String> {
        match self
            .scripts
            .iter()
            .find(|(_, s)| s.target == script.target && s != script)
        {
            Some((rules, _)) => Err(format!(
                "rule {} wants something else of {}",
                rules.first().map_or("?", String::as_str),
                script.target
            )),
            None => Ok(()),
        }
    }

    fn finish(self, snapshot: &Snapshot) -> Plan {
        let mut steps: Vec<Step> = Vec::new();
        for (path, wanted) in self.files {
            let rules = distinct(wanted.iter().map(|(rule, _)| rule.clone()));
            let risk = wanted
                .iter()
                .map(|(_, f)| f.risk)
                .max()
                .unwrap_or(Risk::Safe);
            let mut reaction = None;
            for (_, file) in &wanted {
                reaction = reaction.or_else(|| file.reaction.clone());
            }
            let work = file_work(&path, wanted, snapshot);
            if let Some(diff) = file_diff(&work) {
                steps.push(Step {
                    id: String::new(),
                    target: format!("file {path}"),
                    rules,
                    risk,
                    stage: if risk == Risk::LockOut {
                        Stage::Access
                    } else {
                        Stage::File
                    },
                    diff,
                    no_way_back: None,
                    work: Work::File(work),
                    reaction,
                });
            }
        }
        for (rules, script) in self.scripts {
            steps.push(Step {
                id: String::new(),
                target: script.target.clone(),
                rules: distinct(rules),
                risk: script.risk,
                stage: script.stage,
                diff: format!("-{}\n+{}\n", script.before, script.after),
                no_way_back: script.no_way_back.clone(),
                reaction: script.reaction.clone(),
                work: Work::Script(script),
            });
        }
        // Stable: within a stage, in the order of the rules.
        steps.sort_by_key(|step| (step.stage, step.risk));
        for (number, step) in steps.iter_mut().enumerate() {
            step.id = format!("s{}", number + 1);
        }
        Plan {
            steps,
            blocked: self.blocked,
        }
    }
}

fn distinct(rules: impl IntoIterator<Item = String>) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for rule in rules {
        if !out.contains(&rule) {
            out.push(rule);
        }
    }
    out
}

fn file_work(path: &str, wanted: Vec<(String, FileIntent)>, snapshot: &Snapshot) -> FileWork {
    let before = snapshot.files.get(path).and_then(Seen::yes).cloned();
    let edits: Vec<(String, Edit)> = wanted
        .iter()
        .map(|(rule, file)| (rule.clone(), file.edit.clone()))
        .collect();
    let old = before.as_ref().and_then(|f| f.content.yes());
    let touches_text = edits
        .iter()
        .any(|(_, e)| !matches!(e, Edit::Own { .. } | Edit::Directory(_)));
    let new = touches_text
        .then(|| edit::apply_all(edits.iter().map(|(_, e)| e), old.map(String::as_str)))
        .flatten();
    let directory = edits.iter().any(|(_, e)| matches!(e, Edit::Directory(_)));
    let create = wanted
        .iter()
        .find_map(|(_, f)| match &f.edit {
            Edit::Directory(own) => Some(own.clone()),
            Edit::Own { .. } => None,
            _ => Some(f.create.clone()),
        })
        .unwrap_or_else(|| Ownership::root(0o644));
    let validators = |pick: fn(&FileIntent) -> Option<&String>| {
        distinct(wanted.iter().filter_map(|(_, f)| pick(f).cloned()))
    };
    FileWork {
        path: path.to_owned(),
        own: ownership(before.as_ref(), &create, edits.iter().map(|(_, e)| e)),
        remove: touches_text && new.is_none(),
        content: new.filter(|text| old.map(String::as_str) != Some(text.as_str())),
        directory,
        validate_new: validators(|f| f.validate_new.as_ref()),
        validate_placed: validators(|f| f.validate_placed.as_ref()),
        before,
        edits,
    }
}

/// Ownership afterwards; `None` where a file that is there keeps its own.
pub fn ownership<'a>(
    before: Option<&FileState>,
    create: &Ownership,
    edits: impl IntoIterator<Item = &'a Edit>,
) -> Option<Ownership> {
    let start = match before {
        Some(state) => Ownership {
            owner: state.owner.clone(),
            group: state.group.clone(),
            mode: state.mode,
        },
        None => create.clone(),
    };
    let mut own = start.clone();
    for one in edits {
        if let Edit::Own {
            owner,
            group,
            mode,
            clear,
        } = one
        {
            if let Some(owner) = owner {
                own.owner.clone_from(owner);
            }
            if let Some(group) = group {
                own.group.clone_from(group);
            }
            own.mode = mode.unwrap_or(own.mode) & !clear;
        }
    }
    (before.is_none() || own != start).then_some(own)
}

/// What a person sees of it; `None` where nothing would change.
fn file_diff(work: &FileWork) -> Option<String> {
    let old = work.before.as_ref().and_then(|f| f.content.yes());
    let mut diff = String::new();
    if work.remove {
        work.before.as_ref()?;
        diff = edit::unified_diff(&work.path, old.map(String::as_str), None);
    } else if let Some(new) = &work.content {
        diff = edit::unified_diff(&work.path, old.map(String::as_str), Some(new));
    }
    if !work.remove
        && let Some(own) = &work.own
    {
        if let Some(state) = &work.before {
            diff.push_str(&format!(
                "-{}:{} {:04o}\n",
                state.owner, state.group, state.mode
            ));
        }
        diff.push_str(&format!("+{}:{} {:04o}\n", own.owner, own.group, own.mode));
    }
    (!diff.is_empty()).then_some(diff)
}
