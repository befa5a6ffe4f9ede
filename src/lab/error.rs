//! What can go wrong with a lab: what was being done, what went wrong, what to do.

use std::io;
use std::path::{Path, PathBuf};

/// A lab could not do what was asked of it.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    #[error(
        "a lab makes namespaces and mounts, which only root may do: run this as root (`sudo seawall lab …`)"
    )]
    NotRoot,
    #[error(
        "the lab needs programs that this machine lacks: {}. Install them: apt-get install --no-install-recommends {}",
        programs.join(", "),
        packages.join(" ")
    )]
    Missing {
        programs: Vec<&'static str>,
        packages: Vec<&'static str>,
    },
    #[error(
        "`{name}` can't be the name of a lab: use 1 to 24 of a-z, 0-9 and `-`, a letter first, a letter or digit last"
    )]
    BadName { name: String },
    #[error("a lab has 1 to {most} hosts, not {asked}")]
    Count { asked: usize, most: usize },
    #[error(
        "there is a lab `{name}` already: take it down first (`seawall lab down --name {name}`), or use another --name"
    )]
    Exists { name: String },
    #[error("there is no lab `{name}`{}", known_labs(known))]
    NoSuchLab { name: String, known: Vec<String> },
    #[error("lab `{lab}` has no host `{host}`; it has {}", known.join(", "))]
    NoSuchHost {
        lab: String,
        host: String,
        known: Vec<String>,
    },
    #[error("{host} is not running: no process of it is left")]
    NotRunning { host: String },
    #[error(
        "no free /24 is left in 10.213.0.0/16 to 10.219.0.0/16: take labs down that are not needed (`seawall lab status`)"
    )]
    NoSubnet,
    #[error(
        "no cgroup version 2 hierarchy is mounted here, and systemd needs one in each host: mount one (`mount -t cgroup2 none /sys/fs/cgroup/unified`)"
    )]
    NoCgroup,
    #[error("while {doing} {}: {source}", path.display())]
    Io {
        doing: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    #[error("while {doing}: `{command}` {ended}{}", said(output))]
    Command {
        doing: String,
        command: String,
        /// How it ended, as in "failed with exit code 1".
        ended: String,
        /// The last lines that it said.
        output: String,
    },
    #[error("{} is not a state file of a lab that this version understands: {reason}", path.display())]
    State { path: PathBuf, reason: String },
    #[error(
        "{host} ({address}) did not answer on port 22 within {seconds} s{}",
        said(console)
    )]
    Silent {
        host: String,
        address: String,
        seconds: u64,
        /// The last lines of its console.
        console: String,
    },
    #[error("interrupted; what was made so far has been taken down")]
    Interrupted,
}

fn known_labs(known: &[String]) -> String {
    if known.is_empty() {
        "; none is up (`seawall lab up 3` raises one)".to_owned()
    } else {
        format!("; up are: {}", known.join(", "))
    }
}

fn said(output: &str) -> String {
    let output = output.trim();
    if output.is_empty() {
        String::new()
    } else {
        format!("; it said:\n{output}")
    }
}

/// Names the act and the path in an error of the operating system.
pub(super) trait Doing<T> {
    fn doing(self, doing: &'static str, path: impl AsRef<Path>) -> Result<T, LabError>;
}

impl<T> Doing<T> for io::Result<T> {
    fn doing(self, doing: &'static str, path: impl AsRef<Path>) -> Result<T, LabError> {
        self.map_err(|source| LabError::Io {
            doing,
            path: path.as_ref().to_owned(),
            source,
        })
    }
}
