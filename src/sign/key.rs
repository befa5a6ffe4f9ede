//! A private key that signs.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::ssh_key::{HashAlg, LineEnding, PrivateKey, PublicKey};
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::trusted::{fingerprint, may_sign, public_key};
use super::{NAMESPACE, SignError, Trusted, program};

/// A key file larger than this is none.
const LARGEST_FILE: u64 = 64 << 10;

/// A private key that signs.
pub struct SigningKey {
    holder: Holder,
    public: PublicKey,
}

enum Holder {
    /// We hold it.
    Us(Box<PrivateKey>),
    /// ssh-agent or a token does; `ssh-keygen -f` gets this file.
    Elsewhere(PathBuf),
}

/// The public half alone.
impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "SigningKey({})", self.fingerprint())
    }
}

impl SigningKey {
    /// A new ed25519 key.
    pub fn generate(comment: &str) -> Result<Self, SignError> {
        let mut seed = Zeroizing::new([0; 32]);
        aws_lc_rs::rand::fill(seed.as_mut_slice())
            .map_err(|_| SignError::NotMade("this machine gives no random bytes".into()))?;
        // A comment is the end of a line of text: it must not begin another.
        let comment: String = comment
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(200)
            .collect();
        let pair = Ed25519Keypair::from_seed(&seed);
        let key = PrivateKey::new(pair.into(), comment.trim())
            .map_err(|e| SignError::NotMade(e.to_string()))?;
        Ok(SigningKey {
            public: key.public_key().clone(),
            holder: Holder::Us(Box::new(key)),
        })
    }

    /// Reads an OpenSSH private key file. `passphrase` is asked for only where it is needed. Of a
    /// `.pub` file, or a token's handle, it is ssh-agent's or the token's key, and `ssh-keygen`
    /// signs.
    ///
    /// # Errors
    /// Also where others than its owner may read a private key.
    pub fn load(
        path: &Path,
        passphrase: &mut dyn FnMut() -> Option<SecretString>,
    ) -> Result<Self, SignError> {
        let key = match read(path)? {
            Content::Public(public) => {
                return Ok(SigningKey {
                    public,
                    holder: Holder::Elsewhere(path.to_owned()),
                });
            }
            Content::Private(key) => key,
        };
        let public = key.public_key().clone();
        let name = || path.display().to_string();
        may_sign(public.key_data()).map_err(|reason| SignError::NotAKey {
            path: name(),
            reason,
        })?;
        let token = key.public_key().key_data().is_sk_ed25519()
            || key.public_key().key_data().is_sk_ecdsa_p256();
        if token {
            return Ok(SigningKey {
                public,
                holder: Holder::Elsewhere(path.to_owned()),
            });
        }
        let key = if key.is_encrypted() {
            let given = passphrase().ok_or_else(|| SignError::NoPassphrase { path: name() })?;
            key.decrypt(given.expose_secret())
                .map_err(|_| SignError::WrongPassphrase { path: name() })?
        } else {
            *key
        };
        Ok(SigningKey {
            public,
            holder: Holder::Us(Box::new(key)),
        })
    }

    /// Writes it (0600, never over another) and its `.pub` beside it.
    ///
    /// Whole or not at all: who finds the file may read it at once.
    pub fn write(&self, path: &Path) -> Result<(), SignError> {
        let Holder::Us(key) = &self.holder else {
            return Err(SignError::NotMade(
                "the key is held by ssh-agent or a token, and cannot be written".into(),
            ));
        };
        let public = with_pub(path);
        for path in [path, &public] {
            if path.symlink_metadata().is_ok() {
                return Err(SignError::Exists {
                    path: path.display().to_string(),
                });
            }
        }
        let text = key
            .to_openssh(LineEnding::LF)
            .map_err(|e| SignError::NotMade(e.to_string()))?;
        put(path, text.as_bytes(), 0o600)?;
        put(
            &public,
            format!("{}\n", self.public_line()).as_bytes(),
            0o644,
        )
    }

    /// `ssh-ed25519 AAAA… comment`.
    pub fn public_line(&self) -> String {
        self.public.to_openssh().unwrap_or_default()
    }

    /// `SHA256:…`
    pub fn fingerprint(&self) -> String {
        fingerprint(self.public.key_data())
    }

    /// Its own public half: whose signatures this machine's own are.
    pub fn trusted(&self) -> Result<Trusted, SignError> {
        Trusted::parse([self.public_line().as_str()])
    }

