//! Plaintext on its way from the thread that reads to the one that compresses: a few large
//! buffers that go round.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

/// Bytes in a buffer.
const CHUNK: usize = 1 << 20;
/// Buffers that wait.
const WAITING: usize = 4;

/// What is written to the one is read from the other.
pub(super) fn pair() -> (Writer, Reader) {
    let (sender, receiver) = sync_channel(WAITING);
    let (give_back, spare) = channel();
    let writer = Writer {
        chunk: Vec::with_capacity(CHUNK),
        sender,
        spare,
    };
    let reader = Reader {
        receiver,
        give_back,
    };
    (writer, reader)
}

pub(super) struct Writer {
    chunk: Vec<u8>,
    sender: SyncSender<Vec<u8>>,
    spare: Receiver<Vec<u8>>,
}

impl Writer {
    fn send(&mut self) -> io::Result<()> {
        let next = self.spare.try_recv();
        let next = next.unwrap_or_else(|_| Vec::with_capacity(CHUNK));
        let chunk = std::mem::replace(&mut self.chunk, next);
        self.sender
            .send(chunk)
            .map_err(|_| io::Error::other("nobody takes what is read any more"))
    }

    /// Sends the rest.
    pub fn finish(mut self) -> io::Result<()> {
        self.send()
    }
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = CHUNK - self.chunk.len();
        let taken = bytes.get(..room.min(bytes.len())).unwrap_or_default();
        self.chunk.extend_from_slice(taken);
        if self.chunk.len() >= CHUNK {
            self.send()?;
        }
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(super) struct Reader {
    receiver: Receiver<Vec<u8>>,
    give_back: Sender<Vec<u8>>,
}

impl Reader {
    /// Passes all on, until the writer is gone.
    pub fn copy(&self, out: &mut dyn Write) -> io::Result<()> {
        for mut chunk in &self.receiver {
            out.write_all(&chunk)?;
            chunk.clear();
            let _ = self.give_back.send(chunk);
        }
        Ok(())
    }
}
