//! Private keys that may open a file, and where they come from.

use std::fmt;
use std::fs::File;
use std::io::{BufReader, Read};
use std::os::unix::fs::MetadataExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use age::{DecryptError, Identity as _, plugin, scrypt, ssh, x25519};
use age_core::format::{FileKey, Stanza};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::header::decrypt_error;
use super::read::DecryptReader;
use super::{AgeError, AskPassphrase, Callbacks, MAX_WORK_FACTOR, Person, plugin_died};
use crate::shell::clean;

/// No honest identity file is larger.
const MAX_FILE: u64 = 1024 * 1024;

/// Private keys that may open a file. They can be shared between threads.
#[derive(Default)]
pub struct Identities {
    keys: Vec<Key>,
    passphrase: Option<SecretString>,
    person: Option<Arc<dyn Person>>,
    warnings: Vec<String>,
}

enum Key {
    X25519(x25519::Identity),
    Ssh {
        identity: ssh::Identity,
        public: Option<String>,
    },
    /// Those of one plugin, which is then started once for all.
    Plugin {
        name: String,
        identities: Vec<plugin::Identity>,
    },
}

/// Where identities come from.
#[derive(Default)]
pub struct IdentitySources {
    /// age identity files (plain or passphrase-protected, armored or not) and SSH private keys.
    pub files: Vec<PathBuf>,
    /// The text of an identity file, e.g. from `SEAWALL_AGE_IDENTITY`.
    pub text: Option<SecretString>,
    /// For passphrase-encrypted backups.
    pub passphrase: Option<SecretString>,
}

/// A new X25519 identity (`AGE-SECRET-KEY-1…`) and its recipient (`age1…`).
pub fn generate_identity() -> (SecretString, String) {
    let identity = x25519::Identity::generate();
    (identity.to_string(), identity.to_public().to_string())
}

impl Identities {
    /// Reads them all, and asks for the passphrases of those that are protected. Nothing at all is
    /// fine: then what needs no key still works.
    ///
    /// # Errors
    /// When a file cannot be read, others can read it (and it is not protected), it holds no
    /// identity, its passphrase is wrong, or nobody is there to give it.
    pub fn gather(sources: IdentitySources, ask: AskPassphrase) -> Result<Self, AgeError> {
        let mut all = Self {
            passphrase: sources.passphrase,
            ..Self::default()
        };
        for path in &sources.files {
            all.add_file(path, ask)?;
        }
        if let Some(text) = &sources.text {
            let text = text.expose_secret().as_bytes();
            all.add(text, "the identity from the environment", ask)?;
        }
        // What needs no other program, and nobody's touch, comes first.
        all.keys.sort_by_key(|key| match key {
            Key::X25519(_) => 0,
            Key::Ssh { .. } => 1,
            Key::Plugin { .. } => 2,
        });
        Ok(all)
    }

    /// Who answers when a plugin asks, and gives the passphrase of a file that turns out to need
    /// one. Without it, nobody is there.
    pub fn with_person(mut self, person: Arc<dyn Person>) -> Self {
        self.person = Some(person);
        self
    }

    /// The recipients (`age1…`, `ssh-…`) that these identities stand for, as far as that is known:
    /// only a plugin knows its own.
    pub fn recipients(&self) -> Vec<String> {
        self.keys
            .iter()
            .filter_map(|key| match key {
                Key::X25519(identity) => Some(identity.to_public().to_string()),
                Key::Ssh { public, .. } => public.clone(),
                Key::Plugin { .. } => None,
            })
            .collect()
    }