    /// The public half of the key at `path`: of a private key file (no passphrase is needed), of a
    /// `.pub` file, or of the `.pub` file beside it.
    pub fn public_of(path: &Path) -> Result<Trusted, SignError> {
        let public = match read(path) {
            Ok(Content::Public(key)) => key,
            Ok(Content::Private(key)) => key.public_key().clone(),
            Err(error) if error.is_missing() => {
                let beside = with_pub(path);
                match read(&beside)? {
                    Content::Public(key) => key,
                    Content::Private(_) => {
                        return Err(SignError::NotAKey {
                            path: beside.display().to_string(),
                            reason: "it is a private key".into(),
                        });
                    }
                }
            }
            Err(error) => return Err(error),
        };
        let line = public.to_openssh().map_err(|e| SignError::NotAKey {
            path: path.display().to_string(),
            reason: e.to_string(),
        })?;
        Trusted::parse([line.as_str()])
    }

    /// The armored signature (`-----BEGIN SSH SIGNATURE-----`).
    pub fn sign(&self, bytes: &[u8]) -> Result<String, SignError> {
        let armored = match &self.holder {
            Holder::Us(key) => {
                let failed = |e: russh::keys::ssh_key::Error| SignError::NotSigned {
                    path: self.fingerprint(),
                    reason: e.to_string(),
                };
                key.sign(NAMESPACE, HashAlg::Sha512, bytes)
                    .and_then(|signature| signature.to_pem(LineEnding::LF))
                    .map_err(failed)?
            }
            Holder::Elsewhere(path) => program::sign(path, bytes)?,
        };
        // Whatever made it, it is ours only if it says so. That catches a file that was swapped
        // since, a key without its token, and a fault in the arithmetic.
        self.trusted()?.verify(bytes, &armored)?;
        Ok(armored)
    }
}

enum Content {
    Private(Box<PrivateKey>),
    Public(PublicKey),
}

/// Reads a key file of either kind; a private one must be its owner's alone.
fn read(path: &Path) -> Result<Content, SignError> {
    let name = || path.display().to_string();
    let failed = |source| SignError::Io {
        doing: "reading the key",
        path: name(),
        source,
    };
    let bad = |reason: String| SignError::NotAKey {
        path: name(),
        reason,
    };
    // Without waiting, should it be a pipe.
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
        .open(path)
        .map_err(failed)?;
    let about = file.metadata().map_err(failed)?;
    if !about.is_file() {
        return Err(bad("it is no file".into()));
    }
    let mut text = Zeroizing::new(Vec::with_capacity(4096));
    file.take(LARGEST_FILE)
        .read_to_end(&mut text)
        .map_err(failed)?;
    let text = std::str::from_utf8(&text).map_err(|_| bad("it is not text".into()))?;
    if !text.contains("PRIVATE KEY") {
        let mut lines = text.lines().filter(|l| !l.trim().is_empty());
        let line = lines.next().unwrap_or_default().trim();
        if lines.next().is_some() {
            return Err(bad("it has more than one line".into()));
        }
        return public_key(line).map(Content::Public).map_err(bad);
    }
    let mode = about.permissions().mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(SignError::Open { path: name(), mode });
    }
    // SAFETY: it has no arguments and cannot fail.
    let us = unsafe { libc::geteuid() };
    if about.uid() != us && about.uid() != 0 {
        return Err(SignError::NotOurs {
            path: name(),
            owner: about.uid(),
        });
    }
    PrivateKey::from_openssh(text)
        .map(|key| Content::Private(Box::new(key)))
        .map_err(|e| {
            bad(format!(
                "{e} (an older PEM file? `ssh-keygen -p -f` rewrites it)"
            ))
        })
}

fn with_pub(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".pub");
    PathBuf::from(name)
}

/// Writes a new file under a temporary name and then gives it its own; never over another.
fn put(path: &Path, bytes: &[u8], mode: u32) -> Result<(), SignError> {
    let failed = |source: std::io::Error| match source.kind() {
        ErrorKind::AlreadyExists => SignError::Exists {
            path: path.display().to_string(),
        },
        _ => SignError::Io {
            doing: "writing the key",
            path: path.display().to_string(),
            source,
        },
    };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut file = tempfile::Builder::new()
        .prefix(".seawall-key-")
        .permissions(std::fs::Permissions::from_mode(mode))
        .tempfile_in(folder)
        .map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist_noclobber(path).map_err(|e| failed(e.error))?;
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(failed)
}
