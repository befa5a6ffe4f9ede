//! The known_hosts files of a run: read once, and added to where that is allowed.

use std::collections::HashMap;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use russh::keys::{HashAlg, PublicKey, PublicKeyOrCertificate};

use super::known_hosts::{KnownHosts, Place, Question, Verdict, write_line};
use super::{Phase, ReachError};
use crate::shell::{clean, quote};

/// More than any sane file has; it is read into memory.
const FILE_MAX: u64 = 32 << 20;

/// When a file was read, and how long it was then.
type Stamp = (Option<SystemTime>, u64);

#[derive(Default)]
pub(super) struct KnownStore {
    read: Mutex<HashMap<PathBuf, (Stamp, Arc<KnownHosts>)>>,
    writing: Mutex<()>,
}

impl KnownStore {
    /// The files, those that are not there left out. A file that is there and cannot be read is
    /// an error: it might say that a key is revoked.
    pub(super) fn files(&self, paths: &[PathBuf]) -> Result<Vec<Arc<KnownHosts>>, ReachError> {
        let mut files = Vec::new();
        for path in paths {
            match self.file(path) {
                Ok(file) => files.extend(file),
                Err(e) => {
                    return Err(ReachError::new(
                        Phase::Prepare,
                        format!("{} cannot be read: {e}", path.display()),
                    ));
                }
            }
        }
        Ok(files)
    }

    fn file(&self, path: &Path) -> io::Result<Option<Arc<KnownHosts>>> {
        let meta = match std::fs::metadata(path) {
            Ok(meta) => meta,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e),
        };
        if meta.len() > FILE_MAX {
            return Err(io::Error::other("it is too large"));
        }
        let stamp = (meta.modified().ok(), meta.len());
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((seen, file)) = read.get(path)
            && *seen == stamp
        {
            return Ok(Some(Arc::clone(file)));
        }
        let bytes = std::fs::read(path)?;
        let file = Arc::new(KnownHosts::parse(path, &String::from_utf8_lossy(&bytes)));
        read.insert(path.to_owned(), (stamp, Arc::clone(&file)));
        Ok(Some(file))
    }

    /// Writes a new host's key down, for nobody else to read.
    pub(super) fn add(
        &self,
        path: &Path,
        name: &str,
        key: &PublicKey,
        hashed: bool,
    ) -> io::Result<()> {
        let _one_at_a_time = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let salt = uuid::Uuid::new_v4();
        let more = uuid::Uuid::new_v4();
        let salt: Vec<u8> = [&salt.as_bytes()[..], &more.as_bytes()[..4]].concat();
        let line = write_line(name, key, hashed.then_some(salt.as_slice()))
            .ok_or_else(|| io::Error::other("the key cannot be written"))?;
        if let Some(folder) = path.parent() {
            std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)?;
        }
        let mut file = std::fs::OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)?;
        let mut text = String::new();
        if file.seek(SeekFrom::End(-1)).is_ok() {
            let mut last = [0];
            file.read_exact(&mut last)?;
            if last != [b'\n'] {
                text.push('\n');
            }
        }
        text.push_str(&line);
        file.write_all(text.as_bytes())
    }
}

/// Whether a list of revoked keys has this one. A list that cannot be read has them all, as
/// OpenSSH has it.
fn is_listed(list: &Path, key: &PublicKey) -> bool {
    let Ok(bytes) = std::fs::read(list) else {
        return true;
    };
    if !bytes.starts_with(b"SSHKRL\n\0") {
        return String::from_utf8_lossy(&bytes)
            .lines()
            .filter_map(|line| PublicKey::from_openssh(line.trim()).ok())
            .any(|listed| listed.key_data() == key.key_data());
    }
    // The binary form is OpenSSH's own, and so is the reader.
    let asked = || -> io::Result<bool> {
        let mut file = tempfile::NamedTempFile::new()?;
        let text = key.to_openssh().map_err(io::Error::other)?;
        writeln!(file, "{text}")?;
        let status = std::process::Command::new("ssh-keygen")
            .arg("-Qf")
            .arg(list)
            .arg(file.path())
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .status()?;
        Ok(!status.success())
    };
    asked().unwrap_or(true)
}

