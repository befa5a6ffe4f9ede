//! The guard: what is lost may not be touched.
//!
//! Paths and hosts that we open ourselves are asked for here first. Child processes find the lost
//! paths masked (`process`); what neither of the two can hold is said in the report.

use std::collections::BTreeSet;
use std::net::{IpAddr, ToSocketAddrs};
use std::path::{Component, Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::document::drill::Lost;
use crate::document::policy::StoreDocument;
use crate::drill::provider::{StepError, Watched};

/// Links that are followed on the way to one file, as the kernel does.
const MAX_LINKS: usize = 40;

/// What is lost, and what was asked for.
pub struct Guard {
    /// As written (absolute), and what each resolves to.
    paths: BTreeSet<PathBuf>,
    hosts: Vec<String>,
    places: Vec<String>,
    watched: Mutex<Watched>,
}

impl Guard {
    /// Relative paths of the document are relative to `base`.
    pub fn new(lost: &Lost, base: &Path) -> Self {
        let mut paths = BTreeSet::new();
        for path in &lost.paths {
            let path = absolute(&base.join(path));
            paths.insert(resolve(&path));
            paths.insert(path);
        }
        Guard {
            paths,
            hosts: lost.hosts.iter().map(|h| host_name(h)).collect(),
            places: lost.places.clone(),
            watched: Mutex::default(),
        }
    }

    /// Which lost path it is, or lies below, as it is written or as links lead.
    pub fn lost_path(&self, path: &Path) -> Option<&Path> {
        let written = absolute(path);
        let resolved = resolve(&written);
        self.paths
            .iter()
            .find(|lost| written.starts_with(lost) || resolved.starts_with(lost))
            .map(PathBuf::as_path)
    }

    /// Which lost path lies in it.
    pub fn lost_within(&self, path: &Path) -> Option<&Path> {
        let resolved = resolve(&absolute(path));
        self.paths
            .iter()
            .find(|lost| lost.starts_with(&resolved))
            .map(PathBuf::as_path)
    }

    /// Whether a host name or address is lost. A name is looked up where the lost are addresses,
    /// and the other way round.
    pub fn is_lost_host(&self, host: &str) -> bool {
        let host = host_name(host);
        if self.hosts.is_empty() {
            return false;
        }
        if self.hosts.contains(&host) {
            return true;
        }
        let asked = addresses(&host);
        self.hosts
            .iter()
            .any(|lost| addresses(lost).iter().any(|a| asked.contains(a)))
    }

    /// Why a store of the policy is lost, if it is.
    pub fn lost_store(&self, store: &StoreDocument, base: &Path) -> Option<String> {
        if self.places.contains(&store.place) {
            return Some(format!("its place, {}, is lost", store.place));
        }
        if let Some(directory) = &store.directory
            && let Some(lost) = self.lost_path(&base.join(directory))
        {
            return Some(format!("it lies in {}, which is lost", lost.display()));
        }
        let endpoint = store.s3.as_ref().and_then(|s3| s3.endpoint.as_deref())?;
        let host = url_host(endpoint)?;
        self.is_lost_host(host)
            .then(|| format!("its endpoint's host, {host}, is lost"))
    }

    /// Leave to open a path; who asks for it goes into the journal where it is refused.
    pub fn path(&self, path: &Path, by: &str) -> Result<(), StepError> {
        match self.lost_path(path) {
            None => Ok(()),
            Some(lost) => {
                let why = format!(
                    "{} is {}, which is lost: the drill does not touch it",
                    path.display(),
                    lost.display()
                );
                Err(self.refuse(&path.display().to_string(), by, why))
            }
        }
    }

    /// Leave to speak to a host.
    pub fn host(&self, host: &str, by: &str) -> Result<(), StepError> {
        if !self.is_lost_host(host) {
            return Ok(());
        }
        let why = format!("the host {host} is lost: the drill does not speak to it");
        Err(self.refuse(host, by, why))
    }

    /// Notes a refusal, and makes the error of it.
    pub fn refuse(&self, what: &str, by: &str, reason: String) -> StepError {
        let what = crate::shell::clean(what, 300);
        self.watched().refused.push((what.clone(), by.to_owned()));
        StepError {
            reason: crate::shell::clean(&reason, 600),
            refused: Some(what),
        }
    }

    /// Notes a place that was used.
    pub fn used(&self, endpoint: &str, by: &str) {
        let entry = (crate::shell::clean(endpoint, 300), by.to_owned());
        let mut watched = self.watched();
        if !watched.used.contains(&entry) {
            watched.used.push(entry);
        }
    }

    /// What was used and refused since the last call.
    pub fn take(&self) -> Watched {
        std::mem::take(&mut *self.watched())
    }

    /// The paths that are masked for child processes: as links lead, none below another.
    pub fn to_mask(&self) -> Vec<PathBuf> {
        let resolved: BTreeSet<PathBuf> = self.paths.iter().map(|p| resolve(p)).collect();
        let mut out: Vec<PathBuf> = Vec::new();
        // Sorted: what lies above comes first.
        for path in resolved {
            if !out.iter().any(|above| path.starts_with(above)) {
                out.push(path);
            }
        }
        out
    }

    pub fn hosts(&self) -> &[String] {
        &self.hosts
    }

    fn watched(&self) -> std::sync::MutexGuard<'_, Watched> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The path from the root on, `.` and `..` taken out as they are written.
pub fn absolute(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| Path::new("/").join(path));
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                out.pop();
            }
            Component::CurDir => {}
            other => out.push(other),
        }
    }
    out
}

