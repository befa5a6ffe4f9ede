//! `account`: one account, its groups and its keys.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::passwd::{self, is_name};
use super::paths;
use super::{Claim, Judgement, Resource, Unfixable, Verdict};
use crate::document::Words;
use crate::host::edit::{Edit, apply_all};
use crate::host::intent::{FileIntent, Intent, Ownership, Risk};
use crate::host::probe::Queries;
use crate::host::snapshot::{Accounts, PasswordKind, Seen, Snapshot, User};

/// One account is there, or is not, or is locked; its shell, its groups, its SSH keys.
///
/// Read from passwd, shadow and group; of a password only its kind leaves the host. Changed with
/// `useradd`, `usermod` and `userdel`, and keys by editing `~/.ssh/authorized_keys`. Rollback puts
/// the account's lines back (whole files, to the byte, where nobody else has changed them).
///
/// Traps: a locked password does not keep keys from logging in; give the account the shell
/// `/usr/sbin/nologin` too. `exclusive` with the wrong keys locks out; the host undoes it when the
/// new log-in fails. An account that is taken away leaves its home behind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Account {
    pub name: String,
    /// The account is made if it is missing, with its home and a locked password.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub present: bool,
    /// There is no such account.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub absent: bool,
    /// Where its home is; `/home/NAME` if it is not said (`/root` for root).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home: Option<String>,
    /// With `present`: made as an account of the system.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub system: bool,
    /// No password lets it in.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub locked: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shell: Option<String>,
    /// Groups that it belongs to, among others.
    #[serde(default, skip_serializing_if = "no_words")]
    pub groups: Words,
    /// Lines of `~/.ssh/authorized_keys` that are there, e.g. `ssh-ed25519 AAAA… ann`.
    #[serde(default, skip_serializing_if = "no_words")]
    pub keys: Words,
    /// No other keys are there.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub exclusive: bool,
}

fn no_words(words: &Words) -> bool {
    words.0.is_empty()
}

/// Whether no password can let the account in.
pub fn is_locked(user: &User) -> bool {
    let kind = user.shadow.as_ref().map(|s| &s.password);
    user.shadowed && matches!(kind, Some(PasswordKind::None | PasswordKind::Locked))
}

/// The password's kind, for a person.
pub fn password_word(user: &User) -> String {
    match user.shadow.as_ref().map(|s| &s.password) {
        _ if !user.shadowed => "password in /etc/passwd".into(),
        None => "not in /etc/shadow".into(),
        Some(PasswordKind::Empty) => "empty password".into(),
        Some(PasswordKind::None) => "no password".into(),
        Some(PasswordKind::Locked) => "locked password".into(),
        Some(PasswordKind::Set(scheme)) => format!("password set ({scheme})"),
    }
}

/// The groups that an account belongs to, by name: its primary one first.
pub fn groups_of<'a>(accounts: &'a Accounts, user: &User) -> Vec<&'a str> {
    let primary = accounts.groups.iter().filter(|g| g.gid == user.gid);
    let others = accounts
        .groups
        .iter()
        .filter(|g| g.gid != user.gid && g.members.contains(&user.name));
    primary.chain(others).map(|g| g.name.as_str()).collect()
}

/// The type and the body of a key, wherever options stand before them.
fn key_of(line: &str) -> Option<(&str, &str)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    words.windows(2).find_map(|pair| match pair {
        [kind, body] if is_key_type(kind) && body.starts_with("AAAA") => Some((*kind, *body)),
        _ => None,
    })
}

fn is_key_type(word: &str) -> bool {
    ["ssh-", "ecdsa-", "sk-ssh-", "sk-ecdsa-"]
        .iter()
        .any(|p| word.starts_with(p))
}

/// The lines of authorized_keys that are not comments.
fn entries(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .map(str::trim)
        .filter(|l| !l.is_empty() && !l.starts_with('#'))
}

impl Account {
    fn home(&self) -> String {
        match (&self.home, self.name.as_str()) {
            (Some(home), _) => home.clone(),
            (None, "root") => "/root".into(),
            (None, name) => format!("/home/{name}"),
        }
    }

    fn keys_path(&self) -> String {
        format!("{}/.ssh/authorized_keys", self.home())
    }

    fn wants_keys(&self) -> bool {
        !self.keys.0.is_empty() || self.exclusive
    }

    fn expected(&self) -> String {
        if self.absent {
            return format!("no account {}", self.name);
        }
        let mut parts = Vec::new();
        if self.present {
            parts.push("there".to_owned());
        }
        if self.locked {
            parts.push("password locked".into());
        }
        if let Some(shell) = &self.shell {
            parts.push(format!("shell {shell}"));
        }
        if !self.groups.0.is_empty() {
            parts.push(format!("member of {}", self.groups.joined(", ")));
        }
        if self.wants_keys() {
            let only = if self.exclusive { "only " } else { "" };
            parts.push(format!("{only}the {} keys of the rule", self.keys.0.len()));
        }
        format!("{}: {}", self.name, parts.join(", "))
    }

