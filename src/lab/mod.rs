//! Throwaway hosts on this machine: real Debian 12 with systemd, sshd and an address of its own
//! each, in namespaces over one shared base. For rehearsals before a baseline meets a real host,
//! and for the tests.
//!
//! Not a security boundary: what runs in a lab host is trusted as much as what runs on the machine.

mod base;
mod cgroup;
mod command;
mod error;
mod host;
mod inventory;
mod limits;
mod mirror;
mod network;
mod state;
mod sysctl;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

pub use error::LabError;

use command::{program, require, run};
use error::Doing;
use state::{Claim, HostState, State};

/// How long a host may take until its sshd answers. Far above what it does take, because a
/// machine that is busy with other things is no failure.
const PATIENCE: Duration = Duration::from_secs(60);

/// The labs' cgroups are in here, in each hierarchy.
const CGROUP: &str = "seawall-lab";

/// Where the hosts' changes are that are kept on disk.
const DISK: &str = "/var/lib/seawall-lab";

/// How a lab is to be.
#[derive(Clone)]
pub struct Options<'a> {
    /// Several labs live side by side by name.
    pub name: String,
    /// What its hosts are called, with a number behind it; the lab's name if not given.
    pub prefix: Option<String>,
    /// Where bases are kept; `SEAWALL_LAB_CACHE` or /var/cache/seawall/lab if not given.
    pub cache: Option<PathBuf>,
    /// The hosts' changes are kept on disk rather than in memory: needed for file attributes
    /// (`chattr`) on kernels before 6.6, and for much data.
    pub disk: bool,
    /// Debian packages in the base on top of the usual ones.
    pub packages: Vec<String>,
    /// Told what is going on.
    pub say: &'a dyn Fn(&str),
    /// Set from elsewhere to give up: what was made so far is taken down.
    pub interrupt: Option<&'static AtomicBool>,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self {
            name: "lab".to_owned(),
            prefix: None,
            cache: None,
            disk: false,
            packages: Vec::new(),
            say: &|_| {},
            interrupt: None,
        }
    }
}

/// A lab that is up. Dropping it leaves it up: `down` takes it down.
#[derive(Clone, Debug)]
pub struct Lab {
    state: State,
    /// The hierarchies that hold the hosts' cgroups, the unified one first.
    roots: Vec<PathBuf>,
}

/// One host, as others need it to connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabHost {
    pub name: String,
    pub address: String,
    pub address6: String,
}

/// What `status` says of one host.
#[derive(Clone, Debug)]
pub struct HostStatus {
    pub name: String,
    pub address: String,
    /// Of its PID 1 on this machine; `None` if it isn't running.
    pub process: Option<i32>,
    pub uptime: Option<Duration>,
    /// Whether sshd greets.
    pub answers: bool,
    /// In bytes.
    pub memory: u64,
}

impl Lab {
    /// Raises a lab of `count` hosts. When it returns, each host lets people in; when it fails,
    /// nothing is left of what it made.
    pub fn up(count: usize, options: &Options) -> Result<Self, LabError> {
        require()?;
        check_name(&options.name)?;
        if let Some(prefix) = &options.prefix {
            check_name(prefix)?;
        }
        if count == 0 || count > network::MOST_HOSTS {
            let most = network::MOST_HOSTS;
            return Err(LabError::Count { asked: count, most });
        }
        let roots = cgroup::roots()?;
        let cache = base::cache(options.cache.as_deref());
        let base = base::provide(&cache, &options.packages, options.say)?;

        let state = claim(count, options, base)?;
        let lab = Self { state, roots };
        let lock = state::lock(&lab.state.name)?.ok_or_else(|| LabError::NoSuchLab {
            name: lab.state.name.clone(),
            known: state::names(),
        })?;
        let made = lab.make(options);
        drop(lock);
        match made {
            Ok(()) => Ok(lab),
            Err(error) => {
                // The first failure is the one to tell; a second one shows in `status`.
                let _ = Self::down(&lab.state.name);
                Err(error)
            }
        }
    }

    /// The lab of this name, as its state file has it.
    pub fn open(name: &str) -> Result<Self, LabError> {
        check_name(name)?;
        let state = State::read(name)?.ok_or_else(|| LabError::NoSuchLab {
            name: name.to_owned(),
            known: state::names(),
        })?;
        let roots = cgroup::roots()?;
        Ok(Self { state, roots })
    }

