//! A store in memory that fails as it is told to.

use std::collections::BTreeMap;
use std::io::{self, Cursor, Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::backup::store::{Blob, Object, Store, StoreError, Upload};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    /// No object can be begun whose name ends so.
    Create(&'static str),
    /// Writing fails after so many bytes.
    WriteAt(u64),
    /// All bytes are taken, and then it can't be kept.
    Finish,
    /// Each call takes so long.
    Slow(Duration),
}

pub struct FaultyStore {
    pub fault: Fault,
    pub kept: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    /// Uploads that live.
    pub open: Arc<AtomicUsize>,
}

impl FaultyStore {
    pub fn new(fault: Fault) -> Arc<Self> {
        Arc::new(FaultyStore {
            fault,
            kept: Arc::default(),
            open: Arc::default(),
        })
    }

    /// Names of what it holds.
    pub fn names(&self) -> Vec<String> {
        self.kept.lock().unwrap().keys().cloned().collect()
    }

    fn error(&self, doing: &'static str, name: &str, absent: bool) -> StoreError {
        StoreError {
            doing,
            name: name.to_owned(),
            store: self.endpoint(),
            reason: "as it was told".to_owned(),
            absent,
        }
    }

    fn wait(&self) {
        if let Fault::Slow(time) = self.fault {
            std::thread::sleep(time);
        }
    }
}

impl Store for FaultyStore {
    fn endpoint(&self) -> String {
        format!("a store with {:?}", self.fault)
    }

    fn list(&self, prefix: &str) -> Result<Vec<Object>, StoreError> {
        self.wait();
        let kept = self.kept.lock().unwrap();
        let all = kept.iter().filter(|(name, _)| name.starts_with(prefix));
        Ok(all
            .map(|(name, bytes)| Object {
                name: name.clone(),
                size: bytes.len() as u64,
                modified: None,
            })
            .collect())
    }

    fn open(&self, name: &str) -> Result<Box<dyn Blob>, StoreError> {
        self.wait();
        let kept = self.kept.lock().unwrap();
        let bytes = kept
            .get(name)
            .cloned()
            .ok_or_else(|| self.error("reading", name, true))?;
        Ok(Box::new(FaultyBlob {
            inner: Cursor::new(bytes),
            fault: self.fault,
        }))
    }

    fn create(&self, name: &str) -> Result<Box<dyn Upload>, StoreError> {
        self.wait();
        if matches!(self.fault, Fault::Create(end) if name.ends_with(end)) {
            return Err(self.error("writing", name, false));
        }
        self.open.fetch_add(1, Ordering::SeqCst);
        Ok(Box::new(FaultyUpload {
            name: name.to_owned(),
            bytes: Vec::new(),
            fault: self.fault,
            kept: self.kept.clone(),
            open: self.open.clone(),
        }))
    }

    fn get(&self, name: &str, limit: u64) -> Result<Vec<u8>, StoreError> {
        let mut bytes = Vec::new();
        self.open(name)?
            .take(limit)
            .read_to_end(&mut bytes)
            .map_err(|_| self.error("reading", name, false))?;
        Ok(bytes)
    }
}

struct FaultyBlob {
    inner: Cursor<Vec<u8>>,
    fault: Fault,
}

impl Read for FaultyBlob {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Fault::Slow(time) = self.fault {
            std::thread::sleep(time);
        }
        self.inner.read(buffer)
    }
}

impl Blob for FaultyBlob {
    fn size(&self) -> u64 {
        self.inner.get_ref().len() as u64
    }
}

struct FaultyUpload {
    name: String,
    bytes: Vec<u8>,
    fault: Fault,
    kept: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    open: Arc<AtomicUsize>,
}

impl Drop for FaultyUpload {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Write for FaultyUpload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.fault {
            Fault::Slow(time) => std::thread::sleep(time),
            Fault::WriteAt(at) if (self.bytes.len() + bytes.len()) as u64 > at => {
                return Err(io::Error::other("the disk is full, as it was told"));
            }
            _ => {}
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Upload for FaultyUpload {
    fn finish(mut self: Box<Self>) -> Result<(), StoreError> {
        if self.fault == Fault::Finish {
            return Err(StoreError {
                doing: "keeping",
                name: self.name.clone(),
                store: "a store".to_owned(),
                reason: "as it was told".to_owned(),
                absent: false,
            });
        }
        let bytes = std::mem::take(&mut self.bytes);
        self.kept.lock().unwrap().insert(self.name.clone(), bytes);
        Ok(())
    }
}
