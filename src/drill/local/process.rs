//! Child processes: started with a tag, found again by it, ended for certain.
//!
//! Each bears `SEAWALL_DRILL=RUN` in its environment, and what the ledger names also
//! `SEAWALL_DRILL_TOKEN=TOKEN`. So they are found after the controller's death, whatever it had
//! come to write down.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// The environment variable that holds the run.
pub const RUN: &str = "SEAWALL_DRILL";
/// The one that holds the ledger's token.
pub const TOKEN: &str = "SEAWALL_DRILL_TOKEN";

/// How long a process has to end when it is asked to.
const GRACE: Duration = Duration::from_secs(5);
/// How long one that was killed may take to be gone.
const PATIENCE: Duration = Duration::from_secs(20);

/// One process of one boot: its number may come again, this does not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity {
    pub pid: i32,
    /// Clock ticks from the boot to its start.
    pub birth: u64,
    pub boot: String,
}

impl Identity {
    /// That of a process that is alive now.
    pub fn of(pid: i32) -> Option<Identity> {
        let stat = Stat::of(pid)?;
        Some(Identity {
            pid,
            birth: stat.birth,
            boot: crate::drill::clock::boot_id()?,
        })
    }

    /// `PID:BIRTH:BOOT`.
    pub fn parse(text: &str) -> Option<Identity> {
        let mut parts = text.splitn(3, ':');
        Some(Identity {
            pid: parts.next()?.parse().ok().filter(|pid| *pid > 1)?,
            birth: parts.next()?.parse().ok()?,
            boot: parts.next()?.to_owned(),
        })
    }

    /// Whether it still lives. A zombie does not.
    pub fn is_alive(&self) -> bool {
        crate::drill::clock::boot_id().is_some_and(|boot| boot == self.boot)
            && Stat::of(self.pid).is_some_and(|s| s.birth == self.birth && s.is_alive())
    }

    /// Sends a signal to it, and never to another that has come to bear its number.
    pub fn signal(&self, signal: i32) {
        // SAFETY: no pointers; the descriptor is ours, and closed when it is dropped.
        let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, self.pid, 0) };
        let Ok(fd) = i32::try_from(fd) else { return };
        if fd < 0 {
            return;
        }
        // SAFETY: it was just opened, and nobody else has it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        // The descriptor holds on to whoever has the number now: look who that is.
        if self.is_alive() {
            // SAFETY: a valid descriptor; no siginfo is given.
            unsafe {
                libc::syscall(
                    libc::SYS_pidfd_send_signal,
                    fd.as_raw_fd(),
                    signal,
                    std::ptr::null::<libc::siginfo_t>(),
                    0,
                );
            }
        }
    }
}

impl std::fmt::Display for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.pid, self.birth, self.boot)
    }
}

/// What /proc says of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    pub name: String,
    pub state: char,
    pub parent: i32,
    pub session: i32,
    pub birth: u64,
}

impl Stat {
    pub fn of(pid: i32) -> Option<Stat> {
        Stat::parse(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// The name is in parentheses, and may hold any of them itself.
    fn parse(text: &str) -> Option<Stat> {
        let (open, close) = (text.find('(')?, text.rfind(')')?);
        let name = text.get(open + 1..close)?;
        let fields: Vec<&str> = text.get(close + 1..)?.split_whitespace().collect();
        Some(Stat {
            name: crate::shell::clean(name, 32),
            state: fields.first()?.chars().next()?,
            parent: fields.get(1)?.parse().ok()?,
            session: fields.get(3)?.parse().ok()?,
            birth: fields.get(19)?.parse().ok()?,
        })
    }

    fn is_alive(&self) -> bool {
        !matches!(self.state, 'Z' | 'X')
    }
}

/// What is looked for.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// These in its environment.
    pub variables: Vec<(&'static str, String)>,
    /// Or: it stands in a directory below one of these (a server that has written over its own
    /// environment, as PostgreSQL's processes do).
    pub standing_in: Vec<PathBuf>,
    /// Or: it is one of these (a server that has written over its own environment and stands in the
    /// root directory, as sshd does).
    pub these: Vec<Identity>,
}

/// All processes that are wanted, with their descendants and those of their sessions.
pub fn find(wanted: &Wanted) -> BTreeMap<i32, Stat> {
    let mut all: BTreeMap<i32, Stat> = BTreeMap::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|n| n.parse().ok()) else {
            continue;
        };
        if let Some(stat) = Stat::of(pid) {
            all.insert(pid, stat);
        }
    }
    // SAFETY: it has no arguments and cannot fail.
    let me = unsafe { libc::getpid() };
    let mut found: BTreeSet<i32> = all
        .keys()
        .filter(|pid| **pid > 1 && **pid != me && is_wanted(**pid, wanted))
        .copied()
        .collect();
    // A session's number is its leader's, and is not given anew while the session lives.
    loop {
        let more: Vec<i32> = all
            .iter()
            .filter(|(pid, stat)| {
                let of_them = found.contains(&stat.parent)
                    || (found.contains(&stat.session) && stat.session > 1);
                of_them && **pid != me && !found.contains(pid)
            })
            .map(|(pid, _)| *pid)
            .collect();
        if more.is_empty() {
            break;
        }
        found.extend(more);
    }
    all.retain(|pid, stat| found.contains(pid) && stat.is_alive());
    all
}

