//! What the resources that look at files share: paths and patterns, what they found, how risky
//! a path is, and what is done after a file is written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Unfixable;
use crate::document::Words;
use crate::host::edit::Edit;
use crate::host::intent::{FileIntent, Intent, Ownership, Reaction, Risk};
use crate::host::probe::Queries;
use crate::host::probe::files::{followed, glob_match, is_glob};
use crate::host::snapshot::{FileKind, FileState, Seen, Snapshot};
use crate::shell::quote;

/// What counts where a file is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum IfMissing {
    Pass,
    Fail,
    NotApplicable,
}

/// What is done once after a file was written, and again after an undo: exactly one of
/// `restart`, `reload` and `run`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Then {
    /// A systemd unit, with its suffix, that is restarted if it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart: Option<String>,
    /// A systemd unit, with its suffix, that is reloaded (or restarted) if it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reload: Option<String>,
    /// sh. Its status counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// With `run`: its name, of lower-case letters, digits, `.` and `-`. Equal names run once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

impl Then {
    pub fn problem(&self) -> Option<String> {
        let given = [&self.restart, &self.reload, &self.run];
        if given.iter().filter(|g| g.is_some()).count() != 1 {
            return Some("needs exactly one of `restart`, `reload` and `run`".into());
        }
        let unit = self.restart.as_ref().or(self.reload.as_ref());
        if unit.is_some_and(|u| !u.contains('.') || !u.chars().all(is_unit_char)) {
            return Some("a unit is named with its suffix, e.g. `cron.service`".into());
        }
        if self.run.is_some() != self.name.is_some() {
            return Some("`run` and `name` go together".into());
        }
        if self.name.as_ref().is_some_and(|n| *n != reaction_name(n)) {
            return Some("`name` may hold lower-case letters, digits, `.` and `-`".into());
        }
        None
    }

    pub fn reaction(&self) -> Result<Reaction, Unfixable> {
        let on_systemd = |verb: &str, unit: &str| {
            let unit = quote(unit)?;
            Ok::<_, Unfixable>(format!(
                "[ ! -d /run/systemd/system ] || systemctl {verb} {unit}"
            ))
        };
        let (name, run) = match (&self.restart, &self.reload, &self.run) {
            (Some(unit), _, _) => (format!("restart.{unit}"), on_systemd("try-restart", unit)?),
            (_, Some(unit), _) => (
                format!("reload.{unit}"),
                on_systemd("try-reload-or-restart", unit)?,
            ),
            (_, _, run) => (
                self.name.clone().unwrap_or_default(),
                run.clone().unwrap_or_default(),
            ),
        };
        Ok(Reaction {
            name: reaction_name(&name),
            run,
        })
    }
}

fn is_unit_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '@' | ':')
}

fn reaction_name(text: &str) -> String {
    let fit = |c: char| match c.to_ascii_lowercase() {
        c if c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-') => c,
        _ => '-',
    };
    text.chars().map(fit).collect()
}

/// What is wrong with a path or pattern.
pub fn path_problem(path: &str) -> Option<String> {
    if !path.starts_with('/') {
        return Some(format!("`{path}` is not absolute"));
    }
    if path.contains(['\n', '\0']) {
        return Some("a path may hold no newline and no NUL".into());
    }
    if path.split('/').any(|part| part == "..") {
        return Some(format!("`{path}` holds `..`"));
    }
    None
}

/// A mode such as `0640`.
pub fn parse_mode(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("0o").unwrap_or(text);
    let plain = (3..=5).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    let mode = u32::from_str_radix(digits, 8).ok().filter(|_| plain)?;
    (mode <= 0o7777).then_some(mode)
}

/// Asks for a path or pattern, with or without the text.
pub fn ask(queries: &mut Queries, path: &str, text: bool) {
    match (is_glob(path), text) {
        (true, true) => queries.texts(path),
        (true, false) => queries.glob(path),
        (false, true) => queries.text(path),
        (false, false) => queries.file(path),
    }
}

/// The paths that a path or pattern stands for on this host: itself, or what it found.
pub fn expand(snapshot: &Snapshot, path: &str) -> Result<Vec<String>, String> {
    if !is_glob(path) {
        return Ok(vec![path.to_owned()]);
    }
    match snapshot.globs.get(path) {
        Some(Seen::Yes(found)) => Ok(found.clone()),
        Some(Seen::Absent) => Ok(Vec::new()),
        Some(Seen::No(why)) => Err(format!("{path}: {why}")),
        None => Err(format!("{path}: was not asked for")),
    }
}