    /// The names of all labs, half-made ones included.
    pub fn names() -> Vec<String> {
        state::names()
    }

    /// Takes a lab down, whatever state it is in. A lab that doesn't exist is down.
    pub fn down(name: &str) -> Result<(), LabError> {
        require()?;
        check_name(name)?;
        let Some(_lock) = state::lock(name)? else {
            return Ok(());
        };
        let dir = State::dir(name);
        let roots = cgroup::roots()?;
        if let Some(state) = State::read(name)? {
            let roots = roots.clone();
            Self { state, roots }.unmake()?;
        }
        let _claim = Claim::take()?;
        remove_tree(&dir)?;
        if state::names().is_empty() {
            limits::restore()?;
            // Shared by all labs. Only empty folders go.
            for root in roots {
                let _ = fs::remove_dir(root.join(CGROUP));
            }
            let _ = fs::remove_dir(state::ROOT);
            let _ = fs::remove_dir("/run/seawall");
        }
        Ok(())
    }

    pub fn name(&self) -> &str {
        &self.state.name
    }

    pub fn hosts(&self) -> Vec<LabHost> {
        self.state
            .hosts
            .iter()
            .map(|h| LabHost {
                name: h.name.clone(),
                address: h.address.clone(),
                address6: h.address6.clone(),
            })
            .collect()
    }

    /// The private key that logs in as `admin` and `deploy`.
    pub fn identity(&self) -> PathBuf {
        State::dir(&self.state.name).join("id_ed25519")
    }

    pub fn known_hosts(&self) -> PathBuf {
        State::dir(&self.state.name).join("known_hosts")
    }

    pub fn inventory(&self) -> PathBuf {
        State::dir(&self.state.name).join("inventory.yaml")
    }

    /// Where the host's changes to the base are: its overlay's upper folder.
    pub fn upper(&self, host: &str) -> Result<PathBuf, LabError> {
        let host = self.state.host(host)?;
        Ok(self.state.host_dir(&host.name).join("upper"))
    }

    /// Runs a program in the host as its root, without sshd, PAM or sudo.
    pub fn exec(
        &self,
        host: &str,
        args: &[impl AsRef<std::ffi::OsStr>],
    ) -> Result<Output, LabError> {
        let host = self.state.host(host)?;
        host::output(host, &self.cgroup(&host.name), args)
    }

    /// The same, not yet started: for input, or with the terminal's own.
    pub fn command(
        &self,
        host: &str,
        args: &[impl AsRef<std::ffi::OsStr>],
    ) -> Result<Command, LabError> {
        let host = self.state.host(host)?;
        host::exec(host, &self.cgroup(&host.name), args)
    }

    /// Ends a host at once, as a power cut does. It doesn't come back.
    pub fn kill(&self, host: &str) -> Result<(), LabError> {
        let host = self.state.host(host)?;
        cgroup::kill(&self.cgroups(&host.name))
    }

    /// Stops a host where it is: its connections stay open and nothing answers.
    pub fn pause(&self, host: &str) -> Result<(), LabError> {
        let host = self.state.host(host)?;
        cgroup::freeze(&self.cgroup(&host.name), true)
    }

    pub fn resume(&self, host: &str) -> Result<(), LabError> {
        let host = self.state.host(host)?;
        cgroup::freeze(&self.cgroup(&host.name), false)
    }

    /// Waits until the host lets people in, after a reboot for example.
    pub fn wait(&self, host: &str) -> Result<(), LabError> {
        self.await_host(self.state.host(host)?, None)
    }

    pub fn status(&self) -> Vec<HostStatus> {
        let hosts = self.state.hosts.iter();
        hosts
            .map(|host| {
                let cgroup = self.cgroup(&host.name);
                let process = host::init(&cgroup);
                let address = format!("{}:22", host.address).parse();
                HostStatus {
                    name: host.name.clone(),
                    address: host.address.clone(),
                    process,
                    uptime: process.and_then(host::uptime),
                    answers: process.is_some()
                        && address.is_ok_and(|a| host::greets(&a, Duration::from_millis(500))),
                    memory: host::memory(&cgroup),
                }
            })
            .collect()
    }

    fn cgroup(&self, host: &str) -> PathBuf {
        let root = self.roots.first().map(PathBuf::as_path);
        root.unwrap_or(Path::new("/sys/fs/cgroup"))
            .join(&self.state.cgroup)
            .join(host)
    }

