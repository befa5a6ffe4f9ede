//! Whom a file is encrypted to.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use age::{EncryptError, plugin, scrypt, ssh, x25519};
use age_core::secrecy::ExposeSecret;
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD};
use secrecy::SecretString;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::header::{Head, PayloadKey, Stanza};
use super::{AgeError, Callbacks, Person, missing_plugin, plugin_died, plugin_errors};
use crate::shell::clean;

/// What age itself takes: 256 MiB of memory, about a second.
const WORK_FACTOR: u8 = 18;

/// Whom a backup is encrypted to.
pub struct Recipients {
    kind: Kind,
    person: Option<Arc<dyn Person>>,
}

enum Kind {
    Keys {
        keys: Vec<Key>,
        plugins: Vec<plugin::Recipient>,
    },
    Passphrase(SecretString, u8),
}

enum Key {
    X25519(x25519::Recipient),
    Ssh(ssh::Recipient),
}

impl Recipients {
    /// `age1…`, `ssh-ed25519 …`, `ssh-rsa …`, `age1NAME1…` (plugins). Empty lines and lines that
    /// begin with `#` are skipped, as in age's recipient files.
    ///
    /// # Errors
    /// When a line is none of these, or none is left.
    pub fn parse(lines: &[String]) -> Result<Self, AgeError> {
        let mut keys = Vec::new();
        let mut plugins = Vec::new();
        for line in lines.iter().map(|line| line.trim()) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if let Ok(key) = line.parse::<x25519::Recipient>() {
                keys.push(Key::X25519(key));
            } else if let Ok(plugin) = line.parse::<plugin::Recipient>() {
                plugins.push(plugin);
            } else {
                keys.push(Key::Ssh(parse_ssh(line)?));
            }
        }
        if keys.is_empty() && plugins.is_empty() {
            return Err(AgeError::Key(
                "there is no recipient to encrypt to: name at least one (age1…, ssh-ed25519 …)"
                    .into(),
            ));
        }
        Ok(Self {
            kind: Kind::Keys { keys, plugins },
            person: None,
        })
    }

    /// One passphrase, and no key beside it: the format allows nothing else.
    pub fn passphrase(passphrase: SecretString) -> Self {
        Self {
            kind: Kind::Passphrase(passphrase, WORK_FACTOR),
            person: None,
        }
    }

    /// Of a passphrase: log2 of scrypt's N, from 1 to 20. For tests; the default is age's own, 18.
    pub fn with_work_factor(mut self, factor: u8) -> Self {
        if let Kind::Passphrase(_, own) = &mut self.kind {
            *own = factor.clamp(1, super::MAX_WORK_FACTOR);
        }
        self
    }

    /// Who answers when a plugin asks. Without it, nobody is there.
    pub fn with_person(mut self, person: Arc<dyn Person>) -> Self {
        self.person = Some(person);
        self
    }

    /// What a header for these must hold, as far as it can be known without making it: kinds, and
    /// for `ssh-…` the key's tag as the only argument. What a plugin writes is not known; its
    /// entry is `plugin` with the plugin's name.
    pub fn expected(&self) -> Vec<Stanza> {
        let stanza = |kind: &str, args: Vec<String>| Stanza {
            kind: kind.into(),
            args,
        };
        match &self.kind {
            Kind::Passphrase(..) => vec![stanza("scrypt", Vec::new())],
            Kind::Keys { keys, plugins } => keys
                .iter()
                .map(|key| match key {
                    Key::X25519(_) => stanza("X25519", Vec::new()),
                    Key::Ssh(ssh::Recipient::SshRsa(blob, _)) => stanza("ssh-rsa", vec![tag(blob)]),
                    Key::Ssh(ssh::Recipient::SshEd25519(blob, _)) => {
                        stanza("ssh-ed25519", vec![tag(blob)])
                    }
                })
                .chain(
                    plugins
                        .iter()
                        .map(|one| stanza("plugin", vec![one.plugin().to_owned()])),
                )
                .collect(),
        }
    }

    /// A new header with its nonce, and the key of the payload that is to follow.
    pub(super) fn seal(&self) -> Result<(Vec<u8>, PayloadKey), AgeError> {
        let mut all: Vec<Box<dyn age::Recipient>> = Vec::new();
        match &self.kind {
            Kind::Passphrase(passphrase, factor) => {
                let mut recipient = scrypt::Recipient::new(passphrase.clone());
                recipient.set_work_factor(*factor);
                all.push(Box::new(recipient));
            }
            Kind::Keys { keys, plugins } => {
                for key in keys {
                    all.push(match key {
                        Key::X25519(key) => Box::new(key.clone()),
                        Key::Ssh(key) => Box::new(key.clone()),
                    });
                }
                let mut names: Vec<&str> = plugins.iter().map(|one| one.plugin()).collect();
                names.sort_unstable();
                names.dedup();
                for name in names {
                    let callbacks = Callbacks(self.person.clone());
                    let recipient = plugin::RecipientPluginV1::new(name, plugins, &[], callbacks)
                        .map_err(encrypt_error)?;
                    all.push(Box::new(recipient));
                }
            }
        }
        let (first, rest) = all.split_first().ok_or_else(|| {
            AgeError::Key("there is no recipient to encrypt to: name at least one".into())
        })?;
        let spy = Spy {
            first: first.as_ref(),
            key: RefCell::default(),
        };
        let everyone = std::iter::once(&spy as &dyn age::Recipient)
            .chain(rest.iter().map(|recipient| recipient.as_ref()));
        let encryptor = age::Encryptor::with_recipients(everyone).map_err(|error| match error {
            // Nothing is read or written yet but from and to plugins.
            EncryptError::Io(error) => plugin_died("used here", &error),
            error => encrypt_error(error),
        })?;
        let mut head = Vec::new();
        // Header and nonce are written at once; the writer is dropped before it has any payload.
        drop(encryptor.wrap_output(&mut head)?);
        let key = spy.key.into_inner().ok_or_else(|| {
            AgeError::Other("a header was made, yet its key was not seen: this is a bug".into())
        })?;
        Ok(Head::made(head, &key))
    }
}

