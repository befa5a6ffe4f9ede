//! `sshd`: an option of the OpenSSH server, as it is in force.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::paths;
use super::sshd_config::{Config, DROP_INS, MAIN, OPTIONS, includes, key_value, spelled};
use super::{Claim, Judgement, Resource, Unfixable, Verdict};
use crate::document::{Demand, Words};
use crate::host::edit::{Edit, Separator, apply};
use crate::host::intent::{FileIntent, Intent, Reaction, Risk};
use crate::host::probe::Queries;
use crate::host::snapshot::{Seen, Snapshot};

/// An option of the SSH server has a value that is as demanded.
///
/// Judged on what `sshd -T` says is in force, whichever file it comes from; a `Match` block that
/// sets the option otherwise is a failure that names its place. Changed in
/// `/etc/ssh/sshd_config.d/00-seawall.conf`, because sshd takes the first value that it meets;
/// where sshd_config does not include that folder before it sets the option, the `Include` is put
/// at its top. `sshd -t` must agree before sshd is reloaded, and the host undoes the change
/// unless a new log-in succeeds. Options that add up (`Port`, `AllowUsers`…) are taken out of the
/// other files. Rollback brings back every file, and reloads sshd.
///
/// Traps: nothing here knows the account that seawall logs in with. `AllowUsers` or `AllowGroups`
/// without it, or `PasswordAuthentication no` for someone without a key, is undone by the host
/// when the new log-in fails. A changed `Port` needs the firewall, SELinux and, with socket
/// activation, `ssh.socket` to follow, and the inventory to say it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sshd {
    /// The option's name as in sshd_config's manual, e.g. `PermitRootLogin`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub option: Option<String>,
    /// What its value must be. `yes` and `no` as sshd says them; times as `60` or `1m`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Demand>,
    /// For `MaxStartups`, instead of `value`: each of the three numbers is at most this one's,
    /// e.g. `10:30:60`, which is also what is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stricter_than: Option<String>,
    /// Instead of `option`: at least one of these is set, e.g. `AllowUsers` and `AllowGroups`.
    #[serde(default, skip_serializing_if = "no_words")]
    pub any_of_options: Words,
    /// With `any_of_options`: the one that is set if none is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set_option: Option<String>,
    /// With `set_option`: its value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set: Option<Words>,
}

fn no_words(words: &Words) -> bool {
    words.0.is_empty()
}

const OURS: &str = "/etc/ssh/sshd_config.d/00-seawall.conf";
const INCLUDE: &str = "Include /etc/ssh/sshd_config.d/*.conf";

/// sshd says nothing without its folder, which systemd makes only where sshd itself is started.
const VALIDATE: &str = "[ -d /run/sshd ] || mkdir -m 0755 /run/sshd; /usr/sbin/sshd -t";

const RELOAD: &str = "if [ -d /run/systemd/system ]; then
  systemctl reload ssh.service 2>/dev/null || systemctl reload sshd.service
elif [ -s /run/sshd.pid ]; then
  kill -HUP \"$(cat /run/sshd.pid)\"
fi";

/// Options whose lines add up instead of the first one counting.
const ADD_UP: &[&str] = &[
    "acceptenv",
    "allowgroups",
    "allowusers",
    "denygroups",
    "denyusers",
    "hostcertificate",
    "hostkey",
    "listenaddress",
    "port",
];

/// Options that `sshd -T` says nothing of while they are not set.
const SILENT: &[&str] = &[
    "acceptenv",
    "allowgroups",
    "allowusers",
    "denygroups",
    "denyusers",
    "hostcertificate",
    "setenv",
    "subsystem",
];

/// Options whose words are separated by spaces.
const SPACED: &[&str] = &[
    "acceptenv",
    "allowgroups",
    "allowusers",
    "authenticationmethods",
    "authorizedkeysfile",
    "denygroups",
    "denyusers",
    "ipqos",
    "permitlisten",
    "permitopen",
    "rekeylimit",
    "setenv",
    "channeltimeout",
    "persourcepenalties",
];

/// A value in the one spelling that we compare: `sshd -T`'s.
fn canonical(option: &str, text: &str) -> String {
    let text = text.trim();
    match option {
        "permitrootlogin" if text.eq_ignore_ascii_case("without-password") => {
            "prohibit-password".into()
        }
        "logingracetime" | "clientaliveinterval" => {
            seconds(text).map_or_else(|| text.to_owned(), |s| s.to_string())
        }
        "loglevel" | "syslogfacility" => text.to_ascii_uppercase(),
        _ => match text.to_ascii_lowercase().as_str() {
            "yes" | "true" => "yes".into(),
            "no" | "false" => "no".into(),
            _ => text.to_owned(),
        },
    }
}