fn is_wanted(pid: i32, wanted: &Wanted) -> bool {
    if let Some(identity) = wanted.these.iter().find(|i| i.pid == pid)
        && identity.is_alive()
    {
        return true;
    }
    if !wanted.variables.is_empty() {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let has = |(name, value): &(&str, String)| {
            let line = format!("{name}={value}");
            environment.split(|b| *b == 0).any(|l| l == line.as_bytes())
        };
        if wanted.variables.iter().all(has) {
            return true;
        }
    }
    !wanted.standing_in.is_empty()
        && std::fs::read_link(format!("/proc/{pid}/cwd"))
            .is_ok_and(|at| wanted.standing_in.iter().any(|dir| at.starts_with(dir)))
}

/// Ends all that are wanted: asks first, then kills, until none is left.
///
/// # Errors
/// When some are still there after 25 s: which.
pub fn end(wanted: &Wanted, ask_with: i32) -> Result<(), String> {
    let begun = Instant::now();
    let mut asked: BTreeSet<i32> = BTreeSet::new();
    loop {
        let left = find(wanted);
        if left.is_empty() {
            return Ok(());
        }
        let elapsed = begun.elapsed();
        if elapsed > GRACE + PATIENCE {
            let names: Vec<String> = left
                .iter()
                .map(|(pid, stat)| format!("{} ({pid})", stat.name))
                .collect();
            return Err(format!("still running after SIGKILL: {}", names.join(", ")));
        }
        for pid in left.keys() {
            let Some(identity) = Identity::of(*pid) else {
                continue;
            };
            if elapsed > GRACE {
                identity.signal(libc::SIGKILL);
            } else if asked.insert(*pid) {
                identity.signal(ask_with);
            }
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Whether the process that accepts connections on this port of 127.0.0.1 is one of those wanted.
/// `None`: nobody accepts any, or it cannot be seen who.
pub fn listens(port: u16, wanted: &Wanted) -> Option<bool> {
    let sockets = listening_sockets(port);
    if sockets.is_empty() {
        return None;
    }
    let family = find(wanted);
    let holds = |pid: &i32| {
        std::fs::read_dir(format!("/proc/{pid}/fd"))
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| std::fs::read_link(entry.path()).ok())
            .any(|to| sockets.contains(to.as_os_str().to_string_lossy().as_ref()))
    };
    Some(family.keys().any(holds))
}

/// `socket:[INODE]` of those that listen on the port at any local address.
fn listening_sockets(port: u16) -> BTreeSet<String> {
    const LISTEN: &str = "0A";
    let mut found = BTreeSet::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let text = std::fs::read_to_string(table).unwrap_or_default();
        for line in text.lines().skip(1) {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let (Some(local), Some(state), Some(inode)) =
                (fields.get(1), fields.get(3), fields.get(9))
            else {
                continue;
            };
            let at = local
                .rsplit(':')
                .next()
                .and_then(|p| u16::from_str_radix(p, 16).ok());
            if *state == LISTEN && at == Some(port) {
                found.insert(format!("socket:[{inode}]"));
            }
        }
    }
    found
}

/// Programs of PostgreSQL, git and the like: where they are, in order of search.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_else(|| super::run::PATH.into());
    std::env::split_paths(&path)
        .map(|dir| dir.join(name))
        .find(|file| is_executable(file))
}

pub fn is_executable(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(file).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_hostile_name_does_not_move_the_fields() {
        let text = "42 (a) R 1 ( b) S 7 42 43 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 98765 1 2 3";
        let stat = Stat::parse(text).unwrap();
        assert_eq!((stat.parent, stat.session, stat.birth), (7, 43, 98765));
        assert_eq!(stat.state, 'S');
        assert_eq!(Stat::parse("42"), None);
        let identity = Identity {
            pid: 42,
            birth: 98765,
            boot: "a-b".into(),
        };
        assert_eq!(Identity::parse(&identity.to_string()), Some(identity));
        assert_eq!(Identity::parse("1:2:x"), None);
        assert_eq!(Identity::parse("-5:2:x"), None);
    }

    #[test]
    fn a_family_is_found_by_its_tag_and_ends_with_those_that_ignore_the_asking() {
        let token = uuid::Uuid::new_v4().simple().to_string();
        // A child that ignores SIGTERM, in a session of its own, with its environment cleaned.
        let script = "trap '' TERM; (trap '' TERM; exec env -i setsid sleep 300) & sleep 300";
        let mut child = Command::new("sh")
            .args(["-c", script])
            .env(TOKEN, &token)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let wanted = Wanted {
            variables: vec![(TOKEN, token)],
            ..Wanted::default()
        };
        let begun = Instant::now();
        while find(&wanted).len() < 3 && begun.elapsed() < Duration::from_secs(20) {
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(find(&wanted).len(), 3, "{:?}", find(&wanted));
        let identity = Identity::of(child.id() as i32).unwrap();
        assert!(identity.is_alive());
        end(&wanted, libc::SIGTERM).unwrap();
        assert!(!identity.is_alive());
        child.wait().unwrap();
        assert!(find(&wanted).is_empty());
        let other = Identity {
            birth: identity.birth + 1,
            ..Identity::of(std::process::id() as i32).unwrap()
        };
        assert!(!other.is_alive());
        other.signal(libc::SIGKILL);
    }

    #[test]
    fn it_is_seen_who_listens() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        // We ourselves are never wanted.
        assert_eq!(listens(port, &Wanted::default()), Some(false));
        drop(listener);
        assert_eq!(listens(port, &Wanted::default()), None);
    }
}