/// Where, and under which name, one server's key is looked for.
pub(super) struct Expected {
    pub(super) files: Vec<Arc<KnownHosts>>,
    pub(super) name: String,
    pub(super) host: String,
    /// Where a new key would be written down.
    pub(super) first_file: Option<PathBuf>,
    pub(super) accept_new: bool,
    pub(super) hashed: bool,
    /// The configuration's `RevokedHostKeys`.
    pub(super) revoked: Option<PathBuf>,
}

impl Expected {
    pub(super) fn question(&self) -> Question<'_> {
        Question {
            files: &self.files,
            name: &self.name,
            host: &self.host,
        }
    }

    /// How the shown key came to be trusted, or why it is not.
    pub(super) fn check(
        &self,
        shown: &PublicKeyOrCertificate,
        store: &KnownStore,
        now: SystemTime,
    ) -> Result<String, ReachError> {
        let key = shown.public_key();
        if let Some(list) = &self.revoked {
            let mut keys = vec![key.clone()];
            if let Some(certificate) = shown.certificate() {
                keys.push(PublicKey::new(certificate.signature_key().clone(), ""));
            }
            if keys.iter().any(|key| is_listed(list, key)) {
                let place = Place {
                    path: list.clone(),
                    line: 0,
                };
                return Err(self.refusal(&Verdict::Revoked(place), &key));
            }
        }
        let verdict = match shown.certificate() {
            Some(certificate) => self.question().judge_certificate(certificate, now),
            None => self.question().judge_key(key.key_data()),
        };
        match verdict {
            Verdict::Trusted(place) => Ok(format!("known_hosts {place}")),
            Verdict::TrustedByCa { place, key_id } => {
                Ok(format!("certificate {} by {place}", clean(&key_id, 80)))
            }
            Verdict::Unknown { .. } if self.accept_new => self.accept(&key, store),
            verdict => Err(self.refusal(&verdict, &key)),
        }
    }

    fn accept(&self, key: &PublicKey, store: &KnownStore) -> Result<String, ReachError> {
        let error = |why: String| ReachError::new(Phase::HostKey, why);
        let Some(path) = &self.first_file else {
            return Err(error(
                "there is no known_hosts file to add the new host to".into(),
            ));
        };
        store
            .add(path, &self.name, key, self.hashed)
            .map_err(|e| error(format!("{} cannot be written: {e}", path.display())))?;
        Ok(format!("accepted as new, added to {}", path.display()))
    }

    fn refusal(&self, verdict: &Verdict, key: &PublicKey) -> ReachError {
        let print = key.fingerprint(HashAlg::Sha256);
        let kind = key.algorithm();
        let name = &self.name;
        let error = |why: String| ReachError::new(Phase::HostKey, why);
        match verdict {
            Verdict::Changed(place) => {
                let word = |text: &str| quote(text).unwrap_or_default();
                error(format!(
                    "{name} shows another key than {place} has: {kind} {print}; nothing was sent"
                ))
                .hint(format!(
                    "this may be an attack. If the host was made anew, compare the fingerprint \
                     on its console, then: ssh-keygen -R {} -f {}",
                    word(name),
                    word(&place.path.to_string_lossy()),
                ))
            }
            Verdict::Revoked(place) => error(format!(
                "{name} shows a key that is revoked in {place}: {kind} {print}; nothing was sent"
            ))
            .hint("give the host a new key; a revoked one may be in other hands"),
            Verdict::BadCertificate { place, reason } => error(format!(
                "{name} shows a certificate from the authority in {place}, but {reason}"
            ))
            .hint("sign a new certificate for the host"),
            Verdict::Unknown { other } => {
                let other = other
                    .as_ref()
                    .map(|p| format!(" (only a key of another type, in {p})"))
                    .unwrap_or_default();
                error(format!(
                    "the key of {name} is not known{other}: {kind} {print}; nothing was sent"
                ))
                .hint(
                    "compare the fingerprint on the host's console, then add the key to \
                     known_hosts, or let --accept-new do it",
                )
            }
            Verdict::Trusted(_) | Verdict::TrustedByCa { .. } => error("trusted".into()),
        }
    }
}