/// `90`, `1m30s`, `2h`… in seconds.
fn seconds(text: &str) -> Option<u64> {
    let mut total: u64 = 0;
    let mut number = String::new();
    for c in text.chars() {
        if c.is_ascii_digit() {
            number.push(c);
            continue;
        }
        let unit: u64 = match c.to_ascii_lowercase() {
            's' => 1,
            'm' => 60,
            'h' => 3600,
            'd' => 86_400,
            'w' => 604_800,
            _ => return None,
        };
        total = total.checked_add(number.parse::<u64>().ok()?.checked_mul(unit)?)?;
        number.clear();
    }
    if !number.is_empty() {
        total = total.checked_add(number.parse().ok()?)?;
    }
    (!text.is_empty()).then_some(total)
}

/// The three numbers of `MaxStartups`.
fn startups(text: &str) -> Option<[u32; 3]> {
    let mut numbers = text.trim().split(':').map(|n| n.parse::<u32>().ok());
    let three = [numbers.next()??, numbers.next()??, numbers.next()??];
    numbers.next().is_none().then_some(three)
}

impl Sshd {
    /// The option in lower case.
    fn key(&self) -> Option<String> {
        self.option.as_ref().map(|o| o.to_ascii_lowercase())
    }

    /// Whether a value of the option is as demanded.
    fn is_right(&self, key: &str, value: &str) -> bool {
        if let Some(bound) = &self.stricter_than {
            return match (startups(bound), startups(value)) {
                (Some(bound), Some(value)) => value.iter().zip(bound).all(|(v, b)| *v <= b),
                _ => false,
            };
        }
        let Some(demand) = &self.value else {
            return false;
        };
        let same = |v: &String| canonical(key, v);
        let demand = Demand {
            equals: demand.equals.as_ref().map(same),
            one_of: demand.one_of.iter().map(same).collect(),
            ..demand.clone()
        };
        demand.judge(&canonical(key, value))
    }

    fn expected(&self) -> String {
        match (&self.option, &self.value, &self.stricter_than) {
            (Some(option), _, Some(bound)) => format!("{option} {bound} or stricter"),
            (Some(option), Some(value), None) => format!("{option} {}", value.describe()),
            _ => format!("one of {} set", self.any_of_options.joined(", ")),
        }
    }

    /// What is set by `apply`: the option as the manual spells it, and its value.
    fn to_set(&self) -> Option<(&'static str, String)> {
        let (option, value) = match (&self.option, &self.set_option) {
            (Some(option), _) => {
                let spaced = SPACED.contains(&option.to_ascii_lowercase().as_str());
                let demand = self.value.as_ref();
                let listed = demand.and_then(|d| d.set.as_ref()).filter(|_| spaced);
                let value = listed
                    .map(|words| words.joined(" "))
                    .or_else(|| demand.and_then(Demand::to_set))
                    .or_else(|| self.stricter_than.clone())?;
                (option, value)
            }
            (None, Some(option)) => (option, self.set.as_ref()?.joined(" ")),
            (None, None) => return None,
        };
        let value = match option.to_ascii_lowercase().as_str() {
            "logingracetime" | "clientaliveinterval" => value,
            key => canonical(key, &value),
        };
        Some((spelled(option)?, value))
    }

    fn judge_any(&self, snapshot: &Snapshot) -> Judgement {
        let expected = self.expected();
        let options = match &snapshot.sshd {
            Seen::Yes(options) => options,
            Seen::Absent => return not_installed(expected),
            Seen::No(why) => return Judgement::unknown(expected, why),
        };
        for option in &self.any_of_options.0 {
            if let Some(values) = options.get(&option.to_ascii_lowercase()) {
                let values = values.join(" ");
                if !values.trim().is_empty() && values != "none" {
                    return Judgement::new(Verdict::Pass, expected, format!("{option} {values}"));
                }
            }
        }
        Judgement::new(Verdict::Fail, expected, "none of them is set")
    }
}

fn not_installed(expected: String) -> Judgement {
    Judgement::not_applicable(expected, "there is no SSH server on this host")
}

/// The file at `path` with this edit done, in a snapshot of what would be.
fn with(snapshot: &Snapshot, path: &str, edit: &Edit) -> Snapshot {
    let mut out = snapshot.clone();
    let before = paths::text(snapshot, path).ok().flatten();
    let after = apply(edit, before).unwrap_or_default();
    if let Some(Seen::Yes(state)) = out.files.get_mut(path) {
        state.content = Seen::Yes(after);
    } else {
        let state = crate::host::snapshot::FileState {
            kind: crate::host::snapshot::FileKind::File,
            mode: 0o600,
            uid: 0,
            gid: 0,
            owner: "root".into(),
            group: "root".into(),
            size: after.len() as u64,
            link: None,
            content: Seen::Yes(after),
        };
        out.files.insert(path.to_owned(), Seen::Yes(state));
    }
    if let Some(Seen::Yes(found)) = out.globs.get_mut(DROP_INS)
        && path != MAIN
        && !found.iter().any(|p| p == path)
    {
        found.push(path.to_owned());
        found.sort();
    }
    out
}

