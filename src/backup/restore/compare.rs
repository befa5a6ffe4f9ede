//! A restored directory against the manifest of its archive.

use std::collections::HashSet;
use std::ffi::CString;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::mpsc::sync_channel;

use aws_lc_rs::digest;

use super::seen::{Thing, Told, difference, word};
use super::{RestoreError, hands};
use crate::backup::archive::beneath::{Dir, c_name, us};
use crate::backup::archive::read::shown;
use crate::backup::archive::{Entry, EntryKind, Manifest, place, unescape};

/// Files that wait to be hashed.
const WAITING: usize = 256;
const BUFFER: usize = 1 << 20;

/// Compares a restored directory with the manifest of its archive: every file's size, mode and
/// hash, nothing missing, nothing added; owners where we are root. What differs, in words (the
/// first hundred).
///
/// # Errors
/// When the directory can't be read, or the manifest is not one of files.
pub fn compare(directory: &Path, manifest: &Manifest) -> Result<Vec<String>, RestoreError> {
    let cannot = |error: io::Error| {
        RestoreError(format!(
            "comparing {} with its manifest: {error}",
            directory.display()
        ))
    };
    let top = Arc::new(Dir::open(directory).map_err(cannot)?);
    let told = Mutex::new(Told::default());
    let mut names = Names::default();
    std::thread::scope(|scope| {
        let (sender, receiver) = sync_channel::<(Arc<Dir>, CString, Entry)>(WAITING);
        let receiver = Arc::new(Mutex::new(receiver));
        for _ in 0..hands() {
            let (receiver, told) = (receiver.clone(), &told);
            scope.spawn(move || {
                let mut buffer = vec![0; BUFFER];
                loop {
                    let next = lock(&receiver).recv();
                    let Ok((dir, name, entry)) = next else {
                        return;
                    };
                    if let Some(text) = of_file(&dir, &name, &entry, &mut buffer) {
                        lock(told).add(text);
                    }
                }
            });
        }
        // Its last copy goes with the threads: then sending fails instead of waiting for ever.
        drop(receiver);
        let mut walk = Opened {
            top: top.clone(),
            last: None,
        };
        for entry in manifest.entries() {
            let entry = entry.map_err(|error| RestoreError(error.to_string()))?;
            if entry.kind == EntryKind::Stream {
                return Err(RestoreError(
                    "the manifest is of a stream, and a directory can't be compared with it".into(),
                ));
            }
            let path = unescape(&entry.path).unwrap_or_default();
            if !names.add(&path) {
                lock(&told).add(format!("{} is in the manifest twice", entry.path));
            }
            match walk.find(&path) {
                Ok((dir, name)) if matches!(entry.kind, EntryKind::File) => {
                    sender
                        .send((dir, name, entry))
                        .map_err(|_| RestoreError("a comparing thread panicked".into()))?;
                }
                Ok((dir, name)) => {
                    let text = of_other(&dir, &name, &entry, &mut walk);
                    text.into_iter().for_each(|text| lock(&told).add(text));
                }
                Err(text) => lock(&told).add(format!("{}: {text}", entry.path)),
            }
        }
        Ok(())
    })?;
    let mut told = told
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    added(&top, &mut Vec::new(), &names, &mut told).map_err(cannot)?;
    Ok(told.finish())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// The names of a manifest, as hashes of 128 bits under keys that nobody knows beforehand.
struct Names {
    keys: (RandomState, RandomState),
    hashes: HashSet<u128>,
}

impl Default for Names {
    fn default() -> Self {
        Names {
            keys: (RandomState::new(), RandomState::new()),
            hashes: HashSet::new(),
        }
    }
}

impl Names {
    fn hash(&self, path: &[u8]) -> u128 {
        let half = |state: &RandomState| {
            let mut hasher = state.build_hasher();
            hasher.write(path);
            u128::from(hasher.finish())
        };
        half(&self.keys.0) << 64 | half(&self.keys.1)
    }

    fn add(&mut self, path: &[u8]) -> bool {
        self.hashes.insert(self.hash(path))
    }

    fn has(&self, path: &[u8]) -> bool {
        self.hashes.contains(&self.hash(path))
    }
}

/// The directory that was opened last: the next entry lies in it, mostly.
struct Opened {
    top: Arc<Dir>,
    last: Option<(Vec<u8>, Arc<Dir>)>,
}

impl Opened {
    /// The directory that a path lies in, and its last name. No link is followed.
    fn find(&mut self, path: &[u8]) -> Result<(Arc<Dir>, CString), String> {
        let names = place::names(path)?;
        let (name, parents) = names.split_last().ok_or("is no path")?;
        let name = c_name(name).map_err(|e| e.to_string())?;
        let parent = parents.join(&b'/');
        if let Some((last, dir)) = &self.last
            && *last == parent
        {
            return Ok((dir.clone(), name));
        }
        let mut dir = self.top.clone();
        for part in parents {
            let part = c_name(part).map_err(|e| e.to_string())?;
            dir = Arc::new(dir.subdirectory(&part).map_err(|error| {
                if error.kind() == io::ErrorKind::NotFound {
                    "is missing".into()
                } else {
                    format!("can't be reached: {error}")
                }
            })?);
        }
        self.last = Some((parent, dir.clone()));
        Ok((dir, name))
    }
}

/// What a name is, as far as it is known without reading it.
fn thing(stat: &libc::stat, entry: &Entry) -> Thing {
    let kind = match stat.st_mode & libc::S_IFMT {
        // A hard link is a file, and the manifest alone knows which was first.
        libc::S_IFREG if entry.kind == EntryKind::Hardlink => Some(EntryKind::Hardlink),
        libc::S_IFREG => Some(EntryKind::File),
        libc::S_IFDIR => Some(EntryKind::Directory),
        libc::S_IFLNK => Some(EntryKind::Symlink),
        _ => None,
    };
    let is_root = us().0 == 0;
    let is_link = matches!(entry.kind, EntryKind::Symlink | EntryKind::Hardlink);
    let mode = stat.st_mode & 0o7777;
    // Who is not root gets neither set-uid bits nor others' files; Linux gives no link a mode.
    let same_mode = is_link || (!is_root && mode == entry.mode & 0o777);
    let owner_counts = is_root && entry.kind != EntryKind::Hardlink;
    Thing {
        path: unescape(&entry.path).unwrap_or_default(),
        kind,
        mode: if same_mode { entry.mode } else { mode },
        uid: if owner_counts { stat.st_uid } else { entry.uid },
        gid: if owner_counts { stat.st_gid } else { entry.gid },
        // Services touch what they use.
        mtime: entry.mtime,
        size: match kind {
            Some(EntryKind::File) => stat.st_size as u64,
            _ => 0,
        },
        ..Thing::default()
    }
}

fn absent(error: &io::Error, entry: &Entry) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => format!("{} is missing", entry.path),
        _ => format!("{} can't be read: {error}", entry.path),
    }
}

