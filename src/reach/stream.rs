//! A byte stream to a server that can be cut from outside.
//!
//! The SSH library runs each connection in a task of its own, which does not end when the call
//! that started it is given up. So the stream carries a lifeline: cutting it makes every read and
//! write fail at once, which ends that task and closes the socket.

use std::io;
use std::pin::Pin;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

#[derive(Default)]
struct Cord {
    cut: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// Cuts its stream when asked to, or when it is dropped.
pub(super) struct Lifeline(Arc<Mutex<Cord>>);

impl Lifeline {
    pub(super) fn cut(&self) {
        let wakers = {
            let mut cord = lock(&self.0);
            cord.cut = true;
            [cord.reader.take(), cord.writer.take()]
        };
        for waker in wakers.into_iter().flatten() {
            waker.wake();
        }
    }
}

impl Drop for Lifeline {
    fn drop(&mut self) {
        self.cut();
    }
}

fn lock(cord: &Mutex<Cord>) -> MutexGuard<'_, Cord> {
    cord.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A stream that lives as long as its [`Lifeline`].
pub(super) struct Tethered<S> {
    inner: S,
    cord: Arc<Mutex<Cord>>,
}

/// Ties a stream to a lifeline.
pub(super) fn tether<S>(inner: S) -> (Tethered<S>, Lifeline) {
    let cord = Arc::new(Mutex::new(Cord::default()));
    (
        Tethered {
            inner,
            cord: Arc::clone(&cord),
        },
        Lifeline(cord),
    )
}

fn is_cut() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "given up")
}

impl<S: AsyncRead + Unpin> AsyncRead for Tethered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        {
            let mut cord = lock(&self.cord);
            if cord.cut {
                return Poll::Ready(Err(is_cut()));
            }
            cord.reader = Some(cx.waker().clone());
        }
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> Tethered<S> {
    fn writing(&self, cx: &mut Context<'_>) -> io::Result<()> {
        let mut cord = lock(&self.cord);
        if cord.cut {
            return Err(is_cut());
        }
        cord.writer = Some(cx.waker().clone());
        Ok(())
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tethered<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.writing(cx)?;
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writing(cx)?;
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.writing(cx)?;
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

/// The standard input and output of a `ProxyCommand`, as a stream. The command ends with it.
pub(super) struct Piped {
    _child: Child,
    input: ChildStdin,
    output: ChildStdout,
}

impl Piped {
    /// Starts a command line as OpenSSH does: `exec COMMAND` under `/bin/sh`.
    pub(super) fn start(command: &str) -> io::Result<Piped> {
        let mut child = Command::new("/bin/sh")
            .arg("-c")
            .arg(format!("exec {command}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let missing = || io::Error::other("the command has no standard input or output");
        let input = child.stdin.take().ok_or_else(missing)?;
        let output = child.stdout.take().ok_or_else(missing)?;
        Ok(Piped {
            _child: child,
            input,
            output,
        })
    }
}

impl AsyncRead for Piped {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.output).poll_read(cx, buf)
    }
}

impl AsyncWrite for Piped {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.input).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.input).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.input).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn a_cut_lifeline_ends_a_read_that_waits_and_every_later_write() {
        let (near, _far) = tokio::io::duplex(64);
        let (mut stream, lifeline) = tether(near);
        let waiting = tokio::spawn(async move {
            let read = stream.read_u8().await;
            let written = stream.write_all(b"x").await;
            (read, written)
        });
        tokio::task::yield_now().await;
        drop(lifeline);
        let (read, written) = waiting.await.unwrap();
        assert_eq!(read.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
        assert!(written.is_err());
    }
}
