//! `accounts`: one demand on all accounts and groups at once.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::account::{groups_of, is_locked, password_word};
use super::passwd::{self, is_name};
use super::paths;
use super::{Claim, Judgement, Resource, Unfixable, Verdict};
use crate::document::{Demand, Words};
use crate::host::edit::Edit;
use crate::host::intent::{FileIntent, Intent, Ownership, Risk};
use crate::host::probe::Queries;
use crate::host::probe::accounts::{NOBODY, UID_MIN, is_no_login};
use crate::host::probe::files::glob_match;
use crate::host::snapshot::{
    Accounts, FileKind, FileState, PasswordKind, Seen, Shadow, Snapshot, User,
};

/// Every account (or group) of the host is as demanded.
///
/// Read from passwd, shadow and group in one go, with one `stat` of the homes of those who log
/// in; of a password only its kind leaves the host. Where there is one safe way to mend it, each
/// account is changed by itself with `usermod`, `chage`, `chmod` or `chown`, and rollback puts its
/// fields back; where a person must decide (two accounts with one user id, say), it is only
/// judged.
///
/// Traps: people are accounts with a user id from 1000 on, and root. Password ages count only
/// for accounts with a password that is set, so those who log in by key alone are not locked
/// out. A lower `max_days` can make a password overdue at once: its owner is asked for a new one
/// at the next log-in. `root_path` runs root's own log-in files to see the path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountsRule {
    pub demand: AccountsDemand,
    /// For `max_days`, `min_days`, `warn_days` and `inactive_days`: what the days must be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Demand>,
    /// Accounts (or groups) that are left out.
    #[serde(default, skip_serializing_if = "no_words")]
    pub except: Words,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AccountsDemand {
    /// No password stands in /etc/passwd itself.
    PasswordsShadowed,
    /// Nobody gets in with an empty password. Mended by locking the password.
    NoEmptyPassword,
    /// Every primary group is in /etc/group.
    GroupsExist,
    /// The group `shadow` has no members, and is nobody's primary group.
    ShadowGroupEmpty,
    UniqueUids,
    UniqueGids,
    UniqueUserNames,
    UniqueGroupNames,
    /// Homes are there, belong to their user, and are closed to others (0750). Mended.
    Homes,
    /// Dot files in homes belong to their user and are not writable by others; `.netrc` and
    /// `.bash_history` are closed; no `.rhosts` and no `.forward`. Owner and mode are mended.
    Dotfiles,
    #[serde(rename = "uid_0_only_root")]
    Uid0OnlyRoot,
    /// No primary group 0 but for root, sync, shutdown, halt and operator.
    #[serde(rename = "gid_0_only_root")]
    Gid0OnlyRoot,
    #[serde(rename = "gid_0_group_only_root")]
    Gid0GroupOnlyRoot,
    /// root has a password, or is locked. Mended by locking.
    RootHasPasswordOrLocked,
    /// root's PATH holds only directories of root's that others cannot write to.
    RootPath,
    /// Accounts of the system have a shell that lets nobody in. Mended.
    SystemShells,
    /// Accounts whose shell is not in /etc/shells have no password. Mended by locking.
    NoShellLocked,
    /// No password was changed in the future.
    PasswordChangedInPast,
    MaxDays,
    MinDays,
    WarnDays,
    /// Days from a password's end to the end of the account.
    InactiveDays,
}

use AccountsDemand as D;

fn no_words(words: &Words) -> bool {
    words.0.is_empty()
}

/// One account or group that is not as demanded, and how to mend it.
struct Offender {
    what: String,
    fix: Result<Vec<Intent>, Unfixable>,
}

impl Offender {
    fn by_hand(what: impl Into<String>) -> Offender {
        Offender {
            what: what.into(),
            fix: Err(Unfixable::new("Only a person can say how to mend it.")),
        }
    }

    fn new(what: impl Into<String>, fix: Result<Intent, Unfixable>) -> Offender {
        Offender {
            what: what.into(),
            fix: fix.map(|i| vec![i]),
        }
    }
}

