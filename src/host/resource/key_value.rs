//! `key_value`: a key in configuration files.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::paths::{self, Then};
use super::{Claim, Judgement, Resource, Unfixable, Verdict};
use crate::document::{Demand, Words};
use crate::host::edit::{Edit, Separator, read_keys, same_key};
use crate::host::intent::{Intent, Risk};
use crate::host::probe::Queries;
use crate::host::probe::files::{glob_match, is_glob};
use crate::host::snapshot::Snapshot;

/// A key in a configuration file or its drop-ins has a value that is as demanded.
///
/// The files are read in the order in which the program reads them, and the last one that sets
/// the key counts (or the first, where the program works so). Quotes around a value do not
/// count. Changed by setting the key in the file that `write` names: the line that sets it is
/// changed, a commented one shows where to put it, a missing section is made; comments and order
/// stay. Where a file under /etc that counts more sets it otherwise, the key is taken out there.
/// Rollback brings every file back to the byte.
///
/// Traps: name all files that the program reads, in its own order, or the judgement is wrong;
/// files under /usr belong to packages and are never written, so let `write` count more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyValue {
    /// Paths and patterns in the order in which they are read; the last that sets the key wins.
    pub files: Words,
    /// The first that sets the key wins.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub first_wins: bool,
    /// The file that is edited; one that `files` finds. Made if it is missing.
    pub write: String,
    /// The section of an INI-like file, without its brackets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub section: Option<String>,
    pub key: String,
    /// What the value must be. A key that stands alone has the empty value.
    pub value: Demand,
    /// How the file writes `key value`.
    #[serde(default)]
    pub separator: Separator,
    /// Keys are compared without case.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fold: bool,
    /// What counts where no file sets the key: the program's own default. Without it, a key that
    /// nobody sets is a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unset: Option<String>,
    /// What is done once after the file was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub then: Option<Then>,
    /// The mode of a new file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    #[serde(default = "paths::safe")]
    pub risk: Risk,
}

/// One place that sets the key.
struct Set {
    path: String,
    line: usize,
    value: String,
}

impl KeyValue {
    /// Every place that sets the key, in the order of reading.
    fn settings(&self, snapshot: &Snapshot) -> Result<Vec<Set>, String> {
        let mut out = Vec::new();
        for (path, text) in paths::texts(snapshot, &self.files)? {
            let keys = read_keys(text, self.section.as_deref(), self.separator, self.fold);
            for (line, key, value) in keys {
                if same_key(&key, &self.key, self.fold) {
                    out.push(Set {
                        path: path.clone(),
                        line: line + 1,
                        value: unquoted(&value).to_owned(),
                    });
                }
            }
        }
        Ok(out)
    }

    fn expected(&self) -> String {
        format!("{} {}", self.name(), self.value.describe())
    }

    fn name(&self) -> String {
        match &self.section {
            Some(section) => format!("[{section}] {}", self.key),
            None => self.key.clone(),
        }
    }

    /// The paths that are read, in order, with `write` where it would be read.
    fn order(&self, snapshot: &Snapshot) -> Result<Vec<String>, String> {
        let mut out: Vec<String> = Vec::new();
        for path in &self.files.0 {
            let mut found = paths::expand(snapshot, path)?;
            if is_glob(path) && glob_match(path, &self.write) && !found.contains(&self.write) {
                found.push(self.write.clone());
                found.sort();
            }
            found.retain(|p| !out.contains(p));
            out.extend(found);
        }
        Ok(out)
    }

    fn mode_bits(&self) -> u32 {
        let mode = self.mode.as_deref().and_then(paths::parse_mode);
        mode.unwrap_or(0o644)
    }
}

/// A value without the quotes around it.
pub fn unquoted(value: &str) -> &str {
    let within = |q| value.strip_prefix(q).and_then(|v| v.strip_suffix(q));
    within('"').or_else(|| within('\'')).unwrap_or(value)
}

