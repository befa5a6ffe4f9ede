//! `sudoers`: what sudo demands before it gives root's rights.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::paths;
use super::sudoers_file::{DROP_INS, MAIN, Place, Setting, Sudoers, find_tag};
use super::{Claim, Judgement, Resource, Unfixable, Verdict};
use crate::document::{Demand, Words};
use crate::host::edit::Edit;
use crate::host::intent::{FileIntent, Intent, Risk};
use crate::host::probe::Queries;
use crate::host::snapshot::{FileKind, FileState, Seen, Snapshot};

/// A `Defaults` setting of sudo is as demanded, or no entry lets people through without a
/// password.
///
/// Read from /etc/sudoers and what it includes, as sudo reads it: the last setting counts, and
/// one for a single user, host or command that says otherwise is a failure that names its place.
/// Settings are changed in `/etc/sudoers.d/zz-seawall`; `NOPASSWD` tags are taken out of their
/// lines. `visudo` must accept the new file, and all of sudoers with it in place, or the change is
/// undone at once; and the host undoes it unless a new log-in with sudo succeeds. Rollback brings
/// every file back to the byte.
///
/// Traps: an account whose password is locked cannot use sudo any more once its `NOPASSWD` is
/// gone. Name the account that automation uses under `except`. LDAP and SSSD sources are not
/// read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SudoRule {
    /// A setting of `Defaults`, e.g. `use_pty`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// What its value must be. Without it, the setting must be switched on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Demand>,
    /// What counts where no file sets it: sudo's own default. Without it, a setting that nobody
    /// makes is a failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unset: Option<String>,
    /// Instead of `default`: what no entry may do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forbid: Option<Forbid>,
    /// With `forbid`: users and `%groups` who may.
    #[serde(default, skip_serializing_if = "no_words")]
    pub except: Words,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Forbid {
    /// The tag `NOPASSWD`.
    Nopasswd,
    /// `Defaults !authenticate`, for everyone or for some.
    Noauthenticate,
}

fn no_words(words: &Words) -> bool {
    words.0.is_empty()
}

const OURS: &str = "/etc/sudoers.d/zz-seawall";
const INCLUDE_DIR: &str = "@includedir /etc/sudoers.d";

impl SudoRule {
    fn expected(&self) -> String {
        match (&self.default, &self.value, self.forbid) {
            (Some(name), Some(value), _) => format!("Defaults {name} {}", value.describe()),
            (Some(name), None, _) => format!("Defaults {name}"),
            (_, _, Some(Forbid::Nopasswd)) => self.excepted("no NOPASSWD"),
            _ => self.excepted("no !authenticate"),
        }
    }

    fn excepted(&self, what: &str) -> String {
        match self.except.0.is_empty() {
            true => what.to_owned(),
            false => format!("{what} except for {}", self.except.joined(", ")),
        }
    }

    fn is_right(&self, setting: &Setting) -> bool {
        match (&self.value, setting) {
            (None, setting) => *setting == Setting::On,
            (Some(demand), Setting::Is(value)) => demand.judge(value),
            // A number that is switched off is 0 to sudo.
            (Some(demand), Setting::Off)
                if demand.at_least.is_some() || demand.at_most.is_some() =>
            {
                demand.judge("0")
            }
            _ => false,
        }
    }

    fn judge_default(&self, name: &str, sudoers: &Sudoers) -> Judgement {
        let expected = self.expected();
        let all: Vec<_> = sudoers.defaults.iter().filter(|d| d.name == name).collect();
        let Some(last) = all.iter().rfind(|d| d.scope.is_none()) else {
            return match (&self.unset, &self.value) {
                (Some(unset), value) => Judgement::pass_if(
                    value.as_ref().map_or(unset == "on", |v| v.judge(unset)),
                    expected,
                    format!("{unset} (set nowhere; this is the default)"),
                ),
                (None, _) => Judgement::new(Verdict::Fail, expected, "set nowhere"),
            };
        };
        if !self.is_right(&last.value) {
            let actual = format!("{} ({})", show(&last.value), last.at);
            return Judgement::new(Verdict::Fail, expected, actual);
        }
        let otherwise = all
            .iter()
            .find(|d| d.scope.is_some() && !self.is_right(&d.value));
        if let Some(d) = otherwise {
            let (sign, whom) = d.scope.clone().unwrap_or((':', String::new()));
            let actual = format!("{} for {sign}{whom} ({})", show(&d.value), d.at);
            return Judgement::new(Verdict::Fail, expected, actual);
        }
        Judgement::new(
            Verdict::Pass,
            expected,
            format!("{} ({})", show(&last.value), last.at),
        )
    }

