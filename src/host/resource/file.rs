//! `file`: owner, group, mode, content, presence of a file or directory.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::paths::{self, IfMissing};
use super::{Claim, Judgement, Resource, Unfixable, Verdict};
use crate::document::Words;
use crate::host::edit::Edit;
use crate::host::intent::{FileIntent, Intent, Ownership, Risk};
use crate::host::probe::Queries;
use crate::host::probe::files::{followed, is_glob};
use crate::host::snapshot::{FileKind, FileState, Seen, Snapshot};

/// A file or directory, or all that a pattern finds: who owns it, who may do what with it, what
/// it holds, whether it is there.
///
/// Seen by one `stat` and one read for all files of a host. Changed in place, or written beside
/// and moved into place when the content changes; the original with owner and mode is kept for
/// rollback. A symbolic link is followed: what it points to is judged and changed.
///
/// Traps: `mode` only takes bits away, so a stricter mode is never loosened; say `exact: true`
/// where it must be this one. Files that hold password hashes or private keys are never read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// An absolute path, or a pattern with `*`, `?` or `[…]`, which stands for all that it finds.
    pub path: String,
    /// Any of these is right; the first is set.
    #[serde(default, skip_serializing_if = "is_none")]
    pub owner: Words,
    /// Any of these is right; the first is set.
    #[serde(default, skip_serializing_if = "is_none")]
    pub group: Words,
    /// No looser than this, in octal, e.g. `0640`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// The mode must be exactly `mode`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub exact: bool,
    /// The whole text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// The whole text, with variables and conditions (Jinja), filled in for each host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// Whether it is to be there. `present`: a file, made empty if it is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<FileDemand>,
    /// What counts where it is not there: `not-applicable` unless content or state is demanded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub if_missing: Option<IfMissing>,
    /// Paths or patterns that are left out.
    #[serde(default, skip_serializing_if = "is_none")]
    pub exclude: Words,
    /// How much harm a change could do. Paths of sshd, PAM, sudo, accounts, firewall and network
    /// are `lock-out` in any case.
    #[serde(default = "paths::safe")]
    pub risk: Risk,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FileDemand {
    Present,
    Absent,
    Directory,
}

fn is_none(words: &Words) -> bool {
    words.0.is_empty()
}

impl File {
    fn mode_bits(&self) -> Option<u32> {
        self.mode.as_deref().and_then(paths::parse_mode)
    }

    fn text(&self) -> Option<&str> {
        self.content.as_deref().or(self.template.as_deref())
    }

    fn if_missing(&self) -> IfMissing {
        self.if_missing.unwrap_or(match self.state {
            Some(FileDemand::Absent) => IfMissing::Pass,
            None if self.text().is_none() => IfMissing::NotApplicable,
            _ => IfMissing::Fail,
        })
    }

    fn expected(&self) -> String {
        let mut parts = Vec::new();
        match self.state {
            Some(FileDemand::Absent) => return "absent".into(),
            Some(FileDemand::Directory) => parts.push("a directory".to_owned()),
            Some(FileDemand::Present) => parts.push("there".into()),
            None => {}
        }
        match (self.owner.0.as_slice(), self.group.0.as_slice()) {
            ([], []) => {}
            // As `actual` shows them.
            ([owner], [group]) => parts.push(format!("{owner}:{group}")),
            (_, []) => parts.push(format!("owner {}", self.owner.joined(" or "))),
            ([], _) => parts.push(format!("group {}", self.group.joined(" or "))),
            _ => {
                parts.push(format!("owner {}", self.owner.joined(" or ")));
                parts.push(format!("group {}", self.group.joined(" or ")));
            }
        }
        if let Some(mode) = &self.mode {
            let how = if self.exact { "exactly " } else { "" };
            let or = if self.exact { "" } else { " or stricter" };
            parts.push(format!("mode {how}{mode}{or}"));
        }
        if self.text().is_some() {
            parts.push("the content of the rule".into());
        }
        parts.join(", ")
    }