/// Accounts of the system that keep a shell of their own.
const SHELL_OF_THEIR_OWN: &[&str] = &["root", "sync", "shutdown", "halt"];
/// Accounts of the system that may have group 0.
const GROUP_0: &[&str] = &["root", "sync", "shutdown", "halt", "operator"];
/// Where homes' dot files are looked for.
const DOTFILES: [&str; 2] = ["/home/*/.[!.]*", "/root/.[!.]*"];

const NOLOGIN: &str = "/usr/sbin/nologin";
const SHELLS: &str = "/etc/shells";
const ROOT_PATH_ID: &str = "accounts.root-path";

/// Says what is wrong with root's PATH, one thing in each line; nothing where all is well.
const ROOT_PATH: &str = r#"_s=/bin/sh; [ ! -x /bin/bash ] || _s=/bin/bash
_p=$(env -i HOME=/root USER=root LOGNAME=root SHELL=$_s TERM=dumb $_s -lc 'printf "\n@%s" "$PATH"' 2>/dev/null | tail -n 1)
_p=${_p#@}
[ -n "$_p" ] || { echo "the path is empty or cannot be seen"; return 1; }
case ":$_p:" in *::*) echo "an empty entry";; esac
_d= _bad=0
IFS=:
for _e in $_p; do
  case $_e in
    '') ;;
    /*) if [ -d "$_e" ]; then _d="$_d:$_e"; else echo "$_e: no such directory"; fi;;
    *) echo "$_e: not absolute";;
  esac
done
set -f
stat -L -c '%u:%a:%n' -- ${_d#:} 2>/dev/null | while read -r _u _m _n; do
  [ "$_u" = 0 ] || echo "$_n: belongs to user $_u"
  case $_m in *[2367]?|*[2367]) echo "$_n: mode $_m";; esac
done
"#;

impl AccountsRule {
    /// The name of the demand, as in documents.
    fn name(&self) -> String {
        let value = serde_json::to_value(self.demand).ok();
        let text = value.as_ref().and_then(|v| v.as_str());
        text.unwrap_or_default().to_owned()
    }

    fn expected(&self) -> String {
        let text = match self.demand {
            D::PasswordsShadowed => "all passwords in /etc/shadow",
            D::NoEmptyPassword => "no empty password",
            D::GroupsExist => "every primary group in /etc/group",
            D::ShadowGroupEmpty => "nobody in the group shadow",
            D::UniqueUids => "each user id once",
            D::UniqueGids => "each group id once",
            D::UniqueUserNames => "each user name once",
            D::UniqueGroupNames => "each group name once",
            D::Homes => "homes there, their user's, 0750 or stricter",
            D::Dotfiles => "dot files their user's, not writable by others, no .rhosts or .forward",
            D::Uid0OnlyRoot => "user id 0 for root alone",
            D::Gid0OnlyRoot => "primary group 0 for root alone",
            D::Gid0GroupOnlyRoot => "group id 0 for the group root alone",
            D::RootHasPasswordOrLocked => "root with a password, or locked",
            D::RootPath => "root's path of root's own directories",
            D::SystemShells => "accounts of the system without a log-in shell",
            D::NoShellLocked => "accounts without a valid shell locked",
            D::PasswordChangedInPast => "passwords changed in the past",
            D::MaxDays | D::MinDays | D::WarnDays | D::InactiveDays => {
                let value = self.value.as_ref().map(Demand::describe);
                return format!(
                    "{} of each password {}",
                    self.name(),
                    value.unwrap_or_default()
                );
            }
        };
        match self.except.0.is_empty() {
            true => text.to_owned(),
            false => format!("{text}, except {}", self.except.joined(", ")),
        }
    }

    fn is_age(&self) -> bool {
        matches!(
            self.demand,
            D::MaxDays | D::MinDays | D::WarnDays | D::InactiveDays
        )
    }

    fn excepted(&self, name: &str) -> bool {
        self.except.0.iter().any(|e| e == name)
    }

    /// All that are not as demanded; `Err`: it could not be seen.
    fn offenders(&self, snapshot: &Snapshot) -> Result<Vec<Offender>, String> {
        if self.demand == D::RootPath {
            return root_path(snapshot);
        }
        let accounts = match &snapshot.accounts {
            Seen::Yes(accounts) => accounts,
            Seen::Absent => return Err("there is no /etc/passwd".into()),
            Seen::No(why) => return Err(why.clone()),
        };
        let users: Vec<&User> = accounts
            .users
            .iter()
            .filter(|u| !self.excepted(&u.name))
            .collect();
        Ok(match self.demand {
            D::PasswordsShadowed => pick(
                &users,
                |u| !u.shadowed,
                |u| Offender::by_hand(format!("{}: password in /etc/passwd", u.name)),
            ),
            D::NoEmptyPassword => pick(
                &users,
                |u| kind(u) == Some(&PasswordKind::Empty),
                |u| Offender::new(&u.name, lock(u)),
            ),
            D::Uid0OnlyRoot => pick(
                &users,
                |u| u.uid == 0 && u.name != "root",
                |u| Offender::by_hand(&u.name),
            ),
            D::Gid0OnlyRoot => pick(
                &users,
                |u| u.gid == 0 && !GROUP_0.contains(&u.name.as_str()),
                |u| Offender::by_hand(&u.name),
            ),
            D::RootHasPasswordOrLocked => pick(
                &users,
                |u| {
                    u.name == "root"
                        && !(is_locked(u)
                            || u.shadowed && matches!(kind(u), Some(PasswordKind::Set(_))))
                },
                |u| Offender::new(password_word(u), lock(u)),
            ),
            D::GroupsExist => pick(
                &users,
                |u| !accounts.groups.iter().any(|g| g.gid == u.gid),
                |u| Offender::by_hand(format!("{}: group {}", u.name, u.gid)),
            ),
            D::SystemShells => pick(
                &users,
                |u| {
                    (u.uid < UID_MIN || u.uid == NOBODY)
                        && !is_no_login(&u.shell)
                        && !SHELL_OF_THEIR_OWN.contains(&u.name.as_str())
                },
                |u| {
                    Offender::new(
                        format!("{}: {}", u.name, u.shell),
                        named(u).and_then(|n| passwd::shell(n, &u.shell, NOLOGIN)),
                    )
                },
            ),
            D::NoShellLocked => {
                let shells = paths::text(snapshot, SHELLS)?.unwrap_or_default();
                let valid =
                    |shell: &str| !is_no_login(shell) && shells.lines().any(|l| l.trim() == shell);
                pick(
                    &users,
                    |u| !valid(&u.shell) && !is_locked(u) && u.name != "root",
                    |u| {
                        Offender::new(
                            format!("{}: {}, {}", u.name, u.shell, password_word(u)),
                            lock(u),
                        )
                    },
                )
            }
            D::PasswordChangedInPast => changed(&users, today(snapshot)?),
            D::Homes => users
                .iter()
                .filter(|u| is_person(u))
                .filter_map(|u| home(accounts, u))
                .collect(),
            D::Dotfiles => self.dotfiles(snapshot, accounts, &users)?,
            D::UniqueUids => twice(users.iter().map(|u| (u.uid.to_string(), u.name.as_str()))),
            D::UniqueUserNames => twice(users.iter().map(|u| (u.name.clone(), u.name.as_str()))),
            D::UniqueGids => twice(
                self.groups(accounts)
                    .map(|g| (g.gid.to_string(), g.name.as_str())),
            ),
            D::UniqueGroupNames => twice(
                self.groups(accounts)
                    .map(|g| (g.name.clone(), g.name.as_str())),
            ),
            D::Gid0GroupOnlyRoot => {
                let wrong = self
                    .groups(accounts)
                    .filter(|g| g.gid == 0 && g.name != "root");
                wrong.map(|g| Offender::by_hand(&g.name)).collect()
            }
            D::ShadowGroupEmpty => shadow_group(accounts, &users),
            D::MaxDays | D::MinDays | D::WarnDays | D::InactiveDays => self.ages(&users),
            D::RootPath => Vec::new(),
        })
    }

    fn groups<'a>(
        &'a self,
        accounts: &'a Accounts,
    ) -> impl Iterator<Item = &'a crate::host::snapshot::Group> {
        accounts.groups.iter().filter(|g| !self.excepted(&g.name))
    }

    /// Which number of shadow it is about: what `chage` calls it, and which field it is.
    fn age_of(
        &self,
        shadow: &Shadow,
    ) -> (
        Option<i64>,
        &'static str,
        &'static [(&'static str, &'static str)],
    ) {
        match self.demand {
            D::MinDays => (shadow.min, "-m", &[("shadow", "4")]),
            D::WarnDays => (shadow.warn, "-W", &[("shadow", "6")]),
            D::InactiveDays => (shadow.inactive, "-I", &[("shadow", "7")]),
            _ => (shadow.max, "-M", &[("shadow", "5")]),
        }
    }

    fn ages(&self, users: &[&User]) -> Vec<Offender> {
        let Some(demand) = &self.value else {
            return Vec::new();
        };
        let mut out = Vec::new();
        for user in users {
            let Some(shadow) = &user.shadow else { continue };
            if !matches!(shadow.password, PasswordKind::Set(_)) {
                continue;
            }
            let (days, flag, field) = self.age_of(shadow);
            let seen = days.map(|d| d.to_string()).unwrap_or_default();
            if demand.judge(&seen) {
                continue;
            }
            let fix = named(user).and_then(|name| {
                let set = demand
                    .to_set()
                    .ok_or_else(|| Unfixable::new("The rule does not say what to set."))?;
                passwd::age(name, &self.name(), (flag, field), &seen, &set)
            });
            let shown = if seen.is_empty() { "not set" } else { &seen };
            out.push(Offender::new(format!("{}: {shown}", user.name), fix));
        }
        out
    }

    fn dotfiles(
        &self,
        snapshot: &Snapshot,
        accounts: &Accounts,
        users: &[&User],
    ) -> Result<Vec<Offender>, String> {
        let mut found = Vec::new();
        for pattern in DOTFILES {
            found.extend(paths::expand(snapshot, pattern)?);
        }
        let mut out = Vec::new();
        for user in users
            .iter()
            .filter(|u| is_person(u) && u.home_state.is_some())
        {
            let inside = |name: &str| format!("{}/{name}", user.home.trim_end_matches('/'));
            if !DOTFILES.iter().any(|p| glob_match(p, &inside(".x"))) {
                return Err(format!(
                    "the home of {} is {}, which is not looked into",
                    user.name, user.home
                ));
            }
            for path in found.iter().filter(|p| {
                p.strip_prefix(&inside(""))
                    .is_some_and(|n| !n.contains('/'))
            }) {
                match snapshot.files.get(path) {
                    Some(Seen::Yes(state)) => out.extend(dotfile(accounts, user, path, state)),
                    Some(Seen::Absent) => {}
                    Some(Seen::No(why)) => return Err(format!("{path}: {why}")),
                    None => return Err(format!("{path}: was not asked for")),
                }
            }
        }
        Ok(out)
    }
}

fn kind(user: &User) -> Option<&PasswordKind> {
    user.shadow.as_ref().map(|s| &s.password)
}

/// Whether somebody logs in to it.
fn is_person(user: &User) -> bool {
    !is_no_login(&user.shell) && (user.uid == 0 || (user.uid >= UID_MIN && user.uid != NOBODY))
}

fn pick(
    users: &[&User],
    wrong: impl Fn(&User) -> bool,
    offender: impl Fn(&User) -> Offender,
) -> Vec<Offender> {
    users
        .iter()
        .filter(|u| wrong(u))
        .map(|u| offender(u))
        .collect()
}

/// The name, if the system's tools can be given it.
fn named(user: &User) -> Result<&str, Unfixable> {
    if is_name(&user.name) {
        Ok(&user.name)
    } else {
        Err(Unfixable::new(
            "The account's name is not one that tools can be given.",
        ))
    }
}

fn lock(user: &User) -> Result<Intent, Unfixable> {
    if user.shadow.is_none() {
        return Err(Unfixable::new(format!(
            "{} is not in /etc/shadow.",
            user.name
        )));
    }
    passwd::lock(named(user)?, &password_word(user))
}

/// Those that share what should be each one's own.
fn twice<'a>(all: impl Iterator<Item = (String, &'a str)>) -> Vec<Offender> {
    let mut by: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (key, name) in all {
        by.entry(key).or_default().push(name);
    }
    let shared = by.into_iter().filter(|(_, names)| names.len() > 1);
    shared
        .map(|(key, names)| Offender::by_hand(format!("{key}: {}", names.join(", "))))
        .collect()
}

fn shadow_group(accounts: &Accounts, users: &[&User]) -> Vec<Offender> {
    let Some(group) = accounts.groups.iter().find(|g| g.name == "shadow") else {
        return Vec::new();
    };
    let members = users
        .iter()
        .filter(|u| u.gid == group.gid || group.members.contains(&u.name));
    members.map(|u| Offender::by_hand(&u.name)).collect()
}

/// The day of the snapshot, counted from 1970-01-01, by the controller's clock.
fn today(snapshot: &Snapshot) -> Result<i64, String> {
    let taken: jiff::Timestamp = snapshot
        .taken
        .parse()
        .map_err(|_| "the snapshot does not say when it was taken".to_owned())?;
    Ok(taken.as_second().div_euclid(86_400))
}

fn changed(users: &[&User], today: i64) -> Vec<Offender> {
    let day = |u: &User| u.shadow.as_ref().and_then(|s| s.changed).unwrap_or(0);
    // A day's grace: the host may live to the east of us.
    pick(
        users,
        |u| day(u) > today + 1,
        |u| {
            Offender::by_hand(format!(
                "{}: {} days from now",
                u.name,
                day(u).saturating_sub(today)
            ))
        },
    )
}

fn ownership(accounts: &Accounts, user: &User, mode: u32) -> Ownership {
    let group = groups_of(accounts, user).first().map(|g| (*g).to_owned());
    Ownership {
        owner: user.name.clone(),
        group: group.unwrap_or_else(|| user.gid.to_string()),
        mode,
    }
}

/// What is wrong with one home.
fn home(accounts: &Accounts, user: &User) -> Option<Offender> {
    let mended = |edit: Edit| {
        named(user)?;
        if paths::path_problem(&user.home).is_some() || user.home == "/" {
            return Err(Unfixable::new(format!(
                "{} is no place for a home.",
                user.home
            )));
        }
        Ok(Intent::File(FileIntent {
            create: ownership(accounts, user, 0o750),
            ..paths::file_intent(&user.home, edit, 0o750, Risk::LockOut)
        }))
    };
    let Some(state) = &user.home_state else {
        let edit = Edit::Directory(ownership(accounts, user, 0o750));
        return Some(Offender::new(
            format!("{}: {} is not there", user.name, user.home),
            mended(edit),
        ));
    };
    let owner_ok = state.uid == user.uid;
    if state.kind == FileKind::Directory && owner_ok && state.mode & 0o027 == 0 {
        return None;
    }
    let what = format!(
        "{}: {} {} {:04o}",
        user.name, user.home, state.owner, state.mode
    );
    if state.kind != FileKind::Directory {
        return Some(Offender::by_hand(format!("{what} is no directory")));
    }
    let edit = Edit::Own {
        owner: (!owner_ok).then(|| user.name.clone()),
        group: None,
        mode: None,
        clear: state.mode & 0o027,
    };
    Some(Offender::new(what, mended(edit)))
}

/// What is wrong with one dot file.
fn dotfile(accounts: &Accounts, user: &User, path: &str, state: &FileState) -> Option<Offender> {
    if state.kind != FileKind::File {
        return None;
    }
    let name = path.rsplit('/').next().unwrap_or_default();
    if matches!(name, ".rhosts" | ".forward") {
        return Some(Offender::by_hand(format!("{path} is there")));
    }
    let clear = match name {
        ".netrc" | ".bash_history" => 0o077,
        _ => 0o022,
    } & state.mode;
    let owner_ok = state.uid == user.uid;
    if owner_ok && clear == 0 {
        return None;
    }
    let edit = Edit::Own {
        owner: (!owner_ok).then(|| user.name.clone()),
        group: None,
        mode: None,
        clear,
    };
    let intent = named(user).map(|_| {
        Intent::File(FileIntent {
            create: ownership(accounts, user, 0o600),
            ..paths::file_intent(path, edit, 0o600, Risk::Safe)
        })
    });
    Some(Offender::new(
        format!("{path} {} {:04o}", state.owner, state.mode),
        intent,
    ))
}

fn root_path(snapshot: &Snapshot) -> Result<Vec<Offender>, String> {
    match snapshot.commands.get(ROOT_PATH_ID) {
        Some(Seen::Yes(outcome)) => {
            let lines = outcome
                .output
                .lines()
                .map(str::trim)
                .filter(|l| !l.is_empty());
            let mut out: Vec<Offender> = lines.map(Offender::by_hand).collect();
            if out.is_empty() && outcome.status != 0 {
                out.push(Offender::by_hand("the check failed"));
            }
            Ok(out)
        }
        Some(Seen::No(why)) => Err(why.clone()),
        _ => Err("the host did not answer".into()),
    }
}

impl Resource for AccountsRule {
    fn target(&self) -> String {
        format!("accounts {}", self.name())
    }

    fn problems(&self) -> Vec<(&'static str, String)> {
        let mut out = Vec::new();
        match (&self.value, self.is_age()) {
            (None, true) => out.push(("value", "is needed for days".into())),
            (Some(_), false) => out.push(("value", "is for days alone".into())),
            (Some(demand), true) => {
                out.extend(demand.problems_to_write().into_iter().map(|p| ("value", p)));
                let set = demand
                    .to_set()
                    .map(|s| s.parse::<i64>().is_ok_and(|n| n >= 0));
                if set == Some(false) {
                    out.push(("value", "what is set must be a number of days".into()));
                }
            }
            (None, false) => {}
        }
        out
    }

    fn claims(&self) -> Vec<Claim> {
        let claim = |value: &Demand| Claim {
            key: format!("accounts {}", self.name()),
            value: value.to_claim(),
        };
        self.value.iter().map(claim).collect()
    }

    fn ask(&self, queries: &mut Queries) {
        match self.demand {
            D::RootPath => {
                queries
                    .commands
                    .insert(ROOT_PATH_ID.into(), ROOT_PATH.into());
            }
            D::NoShellLocked => {
                queries.accounts = true;
                queries.text(SHELLS);
            }
            D::Dotfiles => {
                queries.accounts = true;
                for pattern in DOTFILES {
                    queries.glob(pattern);
                }
            }
            _ => queries.accounts = true,
        }
    }

    fn judge(&self, snapshot: &Snapshot) -> Judgement {
        let expected = self.expected();
        match self.offenders(snapshot) {
            Err(why) => Judgement::unknown(expected, why),
            Ok(wrong) if wrong.is_empty() => Judgement::new(Verdict::Pass, expected, "as demanded"),
            Ok(wrong) => {
                let named: Vec<&str> = wrong.iter().take(10).map(|o| o.what.as_str()).collect();
                let mut actual = named.join("; ");
                if wrong.len() > 10 {
                    actual.push_str(&format!("; and {} more", wrong.len() - 10));
                }
                Judgement::new(Verdict::Fail, expected, actual)
            }
        }
    }

    fn fix(&self, snapshot: &Snapshot) -> Result<Vec<Intent>, Unfixable> {
        let mut out = Vec::new();
        for offender in self.offenders(snapshot).map_err(Unfixable::new)? {
            // A rule is brought about whole or not at all.
            let intents = offender
                .fix
                .map_err(|why| Unfixable::new(format!("{}: {why}", offender.what)))?;
            out.extend(intents);
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests;
