//! `line`: a line that must, or must not, stand in a file.

use regex::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::demand::regex;
use super::paths::{self, IfMissing, Then};
use super::{Claim, Judgement, Resource, Unfixable, Verdict};
use crate::document::Words;
use crate::host::edit::Edit;
use crate::host::intent::{Intent, Risk};
use crate::host::probe::Queries;
use crate::host::probe::files::is_glob;
use crate::host::snapshot::Snapshot;

/// A line stands in at least one of the files, or no line of any of them is of some kind.
///
/// Changed by adding the line to the file that `write` names (in the place of the first line that
/// `absent` matches, if there is one), and by taking out what must be absent. Rollback brings
/// every file back to the byte.
///
/// Traps: lines are compared whole, white space included; expressions match anywhere in a line
/// unless they are anchored with `^` and `$`, and see comments too.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// Paths and patterns that are looked at.
    pub files: Words,
    /// The file that is edited; the first of `files` if it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub write: Option<String>,
    /// The line that must be there; with `matches`, the line that is written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<String>,
    /// A regular expression that some line must match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matches: Option<String>,
    /// A regular expression that no line may match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub absent: Option<String>,
    /// What is demanded, in words; it is shown in place of the expressions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// The line is put at the top.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub first: bool,
    /// What counts where none of the files is there: `fail` where a line must be there, `pass`
    /// otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub if_missing: Option<IfMissing>,
    /// What is done once after the file was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub then: Option<Then>,
    /// The mode of a new file; `0644` if it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    #[serde(default = "paths::safe")]
    pub risk: Risk,
}

impl Line {
    fn wants_line(&self) -> bool {
        self.line.is_some() || self.matches.is_some()
    }

    fn write(&self) -> Option<&str> {
        let first = || self.files.0.first().map(String::as_str);
        self.write.as_deref().or_else(first).filter(|p| !is_glob(p))
    }

    fn expected(&self) -> String {
        if let Some(words) = &self.expected {
            return words.clone();
        }
        let mut parts = Vec::new();
        match (&self.matches, &self.line) {
            (Some(matches), _) => parts.push(format!("a line matching /{matches}/")),
            (None, Some(line)) => parts.push(format!("the line `{line}`")),
            (None, None) => {}
        }
        if let Some(absent) = &self.absent {
            parts.push(format!("no line matching /{absent}/"));
        }
        parts.join(", ")
    }

    /// Whether some line is as demanded, and what should not be there (`path:line: text`).
    fn look(&self, texts: &[(String, &str)]) -> Result<(bool, Vec<String>), String> {
        let matches = self.matches.as_deref().map(regex).transpose()?;
        let absent = self.absent.as_deref().map(regex).transpose()?;
        let right = |line: &str| match (&matches, &self.line) {
            (Some(matches), _) => matches.is_match(line),
            (None, Some(wanted)) => line == wanted,
            (None, None) => true,
        };
        let hit =
            |absent: &Option<Regex>, line: &str| absent.as_ref().is_some_and(|a| a.is_match(line));
        let mut there = !self.wants_line();
        let mut wrong = Vec::new();
        for (path, text) in texts {
            for (at, line) in text.lines().enumerate() {
                there |= self.wants_line() && right(line);
                if hit(&absent, line) {
                    wrong.push(format!("{path}:{}: {line}", at + 1));
                }
            }
        }
        Ok((there, wrong))
    }
}

impl Resource for Line {
    fn target(&self) -> String {
        self.files.joined(" ")
    }