fn of_file(dir: &Dir, name: &CString, entry: &Entry, buffer: &mut [u8]) -> Option<String> {
    let stat = match dir.stat(name) {
        Ok(stat) => stat,
        Err(error) => return Some(absent(&error, entry)),
    };
    let mut thing = thing(&stat, entry);
    // What is wrong already need not be read; what is no file must not.
    if thing.kind == Some(EntryKind::File) && thing.size == entry.size {
        match hash(dir, name, buffer) {
            Ok(hash) => thing.hash = hash,
            Err(error) => return Some(absent(&error, entry)),
        }
    }
    difference(&thing, entry)
}

fn hash(dir: &Dir, name: &CString, buffer: &mut [u8]) -> io::Result<Option<[u8; 32]>> {
    let mut file = dir.read(name)?;
    let mut context = digest::Context::new(&digest::SHA256);
    loop {
        match file.read(buffer) {
            Ok(0) => return Ok(context.finish().as_ref().try_into().ok()),
            Ok(count) => context.update(buffer.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn of_other(dir: &Dir, name: &CString, entry: &Entry, walk: &mut Opened) -> Option<String> {
    let stat = match dir.stat(name) {
        Ok(stat) => stat,
        Err(error) => return Some(absent(&error, entry)),
    };
    let mut thing = thing(&stat, entry);
    let link = entry.link.as_deref().and_then(unescape).unwrap_or_default();
    match (entry.kind, thing.kind) {
        (EntryKind::Symlink, Some(EntryKind::Symlink)) => match dir.read_link(name) {
            Ok(target) => thing.link = target,
            Err(error) => return Some(absent(&error, entry)),
        },
        (EntryKind::Hardlink, Some(EntryKind::Hardlink)) => {
            let other = walk
                .find(&link)
                .ok()
                .and_then(|(dir, name)| dir.stat(&name).ok());
            let is_same = other
                .is_some_and(|other| (other.st_dev, other.st_ino) == (stat.st_dev, stat.st_ino));
            if !is_same {
                return Some(format!(
                    "{} is not the same file as {}",
                    entry.path,
                    shown(&link)
                ));
            }
            thing.link = link;
        }
        (should, is) if Some(should) != is => {
            return Some(format!(
                "{} is {}, in the manifest {}",
                entry.path,
                word(is),
                word(Some(should))
            ));
        }
        _ => {}
    }
    difference(&thing, entry)
}

/// Tells what is there and not in the manifest.
fn added(dir: &Dir, path: &mut Vec<u8>, names: &Names, told: &mut Told) -> io::Result<()> {
    let mut list = dir.list()?;
    list.sort();
    for name in list {
        let before = path.len();
        if before > 0 {
            path.push(b'/');
        }
        path.extend_from_slice(name.as_bytes());
        let is_directory = dir.stat(&name)?.st_mode & libc::S_IFMT == libc::S_IFDIR;
        if !names.has(path) {
            told.add(format!("{} is not in the manifest", shown(path)));
        } else if is_directory {
            added(&dir.subdirectory(&name)?, path, names, told)?;
        }
        path.truncate(before);
    }
    Ok(())
}