impl Resource for Sshd {
    fn target(&self) -> String {
        match &self.option {
            Some(option) => format!("sshd {option}"),
            None => format!("sshd {}", self.any_of_options.joined(", ")),
        }
    }

    fn problems(&self) -> Vec<(&'static str, String)> {
        let mut out = Vec::new();
        let named = [&self.option, &self.set_option];
        let fields = ["option", "set_option"];
        let known = fields
            .into_iter()
            .zip(named)
            .filter_map(|(f, o)| Some((f, o.as_ref()?)));
        let any = self.any_of_options.0.iter().map(|o| ("any_of_options", o));
        for (field, option) in known.chain(any) {
            if spelled(option).is_none() {
                let near = OPTIONS.iter().max_by(|a, b| {
                    let near =
                        |o: &str| strsim::jaro_winkler(&o.to_lowercase(), &option.to_lowercase());
                    near(a).total_cmp(&near(b))
                });
                let near = near.copied().unwrap_or_default();
                out.push((
                    field,
                    format!("sshd has no option `{option}`; did you mean `{near}`?"),
                ));
            }
        }
        match (&self.option, self.any_of_options.0.is_empty()) {
            (None, true) => out.push(("option", "say `option` or `any_of_options`".into())),
            (Some(_), false) => out.push((
                "any_of_options",
                "excludes `option`: say one of them".into(),
            )),
            (Some(_), true) if self.value.is_some() == self.stricter_than.is_some() => {
                out.push((
                    "value",
                    "say what the value must be: `value`, or `stricter_than`".into(),
                ));
            }
            (None, false) if self.value.is_some() => {
                out.push(("value", "belongs to `option`".into()));
            }
            _ => {}
        }
        if let Some(bound) = &self.stricter_than {
            if startups(bound).is_none() {
                out.push((
                    "stricter_than",
                    "must be three numbers, e.g. `10:30:60`".into(),
                ));
            }
            if self.key().is_some_and(|k| k != "maxstartups") {
                out.push(("stricter_than", "is for `MaxStartups` alone".into()));
            }
        }
        if self.set_option.is_some() != self.set.is_some() {
            out.push(("set", "`set_option` and `set` go together".into()));
        }
        if let Some(option) = &self.set_option
            && !self
                .any_of_options
                .0
                .iter()
                .any(|o| o.eq_ignore_ascii_case(option))
        {
            out.push(("set_option", "must be one of `any_of_options`".into()));
        }
        // A pattern is compared with what `sshd -T` prints, which sshd spells in its own way.
        let value = self.value.iter().flat_map(|value| match &value.matches {
            Some(_) => Demand {
                set: None,
                ..value.clone()
            }
            .problems(),
            None => value.problems_to_write(),
        });
        out.extend(value.map(|p| ("value", p)));
        if self
            .to_set()
            .is_some_and(|(_, v)| v.contains(['\n', '\r', '#']))
        {
            out.push(("value", "must stand on one line and hold no `#`".into()));
        }
        out
    }

    fn claims(&self) -> Vec<Claim> {
        let value = self.value.as_ref().map(Demand::to_claim);
        let value = value.or_else(|| self.stricter_than.clone());
        match (self.key(), value) {
            (Some(key), Some(value)) => vec![Claim {
                key: format!("sshd {key}"),
                value,
            }],
            _ => Vec::new(),
        }
    }

    fn ask(&self, queries: &mut Queries) {
        queries.sshd = true;
        queries.text(MAIN);
        queries.texts(DROP_INS);
        queries.text(OURS);
    }