    /// The places that do what is forbidden, each with those whom it lets through.
    fn offenders(&self, sudoers: &Sudoers) -> Vec<(Place, String)> {
        let wrong = |user: &&String| !self.except.0.contains(user);
        if self.forbid == Some(Forbid::Nopasswd) {
            let entries = sudoers.no_password.iter().filter_map(|n| {
                let wrong: Vec<_> = n.users.iter().filter(wrong).cloned().collect();
                (!wrong.is_empty()).then(|| (n.at.clone(), wrong.join(", ")))
            });
            return entries.collect();
        }
        let all = || {
            sudoers
                .defaults
                .iter()
                .enumerate()
                .filter(|(_, d)| d.name == "authenticate")
        };
        let mut out = Vec::new();
        for (at, d) in all() {
            let again =
                all().any(|(later, l)| later > at && l.scope == d.scope && l.value == Setting::On);
            if d.value != Setting::Off || again {
                continue;
            }
            let whom = match &d.scope {
                Some((':', users)) => {
                    let users = users.split(',').map(|u| u.trim().to_owned());
                    let wrong: Vec<_> = users.filter(|u| !self.except.0.contains(u)).collect();
                    wrong.join(", ")
                }
                Some((sign, what)) => format!("{sign}{what}"),
                None => "everyone".into(),
            };
            if !whom.is_empty() {
                out.push((d.at.clone(), whom));
            }
        }
        out
    }

    fn judge_sudoers(&self, sudoers: &Sudoers) -> Judgement {
        let judged = match &self.default {
            Some(name) => self.judge_default(name, sudoers),
            None => {
                let said: Vec<String> = self
                    .offenders(sudoers)
                    .into_iter()
                    .take(5)
                    .map(|(at, whom)| format!("{whom} ({at})"))
                    .collect();
                let ok = said.is_empty();
                let actual = if ok { "none".into() } else { said.join("; ") };
                Judgement::pass_if(ok, self.expected(), actual)
            }
        };
        match (judged.verdict, sudoers.unseen.first()) {
            (Verdict::Pass, Some(unseen)) => Judgement {
                actual: judged.actual,
                ..Judgement::unknown(
                    self.expected(),
                    format!("not all of sudoers was seen: {unseen}"),
                )
            },
            _ => judged,
        }
    }

    /// The line that makes the setting.
    fn line(&self, name: &str) -> Option<String> {
        let Some(demand) = &self.value else {
            return Some(format!("Defaults {name}"));
        };
        let value = demand.to_set()?;
        let plain = !value.is_empty()
            && value
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':'));
        Some(if plain {
            format!("Defaults {name}={value}")
        } else {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"");
            format!("Defaults {name}=\"{value}\"")
        })
    }

    fn edits(
        &self,
        snapshot: &Snapshot,
        sudoers: &Sudoers,
    ) -> Result<Vec<(String, Edit)>, Unfixable> {
        let mut edits = Vec::new();
        if let Some(name) = &self.default {
            let line = self
                .line(name)
                .ok_or_else(|| Unfixable::new("The rule does not say what to set."))?;
            let replaces = format!(r"^\s*Defaults\s+!*{}\s*([-+]?=|$)", regex::escape(name));
            edits.push((
                OURS.to_owned(),
                Edit::Line {
                    line,
                    replaces: Some(replaces),
                    first: false,
                },
            ));
            if !sudoers.has_dir {
                let line = INCLUDE_DIR.to_owned();
                edits.push((
                    MAIN.to_owned(),
                    Edit::Line {
                        line,
                        replaces: None,
                        first: false,
                    },
                ));
            }
            return Ok(edits);
        }
        for (at, _) in self.offenders(sudoers) {
            let text = paths::text(snapshot, &at.path).map_err(Unfixable::new)?;
            let lines = text.unwrap_or_default().lines().enumerate();
            for (_, old) in lines.filter(|(n, _)| (at.line..=at.last).contains(&(n + 1))) {
                let new = match self.forbid {
                    Some(Forbid::Nopasswd) => without_tag(old),
                    _ if at.line == at.last => format!("# {old}"),
                    _ => continue,
                };
                if new != old {
                    edits.push((
                        at.path.clone(),
                        Edit::Line {
                            line: new,
                            replaces: Some(format!("^{}$", regex::escape(old))),
                            first: false,
                        },
                    ));
                }
            }
        }
        Ok(edits)
    }
}

