//! Backups in memory, sealed for a test's own key, and stores that do what they should not.

use std::io::{self, Cursor, Read, Write};
use std::sync::OnceLock;
use std::time::Duration;

use secrecy::SecretString;

use crate::backup::age::{
    EncryptWriter, Identities, IdentitySources, Recipients, generate_identity,
};
use crate::backup::store::Blob;

/// A key for one test run, and whom to encrypt to.
pub(crate) fn keys() -> &'static (Identities, Recipients) {
    static KEYS: OnceLock<(Identities, Recipients)> = OnceLock::new();
    KEYS.get_or_init(pair)
}

/// A key that nothing was encrypted to.
pub(crate) fn stranger() -> Identities {
    pair().0
}

/// A key of one test's own.
pub(crate) fn pair() -> (Identities, Recipients) {
    let (identity, recipient) = generate_identity();
    let sources = IdentitySources {
        text: Some(identity),
        ..IdentitySources::default()
    };
    let nobody = |_: &str| -> Option<SecretString> { None };
    (
        Identities::gather(sources, &nobody).expect("a new identity can be read"),
        Recipients::parse(&[recipient]).expect("a new recipient can be read"),
    )
}

/// Encrypted for [`keys`].
pub(crate) fn sealed(plain: &[u8]) -> Vec<u8> {
    sealed_for(&keys().1, plain)
}

pub(crate) fn sealed_for(recipients: &Recipients, plain: &[u8]) -> Vec<u8> {
    let mut writer = EncryptWriter::new(recipients, Vec::new()).expect("a header is written");
    writer.write_all(plain).expect("a payload is written");
    writer.finish().expect("an end is written")
}

pub(crate) fn zstd(plain: &[u8]) -> Vec<u8> {
    zstd::encode_all(plain, 1).expect("memory can be compressed")
}

/// What a store gives, and how.
pub(crate) struct Given {
    bytes: Cursor<Vec<u8>>,
    /// What it says that its size is.
    pub says: u64,
    /// It fails after so many bytes.
    pub fails_at: Option<u64>,
    /// Before each read; it gives a hundred bytes at a time then.
    pub waits: Option<Duration>,
}

impl Given {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Given {
            says: bytes.len() as u64,
            bytes: Cursor::new(bytes),
            fails_at: None,
            waits: None,
        }
    }

    pub(crate) fn boxed(bytes: Vec<u8>) -> Box<dyn Blob> {
        Box::new(Given::new(bytes))
    }
}

impl Read for Given {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut room = buffer.len();
        if let Some(wait) = self.waits {
            std::thread::sleep(wait);
            room = room.min(100);
        }
        if let Some(end) = self.fails_at {
            let left = end - self.bytes.position();
            if left == 0 {
                return Err(io::Error::other("the connection was reset"));
            }
            room = room.min(left as usize);
        }
        self.bytes.read(&mut buffer[..room])
    }
}

impl Blob for Given {
    fn size(&self) -> u64 {
        self.says
    }
}