    /// Neither a key nor a passphrase.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.passphrase.is_none()
    }

    /// What a person should know: files that their group can read.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// `1 age key, 2 SSH keys, a passphrase`.
    pub(super) fn summary(&self) -> String {
        let count = |what: fn(&Key) -> bool| self.keys.iter().filter(|key| what(key)).count();
        let mut parts = Vec::new();
        for (number, word) in [
            (count(|key| matches!(key, Key::X25519(_))), "age key"),
            (count(|key| matches!(key, Key::Ssh { .. })), "SSH key"),
            (count(|key| matches!(key, Key::Plugin { .. })), "plugin"),
        ] {
            match number {
                0 => {}
                1 => parts.push(format!("1 {word}")),
                more => parts.push(format!("{more} {word}s")),
            }
        }
        if self.passphrase.is_some() {
            parts.push("a passphrase".into());
        }
        parts.join(", ")
    }

    fn add_file(&mut self, path: &Path, ask: AskPassphrase) -> Result<(), AgeError> {
        let name = clean(&path.display().to_string(), 200);
        let failed = |error: std::io::Error| {
            AgeError::Key(format!(
                "reading the identity file {name} failed: {error}; see whether the path is right"
            ))
        };
        let file = File::open(path).map_err(failed)?;
        let about = file.metadata().map_err(failed)?;
        if about.is_dir() {
            return Err(AgeError::Key(format!(
                "{name} is a directory: name the identity file in it"
            )));
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(
            usize::try_from(about.len().min(MAX_FILE)).unwrap_or_default() + 1,
        ));
        file.take(MAX_FILE + 1)
            .read_to_end(&mut bytes)
            .map_err(failed)?;
        if bytes.len() as u64 > MAX_FILE {
            return Err(AgeError::Key(format!(
                "{name} is larger than {MAX_FILE} bytes, which no identity file is: name another"
            )));
        }
        let protected = self.add(&bytes, &name, ask)?;
        // A pipe or a device (`<(pass show key)`) has no reader but us, whatever its mode.
        if about.is_file() && !protected {
            let mode = about.mode();
            if mode & 0o006 != 0 {
                return Err(AgeError::Key(format!(
                    "others can read or change the private key {name} (mode {:04o}): run \
                     `chmod 600` on it, and think about whether it is still secret",
                    mode & 0o7777
                )));
            }
            if mode & 0o060 != 0 {
                self.warnings.push(format!(
                    "the group of {name} can read or change it (mode {:04o}); `chmod 600` ends that",
                    mode & 0o7777
                ));
            }
        }
        Ok(())
    }

    /// Adds what `bytes` hold. Says whether that was protected by a passphrase.
    fn add(&mut self, bytes: &[u8], name: &str, ask: AskPassphrase) -> Result<bool, AgeError> {
        let text = bytes.trim_ascii_start();
        if text.starts_with(b"age-encryption.org/") || text.starts_with(b"-----BEGIN AGE ") {
            let inner = open_protected(bytes, name, ask)?;
            self.add_lines(&inner, name)?;
            return Ok(true);
        }
        if text.starts_with(b"-----BEGIN ") {
            return self.add_ssh(text, name, ask);
        }
        self.add_lines(bytes, name)?;
        Ok(false)
    }

    fn add_lines(&mut self, bytes: &[u8], name: &str) -> Result<(), AgeError> {
        let text = std::str::from_utf8(bytes).map_err(|_| {
            AgeError::Key(format!(
                "{name} is not text: an identity file has lines that begin with AGE-SECRET-KEY-1"
            ))
        })?;
        let before = self.keys.len();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            // The line itself is never shown: it may be a secret with a typing error.
            if let Ok(identity) = line.parse::<x25519::Identity>() {
                self.keys.push(Key::X25519(identity));
            } else if let Ok(identity) = line.parse::<plugin::Identity>() {
                self.add_plugin(identity);
            } else if line.starts_with("AGE-SECRET-KEY-PQ-1") {
                return Err(AgeError::Key(format!(
                    "{name}, line {}, is a post-quantum identity, which this version does not open \
                     by itself: convert it with `age-plugin-pq -identity` (the plugin comes with \
                     age 1.3), keep age-plugin-pq in PATH, and give the AGE-PLUGIN-PQ-1… line",
                    index + 1
                )));
            } else {
                return Err(AgeError::Key(format!(
                    "{name}, line {}, is not an identity: it must begin with AGE-SECRET-KEY-1 or \
                     AGE-PLUGIN-, and be whole (its checksum is part of it)",
                    index + 1
                )));
            }
        }
        if self.keys.len() == before && !text.contains("AGE-PLUGIN-") {
            return Err(AgeError::Key(format!(
                "{name} holds no identity: an identity file has lines that begin with \
                 AGE-SECRET-KEY-1"
            )));
        }
        Ok(())
    }

    fn add_plugin(&mut self, identity: plugin::Identity) {
        let known = self.keys.iter_mut().find_map(|key| match key {
            Key::Plugin { name, identities } if name == identity.plugin() => Some(identities),
            _ => None,
        });
        match known {
            Some(identities) => identities.push(identity),
            None => self.keys.push(Key::Plugin {
                name: identity.plugin().to_owned(),
                identities: vec![identity],
            }),
        }
    }

    fn add_ssh(&mut self, text: &[u8], name: &str, ask: AskPassphrase) -> Result<bool, AgeError> {
        let unusable = |why: &str| AgeError::Key(format!("the private key {name} {why}"));
        let parsed = shielded(|| ssh::Identity::from_buffer(BufReader::new(text), None))
            .and_then(Result::ok)
            .ok_or_else(|| {
                unusable(
                    "is not an SSH key that age can use: it must be ed25519 or RSA, in OpenSSH's \
                     format (`ssh-keygen -p -f FILE` rewrites it)",
                )
            })?;
        let public = ssh::Recipient::try_from(parsed.clone())
            .ok()
            .map(|recipient| recipient.to_string());
        let (identity, protected) = match parsed {
            ssh::Identity::Unencrypted(key) => (ssh::Identity::Unencrypted(key), false),
            ssh::Identity::Encrypted(key) => {
                let passphrase = ask(&format!("the SSH key {name}")).ok_or_else(|| {
                    unusable(
                        "is protected by a passphrase, and nobody is there to give it: run this \
                         on a terminal, or give a key without one",
                    )
                })?;
                let key = shielded(|| key.decrypt(passphrase))
                    .and_then(Result::ok)
                    .ok_or_else(|| unusable("does not open with this passphrase: try again"))?;
                (ssh::Identity::Unencrypted(key), true)
            }
            ssh::Identity::Unsupported(why) => {
                use ssh::UnsupportedKey as U;
                return Err(match why {
                    U::EncryptedPem => unusable(
                        "is protected in an old way that is weak: rewrite it with \
                         `ssh-keygen -o -p -f FILE`",
                    ),
                    U::EncryptedSsh(cipher) => unusable(&format!(
                        "is protected with {}, which is not known here: rewrite it with \
                         `ssh-keygen -p -Z aes256-ctr -f FILE`",
                        clean(&cipher, 40)
                    )),
                    U::Hardware(kind) | U::Type(kind) => unusable(&format!(
                        "is of kind {}, which age cannot decrypt with: give an ed25519 or RSA key",
                        clean(&kind, 40)
                    )),
                });
            }
        };
        self.keys.push(Key::Ssh { identity, public });
        Ok(protected)
    }

    /// Tries all; the first that opens one of the stanzas wins. Beside the outcome: why one could
    /// not be tried, which is worth telling if none fits.
    #[allow(clippy::type_complexity)]
    pub(super) fn unwrap(
        &self,
        stanzas: &[Stanza],
    ) -> (Option<Result<FileKey, DecryptError>>, Option<AgeError>) {
        if stanzas.iter().any(|stanza| stanza.tag == "scrypt") {
            return (self.unwrap_passphrase(stanzas), None);
        }
        let mut failure = None;
        for key in &self.keys {
            match key.unwrap(stanzas, self.person.as_ref()) {
                None => {}
                Some(Ok(file_key)) => return (Some(Ok(file_key)), None),
                // The file is wrong, whoever reads it.
                Some(Err(DecryptError::InvalidHeader)) => {
                    return (Some(Err(DecryptError::InvalidHeader)), None);
                }
                // Another key may still open it: a plugin that is not there is no reason to stop.
                Some(Err(error)) => {
                    let error = match (error, key) {
                        (DecryptError::Io(error), Key::Plugin { name, .. }) => {
                            plugin_died(name, &error)
                        }
                        (error, _) => decrypt_error(error),
                    };
                    failure = failure.or(Some(error));
                }
            }
        }
        (None, failure)
    }

    fn unwrap_passphrase(&self, stanzas: &[Stanza]) -> Option<Result<FileKey, DecryptError>> {
        let asked = || {
            self.person
                .as_ref()?
                .passphrase("the backup, which is encrypted with a passphrase")
        };
        let passphrase = self.passphrase.clone().or_else(asked)?;
        let mut identity = scrypt::Identity::new(passphrase);
        identity.set_max_work_factor(MAX_WORK_FACTOR);
        identity.unwrap_stanzas(stanzas)
    }
}