    /// The host's cgroup in every hierarchy.
    fn cgroups(&self, host: &str) -> Vec<PathBuf> {
        let below = |root: &PathBuf| root.join(&self.state.cgroup).join(host);
        self.roots.iter().map(below).collect()
    }

    fn make(&self, options: &Options) -> Result<(), LabError> {
        let state = &self.state;
        (options.say)(&format!(
            "raising {} hosts in {}/24",
            state.hosts.len(),
            state.network.address(0)
        ));
        self.make_work()?;
        let key = host::make_key("ed25519", &self.identity(), &format!("lab {}", state.name))?;
        let mut known_hosts = String::new();
        network::raise(&state.network)?;
        let mut starting = Vec::new();
        for host in &state.hosts {
            interrupted(options)?;
            let public = host::prepare(state, host, &format!("{key} lab {}\n", state.name))?;
            known_hosts.push_str(&inventory::known_hosts(host, &public));
            let started = host::Starting::spawn(state, host, &self.cgroup(&host.name))?;
            starting.push((host, started));
        }
        let cables: Vec<_> = starting.iter().map(|(h, s)| (*h, s.process())).collect();
        network::connect(&state.network, &cables)?;
        for (_, started) in starting {
            started.go()?;
        }
        write(&self.known_hosts(), &known_hosts)?;
        let text = inventory::text(state, &self.identity(), &self.known_hosts());
        write(&self.inventory(), &text)?;
        for host in &state.hosts {
            self.await_host(host, Some(options))?;
        }
        Ok(())
    }

    /// The folder that all hosts' layers and copies are in.
    fn make_work(&self) -> Result<(), LabError> {
        let work = &self.state.work;
        fs::create_dir_all(work).doing("making", work)?;
        if !self.state.disk {
            let mut mount = program("mount");
            mount.args(["-t", "tmpfs", "-o", "mode=0700", "seawall-lab"]);
            run("mounting the hosts' memory", mount.arg(work), "")?;
            // Mounts in the hosts' own namespaces must not keep it busy.
            let mut private = program("mount");
            private.arg("--make-private").arg(work);
            run("mounting the hosts' memory", &mut private, "")?;
        }
        write(&work.join("inside.sh"), include_str!("inside.sh"))?;
        let init = include_str!("init.sh")
            .replace("@LIVE@", &sysctl::LIVE.join(" "))
            .replace("@AREAS@", &sysctl::AREAS.join(" "));
        write(&work.join("init.sh"), &init)?;
        sysctl::copy(Path::new("/proc/sys"), &work.join("sysctl"))
    }