    fn judge(&self, snapshot: &Snapshot) -> Judgement {
        let Some(key) = self.key() else {
            return self.judge_any(snapshot);
        };
        let expected = self.expected();
        let options = match &snapshot.sshd {
            Seen::Yes(options) => options,
            Seen::Absent => return not_installed(expected),
            Seen::No(why) => return Judgement::unknown(expected, why),
        };
        let value = match options.get(&key) {
            Some(values) => values.join(" "),
            None if SILENT.contains(&key.as_str()) => {
                return Judgement::new(Verdict::Fail, expected, "not set");
            }
            None => {
                let why = "the SSH server of this host does not know the option";
                return Judgement::not_applicable(expected, why);
            }
        };
        if !self.is_right(&key, &value) {
            // Of a long list, only what is wrong helps.
            let wrong = self.value.as_ref().map(|d| d.forbidden(&value));
            let actual = match wrong.filter(|wrong| !wrong.is_empty()) {
                Some(wrong) => format!("with {}", wrong.join(", ")),
                None => value,
            };
            return Judgement::new(Verdict::Fail, expected, actual);
        }
        let config = Config::of(snapshot);
        let otherwise = config
            .settings
            .iter()
            .find(|s| s.in_match && s.keyword == key && !self.is_right(&key, &s.value));
        if let Some(s) = otherwise {
            let actual = format!(
                "{value}, but {} in a Match block ({}:{})",
                s.value, s.path, s.line
            );
            return Judgement::new(Verdict::Fail, expected, actual);
        }
        if let Some(unseen) = config.unseen.first() {
            return Judgement {
                actual: value,
                ..Judgement::unknown(
                    expected,
                    format!("a Match block might set it otherwise: {unseen}"),
                )
            };
        }
        Judgement::new(Verdict::Pass, expected, value)
    }

    fn fix(&self, snapshot: &Snapshot) -> Result<Vec<Intent>, Unfixable> {
        let Some((option, value)) = self.to_set() else {
            return Err(Unfixable::new("The rule does not say what to set."));
        };
        let key = option.to_ascii_lowercase();
        let config = Config::of(snapshot);
        let in_match = config.settings.iter().find(|s| {
            s.in_match
                && s.keyword == key
                && self.option.is_some()
                && !self.is_right(&key, &s.value)
        });
        if let Some(s) = in_match {
            return Err(Unfixable::new(format!(
                "A Match block sets {option} otherwise at {}:{}, and only a person can say whether it is meant.",
                s.path, s.line
            )));
        }
        let set = |path: &str, edit: Edit| (path.to_owned(), edit);
        let mut edits = vec![set(
            OURS,
            Edit::SetKey {
                section: None,
                key: option.to_owned(),
                value: value.clone(),
                separator: Separator::Space,
                fold: true,
            },
        )];
        if ADD_UP.contains(&key.as_str()) {
            let mut others: Vec<&str> = config
                .settings
                .iter()
                .filter(|s| s.keyword == key && s.path != OURS)
                .map(|s| s.path.as_str())
                .collect();
            others.dedup();
            if let Some(s) = config
                .settings
                .iter()
                .find(|s| s.in_match && s.keyword == key)
            {
                return Err(Unfixable::new(format!(
                    "{option} adds up over all files, and a Match block sets it at {}:{}.",
                    s.path, s.line
                )));
            }
            edits.extend(others.into_iter().map(|path| {
                set(
                    path,
                    Edit::UnsetKey {
                        section: None,
                        key: option.to_owned(),
                        separator: Separator::Space,
                        fold: true,
                    },
                )
            }));
        }
        // Try it on paper: the first value that sshd would meet must be ours.
        let mut after = edits
            .iter()
            .fold(snapshot.clone(), |s, (path, edit)| with(&s, path, edit));
        if !wins(&after, &key, &value) {
            let edit = Edit::Line {
                line: INCLUDE.into(),
                replaces: None,
                first: true,
            };
            after = with(&after, MAIN, &edit);
            edits.push(set(MAIN, edit));
        }
        if !wins(&after, &key, &value) {
            let first = Config::of(&after);
            let place = first.global(&key).find(|s| s.path != OURS).map_or_else(
                || "a file that was not looked at".to_owned(),
                |s| format!("{}:{}", s.path, s.line),
            );
            return Err(Unfixable::new(format!(
                "{place} sets {option} before {OURS} can."
            )));
        }
        let intent = |(path, edit): (String, Edit)| {
            let path = paths::place(snapshot, &path)?;
            Ok(Intent::File(FileIntent {
                validate_placed: Some(VALIDATE.into()),
                reaction: Some(Reaction {
                    name: "reload.ssh".into(),
                    run: RELOAD.into(),
                }),
                ..paths::file_intent(path, edit, 0o600, Risk::LockOut)
            }))
        };
        edits.into_iter().map(intent).collect()
    }
}

/// Whether our drop-in is read, and what it says counts: it is met first, or alone where lines
/// add up.
fn wins(after: &Snapshot, key: &str, value: &str) -> bool {
    let main = paths::text(after, MAIN).ok().flatten().unwrap_or_default();
    let ours = paths::text(after, OURS).ok().flatten().unwrap_or_default();
    let said = ours
        .lines()
        .filter_map(key_value)
        .any(|(k, v)| k == key && v == value);
    let config = Config::of(after);
    let mut all = config.global(key);
    let first = all.next().is_some_and(|s| s.path == OURS);
    let alone = !ADD_UP.contains(&key) || all.all(|s| s.path == OURS);
    said && includes(main, OURS) && first && alone
}

#[cfg(test)]
mod tests;
