//! Reading an object ahead: several ranges on their way, given out in order.

use std::io::{self, BufRead, Read};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes};
use futures_util::{StreamExt, stream};
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use super::super::Blob;
use super::service::{Service, Trouble, runtime, words};

/// Of one range, in bytes.
const RANGE: u64 = 8 << 20;
/// How many are on their way at once: with the one that is read, 40 MiB in memory.
const AHEAD: usize = 4;
/// How often a range whose body broke off or was not what was asked for is asked for anew.
const TRIES: u32 = 3;

/// One object, read from its beginning.
pub(super) struct Ranged {
    service: Arc<Service>,
    path: Path,
    /// Every range must be of this version of the object.
    version: Option<String>,
    size: u64,
    given: u64,
    current: Bytes,
    coming: Option<(mpsc::Receiver<Result<Bytes, String>>, AbortHandle)>,
    failed: Option<String>,
}

impl Ranged {
    /// Nothing is fetched before the first read.
    pub fn new(service: Arc<Service>, path: Path, meta: &ObjectMeta) -> Self {
        Ranged {
            service,
            path,
            version: meta.e_tag.clone(),
            size: meta.size,
            given: 0,
            current: Bytes::new(),
            coming: None,
            failed: None,
        }
    }

    fn begin(&mut self) -> Result<(), String> {
        let (full, coming) = mpsc::channel(1);
        let (service, path, size) = (Arc::clone(&self.service), self.path.clone(), self.size);
        let version = self.version.clone();
        let starts: Vec<u64> = (0..size.div_ceil(RANGE)).map(|n| n * RANGE).collect();
        let task = async move {
            let mut ranges = stream::iter(starts)
                .map(|start| {
                    let end = (start + RANGE).min(size);
                    one(&service, &path, version.clone(), start..end, size)
                })
                .buffered(AHEAD);
            while let Some(range) = ranges.next().await {
                let ends = range.is_err();
                if full.send(range).await.is_err() || ends {
                    break;
                }
            }
        };
        let handle = runtime().map_err(|trouble| match trouble {
            Trouble::Runtime(why) => why,
            Trouble::Service(error) => error.to_string(),
        })?;
        self.coming = Some((coming, handle.spawn(task).abort_handle()));
        Ok(())
    }

    fn advance(&mut self) -> Result<(), String> {
        if self.coming.is_none() {
            self.begin()?;
        }
        let Some((coming, _)) = &mut self.coming else {
            return Ok(());
        };
        match blocking(coming) {
            Some(Ok(bytes)) => {
                self.given += bytes.len() as u64;
                self.current = bytes;
                Ok(())
            }
            Some(Err(why)) => Err(why),
            None => Err(super::super::short(self.size, self.given).to_string()),
        }
    }
}

/// Waits for what comes next; `blocking_recv` alone would panic on a thread of some runtime.
fn blocking<T>(coming: &mut mpsc::Receiver<T>) -> Option<T> {
    futures_util::future::FutureExt::now_or_never(coming.recv()).unwrap_or_else(|| {
        struct Unpark(std::thread::Thread);
        impl std::task::Wake for Unpark {
            fn wake(self: Arc<Self>) {
                self.0.unpark();
            }
        }
        let waker = Arc::new(Unpark(std::thread::current())).into();
        let mut context = std::task::Context::from_waker(&waker);
        loop {
            match coming.poll_recv(&mut context) {
                std::task::Poll::Ready(next) => return next,
                std::task::Poll::Pending => std::thread::park(),
            }
        }
    })
}

async fn one(
    service: &Service,
    path: &Path,
    version: Option<String>,
    range: std::ops::Range<u64>,
    size: u64,
) -> Result<Bytes, String> {
    let mut tries = 0;
    loop {
        tries += 1;
        let options = GetOptions {
            range: Some(GetRange::Bounded(range.clone())),
            if_match: version.clone(),
            ..GetOptions::default()
        };
        let got = match service.store.get_opts(path, options).await {
            Ok(found) if found.meta.size != size || found.range != range => {
                let (said, given) = (found.meta.size, found.range.end);
                return Err(format!(
                    "the store said {size} bytes; asked for those up to {}, it says {said} and \
                     gives those up to {given}",
                    range.end
                ));
            }
            Ok(found) => found.bytes().await,
            Err(error) => Err(error),
        };
        let lasting = match &got {
            Ok(bytes) if bytes.len() as u64 == range.end - range.start => return Ok(bytes.clone()),
            Ok(_) => false,
            Err(object_store::Error::Generic { .. }) => false,
            // Not there, not allowed, another version: it will not change by asking again.
            Err(_) => true,
        };
        if lasting || tries >= TRIES {
            return Err(match got {
                Ok(bytes) => {
                    super::super::short(size, range.start + bytes.len() as u64).to_string()
                }
                Err(object_store::Error::Precondition { .. }) => {
                    "it was replaced while it was read".to_owned()
                }
                Err(error) => words(&error, &service.secrets),
            });
        }
        tokio::time::sleep(Duration::from_millis(200 * u64::from(tries))).await;
    }
}

impl BufRead for Ranged {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if let Some(why) = &self.failed {
            return Err(io::Error::other(why.clone()));
        }
        while self.current.is_empty() && self.given < self.size {
            if let Err(why) = self.advance() {
                let why = format!(
                    "reading {} in {}: {}",
                    crate::shell::clean(self.path.as_ref(), 300),
                    self.service.endpoint,
                    crate::shell::clean(&why, 600)
                );
                self.failed = Some(why.clone());
                return Err(io::Error::other(why));
            }
        }
        Ok(&self.current)
    }

    fn consume(&mut self, amount: usize) {
        self.current.advance(amount.min(self.current.len()));
    }
}

impl Read for Ranged {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let ready = self.fill_buf()?;
        let count = ready.len().min(buffer.len());
        buffer[..count].copy_from_slice(&ready[..count]);
        self.consume(count);
        Ok(count)
    }
}

impl Blob for Ranged {
    fn size(&self) -> u64 {
        self.size
    }
}

impl Drop for Ranged {
    fn drop(&mut self) {
        if let Some((_, task)) = &self.coming {
            task.abort();
        }
    }
}