/// Whether one of the patterns (or paths) matches.
pub fn any_match(patterns: &Words, path: &str) -> bool {
    patterns.0.iter().any(|p| glob_match(p, path))
}

/// What stands at a path, links followed.
pub fn state<'s>(snapshot: &'s Snapshot, path: &str) -> Seen<&'s FileState> {
    followed(snapshot, path).1
}

/// The text at a path, links followed: `Ok(None)` where there is none to read (absent, a
/// directory).
pub fn text<'s>(snapshot: &'s Snapshot, path: &str) -> Result<Option<&'s str>, String> {
    let state = match snapshot.files.get(path) {
        None => return Err(format!("{path}: was not asked for")),
        Some(Seen::Absent) => return Ok(None),
        Some(Seen::No(why)) => return Err(format!("{path}: {why}")),
        Some(Seen::Yes(state)) => state,
    };
    match &state.content {
        Seen::Yes(text) => Ok(Some(text)),
        Seen::Absent => Ok(None),
        Seen::No(_) if state.kind == FileKind::Directory => Ok(None),
        Seen::No(why) => Err(format!("{path}: {why}")),
    }
}

/// All texts that the paths and patterns find, in their order.
pub fn texts<'s>(snapshot: &'s Snapshot, paths: &Words) -> Result<Vec<(String, &'s str)>, String> {
    let mut out: Vec<(String, &str)> = Vec::new();
    for path in &paths.0 {
        for path in expand(snapshot, path)? {
            if let Some(text) = text(snapshot, &path)?
                && !out.iter().any(|(p, _)| *p == path)
            {
                out.push((path, text));
            }
        }
    }
    Ok(out)
}

/// Where a file that is to be edited really stands: the end of a link, if it is one.
pub fn place(snapshot: &Snapshot, path: &str) -> Result<String, Unfixable> {
    match followed(snapshot, path) {
        (end, Seen::Yes(_) | Seen::Absent) => Ok(end),
        (_, Seen::No(why)) => Err(Unfixable::new(format!("{path} cannot be edited: {why}."))),
    }
}

/// Paths that can keep people out when they are wrong.
const ACCESS: &[&str] = &[
    "/etc/ssh/",
    "/etc/pam.d/",
    "/etc/sudoers",
    "/etc/passwd",
    "/etc/shadow",
    "/etc/group",
    "/etc/gshadow",
    "/etc/security/",
    "/etc/nsswitch.conf",
    "/etc/nftables",
    "/etc/ufw/",
    "/etc/iptables/",
    "/etc/network/",
    "/etc/netplan/",
    "/etc/systemd/network/",
    "/etc/hosts.allow",
    "/etc/hosts.deny",
    "/root/.ssh",
];

/// The risk of writing to a path: what the rule says, or more where the path could lock us out.
pub fn risk_of(path: &str, said: Risk) -> Risk {
    let access = ACCESS.iter().any(|p| {
        path.strip_prefix(p)
            .is_some_and(|rest| p.ends_with('/') || !rest.starts_with(|c: char| c.is_alphabetic()))
    });
    if access || path.contains("/.ssh/") || path.ends_with("/.ssh") || path == "/etc/ssh" {
        Risk::LockOut
    } else {
        said
    }
}

/// The plain edit of one file, judged by nothing and followed by nothing.
pub fn file_intent(path: impl Into<String>, edit: Edit, mode: u32, risk: Risk) -> FileIntent {
    let path = path.into();
    FileIntent {
        risk: risk_of(&path, risk),
        path,
        edit,
        create: Ownership::root(mode),
        validate_new: None,
        validate_placed: None,
        reaction: None,
    }
}

/// Several edits as intents, each with the same mode for a new file, risk and reaction.
pub fn intents(
    edits: Vec<(String, Edit)>,
    mode: u32,
    risk: Risk,
    then: Option<&Then>,
) -> Result<Vec<Intent>, Unfixable> {
    let reaction = then.map(Then::reaction).transpose()?;
    let intent = |(path, edit)| {
        Intent::File(FileIntent {
            reaction: reaction.clone(),
            ..file_intent(path, edit, mode, risk)
        })
    };
    Ok(edits.into_iter().map(intent).collect())
}