/// What is wrong with a key that is to be written and read back.
fn key_problem(key: &str, separator: Separator) -> Option<&'static str> {
    let equals = matches!(separator, Separator::Equals | Separator::TightEquals);
    if key.is_empty() || key != key.trim() || key.contains(['\n', '\r', '\0']) {
        Some("must be one word of one line")
    } else if key.starts_with(['#', ';', '[']) {
        Some("must not begin as a comment or a section does")
    } else if equals && key.contains('=') || !equals && key.contains(char::is_whitespace) {
        Some("must not hold what parts key and value")
    } else {
        None
    }
}

impl Resource for KeyValue {
    fn target(&self) -> String {
        format!("{} in {}", self.name(), self.write)
    }

    fn problems(&self) -> Vec<(&'static str, String)> {
        let mut out = Vec::new();
        for path in &self.files.0 {
            out.extend(paths::path_problem(path).map(|p| ("files", p)));
        }
        if self.files.0.is_empty() {
            out.push(("files", "names no file".into()));
        }
        out.extend(paths::path_problem(&self.write).map(|p| ("write", p)));
        if is_glob(&self.write) {
            out.push(("write", "must be one path, not a pattern".into()));
        } else if !paths::any_match(&self.files, &self.write) {
            out.push((
                "write",
                "is none of `files`, so what is written would not be read".into(),
            ));
        }
        out.extend(key_problem(&self.key, self.separator).map(|p| ("key", p.into())));
        if self
            .section
            .as_ref()
            .is_some_and(|s| s.contains(['\n', ']']))
        {
            out.push(("section", "must be a name without brackets".into()));
        }
        out.extend(
            self.value
                .problems_to_write()
                .into_iter()
                .map(|p| ("value", p)),
        );
        if self
            .value
            .to_set()
            .is_some_and(|v| v.contains(['\n', '\r']))
        {
            out.push(("value", "must stand on one line".into()));
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

    fn claims(&self) -> Vec<Claim> {
        vec![Claim {
            key: format!("key {} of {}", self.name(), self.write),
            value: self.value.to_claim(),
        }]
    }

    fn ask(&self, queries: &mut Queries) {
        for path in &self.files.0 {
            paths::ask(queries, path, true);
        }
        queries.text(&self.write);
    }

    fn judge(&self, snapshot: &Snapshot) -> Judgement {
        let expected = self.expected();
        let settings = match self.settings(snapshot) {
            Ok(settings) => settings,
            Err(why) => return Judgement::unknown(expected, why),
        };
        let counts = if self.first_wins {
            settings.first()
        } else {
            settings.last()
        };
        match (counts, &self.unset) {
            (Some(set), _) => Judgement::pass_if(
                self.value.judge(&set.value),
                expected,
                format!("{} ({}:{})", set.value, set.path, set.line),
            ),
            (None, Some(default)) => Judgement::pass_if(
                self.value.judge(default),
                expected,
                format!("{default} (set nowhere; this is the default)"),
            ),
            (None, None) => Judgement::new(Verdict::Fail, expected, "set nowhere"),
        }
    }

    fn fix(&self, snapshot: &Snapshot) -> Result<Vec<Intent>, Unfixable> {
        let Some(value) = self.value.to_set() else {
            return Err(Unfixable::new("The rule does not say what to set."));
        };
        let order = self.order(snapshot).map_err(Unfixable::new)?;
        let at = |path: &str| order.iter().position(|p| p == path);
        let ours = at(&self.write);
        let mut edits = vec![(
            paths::place(snapshot, &self.write)?,
            Edit::SetKey {
                section: self.section.clone(),
                key: self.key.clone(),
                value,
                separator: self.separator,
                fold: self.fold,
            },
        )];
        for set in self.settings(snapshot).map_err(Unfixable::new)? {
            let theirs = at(&set.path);
            let stronger = if self.first_wins {
                theirs < ours
            } else {
                theirs > ours
            };
            if !stronger || self.value.judge(&set.value) {
                continue;
            }
            let place = paths::place(snapshot, &set.path)?;
            if !place.starts_with("/etc/") {
                return Err(Unfixable::new(format!(
                    "{}:{} sets {} to {} and counts more than {}, and does not lie under /etc.",
                    set.path, set.line, self.key, set.value, self.write
                )));
            }
            let unset = Edit::UnsetKey {
                section: self.section.clone(),
                key: self.key.clone(),
                separator: self.separator,
                fold: self.fold,
            };
            if !edits.iter().any(|(p, _)| *p == place) {
                edits.push((place, unset));
            }
        }
        paths::intents(edits, self.mode_bits(), self.risk, self.then.as_ref())
    }
}

#[cfg(test)]
mod tests {
    use super::super::paths::tests::{applied, snapshot};
    use super::*;
    use crate::host::snapshot::Seen;
    use proptest::prelude::*;

    const JOURNAL: &str = "
files: [/etc/systemd/journald.conf, '/etc/systemd/journald.conf.d/*.conf']
write: /etc/systemd/journald.conf.d/seawall.conf
section: Journal
key: Storage
value: persistent
separator: tight-equals
unset: auto
then: {restart: systemd-journald.service}
";
    const GLOB: &str = "/etc/systemd/journald.conf.d/*.conf";
    const MAIN: &str = "/etc/systemd/journald.conf";
    const OURS: &str = "/etc/systemd/journald.conf.d/seawall.conf";

    fn rule(yaml: &str) -> KeyValue {
        let rule: KeyValue = serde_yaml::from_str(yaml).unwrap();
        assert_eq!(rule.problems(), vec![]);
        rule
    }

    fn fixed(rule: &KeyValue, s: &Snapshot) -> Snapshot {
        assert_eq!(rule.judge(s).verdict, Verdict::Fail);
        let after = applied(s, &rule.fix(s).unwrap());
        assert_eq!(rule.judge(&after).verdict, Verdict::Pass, "{after:?}");
        after
    }

    fn text<'s>(s: &'s Snapshot, path: &str) -> &'s str {
        s.files[path].yes().unwrap().content.yes().unwrap()
    }