/// A line without its `NOPASSWD:` tags.
fn without_tag(line: &str) -> String {
    let mut out = line.to_owned();
    while let Some((from, to)) = find_tag(&out, "NOPASSWD") {
        out.replace_range(from..to, "");
    }
    out
}

fn show(setting: &Setting) -> String {
    match setting {
        Setting::On => "on".into(),
        Setting::Off => "off".into(),
        Setting::Is(value) => value.clone(),
        Setting::Plus(value) => format!("+= {value}"),
        Setting::Minus(value) => format!("-= {value}"),
    }
}

/// What would be seen after the edits.
fn after(snapshot: &Snapshot, edits: &[(String, Edit)]) -> Snapshot {
    let mut out = snapshot.clone();
    for (path, edit) in edits {
        let before = paths::text(&out, path).ok().flatten().map(str::to_owned);
        let text = crate::host::edit::apply(edit, before.as_deref()).unwrap_or_default();
        let state = FileState {
            kind: FileKind::File,
            mode: 0o440,
            uid: 0,
            gid: 0,
            owner: "root".into(),
            group: "root".into(),
            size: text.len() as u64,
            link: None,
            content: Seen::Yes(text),
        };
        out.files.insert(path.clone(), Seen::Yes(state));
        if let Some(Seen::Yes(found)) = out.globs.get_mut(DROP_INS)
            && path == OURS
            && !found.iter().any(|p| p == OURS)
        {
            found.push(OURS.to_owned());
            found.sort();
        }
    }
    out
}

impl Resource for SudoRule {
    fn target(&self) -> String {
        match (&self.default, self.forbid) {
            (Some(name), _) => format!("sudoers Defaults {name}"),
            (_, Some(Forbid::Noauthenticate)) => "sudoers !authenticate".into(),
            _ => "sudoers NOPASSWD".into(),
        }
    }

    fn problems(&self) -> Vec<(&'static str, String)> {
        let mut out = Vec::new();
        match (&self.default, self.forbid) {
            (None, None) => out.push(("default", "say `default` or `forbid`".into())),
            (Some(_), Some(_)) => {
                out.push(("forbid", "excludes `default`: say one of them".into()));
            }
            (None, Some(_)) if self.value.is_some() => {
                out.push(("value", "belongs to `default`".into()));
            }
            (Some(_), None) if !self.except.0.is_empty() => {
                out.push(("except", "belongs to `forbid`".into()));
            }
            _ => {}
        }
        let word = |name: &String| {
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        if self.default.as_ref().is_some_and(|name| !word(name)) {
            out.push((
                "default",
                "must be the name of a setting, e.g. `use_pty`".into(),
            ));
        }
        let value = self.value.iter().flat_map(Demand::problems_to_write);
        out.extend(value.map(|p| ("value", p)));
        let set = self.value.as_ref().and_then(Demand::to_set);
        if set.is_some_and(|v| v.contains(['\n', '\r'])) {
            out.push(("value", "must stand on one line".into()));
        }
        out
    }

    fn claims(&self) -> Vec<Claim> {
        let claim = |name: &String| Claim {
            key: format!("sudoers {name}"),
            value: self
                .value
                .as_ref()
                .map_or_else(|| "on".into(), Demand::to_claim),
        };
        self.default.iter().map(claim).collect()
    }

    fn ask(&self, queries: &mut Queries) {
        queries.text(MAIN);
        queries.texts(DROP_INS);
        queries.text(OURS);
    }

    fn judge(&self, snapshot: &Snapshot) -> Judgement {
        if snapshot.files.get(MAIN) == Some(&Seen::Absent) {
            return Judgement::not_applicable(self.expected(), "there is no sudo on this host");
        }
        self.judge_sudoers(&Sudoers::of(snapshot))
    }

    fn fix(&self, snapshot: &Snapshot) -> Result<Vec<Intent>, Unfixable> {
        let sudoers = Sudoers::of(snapshot);
        let edits = self.edits(snapshot, &sudoers)?;
        // Try it on paper: where something else still says otherwise, a person must look.
        let judged = self.judge(&after(snapshot, &edits));
        if judged.verdict == Verdict::Fail {
            return Err(Unfixable::new(format!(
                "It would still be otherwise: {}. Only a person can say whether that is meant.",
                judged.actual
            )));
        }
        let intent = |(path, edit): (String, Edit)| {
            let path = paths::place(snapshot, &path)?;
            Ok(Intent::File(FileIntent {
                validate_new: Some("/usr/sbin/visudo -cf \"$new\"".into()),
                validate_placed: Some("/usr/sbin/visudo -c".into()),
                ..paths::file_intent(path, edit, 0o440, Risk::LockOut)
            }))
        };
        edits.into_iter().map(intent).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::paths::tests::{applied, snapshot};
    use super::*;
    use proptest::prelude::*;

    fn rule(yaml: &str) -> SudoRule {
        let rule: SudoRule = serde_yaml::from_str(yaml).unwrap();
        assert_eq!(rule.problems(), vec![], "{yaml}");
        rule
    }

    fn host(files: &[(&str, &str)]) -> Snapshot {
        let mut s = snapshot(files, &[DROP_INS]);
        s.files.entry(OURS.into()).or_insert(Seen::Absent);
        s
    }

    fn main(text: &str) -> Snapshot {
        host(&[(MAIN, text)])
    }

    fn text<'s>(s: &'s Snapshot, path: &str) -> &'s str {
        s.files[path].yes().unwrap().content.yes().unwrap()
    }

