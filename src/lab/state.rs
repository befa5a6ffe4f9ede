//! What a lab consists of, written down before any of it is made. `down` destroys what is written
//! here and nothing else, so an `up` that was killed at any point leaves nothing that can't be
//! found.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::{Doing, LabError};

/// Where the labs' states are. In /run: nothing of a lab outlives the machine's boot.
pub(super) const ROOT: &str = "/run/seawall/lab";
const FILE: &str = "state.json";
const VERSION: u32 = 1;

/// Everything that there is of one lab. Fields that a newer version adds are passed over, so that
/// any version can take down what another one raised.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct State {
    pub version: u32,
    pub name: String,
    /// The base root that the hosts' overlays lie on.
    pub base: PathBuf,
    /// Holds each host's upper layer; a tmpfs of its own unless `disk`.
    pub work: PathBuf,
    pub disk: bool,
    pub network: Network,
    /// Below each cgroup hierarchy's root.
    pub cgroup: String,
    pub hosts: Vec<HostState>,
}

/// One lab's own subnet: a bridge with the machine's address, and a cable to each host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Network {
    pub bridge: String,
    /// The first three octets of the /24.
    pub prefix: [u8; 3],
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct HostState {
    pub name: String,
    /// The machine's end of the cable.
    pub link: String,
    pub address: String,
    pub address6: String,
}

impl Network {
    /// The address of the machine (1) or of the host with this number (10 and up).
    pub fn address(&self, last: usize) -> String {
        let [a, b, c] = self.prefix;
        format!("{a}.{b}.{c}.{last}")
    }

    /// The same in IPv6: a unique local /64 whose last parts are those of the IPv4 address.
    pub fn address6(&self, last: usize) -> String {
        let [_, b, c] = self.prefix;
        format!("fd5e:a3a1:1ab:{b:x}{c:02x}::{last}")
    }
}

impl State {
    pub fn dir(name: &str) -> PathBuf {
        Path::new(ROOT).join(name)
    }

    /// `None` if there is no such lab. An empty state folder is the trace of an `up` that was
    /// killed before it made anything, and is removed.
    pub fn read(name: &str) -> Result<Option<Self>, LabError> {
        let path = Self::dir(name).join(FILE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e).doing("reading", &path),
        };
        let bad = |reason: String| LabError::State {
            path: path.clone(),
            reason,
        };
        let state: Self = serde_json::from_str(&text).map_err(|e| bad(e.to_string()))?;
        if state.version != VERSION {
            return Err(bad(format!("its version is {}", state.version)));
        }
        if state.name != name {
            return Err(bad(format!("it is of the lab `{}`", state.name)));
        }
        Ok(Some(state))
    }

    /// Whole or not at all: under a temporary name, then renamed.
    pub fn write(&self) -> Result<(), LabError> {
        let dir = Self::dir(&self.name);
        let path = dir.join(FILE);
        let partial = dir.join("state.json.partial");
        let text = serde_json::to_string_pretty(self).map_err(|e| LabError::State {
            path: path.clone(),
            reason: e.to_string(),
        })?;
        let mut file = File::create(&partial).doing("making", &partial)?;
        file.write_all(text.as_bytes()).doing("writing", &partial)?;
        fs::rename(&partial, &path).doing("renaming to", &path)
    }

    pub fn version() -> u32 {
        VERSION
    }

    pub fn host_dir(&self, host: &str) -> PathBuf {
        self.work.join(host)
    }

    pub fn host(&self, name: &str) -> Result<&HostState, LabError> {
        self.hosts
            .iter()
            .find(|h| h.name == name)
            .ok_or_else(|| LabError::NoSuchHost {
                lab: self.name.clone(),
                host: name.to_owned(),
                known: self.hosts.iter().map(|h| h.name.clone()).collect(),
            })
    }
}

/// All labs that have a state folder, by name, half-made ones included.
pub(super) fn names() -> Vec<String> {
    let Ok(entries) = fs::read_dir(ROOT) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .flatten()
        .filter(|e| e.file_type().is_ok_and(|t| t.is_dir()))
        .filter_map(|e| e.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}

/// Held while names and subnets are claimed and freed, so that two `up` side by side don't take
/// the same. It is a lock on the folder itself: there is no lock file to leave behind.
pub(super) struct Claim {
    _lock: File,
}

impl Claim {
    pub fn take() -> Result<Self, LabError> {
        loop {
            match fs::create_dir_all(ROOT) {
                // Another lab's `down` is just removing the parent.
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => continue,
                made => made.doing("making", ROOT)?,
            }
            let Ok(lock) = File::open(ROOT) else {
                continue;
            };
            lock.lock().doing("locking", ROOT)?;
            // The last lab's `down` removes the folder: a lock on a removed one keeps nobody out.
            if same_file(&lock, Path::new(ROOT)) {
                return Ok(Self { _lock: lock });
            }
        }
    }
}

/// Held by `up` and `down` over one lab.
pub(super) fn lock(name: &str) -> Result<Option<File>, LabError> {
    let dir = State::dir(name);
    let lock = match File::open(&dir) {
        Ok(lock) => lock,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e).doing("opening", &dir),
    };
    lock.lock().doing("locking", &dir)?;
    Ok(same_file(&lock, &dir).then_some(lock))
}

fn same_file(open: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (open.metadata(), fs::metadata(path)) {
        (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_the_subnets_own_in_both_families() {
        let network = Network {
            bridge: "swl7".to_owned(),
            prefix: [10, 213, 7],
        };
        assert_eq!(network.address(11), "10.213.7.11");
        assert_eq!(network.address6(11), "fd5e:a3a1:1ab:d507::11");
        let address: std::net::Ipv6Addr = network.address6(249).parse().unwrap();
        assert!(address.is_unique_local());
    }
}
