//! What stands before the payload: for whom the file is, and the file key, wrapped for each of them.
//! The grammar is the age crate's and no second one is kept here: a spy among the identities sees
//! what the crate has parsed.

use std::cell::RefCell;
use std::io::{self, BufReader, Cursor, Read};

use age::armor::ArmoredReader;
use age_core::secrecy::ExposeSecret;
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::identities::Identities;
use super::{AgeError, MAX_WORK_FACTOR, missing_plugin, plugin_errors};
use crate::shell::clean;

/// The largest header that we read. One recipient takes 100 bytes, an RSA key of 4096 bits 750.
const MAX_HEADER: usize = 64 * 1024;
/// The crate parses again from the beginning for each line that it gets, so these are bounded too.
const MAX_LINES: usize = 4096;
/// Follows the header; the payload's key depends on it.
const NONCE: usize = 16;
/// Within this many bytes a file shows whether it is armored.
const GLANCE: usize = 1024;

const MAGIC: &[u8] = b"age-encryption.org/";
const ARMOR: &[u8] = b"-----BEGIN AGE ENCRYPTED FILE-----";

/// What the header says without any key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    pub armored: bool,
    /// In order, grease left out.
    pub stanzas: Vec<Stanza>,
    /// Of the header and nonce, in bytes: the payload begins there (binary form).
    pub length: u64,
}

impl Header {
    /// `2 × X25519, 1 × ssh-ed25519`.
    pub fn kinds(&self) -> String {
        kinds(self.stanzas.iter().map(|stanza| stanza.kind.as_str()))
    }
}

/// One recipient's part. Text from the file: clean it before it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stanza {
    /// `X25519`, `scrypt`, `ssh-ed25519`, `ssh-rsa`, `mlkem768x25519`…
    pub kind: String,
    /// For `ssh-…` the first is the key's tag; for `X25519` nothing in it says whose it is.
    pub args: Vec<String>,
}

/// Reads the header from the beginning of a file (64 KiB are enough for any that we accept; armored
/// 96 KiB).
///
/// # Errors
/// When it is no age file, or the header is malformed, too large, or not there as a whole.
pub fn inspect(beginning: &[u8]) -> Result<Header, AgeError> {
    let mut input = Unarmored::begin(beginning)?;
    let armored = input.armored;
    let head = Head::read(&mut input)?;
    let stanzas = head.stanzas()?;
    Ok(Header {
        armored,
        stanzas,
        length: head.bytes.len() as u64,
    })
}

/// A file that may be armored, as its binary form.
pub(super) struct Unarmored<R> {
    source: Source<R>,
    pub(super) armored: bool,
}

type Begun<R> = io::Chain<Cursor<Vec<u8>>, R>;

enum Source<R> {
    Binary(Begun<R>),
    Armored(Box<ArmoredReader<BufReader<Begun<R>>>>),
}

impl<R: Read> Unarmored<R> {
    /// Looks at the first bytes.
    ///
    /// # Errors
    /// When they cannot be read, or are armor that is not age's.
    pub(super) fn begin(mut input: R) -> Result<Self, AgeError> {
        let mut glance = Vec::new();
        input
            .by_ref()
            .take(GLANCE as u64)
            .read_to_end(&mut glance)
            .map_err(AgeError::from)?;
        // White space before armor is allowed, and a binary file never begins with any.
        let space = glance
            .iter()
            .take_while(|byte| byte.is_ascii_whitespace())
            .count();
        let text = glance.get(space..).unwrap_or_default();
        let armored = text.starts_with(ARMOR);
        if !armored && !text.starts_with(MAGIC) && looks_armored(text) {
            return Err(AgeError::Armor(format!(
                "the file does not begin as age's armor does ({}): get it again, as it was made",
                String::from_utf8_lossy(ARMOR)
            )));
        }
        if armored {
            glance.drain(..space);
        }
        let begun = Cursor::new(glance).chain(input);
        let source = if armored {
            Source::Armored(Box::new(ArmoredReader::new(begun)))
        } else {
            Source::Binary(begun)
        };
        Ok(Self { source, armored })
    }
}

fn looks_armored(text: &[u8]) -> bool {
    text.starts_with(b"-----")
        || text
            .to_ascii_lowercase()
            .windows(10)
            .any(|window| window == b"-----begin")
}

impl<R: Read> Read for Unarmored<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.source {
            Source::Binary(begun) => begun.read(buffer),
            Source::Armored(reader) => reader.read(buffer),
        }
    }
}

/// The header's bytes and the nonce, and what was read beyond them.
pub(super) struct Head {
    bytes: Vec<u8>,
    pub(super) beyond: Vec<u8>,
}

