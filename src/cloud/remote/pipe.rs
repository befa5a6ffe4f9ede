//! From a thread that writes to a task that reads, with a little room between them. An end is seen
//! only where the writer says that all was well.

use std::io::{self, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// What the writer is told when nobody reads any more.
pub const GONE: &str = "the far end takes no more";

/// Bytes of one piece, and pieces on their way.
const PIECE: usize = 256 << 10;
const WAITING: usize = 8;

type Piece = Option<Result<Bytes, String>>;

pub struct Sink {
    sender: Sender<Piece>,
    piece: BytesMut,
}

pub struct Source {
    receiver: Receiver<Piece>,
    rest: Bytes,
    has_ended: bool,
}

pub fn pipe() -> (Sink, Source) {
    let (sender, receiver) = channel(WAITING);
    let sink = Sink {
        sender,
        piece: BytesMut::with_capacity(PIECE),
    };
    let source = Source {
        receiver,
        rest: Bytes::new(),
        has_ended: false,
    };
    (sink, source)
}

impl Sink {
    fn send(&mut self) -> io::Result<()> {
        if self.piece.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.piece, BytesMut::with_capacity(PIECE));
        let gone = |_| io::Error::new(io::ErrorKind::BrokenPipe, GONE);
        (self.sender.blocking_send(Some(Ok(piece.freeze())))).map_err(gone)
    }

    /// Says how it ended: well, or why not.
    pub fn close(mut self, wrong: Option<String>) {
        let last = match wrong {
            Some(why) => Some(Err(why)),
            None if self.send().is_err() => return,
            None => None,
        };
        let _ = self.sender.blocking_send(last);
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.piece.extend_from_slice(bytes);
        if self.piece.len() >= PIECE {
            self.send()?;
        }
        Ok(bytes.len())
    }

    /// Nothing is held back at an end; before it, pieces go when they are full.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsyncRead for Source {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.rest.is_empty() && !self.has_ended {
            match ready!(self.receiver.poll_recv(cx)) {
                Some(Some(Ok(piece))) => self.rest = piece,
                Some(Some(Err(why))) => return Poll::Ready(Err(io::Error::other(why))),
                Some(None) => self.has_ended = true,
                None => {
                    let why = "what reads the backup has died";
                    return Poll::Ready(Err(io::Error::other(why)));
                }
            }
        }
        let count = self.rest.len().min(buffer.remaining());
        buffer.put_slice(self.rest.get(..count).unwrap_or_default());
        self.rest.advance(count);
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    async fn read(write: impl FnOnce(Sink) + Send + 'static) -> io::Result<usize> {
        let (sink, mut source) = pipe();
        let thread = std::thread::spawn(move || write(sink));
        let mut out = Vec::new();
        let read = source.read_to_end(&mut out).await;
        thread.join().unwrap();
        read
    }

    #[tokio::test]
    async fn only_a_good_end_is_an_end() {
        let well = |mut sink: Sink| {
            sink.write_all(&vec![7; 3 * PIECE + 5]).unwrap();
            sink.close(None);
        };
        assert_eq!(read(well).await.unwrap(), 3 * PIECE + 5);
        let ill = |mut sink: Sink| {
            sink.write_all(b"some").unwrap();
            sink.close(Some("a forgery".into()));
        };
        assert_eq!(read(ill).await.unwrap_err().to_string(), "a forgery");
        let dead = |mut sink: Sink| sink.write_all(&vec![7; 2 * PIECE]).unwrap();
        assert!(read(dead).await.unwrap_err().to_string().contains("died"));
    }

    #[tokio::test]
    async fn a_reader_that_goes_stops_the_writer() {
        let (mut sink, source) = pipe();
        drop(source);
        let thread = std::thread::spawn(move || sink.write_all(&vec![7; 20 * PIECE]));
        let error = thread.join().unwrap().unwrap_err();
        assert_eq!(error.to_string(), GONE);
    }
}