    /// The groups that the account is not in.
    fn missing_groups<'a>(&'a self, accounts: &Accounts, user: &User) -> Vec<&'a str> {
        let has = groups_of(accounts, user);
        let wanted = self.groups.0.iter().map(String::as_str);
        wanted.filter(|g| !has.contains(g)).collect()
    }

    /// What is wrong with the keys; the text of authorized_keys.
    fn keys_wrong<'s>(&self, snapshot: &'s Snapshot) -> Result<(Vec<String>, &'s str), String> {
        let text = paths::text(snapshot, &self.keys_path())?.unwrap_or_default();
        let mut wrong = Vec::new();
        let missing = self.missing_keys(text).len();
        if missing > 0 {
            wrong.push(format!("{missing} keys missing"));
        }
        if self.exclusive {
            let wanted: Vec<_> = self.keys.0.iter().filter_map(|k| key_of(k)).collect();
            let other = entries(text).filter(|l| key_of(l).is_none_or(|k| !wanted.contains(&k)));
            match other.count() {
                0 => {}
                n => wrong.push(format!("{n} other keys")),
            }
        }
        Ok((wrong, text))
    }

    fn missing_keys(&self, text: &str) -> Vec<&String> {
        let there: Vec<_> = entries(text).filter_map(key_of).collect();
        let wanted = self.keys.0.iter();
        wanted
            .filter(|k| key_of(k).is_none_or(|k| !there.contains(&k)))
            .collect()
    }

    fn fix_keys(&self, snapshot: &Snapshot, group: &str) -> Result<Vec<Intent>, Unfixable> {
        let (wrong, text) = self.keys_wrong(snapshot).map_err(Unfixable::new)?;
        if wrong.is_empty() {
            return Ok(Vec::new());
        }
        let owned = |mode| Ownership {
            owner: self.name.clone(),
            group: group.to_owned(),
            mode,
        };
        let dir = format!("{}/.ssh", self.home());
        let mut out = Vec::new();
        let mut add = |path: &str, edit: Edit, mode: u32| {
            out.push(Intent::File(FileIntent {
                create: owned(mode),
                ..paths::file_intent(path, edit, mode, Risk::LockOut)
            }));
        };
        match snapshot.files.get(&dir) {
            Some(Seen::Absent) => add(&dir, Edit::Directory(owned(0o700)), 0o700),
            Some(Seen::Yes(_)) => {}
            _ => return Err(Unfixable::new(format!("{dir} could not be seen."))),
        }
        let path = paths::place(snapshot, &self.keys_path())?;
        let edits: Vec<Edit> = if self.exclusive {
            let lines: String = self.keys.0.iter().map(|k| format!("{k}\n")).collect();
            vec![Edit::Content(lines)]
        } else {
            let line = |line: &String| Edit::Line {
                line: line.clone(),
                replaces: None,
                first: false,
            };
            self.missing_keys(text).into_iter().map(line).collect()
        };
        if apply_all(&edits, Some(text)).as_deref() != Some(text) {
            for edit in edits {
                add(&path, edit, 0o600);
            }
        }
        Ok(out)
    }
}

impl Resource for Account {
    fn target(&self) -> String {
        format!("account {}", self.name)
    }

    fn problems(&self) -> Vec<(&'static str, String)> {
        let mut out = Vec::new();
        if !is_name(&self.name) {
            out.push((
                "name",
                "must be letters, digits, `_`, `-` and `.`, at most 32".into(),
            ));
        }
        let demands =
            self.locked || self.shell.is_some() || !self.groups.0.is_empty() || self.wants_keys();
        if self.absent && (self.present || demands) {
            out.push(("absent", "excludes all other demands".into()));
        }
        if !self.absent && !self.present && !demands {
            out.push(("name", "nothing is demanded of it".into()));
        }
        for (field, path) in [("home", &self.home), ("shell", &self.shell)] {
            let problem = path.as_deref().and_then(paths::path_problem);
            out.extend(problem.map(|p| (field, p)));
            if path
                .as_ref()
                .is_some_and(|p| p.contains([':', '*', '?', '[']))
            {
                out.push((field, "must be a plain path".into()));
            }
        }
        if self.groups.0.iter().any(|g| !is_name(g)) {
            out.push(("groups", "must be names of groups".into()));
        }
        if self
            .keys
            .0
            .iter()
            .any(|k| k.contains(['\n', '\r']) || k != k.trim() || key_of(k).is_none())
        {
            out.push((
                "keys",
                "must be lines as in authorized_keys, e.g. `ssh-ed25519 AAAA… ann`".into(),
            ));
        }
        if self.exclusive && self.keys.0.is_empty() {
            out.push(("exclusive", "needs `keys`".into()));
        }
        out
    }