    fn problems(&self) -> Vec<(&'static str, String)> {
        let mut out = Vec::new();
        let paths = self.files.0.iter().map(|p| ("files", p));
        for (field, path) in paths.chain(self.write.iter().map(|p| ("write", p))) {
            out.extend(paths::path_problem(path).map(|p| (field, p)));
        }
        if self.files.0.is_empty() {
            out.push(("files", "names no file".into()));
        }
        if !self.wants_line() && self.absent.is_none() {
            out.push(("line", "say `line`, `matches` or `absent`".into()));
        }
        if self.expected.as_ref().is_some_and(|w| w.trim().is_empty()) {
            out.push(("expected", "must not be empty".into()));
        }
        if self.line.as_ref().is_some_and(|l| l.trim().is_empty()) {
            out.push(("line", "must not be empty".into()));
        }
        if self.line.as_ref().is_some_and(|l| l.contains(['\n', '\r'])) {
            out.push(("line", "must be one line".into()));
        }
        if self.line.is_some() && self.write().is_none() {
            out.push((
                "write",
                "is needed where the first of `files` is a pattern".into(),
            ));
        }
        if let Some(write) = &self.write
            && !paths::any_match(&self.files, write)
        {
            out.push((
                "write",
                "is none of `files`, so what is written would not be read".into(),
            ));
        }
        for (field, pattern) in [("matches", &self.matches), ("absent", &self.absent)] {
            let Some(Err(error)) = pattern.as_deref().map(regex) else {
                continue;
            };
            out.push((field, format!("is not a regular expression: {error}")));
        }
        let hits = |p: &Option<String>, line: &str| {
            let regex = p.as_deref().map(regex);
            regex.and_then(Result::ok).map(|r| r.is_match(line))
        };
        if let Some(line) = &self.line {
            if hits(&self.absent, line) == Some(true) {
                out.push(("absent", "matches the line that must be there".into()));
            }
            if hits(&self.matches, line) == Some(false) {
                out.push((
                    "matches",
                    "does not match the line that would be written".into(),
                ));
            }
        }
        if self.mode.is_some() && self.mode.as_deref().and_then(paths::parse_mode).is_none() {
            out.push(("mode", "must be three or four octal digits".into()));
        }
        out.extend(
            self.then
                .as_ref()
                .and_then(Then::problem)
                .map(|p| ("then", p)),
        );
        out
    }

    fn ask(&self, queries: &mut Queries) {
        for path in &self.files.0 {
            paths::ask(queries, path, true);
        }
        if let Some(write) = self.write() {
            queries.text(write);
        }
    }

    fn claims(&self) -> Vec<Claim> {
        Vec::new()
    }

    fn judge(&self, snapshot: &Snapshot) -> Judgement {
        let expected = self.expected();
        let texts = match paths::texts(snapshot, &self.files) {
            Ok(texts) => texts,
            Err(why) => return Judgement::unknown(expected, why),
        };
        let default = if self.wants_line() {
            IfMissing::Fail
        } else {
            IfMissing::Pass
        };
        if texts.is_empty() {
            let why = format!("{} is not there", self.target());
            return match self.if_missing.unwrap_or(default) {
                IfMissing::Pass => Judgement::new(Verdict::Pass, expected, why),
                IfMissing::Fail => Judgement::new(Verdict::Fail, expected, why),
                IfMissing::NotApplicable => Judgement::not_applicable(expected, why),
            };
        }
        let (there, wrong) = match self.look(&texts) {
            Ok(looked) => looked,
            Err(why) => return Judgement::unknown(expected, why),
        };
        let mut actual = wrong.into_iter().take(5).collect::<Vec<_>>();
        if !there {
            actual.push("not there".into());
        }
        match actual.is_empty() {
            true => Judgement::new(Verdict::Pass, expected, "as demanded"),
            false => Judgement::new(Verdict::Fail, expected, actual.join("; ")),
        }
    }

    fn fix(&self, snapshot: &Snapshot) -> Result<Vec<Intent>, Unfixable> {
        let texts = paths::texts(snapshot, &self.files).map_err(Unfixable::new)?;
        let (there, _) = self.look(&texts).map_err(Unfixable::new)?;
        let mut edits: Vec<(String, Edit)> = Vec::new();
        let mut add = |path: String, edit: Edit| {
            if !edits.contains(&(path.clone(), edit.clone())) {
                edits.push((path, edit));
            }
        };
        if !there {
            let (Some(line), Some(write)) = (&self.line, self.write()) else {
                return Err(Unfixable::new(
                    "The rule says what a line must match, and not which line to write.",
                ));
            };
            let edit = Edit::Line {
                line: line.clone(),
                replaces: self.absent.clone(),
                first: self.first,
            };
            add(paths::place(snapshot, write)?, edit);
        }
        if let Some(absent) = &self.absent {
            let regex = regex(absent).map_err(Unfixable::new)?;
            for (path, text) in &texts {
                if text.lines().any(|l| regex.is_match(l)) {
                    let matches = absent.clone();
                    add(paths::place(snapshot, path)?, Edit::NoLine { matches });
                }
            }
        }
        if let Some((path, _)) = edits.iter().find(|(p, _)| p.starts_with("/usr/")) {
            return Err(Unfixable::new(format!(
                "{path} belongs to a package, and is not edited."
            )));
        }
        let mode = self.mode.as_deref().and_then(paths::parse_mode);
        paths::intents(edits, mode.unwrap_or(0o644), self.risk, self.then.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::super::paths::tests::{applied, snapshot};
    use super::*;
    use crate::host::snapshot::Seen;
    use proptest::prelude::*;

    fn rule(yaml: &str) -> Line {
        let rule: Line = serde_yaml::from_str(yaml).unwrap();
        assert_eq!(rule.problems(), vec![], "{yaml}");
        rule
    }

    fn fixed(rule: &Line, s: &Snapshot) -> Snapshot {
        assert_eq!(rule.judge(s).verdict, Verdict::Fail);
        let after = applied(s, &rule.fix(s).unwrap());
        assert_eq!(rule.judge(&after).verdict, Verdict::Pass, "{after:?}");
        after
    }

    fn text<'s>(s: &'s Snapshot, path: &str) -> &'s str {
        s.files[path].yes().unwrap().content.yes().unwrap()
    }

