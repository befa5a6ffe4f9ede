//! Decompression, in a thread of its own. What the plaintext is, its first bytes say.

use std::io::{self, BufRead, Cursor, Read};
use std::sync::mpsc::SyncSender;

use flate2::bufread::MultiGzDecoder;
use zstd::zstd_safe::{DCtx, DParameter, InBuffer, OutBuffer, get_error_name};

use super::Limits;
use super::plain::{Message, PIECE, Pool, Shared};

/// Largest zstd window, as a power of two: 128 MiB, what `zstd -d` takes without being told to.
const WINDOW: u32 = 27;
/// Plaintext that is let through whatever it was made from: small things compress well.
const FREE: u64 = 64 << 20;
/// Bytes that tell what something is: a tar header, and the end mark of an empty one.
pub(super) const ENOUGH: usize = 1024;

/// Sends everything that is read from `input`, decompressed, and then returns.
pub(super) fn unpack(
    mut input: impl BufRead,
    limits: &Limits,
    shared: &Shared,
    sender: &SyncSender<Message>,
) -> io::Result<()> {
    let mut head = Vec::with_capacity(ENOUGH);
    input.by_ref().take(ENOUGH as u64).read_to_end(&mut head)?;
    let compression = if is_zstd(&head) {
        Some("zstd")
    } else if head.starts_with(b"\x1f\x8b") {
        Some("gzip")
    } else {
        None
    };
    let input = Cursor::new(head).chain(input);
    let mut out = Out {
        pool: Pool::new(),
        sender,
        limits,
        shared,
        bytes: 0,
    };
    out.send(Message::Compression(compression))?;
    match compression {
        Some("zstd") => zstd_frames(input, &mut out),
        Some(_) => copy(MultiGzDecoder::new(input), &mut out).map_err(|error| {
            io::Error::new(error.kind(), format!("decompressing (gzip): {error}"))
        }),
        None => copy(input, &mut out),
    }
}

/// A frame, or one that is to be passed over.
fn is_zstd(beginning: &[u8]) -> bool {
    match beginning {
        [0x28, 0xb5, 0x2f, 0xfd, ..] => true,
        [first, 0x2a, 0x4d, 0x18, ..] => first & 0xf0 == 0x50,
        _ => false,
    }
}

/// Where pieces go.
struct Out<'a> {
    pool: Pool,
    sender: &'a SyncSender<Message>,
    limits: &'a Limits,
    shared: &'a Shared,
    bytes: u64,
}

impl Out<'_> {
    fn send(&self, message: Message) -> io::Result<()> {
        self.sender
            .send(message)
            .map_err(|_| io::Error::other("nobody takes it any more"))
    }

    fn piece(&mut self, buffer: Vec<u8>, length: usize) -> io::Result<()> {
        self.bytes += length as u64;
        let (sealed, limits) = (self.shared.size, self.limits);
        let too_much = |text: String| Err(io::Error::new(io::ErrorKind::InvalidData, text));
        if self.bytes > limits.bytes {
            return too_much(format!(
                "it holds more than {} bytes, which is the limit",
                limits.bytes
            ));
        }
        if self.bytes > sealed.saturating_mul(limits.ratio).saturating_add(FREE) {
            return too_much(format!(
                "its {sealed} bytes hold {} and more: beyond {} times as many it is taken for a bomb (raise the limit on the ratio if it is none)",
                self.bytes, limits.ratio
            ));
        }
        let piece = self.pool.lend(buffer, length);
        self.send(Message::Piece(piece))
    }
}

fn copy(mut input: impl Read, out: &mut Out) -> io::Result<()> {
    loop {
        let mut buffer = out.pool.take();
        let mut filled = 0;
        while let Some(room) = buffer.get_mut(filled..).filter(|room| !room.is_empty()) {
            match input.read(room) {
                Ok(0) => {
                    if filled > 0 {
                        out.piece(buffer, filled)?;
                    }
                    return Ok(());
                }
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        out.piece(buffer, filled)?;
    }
}

/// All frames to the end. Straight from the buffer that was decrypted, into the one that is
/// written.
fn zstd_frames(mut input: impl BufRead, out: &mut Out) -> io::Result<()> {
    let failed = |code| {
        let why = get_error_name(code);
        let hint = if why.contains("too much memory") {
            "; it was compressed with a window of more than 128 MiB"
        } else {
            ""
        };
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("decompressing (zstd): {why}{hint}"),
        )
    };
    let mut context =
        DCtx::try_create().ok_or_else(|| io::Error::other("no memory to decompress zstd"))?;
    context
        .set_parameter(DParameter::WindowLogMax(WINDOW))
        .map_err(failed)?;
    let mut buffer = out.pool.take();
    let mut filled = 0;
    // Whether a frame has begun and not ended.
    let mut is_open = false;
    loop {
        let bytes = input.fill_buf()?;
        if bytes.is_empty() {
            break;
        }
        let length = bytes.len();
        let mut from = InBuffer::around(bytes);
        loop {
            let mut to = OutBuffer::around_pos(buffer.as_mut_slice(), filled);
            let hint = context
                .decompress_stream(&mut to, &mut from)
                .map_err(failed)?;
            filled = to.pos();
            is_open = hint != 0;
            let is_full = filled == PIECE;
            if is_full {
                let next = out.pool.take();
                out.piece(std::mem::replace(&mut buffer, next), filled)?;
                filled = 0;
            }
            // A full buffer may have left something within; an ended frame has not.
            if from.pos() == length && (!is_full || !is_open) {
                break;
            }
        }
        input.consume(length);
    }
    if is_open {
        return Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "decompressing (zstd): the stream is cut off within a frame",
        ));
    }
    if filled > 0 {
        out.piece(buffer, filled)?;
    }
    Ok(())
}
