//! The payload: chunks of 64 KiB, each sealed for itself with ChaCha20-Poly1305. The nonce is a
//! counter of 11 bytes and a flag that only the last chunk bears, so that chunks cannot change
//! places, and a file that was cut off shows it.

use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};

use super::AgeError;
use super::header::PayloadKey;

/// Plaintext of a chunk; the last may have less.
pub(super) const CHUNK: usize = 64 * 1024;
/// What the seal of each adds.
pub(super) const TAG: usize = 16;
/// Ciphertext of a full chunk.
pub(super) const SEALED: usize = CHUNK + TAG;
/// Chunks that are read, decrypted and handed on together: 1 MiB stays in a core's cache.
pub(super) const TOGETHER: usize = 16;
/// Ciphertext of so many.
pub(super) const SEGMENT: usize = TOGETHER * SEALED;
/// Their plaintext.
pub(super) const PLAIN: usize = TOGETHER * CHUNK;

/// Opens and seals chunks. Its copy of the key is wiped by aws-lc when it is dropped.
pub(super) struct Cipher(LessSafeKey);

impl Cipher {
    pub(super) fn new(key: &PayloadKey) -> Result<Self, AgeError> {
        UnboundKey::new(&CHACHA20_POLY1305, key.bytes())
            .map(|key| Self(LessSafeKey::new(key)))
            .map_err(|_| AgeError::Other("the cipher did not take its key: this is a bug".into()))
    }

    /// Opens `sealed` into `plain`, which has room for it. The plaintext's length, or `None` when it
    /// is not authentic (and then what is in `plain` is worthless).
    fn open(&self, counter: u64, last: bool, sealed: &[u8], plain: &mut [u8]) -> Option<usize> {
        let (ciphertext, tag) = sealed.split_at_checked(sealed.len().checked_sub(TAG)?)?;
        let plain = plain.get_mut(..ciphertext.len())?;
        let nonce = nonce(counter, last);
        self.0
            .open_separate_gather(nonce, Aad::empty(), ciphertext, tag, plain)
            .ok()?;
        Some(plain.len())
    }

    /// Seals `chunk`, whose last [`TAG`] bytes are room for the seal.
    pub(super) fn seal(&self, counter: u64, last: bool, chunk: &mut [u8]) -> Result<(), AgeError> {
        let bug = || AgeError::Other("a chunk could not be sealed: this is a bug".into());
        let length = chunk.len().checked_sub(TAG).ok_or_else(bug)?;
        let (plain, room) = chunk.split_at_mut(length);
        let tag = self
            .0
            .seal_in_place_separate_tag(nonce(counter, last), Aad::empty(), plain)
            .map_err(|_| bug())?;
        room.copy_from_slice(tag.as_ref());
        Ok(())
    }
}

/// 64 bits of the counter are enough for 2^80 bytes.
fn nonce(counter: u64, last: bool) -> Nonce {
    let mut bytes = [0; 12];
    let [_, _, _, counted @ .., flag] = &mut bytes;
    *counted = counter.to_be_bytes();
    *flag = u8::from(last);
    Nonce::assume_unique_for_key(bytes)
}

/// What became of a segment.
#[derive(Default)]
pub(super) struct Opened {
    /// So many bytes of plaintext are authentic.
    pub(super) length: usize,
    /// What stopped it.
    pub(super) failure: Option<AgeError>,
}

/// Opens the chunks in `sealed`, the first of which is number `first` of the file, into `plain`
/// (which has room for a whole segment). `ends`: nothing follows them, so the last of them must be
/// the file's last. What is authentic is kept, also before a failure.
pub(super) fn open_segment(
    cipher: &Cipher,
    first: u64,
    sealed: &[u8],
    plain: &mut [u8],
    ends: bool,
) -> Opened {
    let mut opened = Opened::default();
    let count = sealed.len().div_ceil(SEALED);
    if count == 0 {
        opened.failure = Some(AgeError::Payload(
            "the file ends right after its header: it was cut off; get it again".into(),
        ));
    }
    for ((index, chunk), room) in sealed
        .chunks(SEALED)
        .enumerate()
        .zip(plain.chunks_mut(CHUNK))
    {
        let number = first + index as u64;
        let last = ends && index + 1 == count;
        let (length, failure) = match cipher.open(number, last, chunk, room) {
            Some(0) if last && number > 0 => (0, Some(Fault::EmptyEnd)),
            Some(length) => (length, None),
            None => blame(cipher, number, last, chunk, room),
        };
        opened.length += length;
        if let Some(fault) = failure {
            opened.failure = Some(fault.tell(number));
            break;
        }
    }
    opened
}

/// Why a chunk did not open: perhaps it is the end where none should be, or none where the end
/// should be. Then it is authentic, but the file is not whole.
fn blame(
    cipher: &Cipher,
    number: u64,
    last: bool,
    chunk: &[u8],
    room: &mut [u8],
) -> (usize, Option<Fault>) {
    match cipher.open(number, !last, chunk, room) {
        Some(length) if last && chunk.len() == SEALED => (length, Some(Fault::CutOff)),
        Some(length) if !last => (length, Some(Fault::Followed)),
        _ if last => (0, Some(Fault::End)),
        _ => (0, Some(Fault::Changed)),
    }
}

enum Fault {
    Changed,
    End,
    CutOff,
    Followed,
    EmptyEnd,
}

impl Fault {
    fn tell(&self, number: u64) -> AgeError {
        let chunk = format!(
            "chunk {} (data from byte {} on)",
            number + 1,
            number * CHUNK as u64
        );
        AgeError::Payload(match self {
            Fault::Changed => format!(
                "the file was changed: {chunk} is not what was sealed; get the file again, or take \
                 another copy"
            ),
            Fault::End => format!(
                "the end of the file is not what was sealed: {chunk} was changed or cut off; get \
                 the file again, or take another copy"
            ),
            Fault::CutOff => format!(
                "the file was cut off after {chunk}: that is authentic but not the last; get the \
                 file again"
            ),
            Fault::Followed => format!(
                "something follows the end of the file, which is {chunk}: it was appended to; get \
                 the file again, or take another copy"
            ),
            Fault::EmptyEnd => {
                "the file ends with an empty chunk, which no honest program writes: \
                 take another copy"
                    .into()
            }
        })
    }
}
