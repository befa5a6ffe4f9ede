//! Writing an object in parts, several on their way at once. What is smaller than one part is
//! written in one request, which the service itself refuses where the name is taken; for more than
//! that it is asked before the first part and again before the last step.

use std::io::{self, Write};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt, PutMode, PutOptions};
use tokio::task::AbortHandle;

use super::super::{StoreError, Upload};
use super::service::{Service, Trouble, runtime, wait, words};

pub(super) const TAKEN: &str = super::super::TAKEN;
const DOING: &str = "writing";

/// Of the first parts, in bytes.
const PART: usize = 8 << 20;
/// After so many parts they are twice as large: the service takes at most [`MOST`].
const DOUBLE_AFTER: usize = 2000;
const MOST: usize = 10_000;
/// How much may be on its way at once, in bytes; one part always may.
const AHEAD: usize = 32 << 20;
/// How long a dropped upload is waited for to be taken away.
const TAKEN_AWAY: Duration = Duration::from_secs(30);

/// The size of part `number` (from 0), in bytes. With 10,000 parts that is some 490 GB.
fn part_size(number: usize) -> usize {
    PART << (number / DOUBLE_AFTER).min(4)
}

/// One object that is being written.
pub(super) struct Parts {
    service: Arc<Service>,
    name: String,
    path: Path,
    buffer: Vec<u8>,
    sent: u64,
    upload: Option<Box<dyn MultipartUpload>>,
    number: usize,
    /// Bytes of each part as it arrives, or why it did not.
    arrived: mpsc::Receiver<Result<usize, object_store::Error>>,
    arrives: mpsc::Sender<Result<usize, object_store::Error>>,
    /// Parts and bytes on their way.
    under_way: (usize, usize),
    tasks: Vec<AbortHandle>,
    failed: Option<String>,
}

impl Parts {
    pub fn new(service: Arc<Service>, name: &str, path: Path) -> Self {
        let (arrives, arrived) = mpsc::channel();
        Parts {
            service,
            name: name.to_owned(),
            path,
            buffer: Vec::new(),
            sent: 0,
            upload: None,
            number: 0,
            arrived,
            arrives,
            under_way: (0, 0),
            tasks: Vec::new(),
            failed: None,
        }
    }

    fn words(&self, trouble: Trouble) -> String {
        match trouble {
            Trouble::Runtime(why) => why,
            Trouble::Service(error) => words(&error, &self.service.secrets),
        }
    }

    /// Sends the buffer as one part.
    fn send(&mut self) -> Result<(), String> {
        if self.number >= MOST {
            return Err(format!(
                "it is larger than the {MOST} parts that S3 takes: split the source"
            ));
        }
        let mut upload = match self.upload.take() {
            Some(upload) => upload,
            None => {
                let (service, path) = (Arc::clone(&self.service), self.path.clone());
                wait(async move { service.store.put_multipart(&path).await })
                    .map_err(|trouble| self.words(trouble))?
            }
        };
        let bytes = Bytes::from(std::mem::take(&mut self.buffer));
        let length = bytes.len();
        let part = upload.put_part(bytes.into());
        self.upload = Some(upload);
        while self.under_way.0 > 0 && self.under_way.1 + length > AHEAD {
            self.await_one()?;
        }
        let arrives = self.arrives.clone();
        let task = runtime()
            .map_err(|trouble| self.words(trouble))?
            .spawn(async move {
                let _ = arrives.send(part.await.map(|()| length));
            });
        self.tasks.retain(|task| !task.is_finished());
        self.tasks.push(task.abort_handle());
        self.under_way = (self.under_way.0 + 1, self.under_way.1 + length);
        self.number += 1;
        self.sent += length as u64;
        Ok(())
    }

    fn await_one(&mut self) -> Result<(), String> {
        match self.arrived.recv() {
            Ok(Ok(length)) => {
                self.under_way = (self.under_way.0 - 1, self.under_way.1 - length);
                Ok(())
            }
            Ok(Err(error)) => Err(words(&error, &self.service.secrets)),
            Err(_) => Err("a part's task ended badly".into()),
        }
    }