    /// The paths on this host.
    fn paths(&self, snapshot: &Snapshot) -> Result<Vec<String>, String> {
        let mut paths = paths::expand(snapshot, &self.path)?;
        paths.retain(|p| !paths::any_match(&self.exclude, p));
        Ok(paths)
    }

    fn owner_ok(&self, state: &FileState) -> bool {
        one_of(&self.owner, &state.owner, state.uid)
    }

    fn group_ok(&self, state: &FileState) -> bool {
        one_of(&self.group, &state.group, state.gid)
    }

    /// The sticky bit of a directory takes rights away, so it is never too much.
    fn mode_ok(&self, state: &FileState) -> bool {
        match self.mode_bits() {
            None => self.mode.is_none(),
            Some(mode) if self.exact => state.mode == mode,
            Some(mode) if state.kind == FileKind::Directory => state.mode & !mode & !0o1000 == 0,
            Some(mode) => state.mode & !mode == 0,
        }
    }

    fn judge_one(&self, snapshot: &Snapshot, path: &str) -> One {
        if self.state == Some(FileDemand::Absent) {
            // A link that is to be absent is judged itself, whatever it points to.
            return match snapshot.files.get(path) {
                Some(Seen::Absent) => One::Right,
                Some(Seen::Yes(_)) => One::Wrong(format!("{path} is there")),
                Some(Seen::No(why)) => One::Unseen(format!("{path}: {why}")),
                None => One::Unseen(format!("{path}: was not asked for")),
            };
        }
        let state = match paths::state(snapshot, path) {
            Seen::Yes(state) => state,
            Seen::Absent => return One::Missing,
            Seen::No(why) => return One::Unseen(format!("{path}: {why}")),
        };
        let kind_ok = match self.state {
            Some(FileDemand::Directory) => state.kind == FileKind::Directory,
            Some(FileDemand::Present) => state.kind == FileKind::File,
            _ => true,
        };
        let mut text = String::new();
        if let Some(demanded) = self.text() {
            match &state.content {
                Seen::Yes(seen) if seen == demanded => {}
                Seen::No(why) if state.kind == FileKind::File => {
                    return One::Unseen(format!("{path}: {why}"));
                }
                _ => text = ", other content".into(),
            }
        }
        if kind_ok
            && text.is_empty()
            && self.owner_ok(state)
            && self.group_ok(state)
            && self.mode_ok(state)
        {
            return One::Right;
        }
        let kind = if kind_ok { "" } else { kind_word(state.kind) };
        One::Wrong(format!(
            "{path} {kind}{}:{} {:04o}{text}",
            state.owner, state.group, state.mode
        ))
    }

    fn fix_one(&self, snapshot: &Snapshot, path: &str) -> Result<Vec<Intent>, Unfixable> {
        if self.state == Some(FileDemand::Absent) {
            return match snapshot.files.get(path).and_then(Seen::yes) {
                Some(s) if matches!(s.kind, FileKind::Directory | FileKind::Other) => {
                    Err(Unfixable::new(format!(
                        "{path} is not a file, and is not removed without being asked by hand."
                    )))
                }
                _ => Ok(vec![self.intent(path, Edit::Absent)]),
            };
        }
        let (place, state) = followed(snapshot, path);
        let state = match state {
            Seen::Yes(state) => Some(state),
            Seen::Absent => None,
            Seen::No(why) => return Err(Unfixable::new(format!("{path}: {why}."))),
        };
        let mut out = Vec::new();
        match (self.state, state.map(|s| s.kind)) {
            (_, Some(FileKind::Link | FileKind::Other)) => {
                return Err(Unfixable::new(format!(
                    "{path} is not a file or directory."
                )));
            }
            (Some(FileDemand::Directory), Some(FileKind::File))
            | (Some(FileDemand::Present), Some(FileKind::Directory)) => {
                return Err(Unfixable::new(format!("{path} is of another kind.")));
            }
            (Some(FileDemand::Directory), None) => {
                let made = Edit::Directory(self.ownership(0o755));
                return Ok(vec![self.intent(&place, made)]);
            }
            _ => {}
        }
        if let Some(text) = self.text() {
            if state.is_some_and(|s| s.kind == FileKind::Directory) {
                return Err(Unfixable::new(format!("{path} is a directory.")));
            }
            if state.and_then(|s| s.content.yes()).map(String::as_str) != Some(text) {
                out.push(self.intent(&place, Edit::Content(text.to_owned())));
            }
        } else if state.is_none() {
            if self.state != Some(FileDemand::Present) {
                return Err(Unfixable::new(format!(
                    "{path} is not there, and the rule does not say what it would hold."
                )));
            }
            out.push(self.intent(&place, Edit::Content(String::new())));
        }
        out.extend(
            state
                .and_then(|s| self.own(s))
                .map(|own| self.intent(&place, own)),
        );
        Ok(out)
    }