impl Head {
    /// Reads up to the nonce's end.
    ///
    /// # Errors
    /// When there is no such thing within the bounds, or reading fails.
    pub(super) fn read(input: &mut dyn Read) -> Result<Self, AgeError> {
        let mut bytes: Vec<u8> = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            if let Some(end) = end_of_header(&bytes)
                && let length = end + NONCE
                && bytes.len() >= length
            {
                let beyond = bytes.split_off(length);
                if bytes.iter().filter(|byte| **byte == b'\n').count() > MAX_LINES {
                    return Err(too_large());
                }
                return Ok(Self { bytes, beyond });
            }
            let begins = bytes.len().min(MAGIC.len());
            if bytes.get(..begins) != MAGIC.get(..begins) {
                return Err(not_age(&bytes));
            }
            if bytes.len() > MAX_HEADER + NONCE {
                return Err(too_large());
            }
            let read = match input.read(&mut buffer) {
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                // The armor reader wants a whole line; a file that ends before is cut off.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => 0,
                Err(error) => return Err(error.into()),
            };
            if read == 0 {
                return Err(if bytes.is_empty() {
                    AgeError::Header("the file is empty: it holds no backup".into())
                } else {
                    AgeError::Header(
                        "the file ends before its header does: it was cut off; get it again".into(),
                    )
                });
            }
            bytes.extend_from_slice(buffer.get(..read).unwrap_or_default());
        }
    }

    /// What the crate reads from it.
    fn decryptor(&self) -> Result<age::Decryptor<&[u8]>, AgeError> {
        let decryptor = age::Decryptor::new_buffered(self.bytes.as_slice()).map_err(malformed)?;
        Ok(decryptor)
    }

    /// For whom it is.
    fn stanzas(&self) -> Result<Vec<Stanza>, AgeError> {
        let spy = Spy::default();
        // Nobody's key fits: that is what the spy is for.
        let _ = self
            .decryptor()?
            .decrypt(std::iter::once(&spy as &dyn age::Identity));
        Ok(spy.seen.into_inner())
    }

    /// The payload's key, if one of the identities fits.
    ///
    /// # Errors
    /// When the header is malformed or was changed, no identity fits, or a plugin fails.
    pub(super) fn open(&self, identities: &Identities) -> Result<PayloadKey, AgeError> {
        let spy = Spy {
            identities: Some(identities),
            ..Spy::default()
        };
        let opened = self
            .decryptor()?
            .decrypt(std::iter::once(&spy as &dyn age::Identity))
            .map(|_| ());
        let Spy {
            seen, key, failure, ..
        } = spy;
        match (opened, key.into_inner()) {
            (Ok(()), Some(key)) => Ok(PayloadKey::derive(&key, self.nonce())),
            (Err(age::DecryptError::NoMatchingKeys), _) => Err(failure
                .into_inner()
                .unwrap_or_else(|| no_match(&seen.into_inner(), identities))),
            (Err(error), _) => Err(decrypt_error(error)),
            (Ok(()), None) => Err(AgeError::Other(
                "the header was opened, yet its key was not seen: this is a bug".into(),
            )),
        }
    }

    fn nonce(&self) -> &[u8] {
        let start = self.bytes.len().saturating_sub(NONCE);
        self.bytes.get(start..).unwrap_or_default()
    }

    /// Of one that was just made: `bytes` ends with the nonce.
    pub(super) fn made(bytes: Vec<u8>, file_key: &[u8; 16]) -> (Vec<u8>, PayloadKey) {
        let head = Self {
            bytes,
            beyond: Vec::new(),
        };
        let key = PayloadKey::derive(file_key, head.nonce());
        (head.bytes, key)
    }
}

/// Where the header's last line ends: that which begins with `---`. No other can: the lines of a
/// recipient's part begin with `->` or are base64.
fn end_of_header(bytes: &[u8]) -> Option<usize> {
    let last = bytes.windows(4).position(|window| window == b"\n---")? + 1;
    let line = bytes.get(last..)?;
    Some(last + line.iter().position(|byte| *byte == b'\n')? + 1)
}

/// The key of a payload. Wiped when it is dropped.
pub(super) struct PayloadKey(Zeroizing<[u8; 32]>);

impl PayloadKey {
    fn derive(file_key: &[u8; 16], nonce: &[u8]) -> Self {
        let mut key = Zeroizing::new([0; 32]);
        // 32 bytes are far below HKDF's limit, which is its one error.
        let derived = Hkdf::<Sha256>::new(Some(nonce), file_key).expand(b"payload", key.as_mut());
        debug_assert!(derived.is_ok());
        Self(key)
    }

    pub(super) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// An identity that lets others open the file, and keeps what passes.
#[derive(Default)]
struct Spy<'a> {
    identities: Option<&'a Identities>,
    seen: RefCell<Vec<Stanza>>,
    key: RefCell<Option<Zeroizing<[u8; 16]>>>,
    failure: RefCell<Option<AgeError>>,
}