    fn fixed(rule: &SudoRule, s: &Snapshot) -> Snapshot {
        assert_eq!(rule.judge(s).verdict, Verdict::Fail);
        let after = applied(s, &rule.fix(s).unwrap());
        assert_eq!(rule.judge(&after).verdict, Verdict::Pass, "{after:?}");
        after
    }

    #[test]
    fn a_setting_is_judged_by_its_last_word() {
        let pty = rule("{default: use_pty}");
        let verdict = |t: &str| pty.judge(&main(t)).verdict;
        assert_eq!(verdict("Defaults env_reset, use_pty\n"), Verdict::Pass);
        assert_eq!(
            verdict("Defaults use_pty\nDefaults !use_pty\n"),
            Verdict::Fail
        );
        assert_eq!(verdict("# Defaults use_pty\n"), Verdict::Fail);
        let s = main("Defaults use_pty\nDefaults:bob !use_pty\n");
        assert_eq!(pty.judge(&s).actual, "off for :bob (/etc/sudoers:2)");
        assert!(pty.fix(&s).is_err());
        let timeout = rule(
            "{default: timestamp_timeout, value: {at_least: 0, at_most: 15, set: 5}, unset: 15}",
        );
        assert_eq!(timeout.judge(&main("")).verdict, Verdict::Pass);
        assert_eq!(
            timeout
                .judge(&main("Defaults timestamp_timeout=-1\n"))
                .verdict,
            Verdict::Fail
        );
        assert_eq!(
            timeout
                .judge(&main("Defaults !timestamp_timeout\n"))
                .verdict,
            Verdict::Pass
        );
    }

    #[test]
    fn a_setting_is_made_in_our_drop_in() {
        let log = rule("{default: logfile, value: /var/log/sudo.log}");
        let s = main("Defaults logfile=/other\n@includedir /etc/sudoers.d\n");
        let intents = log.fix(&s).unwrap();
        let [Intent::File(intent)] = &intents[..] else {
            panic!("{intents:?}")
        };
        assert_eq!(
            (intent.path.as_str(), intent.create.mode, intent.risk),
            (OURS, 0o440, Risk::LockOut)
        );
        assert!(intent.validate_new.is_some() && intent.validate_placed.is_some());
        let after = fixed(&log, &s);
        assert!(text(&after, OURS).ends_with("\nDefaults logfile=\"/var/log/sudo.log\"\n"));
        // Another value in our own file is replaced.
        let s = host(&[
            (MAIN, "@includedir /etc/sudoers.d\n"),
            (OURS, "Defaults logfile=\"/x\"\n"),
        ]);
        assert_eq!(
            text(&fixed(&log, &s), OURS),
            "Defaults logfile=\"/var/log/sudo.log\"\n"
        );
    }