    fn claims(&self) -> Vec<Claim> {
        let claim = |what: &str, value: String| Claim {
            key: format!("account {}{what}", self.name),
            value,
        };
        let mut out = Vec::new();
        if self.present || self.absent {
            out.push(claim(
                "",
                (if self.present { "present" } else { "absent" }).into(),
            ));
        }
        out.extend(self.shell.as_ref().map(|s| claim(" shell", s.clone())));
        out
    }

    fn ask(&self, queries: &mut Queries) {
        queries.accounts = true;
        if self.wants_keys() {
            queries.file(&format!("{}/.ssh", self.home()));
            queries.text(&self.keys_path());
        }
    }

    fn judge(&self, snapshot: &Snapshot) -> Judgement {
        let expected = self.expected();
        let accounts = match &snapshot.accounts {
            Seen::Yes(accounts) => accounts,
            Seen::Absent => return Judgement::unknown(expected, "there is no /etc/passwd"),
            Seen::No(why) => return Judgement::unknown(expected, why),
        };
        let user = accounts.users.iter().find(|u| u.name == self.name);
        let Some(user) = user else {
            let actual = "no such account";
            return match (self.absent, self.present) {
                (true, _) => Judgement::new(Verdict::Pass, expected, actual),
                (_, true) => Judgement::new(Verdict::Fail, expected, actual),
                _ => Judgement::not_applicable(
                    expected,
                    format!("there is no account {}", self.name),
                ),
            };
        };
        if self.absent {
            return Judgement::new(Verdict::Fail, expected, "the account is there");
        }
        let mut wrong = Vec::new();
        if self.locked && !is_locked(user) {
            wrong.push(password_word(user));
        }
        if self.shell.as_ref().is_some_and(|s| *s != user.shell) {
            wrong.push(format!("shell {}", user.shell));
        }
        let missing = self.missing_groups(accounts, user);
        if !missing.is_empty() {
            wrong.push(format!("not in {}", missing.join(", ")));
        }
        if self.wants_keys() {
            if user.home != self.home() {
                let why = format!("its home is {}: say so under `home`", user.home);
                return Judgement::unknown(expected, why);
            }
            match self.keys_wrong(snapshot) {
                Ok((keys, _)) => wrong.extend(keys),
                Err(why) => return Judgement::unknown(expected, why),
            }
        }
        if wrong.is_empty() {
            return Judgement::new(Verdict::Pass, expected, "as demanded");
        }
        Judgement::new(Verdict::Fail, expected, wrong.join(", "))
    }

    fn fix(&self, snapshot: &Snapshot) -> Result<Vec<Intent>, Unfixable> {
        if !self.problems().is_empty() {
            return Err(Unfixable::new("The rule's parameters are wrong."));
        }
        let Seen::Yes(accounts) = &snapshot.accounts else {
            return Err(Unfixable::new("The accounts could not be seen."));
        };
        let unknown = self
            .groups
            .0
            .iter()
            .find(|g| !accounts.groups.iter().any(|a| a.name == **g));
        if let Some(group) = unknown {
            return Err(Unfixable::new(format!(
                "There is no group {group}, and the rule does not make one."
            )));
        }
        let user = accounts.users.iter().find(|u| u.name == self.name);
        let mut out = Vec::new();
        let Some(user) = user else {
            out.push(passwd::create(passwd::New {
                account: &self.name,
                home: &self.home(),
                shell: self.shell.as_deref().unwrap_or("/bin/bash"),
                system: self.system,
                groups: self.groups.0.iter().map(String::as_str).collect(),
            })?);
            if self.wants_keys() {
                out.extend(self.fix_keys(snapshot, &self.name)?);
            }
            return Ok(out);
        };
        if self.absent {
            if user.uid == 0 {
                return Err(Unfixable::new(
                    "An account with user id 0 is not taken away.",
                ));
            }
            let mut groups = groups_of(accounts, user);
            groups.push(&self.name);
            return Ok(vec![passwd::remove(&self.name, groups)?]);
        }
        if self.locked && !is_locked(user) {
            if !user.shadowed || user.shadow.is_none() {
                return Err(Unfixable::new(format!(
                    "{} is not in /etc/shadow.",
                    self.name
                )));
            }
            out.push(passwd::lock(&self.name, &password_word(user))?);
        }
        if let Some(shell) = self.shell.as_ref().filter(|s| **s != user.shell) {
            out.push(passwd::shell(&self.name, &user.shell, shell)?);
        }
        let missing = self.missing_groups(accounts, user);
        if !missing.is_empty() {
            let before = groups_of(accounts, user).join(",");
            out.push(passwd::join(&self.name, &missing, &before)?);
        }
        if self.wants_keys() {
            let groups = groups_of(accounts, user);
            let group = groups.first().copied().unwrap_or("root");
            out.extend(self.fix_keys(snapshot, group)?);
        }
        Ok(out)
    }
}

#[cfg(test)]
pub(super) mod tests;