    /// What of owner, group and mode is to change.
    fn own(&self, state: &FileState) -> Option<Edit> {
        let first = |words: &Words, ok: bool| words.0.first().filter(|_| !ok).cloned();
        let mode_ok = self.mode_ok(state);
        let mode = self.mode_bits().filter(|_| !mode_ok);
        let edit = Edit::Own {
            owner: first(&self.owner, self.owner_ok(state)),
            group: first(&self.group, self.group_ok(state)),
            mode: mode.filter(|_| self.exact),
            clear: match mode {
                Some(mode) if !self.exact => 0o7777 & !mode,
                _ => 0,
            },
        };
        let nothing = Edit::Own {
            owner: None,
            group: None,
            mode: None,
            clear: 0,
        };
        (edit != nothing).then_some(edit)
    }

    fn ownership(&self, mode: u32) -> Ownership {
        let first = |words: &Words| words.0.first().cloned().unwrap_or_else(|| "root".into());
        Ownership {
            owner: first(&self.owner),
            group: first(&self.group),
            mode: self.mode_bits().unwrap_or(mode),
        }
    }

    fn intent(&self, path: &str, edit: Edit) -> Intent {
        Intent::File(FileIntent {
            create: self.ownership(0o644),
            ..paths::file_intent(path, edit, 0o644, self.risk)
        })
    }
}

/// What is thought of one path.
enum One {
    Right,
    Missing,
    Wrong(String),
    Unseen(String),
}

fn one_of(words: &Words, name: &str, id: u32) -> bool {
    words.0.is_empty() || words.0.iter().any(|w| w == name || *w == id.to_string())
}

fn kind_word(kind: FileKind) -> &'static str {
    match kind {
        FileKind::File => "(a file) ",
        FileKind::Directory => "(a directory) ",
        FileKind::Link => "(a link) ",
        FileKind::Other => "(neither file nor directory) ",
    }
}

/// How many paths a finding names.
const NAMED: usize = 5;

fn named(all: &[String]) -> String {
    let mut out = all
        .iter()
        .take(NAMED)
        .cloned()
        .collect::<Vec<_>>()
        .join("; ");
    if all.len() > NAMED {
        out.push_str(&format!("; and {} more", all.len() - NAMED));
    }
    out
}

impl Resource for File {
    fn target(&self) -> String {
        self.path.clone()
    }