    /// All of it in one request.
    fn put(&mut self) -> Result<(), StoreError> {
        let bytes = Bytes::from(std::mem::take(&mut self.buffer));
        let (service, path, body) = (Arc::clone(&self.service), self.path.clone(), bytes.clone());
        let put = wait(async move {
            let options = PutOptions::from(PutMode::Create);
            service.store.put_opts(&path, body.into(), options).await
        });
        let Err(trouble) = put else { return Ok(()) };
        // Where an answer was lost, it may be there all the same.
        let (service, path) = (Arc::clone(&self.service), self.path.clone());
        let there = wait(async move {
            let found = service.store.get(&path).await?;
            match found.meta.size == bytes.len() as u64 {
                true => Ok(found.bytes().await? == bytes),
                false => Ok(false),
            }
        });
        match (there, &trouble) {
            (Ok(true), _) => Ok(()),
            (_, Trouble::Service(object_store::Error::AlreadyExists { .. })) => {
                Err(self.service.error(DOING, &self.name, TAKEN))
            }
            _ => self.service.told(DOING, &self.name, Err(trouble)),
        }
    }

    fn complete(&mut self) -> Result<(), StoreError> {
        let wrong = |parts: &Self, why: String| parts.service.error(DOING, &parts.name, why);
        if !self.buffer.is_empty() {
            self.send().map_err(|why| wrong(self, why))?;
        }
        while self.under_way.0 > 0 {
            self.await_one().map_err(|why| wrong(self, why))?;
        }
        if self.service.head(DOING, &self.name, &self.path)?.is_some() {
            return Err(wrong(self, TAKEN.to_owned()));
        }
        let Some(mut upload) = self.upload.take() else {
            return Ok(());
        };
        let completed = wait(async move {
            let done = upload.complete().await;
            Ok((done, upload))
        });
        let outcome = match completed {
            Ok((Ok(_), _)) => Ok(()),
            Ok((Err(error), upload)) => {
                self.upload = Some(upload);
                Err(Trouble::Service(error))
            }
            Err(trouble) => Err(trouble),
        };
        // Also where the answer was lost: is it there, and as large as what was sent?
        let there = self.service.head(DOING, &self.name, &self.path);
        match (outcome, there) {
            (_, Ok(Some(meta))) if meta.size == self.sent => {
                self.upload = None;
                Ok(())
            }
            (Err(trouble), _) => self.service.told(DOING, &self.name, Err(trouble)),
            (Ok(()), Ok(Some(meta))) => Err(wrong(
                self,
                format!(
                    "{} bytes were sent, and the store says {}",
                    self.sent, meta.size
                ),
            )),
            (Ok(()), Ok(None)) => Err(wrong(
                self,
                "the store took it, and says that it is not there".into(),
            )),
            (Ok(()), Err(error)) => Err(error),
        }
    }

    /// Takes away what was sent.
    fn abort(&mut self) {
        for task in self.tasks.drain(..) {
            task.abort();
        }
        if let Some(mut upload) = self.upload.take() {
            let _ = wait(async move {
                let _ = tokio::time::timeout(TAKEN_AWAY, upload.abort()).await;
                Ok(())
            });
        }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<usize, String> {
        let size = part_size(self.number);
        // A full buffer waits for one more byte: what fits one part exactly is one request.
        if self.buffer.len() >= size {
            self.send()?;
        }
        let size = part_size(self.number);
        if self.buffer.capacity() == 0 && (self.number > 0 || bytes.len() > 64 << 10) {
            self.buffer.reserve_exact(size);
        }
        let count = bytes.len().min(size - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..count]);
        Ok(count)
    }
}

impl Write for Parts {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(why) = &self.failed {
            return Err(io::Error::other(why.clone()));
        }
        self.take(bytes).map_err(|why| {
            let error = self.service.error(DOING, &self.name, why).to_string();
            self.failed = Some(error.clone());
            io::Error::other(error)
        })
    }

    /// Parts go when they are full.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Upload for Parts {
    fn finish(mut self: Box<Self>) -> Result<(), StoreError> {
        if let Some(why) = self.failed.take() {
            return Err(self.service.error(DOING, &self.name, why));
        }
        match self.number {
            0 => self.put(),
            _ => self.complete(),
        }
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        self.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_grow_so_that_ten_thousand_are_enough() {
        assert_eq!(part_size(0), 8 << 20);
        assert_eq!(part_size(1999), 8 << 20);
        assert_eq!(part_size(2000), 16 << 20);
        assert_eq!(part_size(9999), 128 << 20);
        let all: u64 = (0..MOST).map(|n| part_size(n) as u64).sum();
        assert!(all > 480 << 30, "{all}");
    }
}