    fn host(files: &[(&str, &str)]) -> Snapshot {
        let mut s = snapshot(files, &[GLOB]);
        s.files.entry(OURS.into()).or_insert(Seen::Absent);
        s
    }

    #[test]
    fn the_last_file_wins() {
        let rule = rule(JOURNAL);
        let s = host(&[
            (MAIN, "[Journal]\nStorage=none\n"),
            (OURS, "[Journal]\nStorage=persistent\n"),
        ]);
        let judged = rule.judge(&s);
        assert_eq!(judged.verdict, Verdict::Pass);
        assert_eq!(judged.actual, format!("persistent ({OURS}:2)"));
    }

    #[test]
    fn a_missing_drop_in_is_made() {
        let rule = rule(JOURNAL);
        let s = host(&[(MAIN, "[Journal]\n#Storage=auto\n")]);
        assert_eq!(
            rule.judge(&s).actual,
            "auto (set nowhere; this is the default)"
        );
        let after = fixed(&rule, &s);
        assert!(text(&after, OURS).ends_with("\n\n[Journal]\nStorage=persistent\n"));
        assert_eq!(text(&after, MAIN), "[Journal]\n#Storage=auto\n");
        let intents = rule.fix(&s).unwrap();
        let [Intent::File(intent)] = &intents[..] else {
            panic!()
        };
        assert_eq!(
            intent.reaction.as_ref().unwrap().name,
            "restart.systemd-journald.service"
        );
    }

    #[test]
    fn a_stronger_file_loses_its_say() {
        let rule = rule(JOURNAL);
        let zz = "/etc/systemd/journald.conf.d/zz.conf";
        let s = host(&[(MAIN, ""), (zz, "[Journal]\nStorage=none\nSeal=yes\n")]);
        let after = fixed(&rule, &s);
        assert_eq!(text(&after, zz), "[Journal]\nSeal=yes\n");
    }

