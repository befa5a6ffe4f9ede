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

/// Opens and seals chunks. Its copy of the key is wiped by aws-lc when it is dropped.
pub(super) struct Cipher(LessSafeKey);

impl Cipher {
    pub(super) fn new(key: &PayloadKey) -> Result<Self, AgeError> {
        UnboundKey::new(&CHACHA20_POLY1305, key.bytes())
            .map(|key| Self(LessSafeKey::new(key)))
            .map_err(|_| AgeError::Other("the cipher did not take its key: this is a bug".into()))
    }

    /// Opens `sealed` where it lies. The plaintext's length, or `None` when it is not authentic
    /// (and then what lies there is worthless).
    pub(super) fn open(&self, counter: u64, last: bool, sealed: &mut [u8]) -> Option<usize> {
        let plain = self
            .0
            .open_in_place(nonce(counter, last), Aad::empty(), sealed)
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

/// Chunks that were opened where they lie: the plaintext of chunk `i` begins at `i * SEALED`.
#[derive(Default)]
pub(super) struct Opened {
    /// Chunks that are authentic.
    pub(super) chunks: usize,
    /// Plaintext of the last of them; the others are full.
    pub(super) last_length: usize,
    /// What stopped it.
    pub(super) failure: Option<AgeError>,
}

impl Opened {
    /// Where the plaintext of a chunk lies.
    pub(super) fn range(&self, index: usize) -> std::ops::Range<usize> {
        let start = index * SEALED;
        let length = if index + 1 == self.chunks {
            self.last_length
        } else {
            CHUNK
        };
        start..start + length
    }
}

/// Opens the chunks in `bytes`, the first of which is number `first` of the file. `ends`: nothing
/// follows them, so the last of them must be the file's last.
pub(super) fn open_segment(cipher: &Cipher, first: u64, bytes: &mut [u8], ends: bool) -> Opened {
    let mut opened = Opened::default();
    let count = bytes.len().div_ceil(SEALED);
    if count == 0 {
        opened.failure = Some(AgeError::Payload(
            "the file ends right after its header: it was cut off; get it again".into(),
        ));
    }
    for (index, chunk) in bytes.chunks_mut(SEALED).enumerate() {
        let number = first + index as u64;
        let last = ends && index + 1 == count;
        match open_chunk(cipher, number, last, chunk) {
            Ok(length) => {
                opened.chunks += 1;
                opened.last_length = length;
            }
            Err(failure) => {
                opened.failure = Some(failure);
                break;
            }
        }
    }
    opened
}

fn open_chunk(
    cipher: &Cipher,
    number: u64,
    last: bool,
    chunk: &mut [u8],
) -> Result<usize, AgeError> {
    let place = || {
        let at = number * CHUNK as u64;
        format!("chunk {} (data from byte {at} on)", number + 1)
    };
    if !last {
        return cipher.open(number, false, chunk).ok_or_else(|| {
            AgeError::Payload(format!(
                "the file was changed: {} is not what was sealed, or is not the end that it says \
                 to be; get the file again, or take another copy",
                place()
            ))
        });
    }
    if chunk.len() < TAG {
        return Err(AgeError::Payload(format!(
            "the file ends within the seal of {}: it was cut off, or something follows its end; \
             get it again",
            place()
        )));
    }
    // What fails is lost in the attempt; this once it is kept, to be able to say why.
    let kept = chunk.to_vec();
    match cipher.open(number, true, chunk) {
        Some(0) if number > 0 => Err(AgeError::Payload(
            "the file ends with an empty chunk, which no honest program writes: take another copy"
                .into(),
        )),
        Some(length) => Ok(length),
        None => {
            chunk.copy_from_slice(&kept);
            let whole = cipher.open(number, false, chunk).is_some();
            Err(AgeError::Payload(if whole {
                format!(
                    "the file was cut off after {}: that is authentic but is not the last; get \
                     the file again",
                    place()
                )
            } else {
                format!(
                    "the end of the file is not what was sealed: {} was changed or cut off; get \
                     the file again, or take another copy",
                    place()
                )
            }))
        }
    }
}