    #[test]
    fn the_folder_is_included_where_it_is_not() {
        let pty = rule("{default: use_pty}");
        let after = fixed(&pty, &main("root ALL=(ALL:ALL) ALL\n"));
        assert_eq!(
            text(&after, MAIN),
            "root ALL=(ALL:ALL) ALL\n@includedir /etc/sudoers.d\n"
        );
    }

    #[test]
    fn nopasswd_is_found_and_taken_out() {
        let none = rule("{forbid: nopasswd, except: [deploy, '%auto']}");
        let ok = "deploy ALL=(ALL) NOPASSWD: ALL\n%auto ALL=NOPASSWD:ALL\nann ALL=ALL\n";
        assert_eq!(none.judge(&main(ok)).verdict, Verdict::Pass);
        let s = host(&[
            (MAIN, "@includedir /etc/sudoers.d\n"),
            (
                "/etc/sudoers.d/90-cloud",
                "ann ALL=(ALL) NOPASSWD: /bin/a, \\\n  SETENV: NOPASSWD : /bin/b\nbob ALL=ALL\n",
            ),
        ]);
        assert_eq!(none.judge(&s).actual, "ann (/etc/sudoers.d/90-cloud:1)");
        let after = fixed(&none, &s);
        assert_eq!(
            text(&after, "/etc/sudoers.d/90-cloud"),
            "ann ALL=(ALL) /bin/a, \\\n  SETENV: /bin/b\nbob ALL=ALL\n"
        );
    }

    #[test]
    fn noauthenticate_is_found_for_anyone() {
        let none = rule("{forbid: noauthenticate, except: svc}");
        assert_eq!(
            none.judge(&main("Defaults:svc !authenticate\n")).verdict,
            Verdict::Pass
        );
        assert_eq!(
            none.judge(&main("Defaults !authenticate\nDefaults authenticate\n"))
                .verdict,
            Verdict::Pass
        );
        let s = main("Defaults:ann !authenticate\n");
        assert_eq!(none.judge(&s).actual, "ann (/etc/sudoers:1)");
        assert_eq!(
            text(&fixed(&none, &s), MAIN),
            "# Defaults:ann !authenticate\n"
        );
    }

    #[test]
    fn what_is_not_there_and_not_seen() {
        let none = rule("{forbid: nopasswd}");
        let mut s = Snapshot::default();
        assert_eq!(none.judge(&s).verdict, Verdict::Unknown);
        s.files.insert(MAIN.into(), Seen::Absent);
        assert_eq!(none.judge(&s).verdict, Verdict::NotApplicable);
        let elsewhere = main("@include /etc/sudoers.corp\n");
        assert_eq!(none.judge(&elsewhere).verdict, Verdict::Unknown);
        let mut hidden = main("@includedir /etc/sudoers.d\n");
        hidden
            .globs
            .insert(DROP_INS.into(), Seen::No("hidden".into()));
        assert_eq!(none.judge(&hidden).verdict, Verdict::Unknown);
    }

    #[test]
    fn wrong_parameters_are_named() {
        for (yaml, field) in [
            ("{}", "default"),
            ("{default: use_pty, forbid: nopasswd}", "forbid"),
            ("{default: 'a b'}", "default"),
            ("{default: x, value: {at_most: 3}}", "value"),
            ("{default: x, except: a}", "except"),
        ] {
            let rule: SudoRule = serde_yaml::from_str(yaml).unwrap();
            assert_eq!(rule.problems().first().map(|p| p.0), Some(field), "{yaml}");
        }
    }

    proptest! {
        #[test]
        fn a_fix_is_never_only_half(text in "((Defaults|Defaults:a|a ALL|@includedir /etc/sudoers.d)( |=|!|, |NOPASSWD:|use_pty|authenticate){0,5}\n){0,6}") {
            for yaml in ["{default: use_pty}", "{forbid: nopasswd}", "{forbid: noauthenticate}"] {
                let rule = rule(yaml);
                let s = main(&text);
                if rule.judge(&s).verdict == Verdict::Fail && let Ok(intents) = rule.fix(&s) {
                    prop_assert_ne!(rule.judge(&applied(&s, &intents)).verdict, Verdict::Fail);
                }
            }
        }
    }
}