/// Kinds and numbers, nothing else.
impl fmt::Debug for Identities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identities({})", self.summary())
    }
}

impl Key {
    fn unwrap(
        &self,
        stanzas: &[Stanza],
        person: Option<&Arc<dyn Person>>,
    ) -> Option<Result<FileKey, DecryptError>> {
        match self {
            Key::X25519(identity) => identity.unwrap_stanzas(stanzas),
            Key::Ssh { identity, .. } => identity.unwrap_stanzas(stanzas),
            Key::Plugin { name, identities } => {
                let callbacks = Callbacks(person.cloned());
                match plugin::IdentityPluginV1::new(name, identities, callbacks) {
                    Ok(plugin) => plugin.unwrap_stanzas(stanzas),
                    Err(error) => Some(Err(error)),
                }
            }
        }
    }
}

/// What a passphrase-protected identity file holds.
fn open_protected(
    bytes: &[u8],
    name: &str,
    ask: AskPassphrase,
) -> Result<Zeroizing<Vec<u8>>, AgeError> {
    let header = super::inspect(bytes)?;
    if !header.stanzas.iter().any(|stanza| stanza.kind == "scrypt") {
        return Err(AgeError::Key(format!(
            "{name} is an age file that is not encrypted with a passphrase ({}): name the identity \
             file, not a backup",
            header.kinds()
        )));
    }
    let passphrase = ask(&format!("the identity file {name}")).ok_or_else(|| {
        AgeError::Key(format!(
            "the identity file {name} is protected by a passphrase, and nobody is there to give \
             it: run this on a terminal, or give an identity without one"
        ))
    })?;
    let identities = Identities {
        passphrase: Some(passphrase),
        ..Identities::default()
    };
    let input = std::io::Cursor::new(bytes.to_vec());
    let mut reader =
        DecryptReader::new(Box::new(input), &identities).map_err(|error| match error {
            AgeError::NoMatch(_) => AgeError::Key(format!(
                "the passphrase does not open the identity file {name}: try again"
            )),
            error => error,
        })?;
    // Never more than the ciphertext, so that it does not move (and leave copies) as it grows.
    let mut plain = Zeroizing::new(Vec::with_capacity(bytes.len()));
    reader.read_to_end(&mut plain)?;
    Ok(plain)
}

/// Calls into a parser of private keys that does not survive every input.
fn shielded<T>(parse: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(parse)).ok()
}