    fn problems(&self) -> Vec<(&'static str, String)> {
        let mut out = Vec::new();
        out.extend(paths::path_problem(&self.path).map(|p| ("path", p)));
        let absent = self.state == Some(FileDemand::Absent);
        let something = !self.owner.0.is_empty() || !self.group.0.is_empty() || self.mode.is_some();
        let mut say = |field, text: &str| out.push((field, text.to_owned()));
        if self.mode.is_some() && self.mode_bits().is_none() {
            say("mode", "must be three or four octal digits, e.g. `0640`");
        }
        if self.exact && self.mode.is_none() {
            say("exact", "needs `mode`");
        }
        if self.content.is_some() && self.template.is_some() {
            say("template", "`content` and `template` exclude each other");
        }
        if self.text().is_some() && matches!(self.state, Some(s) if s != FileDemand::Present) {
            say("state", "only a file that is present has content");
        }
        if absent && something {
            say("state", "what is absent has neither owner nor mode");
        }
        if self.text().is_some() && is_glob(&self.path) {
            say("path", "a pattern cannot be given content");
        }
        if !something && self.state.is_none() && self.text().is_none() {
            say(
                "path",
                "nothing is demanded of it: say owner, group, mode, content or state",
            );
        }
        out
    }

    fn claims(&self) -> Vec<Claim> {
        let claim = |what: &str, value: String| Claim {
            key: format!("file {} {what}", self.path),
            value,
        };
        let mut out = Vec::new();
        out.extend(self.text().map(|t| claim("content", t.to_owned())));
        out.extend(self.state.map(|s| claim("state", format!("{s:?}"))));
        out.extend(
            self.mode_bits()
                .filter(|_| self.exact)
                .map(|m| claim("mode", format!("{m:04o}"))),
        );
        out
    }

    fn ask(&self, queries: &mut Queries) {
        paths::ask(queries, &self.path, self.text().is_some());
    }

    fn judge(&self, snapshot: &Snapshot) -> Judgement {
        let expected = self.expected();
        let paths = match self.paths(snapshot) {
            Ok(paths) => paths,
            Err(why) => return Judgement::unknown(expected, why),
        };
        let (mut wrong, mut unseen, mut right, mut missing) = (vec![], vec![], 0, 0);
        for path in &paths {
            match self.judge_one(snapshot, path) {
                One::Right => right += 1,
                One::Missing => missing += 1,
                One::Wrong(what) => wrong.push(what),
                One::Unseen(why) => unseen.push(why),
            }
        }
        // What a pattern found is there; it may have gone since, and then needs nothing.
        let all_missing = right == 0 && wrong.is_empty() && unseen.is_empty();
        if !wrong.is_empty() {
            return Judgement::new(Verdict::Fail, expected, named(&wrong));
        }
        if !unseen.is_empty() {
            return Judgement::unknown(expected, named(&unseen));
        }
        if all_missing || missing > 0 && !is_glob(&self.path) {
            let actual = if is_glob(&self.path) {
                "nothing found"
            } else {
                "not there"
            };
            return match self.if_missing() {
                IfMissing::Pass => Judgement::new(Verdict::Pass, expected, actual),
                IfMissing::Fail => Judgement::new(Verdict::Fail, expected, actual),
                IfMissing::NotApplicable => {
                    Judgement::not_applicable(expected, format!("{} is not there", self.path))
                }
            };
        }
        let actual = match right {
            1 => "as demanded".to_owned(),
            n => format!("{n} as demanded"),
        };
        Judgement::new(Verdict::Pass, expected, actual)
    }

    fn fix(&self, snapshot: &Snapshot) -> Result<Vec<Intent>, Unfixable> {
        if self.mode.is_some() && self.mode_bits().is_none() {
            return Err(Unfixable::new("The mode of the rule is not a mode."));
        }
        let mut out = Vec::new();
        for path in self.paths(snapshot).map_err(Unfixable::new)? {
            match self.judge_one(snapshot, &path) {
                One::Wrong(_) => out.extend(self.fix_one(snapshot, &path)?),
                One::Missing if !is_glob(&self.path) => {
                    out.extend(self.fix_one(snapshot, &path)?);
                }
                _ => {}
            }
        }
        if out.is_empty() {
            return Err(Unfixable::new(format!(
                "Nothing that {} finds can be changed.",
                self.path
            )));
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests;