/// Where the path leads when its links are followed, also those that lead nowhere: what is lost
/// may be gone already.
pub fn resolve(path: &Path) -> PathBuf {
    let mut todo: Vec<std::ffi::OsString> = parts(path);
    let mut out = PathBuf::from("/");
    let mut links = 0;
    while let Some(part) = todo.pop() {
        if part == ".." {
            out.pop();
            continue;
        }
        let next = out.join(&part);
        match std::fs::read_link(&next) {
            Ok(target) if links < MAX_LINKS => {
                links += 1;
                if target.is_absolute() {
                    out = PathBuf::from("/");
                }
                todo.extend(parts(&target));
            }
            _ => out = next,
        }
    }
    out
}

/// The names in a path, the last one first.
fn parts(path: &Path) -> Vec<std::ffi::OsString> {
    let mut parts: Vec<_> = path
        .components()
        .filter_map(|c| match c {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some("..".into()),
            _ => None,
        })
        .collect();
    parts.reverse();
    parts
}

/// The host of a URL, without user and port.
pub fn url_host(url: &str) -> Option<&str> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = authority.rsplit('@').next()?;
    match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next(),
        None => host.split(':').next(),
    }
}

fn host_name(host: &str) -> String {
    let host = host.trim().trim_end_matches('.');
    let host = host.strip_prefix('[').unwrap_or(host);
    host.strip_suffix(']').unwrap_or(host).to_lowercase()
}

fn addresses(host: &str) -> Vec<IpAddr> {
    if let Ok(address) = host.parse() {
        return vec![address];
    }
    (host, 0)
        .to_socket_addrs()
        .map(|all| all.map(|a| a.ip()).collect())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn lost(paths: &[&Path], hosts: &[&str]) -> Lost {
        Lost {
            what: "the primary".into(),
            paths: paths.iter().map(|p| p.display().to_string()).collect(),
            hosts: hosts.iter().map(|h| (*h).to_owned()).collect(),
            places: vec!["cellar".into()],
            regions: Vec::new(),
        }
    }

    #[test]
    fn what_is_lost_is_refused_by_whatever_way_it_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let primary = dir.path().join("primary");
        std::fs::create_dir(&primary).unwrap();
        symlink(&primary, dir.path().join("link")).unwrap();
        symlink("link/deeper", dir.path().join("dangling")).unwrap();
        let guard = Guard::new(&lost(&[&primary], &[]), dir.path());
        for asked in [
            "primary",
            "primary/x/y",
            "link/x",
            "dangling",
            "other/../primary/x",
            "./primary/.",
        ] {
            let path = dir.path().join(asked);
            assert!(guard.path(&path, "test").is_err(), "{asked}");
        }
        for asked in ["primary2", "other", "prim"] {
            assert!(
                guard.path(&dir.path().join(asked), "test").is_ok(),
                "{asked}"
            );
        }
        let watched = guard.take();
        assert_eq!(watched.refused.len(), 6);
        assert_eq!(watched.refused[0].1, "test");
        assert_eq!(guard.take(), Watched::default());
    }

    #[test]
    fn a_lost_path_that_is_a_link_is_lost_at_both_ends() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().join("real");
        std::fs::create_dir(&real).unwrap();
        let link = dir.path().join("link");
        symlink(&real, &link).unwrap();
        let guard = Guard::new(&lost(&[&link], &[]), dir.path());
        assert!(guard.lost_path(&real.join("x")).is_some());
        assert!(guard.lost_path(&link.join("x")).is_some());
        assert_eq!(guard.to_mask(), [resolve(&real)]);
        // It is found also where the whole of it is gone.
        std::fs::remove_dir(&real).unwrap();
        assert!(guard.lost_path(&real.join("x")).is_some());
    }

    #[test]
    fn hosts_are_compared_by_name_and_by_address() {
        let guard = Guard::new(
            &lost(&[], &["Primary.Example.", "127.0.0.9", "::1"]),
            Path::new("/"),
        );
        assert!(guard.is_lost_host("primary.example"));
        assert!(guard.is_lost_host("127.0.0.9"));
        assert!(guard.is_lost_host("[::1]"));
        assert!(!guard.is_lost_host("127.0.0.8"));
        assert!(guard.host("primary.example", "a proof").is_err());
        assert_eq!(guard.take().refused[0].0, "primary.example");
    }

    #[test]
    fn a_store_is_lost_by_place_path_or_host() {
        let guard = Guard::new(
            &lost(&[Path::new("/srv/lost")], &["127.0.0.9"]),
            Path::new("/"),
        );
        let store = |place: &str, directory: Option<&str>, endpoint: Option<&str>| StoreDocument {
            place: place.into(),
            directory: directory.map(str::to_owned),
            s3: endpoint.map(|e| crate::document::policy::S3 {
                bucket: "b".into(),
                prefix: None,
                region: "r".into(),
                endpoint: Some(e.into()),
            }),
        };
        let base = Path::new("/srv");
        assert!(
            guard
                .lost_store(&store("cellar", Some("x"), None), base)
                .is_some()
        );
        assert!(
            guard
                .lost_store(&store("attic", Some("lost/x"), None), base)
                .is_some()
        );
        assert!(
            guard
                .lost_store(&store("attic", None, Some("http://127.0.0.9:1")), base)
                .is_some()
        );
        assert!(
            guard
                .lost_store(&store("attic", Some("kept"), None), base)
                .is_none()
        );
        assert_eq!(url_host("http://u:p@[::1]:80/x"), Some("::1"));
        assert_eq!(url_host("http://host:80"), Some("host"));
    }
}
