//! One host of a lab: what it is made of, how it starts, and how it is looked at from outside.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use super::cgroup;
use super::command::{last_lines, program, run};
use super::error::{Doing, LabError};
use super::network;
use super::state::{HostState, State};

/// The accounts that may log in with the lab's key, with their numbers in every base.
const ACCOUNTS: [(&str, u32); 2] = [("admin", 1000), ("deploy", 1001)];

/// Writes what makes the host itself: its name, its keys, who may log in. Gives the host's public
/// keys as they stand in a known_hosts file.
pub(super) fn prepare(
    state: &State,
    host: &HostState,
    login_key: &str,
) -> Result<Vec<String>, LabError> {
    let dir = state.host_dir(&host.name);
    for part in ["upper", "work", "seed/etc/ssh", "seed/home"] {
        let path = dir.join(part);
        fs::create_dir_all(&path).doing("making", &path)?;
    }
    let seed = dir.join("seed");
    let put = |name: &str, text: &str| {
        let path = seed.join(name);
        fs::write(&path, text).doing("writing", &path)
    };
    put("etc/hostname", &format!("{}\n", host.name))?;
    put("etc/hosts", &hosts_file(state, host))?;
    let id = uuid::Uuid::new_v4().simple().to_string();
    put("etc/machine-id", &format!("{id}\n"))?;
    mode(&seed.join("etc/machine-id"), 0o444)?;
    for (account, number) in ACCOUNTS {
        let home = seed.join("home").join(account);
        let keys = home.join(".ssh/authorized_keys");
        fs::create_dir_all(home.join(".ssh")).doing("making", &home)?;
        fs::write(&keys, login_key).doing("writing", &keys)?;
        for (path, bits) in [(&home, 0o700), (&home.join(".ssh"), 0o700), (&keys, 0o600)] {
            mode(path, bits)?;
            chown(path, Some(number), Some(number)).doing("giving away", path)?;
        }
    }
    let mut public = Vec::new();
    for kind in ["ed25519", "ecdsa"] {
        let path = seed.join(format!("etc/ssh/ssh_host_{kind}_key"));
        public.push(make_key(kind, &path, &format!("root@{}", host.name))?);
    }
    Ok(public)
}

/// A new SSH key without a passphrase; gives its public half (kind and key, no comment).
pub(super) fn make_key(kind: &str, path: &Path, comment: &str) -> Result<String, LabError> {
    let mut command = program("ssh-keygen");
    command.args(["-q", "-t", kind, "-N", "", "-C", comment, "-f"]);
    run("making an SSH key", command.arg(path), "")?;
    let public = path.with_extension("pub");
    let text = fs::read_to_string(&public).doing("reading", &public)?;
    let words: Vec<&str> = text.split_whitespace().take(2).collect();
    Ok(words.join(" "))
}

fn mode(path: &Path, bits: u32) -> Result<(), LabError> {
    fs::set_permissions(path, fs::Permissions::from_mode(bits)).doing("changing", path)
}

fn hosts_file(state: &State, own: &HostState) -> String {
    let mut text = format!(
        "127.0.0.1\tlocalhost\n127.0.1.1\t{}\n::1\tlocalhost ip6-localhost ip6-loopback\n",
        own.name
    );
    for host in state.hosts.iter().filter(|h| h.name != own.name) {
        text.push_str(&format!("{}\t{}\n", host.address, host.name));
    }
    text
}

/// A host's first process, which waits for the word to go on.
pub(super) struct Starting {
    child: Child,
}

impl Starting {
    /// Starts it in namespaces and in a cgroup of its own. Its network namespace exists when this
    /// returns, and nothing has been mounted yet.
    pub fn spawn(state: &State, host: &HostState, cgroup: &Path) -> Result<Self, LabError> {
        let dir = state.host_dir(&host.name);
        fs::create_dir_all(cgroup).doing("making", cgroup)?;
        let console = dir.join("console.log");
        let log = File::create(&console).doing("making", &console)?;
        let errors = log.try_clone().doing("opening", &console)?;
        let mut command = program("sh");
        command
            .arg(state.work.join("inside.sh"))
            .env("SW_HOST", &dir)
            .env("SW_WORK", &state.work)
            .env("SW_LAB", State::dir(&state.name))
            .env("SW_LABNAME", &state.name)
            .env("SW_BASE", &state.base)
            .env("SW_NAME", &host.name)
            .env("SW_NETWORK", network::inside(host))
            .stdin(Stdio::piped())
            .stdout(log)
            .stderr(errors);
        join(&mut command, cgroup)?;
        // SAFETY: only async-signal-safe system calls are made between fork and exec.
        unsafe {
            command.pre_exec(|| {
                // A session of its own: the terminal's Ctrl-C is not for the hosts.
                checked(libc::setsid())?;
                checked(libc::unshare(libc::CLONE_NEWNS | libc::CLONE_NEWNET))?;
                let (none, root) = (c"none".as_ptr(), c"/".as_ptr());
                let private = libc::MS_REC | libc::MS_PRIVATE;
                let no_data = std::ptr::null();
                checked(libc::mount(none, root, std::ptr::null(), private, no_data))
            });
        }
        let child = command.spawn().doing("starting", &dir)?;
        Ok(Self { child })
    }

    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Lets it go on to boot.
    pub fn go(mut self) -> Result<(), LabError> {
        let stdin = self.child.stdin.take();
        // Whoever started it must take its exit code, or it stays as a zombie after its death.
        let mut child = self.child;
        std::thread::spawn(move || child.wait());
        match stdin {
            Some(mut stdin) => stdin.write_all(b"go\n").doing("starting", "a host"),
            None => Ok(()),
        }
    }
}