impl age::Identity for Spy<'_> {
    fn unwrap_stanza(
        &self,
        stanza: &age_core::format::Stanza,
    ) -> Option<Result<age_core::format::FileKey, age::DecryptError>> {
        self.unwrap_stanzas(std::slice::from_ref(stanza))
    }

    fn unwrap_stanzas(
        &self,
        stanzas: &[age_core::format::Stanza],
    ) -> Option<Result<age_core::format::FileKey, age::DecryptError>> {
        *self.seen.borrow_mut() = stanzas
            .iter()
            .filter(|stanza| !stanza.tag.ends_with("-grease"))
            .map(|stanza| Stanza {
                kind: stanza.tag.clone(),
                args: stanza.args.clone(),
            })
            .collect();
        let (opened, failure) = self.identities?.unwrap(stanzas);
        *self.failure.borrow_mut() = failure;
        if let Some(Ok(key)) = &opened {
            *self.key.borrow_mut() = Some(Zeroizing::new(*key.expose_secret()));
        }
        opened
    }
}

fn kinds<'a>(all: impl Iterator<Item = &'a str>) -> String {
    let mut counted: Vec<(&str, usize)> = Vec::new();
    for kind in all {
        match counted.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, count)) => *count += 1,
            None => counted.push((kind, 1)),
        }
    }
    counted
        .iter()
        .take(8)
        .map(|(kind, count)| format!("{count} × {}", clean(kind, 40)))
        .collect::<Vec<_>>()
        .join(", ")
}

fn no_match(stanzas: &[Stanza], identities: &Identities) -> AgeError {
    let count = stanzas.len();
    let whom = format!(
        "{count} recipient{} ({})",
        if count == 1 { "" } else { "s" },
        kinds(stanzas.iter().map(|stanza| stanza.kind.as_str()))
    );
    let is = |kind: &str| stanzas.iter().any(|stanza| stanza.kind == kind);
    if is("scrypt") {
        return AgeError::NoMatch(
            "the file is encrypted with a passphrase, and none was given: give the passphrase"
                .into(),
        );
    }
    let mut text = if identities.is_empty() {
        format!("no key was given, and the file is for {whom}: give one of their private keys")
    } else {
        format!(
            "none of the given keys ({}) fits: the file is for {whom}; give the private key of \
             one of them",
            identities.summary()
        )
    };
    if is("mlkem768x25519") {
        text.push_str(
            ". A recipient of kind mlkem768x25519 is post-quantum (age1pq…): its identity works \
             through the plugin age-plugin-pq, which converts it with `age-plugin-pq -identity`",
        );
    }
    AgeError::NoMatch(text)
}

fn not_age(bytes: &[u8]) -> AgeError {
    let begins = clean(
        &String::from_utf8_lossy(bytes.get(..bytes.len().min(16)).unwrap_or_default()),
        16,
    );
    AgeError::Header(format!(
        "this is no age file: it begins with “{begins}”, not with “age-encryption.org/v1”; \
         see whether it is the right file, and whether it is encrypted at all"
    ))
}

fn too_large() -> AgeError {
    AgeError::Header(format!(
        "the header has more than {MAX_HEADER} bytes or {MAX_LINES} lines, which no honest one \
         has: the file is damaged or hostile"
    ))
}

fn malformed(error: age::DecryptError) -> AgeError {
    match error {
        age::DecryptError::UnknownFormat => AgeError::Header(
            "the file is of a version of age's format that is not known here (we know v1): use a \
             newer seawall, or age itself"
                .into(),
        ),
        age::DecryptError::Io(error) => AgeError::Header(format!(
            "the header is malformed ({}): the file is damaged; get it again",
            clean(&error.to_string(), 80)
        )),
        error => decrypt_error(error),
    }
}

/// The crate's error in our words. (Its own text for an excessive work factor can overflow.)
pub(super) fn decrypt_error(error: age::DecryptError) -> AgeError {
    use age::DecryptError as E;
    match error {
        E::InvalidHeader => AgeError::Header(
            "the header is malformed: the file is damaged, or was not made by age; get it again"
                .into(),
        ),
        E::InvalidMac => AgeError::HeaderSeal(
            "the header was changed after it had been made (its seal does not fit): do not trust \
             this file; take another copy"
                .into(),
        ),
        E::ExcessiveWork { required, .. } => AgeError::Header(format!(
            "the passphrase's work factor is 2^{required}, and we go up to 2^{MAX_WORK_FACTOR}: \
             the file may have been made to use up memory; if it is yours, open it with age"
        )),
        E::DecryptionFailed | E::KeyDecryptionFailed => AgeError::NoMatch(
            "the key or passphrase does not open the file: it is the wrong one, or the header is \
             damaged"
                .into(),
        ),
        E::NoMatchingKeys => AgeError::NoMatch("none of the given keys fits".into()),
        E::MissingPlugin { binary_name } => missing_plugin(&binary_name),
        E::Plugin(errors) => plugin_errors(&errors),
        E::UnknownFormat => malformed(E::UnknownFormat),
        E::Io(error) => error.into(),
    }
}