/// Kinds, nothing else.
impl fmt::Debug for Recipients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds: Vec<String> = self.expected().into_iter().map(|one| one.kind).collect();
        write!(f, "Recipients({})", kinds.join(", "))
    }
}

/// Stands before the first recipient, and keeps the file key that passes.
struct Spy<'a> {
    first: &'a dyn age::Recipient,
    key: RefCell<Option<Zeroizing<[u8; 16]>>>,
}

impl age::Recipient for Spy<'_> {
    fn wrap_file_key(
        &self,
        key: &age_core::format::FileKey,
    ) -> Result<(Vec<age_core::format::Stanza>, HashSet<String>), EncryptError> {
        *self.key.borrow_mut() = Some(Zeroizing::new(*key.expose_secret()));
        self.first.wrap_file_key(key)
    }
}

/// The first four bytes of the key's SHA-256, as they stand in a header.
fn tag(blob: &[u8]) -> String {
    let digest = Sha256::digest(blob);
    BASE64_STANDARD_NO_PAD.encode(digest.get(..4).unwrap_or_default())
}

fn parse_ssh(line: &str) -> Result<ssh::Recipient, AgeError> {
    use ssh::ParseRecipientKeyError as E;
    let shown = clean(line, 40);
    // The crate's parser does not survive a number that is all zeros.
    if !numbers_are_sound(line) {
        return Err(AgeError::Key(format!(
            "the recipient “{shown}” is a malformed SSH key: copy the line from the .pub file again"
        )));
    }
    ssh::Recipient::from_str(line).map_err(|error| {
        AgeError::Key(match error {
            E::Unsupported(kind) => format!(
                "the recipient “{shown}” is an SSH key of kind {}, which age cannot encrypt to: \
                 use ssh-ed25519, ssh-rsa or age1…",
                clean(&kind, 40)
            ),
            E::RsaModulusTooSmall => format!(
                "the recipient “{shown}” is an RSA key of less than 2048 bits, which is too weak: \
                 use a larger one, or ssh-ed25519"
            ),
            E::RsaModulusTooLarge => format!(
                "the recipient “{shown}” is an RSA key of more than 4096 bits, which age does not \
                 take: use ssh-ed25519"
            ),
            E::Ignore | E::Invalid(_) if line.to_ascii_lowercase().starts_with("age1") => format!(
                "the recipient “{shown}” is damaged (its checksum does not fit): copy it again"
            ),
            E::Ignore | E::Invalid(_) if line.starts_with("AGE-") => {
                "a recipient is a private key (AGE-…): give the public one (age1…), and take the \
                 private one out of this document"
                    .to_owned()
            }
            E::Ignore | E::Invalid(_) => format!(
                "the recipient “{shown}” is not one: it must begin with age1, ssh-ed25519 or ssh-rsa"
            ),
        })
    })
}

/// Whether an `ssh-rsa` line's numbers are not all zeros. Other lines are sound for all this knows.
fn numbers_are_sound(line: &str) -> bool {
    let mut words = line.split_ascii_whitespace();
    if words.next() != Some("ssh-rsa") {
        return true;
    }
    let Some(blob) = words.next() else {
        return false;
    };
    let Ok(blob) = BASE64_STANDARD.decode(blob) else {
        return false;
    };
    let mut rest = blob.as_slice();
    for index in 0..3 {
        let Some((length, after)) = rest.split_first_chunk::<4>() else {
            return false;
        };
        let length = u32::from_be_bytes(*length) as usize;
        let Some((field, after)) = after.split_at_checked(length) else {
            return false;
        };
        if index > 0 && field.iter().all(|byte| *byte == 0) {
            return false;
        }
        rest = after;
    }
    true
}

fn encrypt_error(error: EncryptError) -> AgeError {
    use EncryptError as E;
    match error {
        E::MissingPlugin { binary_name } => missing_plugin(&binary_name),
        E::Plugin(errors) => plugin_errors(&errors),
        E::IncompatibleRecipients { .. } => AgeError::Key(
            "these recipients may not stand side by side: one of them (post-quantum keys do so) \
             allows only its own kind beside it, or the weakest key would decide; use recipients \
             of one kind"
                .into(),
        ),
        E::Io(error) => error.into(),
        error => AgeError::Other(format!(
            "making the header failed: {}",
            clean(&error.to_string(), 400)
        )),
    }
}