pub fn safe() -> Risk {
    Risk::Safe
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A regular file of root's.
    pub fn file(mode: u32, text: &str) -> FileState {
        FileState {
            kind: FileKind::File,
            mode,
            uid: 0,
            gid: 0,
            owner: "root".into(),
            group: "root".into(),
            size: text.len() as u64,
            link: None,
            content: Seen::Yes(text.into()),
        }
    }

    /// A snapshot of these files, with what these patterns find among them.
    pub fn snapshot(files: &[(&str, &str)], globs: &[&str]) -> Snapshot {
        let mut out = Snapshot::default();
        for (path, text) in files {
            let state = Seen::Yes(file(0o644, text));
            out.files.insert((*path).into(), state);
        }
        for glob in globs {
            let found = files.iter().map(|(p, _)| (*p).to_owned());
            let found = found.filter(|p| glob_match(glob, p)).collect();
            out.globs.insert((*glob).into(), Seen::Yes(found));
        }
        out
    }

    /// What an edit makes of the snapshot: the texts after all file intents.
    pub fn applied(snapshot: &Snapshot, intents: &[Intent]) -> Snapshot {
        let mut out = snapshot.clone();
        for intent in intents {
            let Intent::File(intent) = intent else {
                panic!("not a file: {intent:?}")
            };
            let before = out.files.get(&intent.path).and_then(Seen::yes).cloned();
            let text = before.as_ref().and_then(|f| f.content.yes());
            let after = crate::host::edit::apply(&intent.edit, text.map(String::as_str));
            let state = match (before, after) {
                (_, None) => Seen::Absent,
                (Some(state), Some(text)) => Seen::Yes(FileState {
                    content: Seen::Yes(text),
                    ..state
                }),
                (None, Some(text)) => Seen::Yes(file(intent.create.mode, &text)),
            };
            for (glob, found) in &mut out.globs {
                if let Seen::Yes(found) = found
                    && glob_match(glob, &intent.path)
                    && !found.contains(&intent.path)
                {
                    found.push(intent.path.clone());
                    found.sort();
                }
            }
            out.files.insert(intent.path.clone(), state);
        }
        out
    }

    #[test]
    fn risky_paths_are_known() {
        for path in [
            "/etc/ssh/sshd_config",
            "/etc/sudoers",
            "/etc/sudoers.d/x",
            "/etc/passwd-",
            "/home/a/.ssh/authorized_keys",
        ] {
            assert_eq!(risk_of(path, Risk::Safe), Risk::LockOut, "{path}");
        }
        for path in ["/etc/motd", "/etc/passwdqc.conf"] {
            assert_eq!(risk_of(path, Risk::Safe), Risk::Safe, "{path}");
        }
    }

    #[test]
    fn modes_and_paths_are_checked() {
        assert_eq!(parse_mode("0640"), Some(0o640));
        assert_eq!(parse_mode("640"), Some(0o640));
        assert_eq!(parse_mode("1777"), Some(0o1777));
        for bad in ["", "+640", "0880", "rw", "77777", "-640"] {
            assert_eq!(parse_mode(bad), None, "{bad}");
        }
        assert!(path_problem("etc").is_some());
        assert!(path_problem("/a/../b").is_some());
        assert!(path_problem("/a/*.conf").is_none());
    }

    #[test]
    fn reactions_are_named_and_quoted() {
        let then = Then {
            restart: Some("systemd-journald.service".into()),
            ..Then::default()
        };
        assert_eq!(then.problem(), None);
        let reaction = then.reaction().unwrap();
        assert_eq!(reaction.name, "restart.systemd-journald.service");
        assert!(
            reaction
                .run
                .ends_with("systemctl try-restart 'systemd-journald.service'")
        );
        for bad in [
            Then::default(),
            Then {
                restart: Some("x;reboot".into()),
                ..Then::default()
            },
            Then {
                run: Some("true".into()),
                ..Then::default()
            },
            Then {
                run: Some("true".into()),
                name: Some("No Good".into()),
                ..Then::default()
            },
        ] {
            assert!(bad.problem().is_some(), "{bad:?}");
        }
    }
}