    #[test]
    fn a_file_of_a_package_is_not_written() {
        let rule = rule(
            "{files: [/etc/a.conf, '/usr/lib/a/*.conf'], write: /etc/a.conf, key: k, value: v}",
        );
        let s = snapshot(
            &[("/etc/a.conf", ""), ("/usr/lib/a/1.conf", "k = w\n")],
            &["/usr/lib/a/*.conf"],
        );
        let why = rule.fix(&s).unwrap_err().0;
        assert!(why.contains("/usr/lib/a/1.conf:1 sets k to w"), "{why}");
    }

    #[test]
    fn the_first_may_win() {
        let rule = rule(
            "{files: [/etc/a, /etc/b], write: /etc/b, key: K, value: {at_least: 5, set: 9}, separator: space, fold: true, first_wins: true}",
        );
        let s = snapshot(&[("/etc/a", "k 1\n"), ("/etc/b", "K 7\n")], &[]);
        assert_eq!(rule.judge(&s).actual, "1 (/etc/a:1)");
        let after = fixed(&rule, &s);
        assert_eq!(
            (text(&after, "/etc/a"), text(&after, "/etc/b")),
            ("", "K 9\n")
        );
    }

    #[test]
    fn quotes_flags_and_silence() {
        let quoted = rule(
            "{files: /etc/d, write: /etc/d, key: UMASK, value: '027', separator: tight-equals}",
        );
        let s = snapshot(&[("/etc/d", "UMASK=\"027\"\n")], &[]);
        assert_eq!(quoted.judge(&s).verdict, Verdict::Pass);
        let flag = rule("{files: /etc/d, write: /etc/d, key: enforce_for_root, value: ''}");
        let s = snapshot(&[("/etc/d", "#enforce_for_root\n")], &[]);
        assert_eq!(flag.judge(&s).actual, "set nowhere");
        assert!(
            text(&fixed(&flag, &s), "/etc/d")
                .lines()
                .any(|l| l == "enforce_for_root")
        );
        assert_eq!(flag.judge(&Snapshot::default()).verdict, Verdict::Unknown);
        let mut s = Snapshot::default();
        s.files.insert("/etc/d".into(), Seen::Absent);
        fixed(&flag, &s);
    }

    #[test]
    fn wrong_parameters_are_named() {
        for (yaml, field) in [
            ("{files: /etc/a, write: /etc/b, key: k, value: v}", "write"),
            (
                "{files: '/etc/*', write: '/etc/*', key: k, value: v}",
                "write",
            ),
            (
                "{files: /etc/a, write: /etc/a, key: 'a=b', value: v}",
                "key",
            ),
            (
                "{files: /etc/a, write: /etc/a, key: k, value: {at_least: 3}}",
                "value",
            ),
            (
                "{files: /etc/a, write: /etc/a, key: k, value: \"a\\nb\"}",
                "value",
            ),
            (
                "{files: /etc/a, write: /etc/a, key: k, value: v, mode: x}",
                "mode",
            ),
            (
                "{files: /etc/a, write: /etc/a, key: k, value: v, then: {}}",
                "then",
            ),
        ] {
            let rule: KeyValue = serde_yaml::from_str(yaml).unwrap();
            assert_eq!(rule.problems().first().map(|p| p.0), Some(field), "{yaml}");
        }
    }

    proptest! {
        #[test]
        fn whatever_the_file_holds_a_fix_fixes_it(text in "(#? ?(k|K|x) ?=? ?[a-z0-9\"]{0,3}\r?\n|\\[S\\]\n|\\PC){0,8}", fold in any::<bool>()) {
            let yaml = format!("{{files: [/etc/a, /etc/b], write: /etc/a, key: k, value: good, fold: {fold}}}");
            let rule: KeyValue = serde_yaml::from_str(&yaml).unwrap();
            let s = snapshot(&[("/etc/a", &text), ("/etc/b", &text)], &[]);
            if rule.judge(&s).verdict == Verdict::Fail {
                fixed(&rule, &s);
            }
        }
    }
}