    fn await_host(&self, host: &HostState, options: Option<&Options>) -> Result<(), LabError> {
        let cgroup = self.cgroup(&host.name);
        let start = Instant::now();
        while !host::answers(host, &cgroup) {
            if let Some(options) = options {
                interrupted(options)?;
            }
            // A host without processes never will.
            let dead = cgroup::processes(&cgroup).is_empty();
            if dead || start.elapsed() > PATIENCE {
                return Err(LabError::Silent {
                    host: host.name.clone(),
                    address: host.address.clone(),
                    seconds: start.elapsed().as_secs(),
                    console: host::console(&self.state, host),
                });
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Destroys everything but the state folder itself, which goes last.
    fn unmake(&self) -> Result<(), LabError> {
        let state = &self.state;
        let cgroups: Vec<PathBuf> = state
            .hosts
            .iter()
            .flat_map(|h| self.cgroups(&h.name))
            .collect();
        cgroup::kill(&cgroups)?;
        network::lower(state)?;
        if !state.disk {
            unmount(&state.work)?;
        }
        for root in &self.roots {
            cgroup::remove(&root.join(&state.cgroup))?;
        }
        remove_tree(&state.work)?;
        if state.disk {
            // Shared by all labs on disk; only an empty folder goes.
            let _ = fs::remove_dir(DISK);
        }
        Ok(())
    }
}

/// Removes a folder and all in it, if it is there. A program that an `up` had begun when it was
/// killed (ssh-keygen above all) may put one more file into it meanwhile: then once more.
fn remove_tree(path: &Path) -> Result<(), LabError> {
    use std::io::ErrorKind::{DirectoryNotEmpty, NotFound};
    let until = Instant::now() + Duration::from_secs(2);
    loop {
        match fs::remove_dir_all(path) {
            Ok(()) => return Ok(()),
            Err(e) if e.kind() == NotFound && !path.exists() => return Ok(()),
            Err(e)
                if matches!(e.kind(), NotFound | DirectoryNotEmpty) && Instant::now() < until =>
            {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(e) => return Err(e).doing("removing", path),
        }
    }
}

fn write(path: &Path, text: &str) -> Result<(), LabError> {
    fs::write(path, text).doing("writing", path)
}

fn interrupted(options: &Options) -> Result<(), LabError> {
    match options.interrupt {
        Some(flag) if flag.load(Ordering::Relaxed) => Err(LabError::Interrupted),
        _ => Ok(()),
    }
}

/// Takes the name and a subnet, and writes down all that the lab will consist of.
fn claim(count: usize, options: &Options, base: PathBuf) -> Result<State, LabError> {
    let _claim = Claim::take()?;
    let name = &options.name;
    let dir = State::dir(name);
    let names = state::names();
    if names.contains(name) {
        return Err(LabError::Exists { name: name.clone() });
    }
    let mut labs = Vec::new();
    for other in &names {
        // One that we can't read must not keep us from ours: its bridge and its route still keep
        // us off its subnet.
        labs.extend(State::read(other).ok().flatten());
    }
    let network = network::claim(&labs)?;
    let prefix = options.prefix.as_ref().unwrap_or(name);
    let host = |number: usize| HostState {
        name: format!("{prefix}-{number}"),
        link: format!("{}h{number}", network.bridge),
        address: network.address(network::FIRST + number),
        address6: network.address6(network::FIRST + number),
    };
    let hosts: Vec<HostState> = (1..=count).map(host).collect();
    let work = match options.disk {
        false => dir.join("work"),
        true => Path::new(DISK).join(name),
    };
    fs::create_dir_all(&dir).doing("making", &dir)?;
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).doing("changing", &dir)?;
    let state = State {
        version: State::version(),
        name: name.clone(),
        base,
        work,
        disk: options.disk,
        network,
        cgroup: format!("{CGROUP}/{name}"),
        hosts,
    };
    state.write()?;
    let running: usize = labs.iter().map(|l| l.hosts.len()).sum();
    limits::raise(running + count)?;
    Ok(state)
}

/// A mount that is not there is as good as one that was removed.
fn unmount(place: &Path) -> Result<(), LabError> {
    let mounted = || {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let place = place.to_string_lossy();
        mounts.lines().any(|l| l.split(' ').nth(1) == Some(&place))
    };
    while mounted() {
        let umount = || {
            let mut command = program("umount");
            command.arg(place);
            command
        };
        if run("unmounting", &mut umount(), "").is_err() {
            // Someone looks into it: it goes when they leave.
            run("unmounting", umount().arg("--lazy"), "")?;
        }
    }
    Ok(())
}

fn check_name(name: &str) -> Result<(), LabError> {
    let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let good = (1..=24).contains(&name.len())
        && name.chars().all(letters)
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && !name.ends_with('-');
    match good {
        true => Ok(()),
        false => Err(LabError::BadName {
            name: name.to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_in_paths_and_as_host_names() {
        for good in ["lab", "a", "new-host-2", &"a".repeat(24)] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in [
            "", "-a", "a-", "A", "1a", "a/b", "..", "a b", "a\n", "ä", "a_b",
        ] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
        assert!(check_name(&"a".repeat(25)).is_err());
    }
}

#[cfg(test)]
mod removal {
    use super::*;

    #[test]
    fn a_folder_goes_though_somebody_still_writes_into_it() {
        let above = tempfile::tempdir().expect("a folder can be made");
        let dir = above.path().join("lab");
        fs::create_dir(&dir).expect("a folder can be made");
        let place = dir.clone();
        let writer = std::thread::spawn(move || {
            // A tenth of a second's worth: far less than the patience of the removal.
            for n in 0..100 {
                let _ = fs::write(place.join(n.to_string()), "x");
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        std::thread::sleep(Duration::from_millis(5));
        remove_tree(&dir).expect("it goes in the end");
        writer.join().expect("the writer ends");
        assert!(!dir.exists());
        remove_tree(&dir).expect("what is gone is gone");
    }
}