/// Makes the process a member of the cgroup before it becomes the program.
fn join(command: &mut Command, cgroup: &Path) -> Result<(), LabError> {
    let file = cgroup.join("cgroup.procs");
    let path = CString::new(file.as_os_str().as_bytes())
        .map_err(io::Error::other)
        .doing("naming", &file)?;
    // SAFETY: open, write and close are async-signal-safe, and the path was made before the fork.
    unsafe {
        command.pre_exec(move || {
            let file = libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
            checked(file)?;
            let written = libc::write(file, b"0".as_ptr().cast(), 1);
            let error = io::Error::last_os_error();
            libc::close(file);
            if written == 1 { Ok(()) } else { Err(error) }
        });
    }
    Ok(())
}

fn checked(result: libc::c_int) -> io::Result<()> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// The host's PID 1, as this machine numbers it.
pub(super) fn init(cgroup: &Path) -> Option<i32> {
    cgroup::processes(cgroup).into_iter().find(|pid| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        is_init(&status)
    })
}

/// Its numbers, from this machine's namespace inwards: more than one, and the last is 1.
fn is_init(status: &str) -> bool {
    let numbers = status.lines().find_map(|l| l.strip_prefix("NSpid:"));
    let numbers: Vec<&str> = numbers.unwrap_or_default().split_whitespace().collect();
    numbers.len() > 1 && numbers.last() == Some(&"1")
}

/// Whether the host lets people in: sshd greets, and the boot has gone past the point until which
/// only root may log in.
pub(super) fn answers(host: &HostState, cgroup: &Path) -> bool {
    let Ok(address) = format!("{}:22", host.address).parse::<SocketAddr>() else {
        return false;
    };
    let Some(init) = init(cgroup) else {
        return false;
    };
    // The marker is there from the moment that the host's own /run is.
    let run = PathBuf::from(format!("/proc/{init}/root/run"));
    if !run.join("seawall-lab").exists() || !greets(&address, Duration::from_millis(500)) {
        return false;
    }
    !run.join("nologin").exists()
}

pub(super) fn greets(address: &SocketAddr, most: Duration) -> bool {
    let Ok(mut stream) = TcpStream::connect_timeout(address, most) else {
        return false;
    };
    let mut start = [0; 4];
    stream.set_read_timeout(Some(most)).is_ok()
        && stream.read_exact(&mut start).is_ok()
        && start == *b"SSH-"
}

/// Runs a program in the host from outside, as its root: no sshd, PAM or sudo is asked.
pub(super) fn exec(
    host: &HostState,
    cgroup: &Path,
    args: &[impl AsRef<std::ffi::OsStr>],
) -> Result<Command, LabError> {
    let init = init(cgroup).ok_or_else(|| LabError::NotRunning {
        host: host.name.clone(),
    })?;
    let own = cgroup.join("exec");
    fs::create_dir_all(&own).doing("making", &own)?;
    let mut command = program("nsenter");
    command
        .env_clear()
        .envs([
            (
                "PATH",
                "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            ),
            ("HOME", "/root"),
            ("LANG", "C.UTF-8"),
        ])
        .args(["--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup"])
        .args([&format!("--target={init}"), "--wdns=/", "--"])
        .args(args);
    // In the host's cgroup, so that it dies with the host.
    join(&mut command, &own)?;
    Ok(command)
}

pub(super) fn output(
    host: &HostState,
    cgroup: &Path,
    args: &[impl AsRef<std::ffi::OsStr>],
) -> Result<Output, LabError> {
    exec(host, cgroup, args)?
        .stdin(Stdio::null())
        .output()
        .doing("running a program in", &host.name)
}

/// The end of what the host wrote while it booted.
pub(super) fn console(state: &State, host: &HostState) -> String {
    let log = fs::read(state.host_dir(&host.name).join("console.log")).unwrap_or_default();
    last_lines(&String::from_utf8_lossy(&log), 15)
}

/// Memory of all the host's processes, shared pages split fairly, in bytes.
pub(super) fn memory(cgroup: &Path) -> u64 {
    cgroup::processes(cgroup)
        .into_iter()
        .filter_map(|pid| {
            let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
            let line = text.lines().find_map(|l| l.strip_prefix("Pss:"))?;
            let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
            Some(kib * 1024)
        })
        .sum()
}

/// How long the process has been running.
pub(super) fn uptime(process: i32) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name in parentheses may itself hold spaces and parentheses.
    let ticks: f64 = stat
        .rsplit_once(')')?
        .1
        .split_whitespace()
        .nth(19)?
        .parse()
        .ok()?;
    let uptime = fs::read_to_string("/proc/uptime").ok()?;
    let now: f64 = uptime.split_whitespace().next()?.parse().ok()?;
    // SAFETY: sysconf has no preconditions.
    let per_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) } as f64;
    Duration::try_from_secs_f64(now - ticks / per_second).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pid_1_is_told_from_the_machines_own_and_from_other_processes() {
        assert!(is_init("Name:\tsystemd\nNSpid:\t4711\t1\n"));
        assert!(!is_init("Name:\tsystemd\nNSpid:\t1\n"), "the machine's own");
        assert!(!is_init("NSpid:\t4712\t31\n"));
        assert!(!is_init(""));
    }

    #[test]
    fn our_own_uptime_is_known() {
        let own = i32::try_from(std::process::id()).unwrap();
        assert!(uptime(own).is_some());
        assert!(uptime(i32::MAX).is_none());
    }
}