    #[test]
    fn a_line_is_added_where_none_of_the_files_has_it() {
        let rule = rule(
            "{files: [/etc/security/limits.conf, '/etc/security/limits.d/*.conf'], write: /etc/security/limits.d/seawall.conf, line: '* hard core 0', matches: '^\\s*\\*\\s+hard\\s+core\\s+0\\s*$'}",
        );
        let glob = "/etc/security/limits.d/*.conf";
        let main = "/etc/security/limits.conf";
        let mut s = snapshot(&[(main, "# * hard core 0\n")], &[glob]);
        s.files
            .insert("/etc/security/limits.d/seawall.conf".into(), Seen::Absent);
        assert_eq!(rule.judge(&s).actual, "not there");
        let after = fixed(&rule, &s);
        assert_eq!(text(&after, main), "# * hard core 0\n");
        let s = snapshot(&[(main, "*  hard\tcore 0\n")], &[glob]);
        assert_eq!(rule.judge(&s).verdict, Verdict::Pass);
    }

    #[test]
    fn what_must_be_absent_goes_from_every_file() {
        let rule = rule(
            "{files: [/etc/profile, /etc/bash.bashrc], absent: '^\\s*umask 022', line: umask 027}",
        );
        let s = snapshot(
            &[
                ("/etc/profile", "a\numask 022\nb\n"),
                ("/etc/bash.bashrc", "umask 022\n"),
            ],
            &[],
        );
        assert_eq!(
            rule.judge(&s).actual,
            "/etc/profile:2: umask 022; /etc/bash.bashrc:1: umask 022; not there"
        );
        let after = fixed(&rule, &s);
        assert_eq!(text(&after, "/etc/profile"), "a\numask 027\nb\n");
        assert_eq!(text(&after, "/etc/bash.bashrc"), "");
    }

    #[test]
    fn missing_and_unseen_are_told_apart() {
        let absent = rule("{files: /etc/x, absent: nullok}");
        let mut s = Snapshot::default();
        assert_eq!(absent.judge(&s).verdict, Verdict::Unknown);
        s.files.insert("/etc/x".into(), Seen::Absent);
        assert_eq!(absent.judge(&s).verdict, Verdict::Pass);
        let worded = rule("{files: /etc/x, matches: '^a+$', line: a, expected: some a}");
        assert_eq!(worded.judge(&s).expected, "some a");
        let present = rule("{files: /etc/x, line: a}");
        fixed(&present, &s);
        let na = rule("{files: /etc/x, line: a, if_missing: not-applicable}");
        assert_eq!(na.judge(&s).verdict, Verdict::NotApplicable);
        let unfixable = rule("{files: /etc/x, matches: a}");
        assert!(unfixable.fix(&s).is_err());
    }

    #[test]
    fn wrong_parameters_are_named() {
        for (yaml, field) in [
            ("{files: /etc/x}", "line"),
            ("{files: '/etc/*', line: a}", "write"),
            ("{files: /etc/x, line: a, expected: ' '}", "expected"),
            ("{files: /etc/x, write: /etc/y, line: a}", "write"),
            ("{files: /etc/x, absent: '('}", "absent"),
            ("{files: /etc/x, absent: '^a', line: a}", "absent"),
            ("{files: /etc/x, matches: '^b', line: a}", "matches"),
        ] {
            let rule: Line = serde_yaml::from_str(yaml).unwrap();
            assert_eq!(rule.problems().first().map(|p| p.0), Some(field), "{yaml}");
        }
    }

    proptest! {
        #[test]
        fn whatever_the_file_holds_a_fix_fixes_it(a in "([ab#]{0,2}\r?\n|\\PC){0,8}", b in "([ab]{0,2}\n){0,4}", first in any::<bool>()) {
            let rule: Line = serde_yaml::from_str(&format!("{{files: [/etc/a, /etc/b], line: a, absent: b, first: {first}}}")).unwrap();
            let s = snapshot(&[("/etc/a", &a), ("/etc/b", &b)], &[]);
            if rule.judge(&s).verdict == Verdict::Fail {
                fixed(&rule, &s);
            }
        }
    }
}
