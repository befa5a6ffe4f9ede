//! The age format. Headers, recipients and identities are the age crate's; the payload (STREAM:
//! chunks of 64 KiB under ChaCha20-Poly1305) is done here with aws-lc's cipher, on as many cores as
//! there are.

use std::io::{Read, Write};
use std::path::PathBuf;

use secrecy::SecretString;

#[derive(Debug, thiserror::Error)]
pub enum AgeError {
    #[error("{0}")]
    Other(String),
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Whom a backup is encrypted to.
pub struct Recipients {
    _all: (),
}

/// Private keys that may open one.
pub struct Identities {
    _all: (),
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

/// Asks a person for a passphrase; the argument says for what. `None`: nobody is there.
pub type AskPassphrase<'a> = &'a (dyn Fn(&str) -> Option<SecretString> + Sync);

impl Recipients {
    /// `age1…`, `ssh-ed25519 …`, `ssh-rsa …`, `age1NAME1…` (plugins).
    pub fn parse(lines: &[String]) -> Result<Self, AgeError> {
        let _ = lines;
        todo!()
    }

    pub fn passphrase(passphrase: SecretString) -> Self {
        let _ = passphrase;
        todo!()
    }
}

impl Identities {
    pub fn gather(sources: IdentitySources, ask: AskPassphrase) -> Result<Self, AgeError> {
        let _ = (sources, ask);
        todo!()
    }

    /// The recipients (`age1…`, `ssh-…`) that these identities stand for, as far as that is known.
    pub fn recipients(&self) -> Vec<String> {
        todo!()
    }
}

/// What the header says without any key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    pub armored: bool,
    /// In order, grease left out.
    pub stanzas: Vec<Stanza>,
    /// Of the header and nonce, in bytes: the payload begins there (binary form).
    pub length: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stanza {
    /// `X25519`, `scrypt`, `ssh-ed25519`, `ssh-rsa`, `mlkem768x25519`…
    pub kind: String,
    pub args: Vec<String>,
}

/// Reads the header from the beginning of a file (64 KiB are enough for any that we accept).
pub fn inspect(beginning: &[u8]) -> Result<Header, AgeError> {
    let _ = beginning;
    todo!()
}

/// Encrypts what is written to it. [`EncryptWriter::finish`] must be called, or the file is
/// truncated and will not open.
pub struct EncryptWriter<W: Write> {
    _inner: W,
}

impl<W: Write> EncryptWriter<W> {
    /// Writes the header at once.
    pub fn new(recipients: &Recipients, out: W) -> Result<Self, AgeError> {
        let _ = (recipients, out);
        todo!()
    }

    pub fn finish(self) -> Result<W, AgeError> {
        todo!()
    }
}

impl<W: Write> Write for EncryptWriter<W> {
    fn write(&mut self, _bytes: &[u8]) -> std::io::Result<usize> {
        todo!()
    }

    fn flush(&mut self) -> std::io::Result<()> {
        todo!()
    }
}

/// Decrypts ahead of the reader, on threads of its own. Binary or armored input. An error, also a
/// missing end, comes from `read`; bytes that were read before it are authentic but the whole is
/// not, so they may be used only once `read` has returned 0.
pub struct DecryptReader {
    _inner: (),
}

impl DecryptReader {
    pub fn new(input: Box<dyn Read + Send>, identities: &Identities) -> Result<Self, AgeError> {
        let _ = (input, identities);
        todo!()
    }
}

impl Read for DecryptReader {
    fn read(&mut self, _buffer: &mut [u8]) -> std::io::Result<usize> {
        todo!()
    }
}
