//! What a store holds of one source: backups with their sidecars, the oldest first.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use jiff::Timestamp;

use super::name;
use super::sidecar::{self, LARGEST, LARGEST_SIGNATURE, Sidecar};
use super::store::{Object, Store, StoreError};
use crate::shell::clean;
use crate::sign::Trusted;

/// Sidecars that are fetched at once: a far store answers slowly, and one by one that adds up.
const AT_ONCE: usize = 8;

/// A backup, as far as it can be known without its key.
#[derive(Clone, Debug)]
pub struct Backup {
    /// The archive's name in the store.
    pub name: String,
    pub size: u64,
    /// When the store says that it came there.
    pub copied: Option<Timestamp>,
    /// From its sidecar where that is signed by someone who counts, else from its name.
    pub data_time: Option<Timestamp>,
    pub vouched: Vouched,
}

/// Who says what it is.
#[derive(Clone, Debug)]
pub enum Vouched {
    /// The sidecar, and the fingerprint of the key that signed it.
    Signed(Sidecar, String),
    /// There is a sidecar, and why its signature does not count.
    Unsigned(Sidecar, String),
    /// None, or one that is none; why.
    Nobody(String),
}

impl Vouched {
    /// The sidecar, where someone who counts has signed it.
    pub fn signed(&self) -> Option<&Sidecar> {
        match self {
            Vouched::Signed(sidecar, _) => Some(sidecar),
            Vouched::Unsigned(..) | Vouched::Nobody(_) => None,
        }
    }

    /// Why nobody who counts vouches for it.
    pub fn why_not(&self) -> Option<&str> {
        match self {
            Vouched::Signed(..) => None,
            Vouched::Unsigned(_, why) | Vouched::Nobody(why) => Some(why),
        }
    }
}

/// All backups of a source, the oldest data first. An archive without a sidecar is among them:
/// nobody vouches for it.
///
/// # Errors
/// When the store cannot be listed. What is wrong with a single backup stands in it.
pub fn backups(
    store: &dyn Store,
    source: &str,
    trusted: &Trusted,
) -> Result<Vec<Backup>, StoreError> {
    let listed: BTreeMap<String, Object> = store
        .list(&format!("{source}/"))?
        .into_iter()
        .map(|object| (object.name.clone(), object))
        .collect();
    let archives: Vec<(&Object, Timestamp)> = listed
        .values()
        .filter_map(|object| {
            let (of, time) = name::parse(&object.name)?;
            (of == source).then_some((object, time))
        })
        .collect();
    let next = AtomicUsize::new(0);
    let found = Mutex::new(Vec::with_capacity(archives.len()));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(archives.len()) {
            scope.spawn(|| {
                while let Some((archive, time)) = archives.get(next.fetch_add(1, Ordering::SeqCst))
                {
                    let has = |name: &str| listed.contains_key(name);
                    let backup = one(store, archive, *time, source, &has, trusted);
                    found
                        .lock()
                        .unwrap_or_else(std::sync::PoisonError::into_inner)
                        .push(backup);
                }
            });
        }
    });
    let mut found = found
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    found.sort_by(|a, b| (a.data_time, &a.name).cmp(&(b.data_time, &b.name)));
    Ok(found)
}

fn one(
    store: &dyn Store,
    archive: &Object,
    time: Timestamp,
    source: &str,
    has: &dyn Fn(&str) -> bool,
    trusted: &Trusted,
) -> Backup {
    let vouched = match fetch(store, archive, has, trusted) {
        Vouched::Signed(sidecar, by) => match belongs(&sidecar, archive, source, time) {
            Ok(()) => Vouched::Signed(sidecar, by),
            Err(why) => Vouched::Unsigned(sidecar, why),
        },
        other => other,
    };
    Backup {
        name: archive.name.clone(),
        size: archive.size,
        copied: archive.modified,
        // The same to the millisecond, or its sidecar would not belong to it.
        data_time: Some(time),
        vouched,
    }
}

fn fetch(
    store: &dyn Store,
    archive: &Object,
    has: &dyn Fn(&str) -> bool,
    trusted: &Trusted,
) -> Vouched {
    let (sidecar, signature) = (name::sidecar(&archive.name), name::signature(&archive.name));
    if !has(&sidecar) {
        return Vouched::Nobody(
            "it has no sidecar: it was not made to its end, or by something else".into(),
        );
    }
    let bytes = match store.get(&sidecar, LARGEST) {
        Ok(bytes) => bytes,
        Err(error) => return Vouched::Nobody(error.to_string()),
    };
    if !has(&signature) {
        return sidecar::check(&bytes, None, trusted);
    }
    match store.get(&signature, LARGEST_SIGNATURE) {
        Ok(signature) => sidecar::check(&bytes, Some(&signature), trusted),
        Err(error) => match sidecar::check(&bytes, None, trusted) {
            Vouched::Unsigned(sidecar, _) => Vouched::Unsigned(sidecar, error.to_string()),
            other => other,
        },
    }
}

/// Whether a sidecar is that of the archive beside it: one that is truly signed may have been put
/// beside another archive.
fn belongs(
    sidecar: &Sidecar,
    archive: &Object,
    source: &str,
    time: Timestamp,
) -> Result<(), String> {
    if sidecar.archive != archive.name {
        return Err(format!(
            "its sidecar is that of another archive, {}",
            clean(&sidecar.archive, 120)
        ));
    }
    if sidecar.source != source {
        return Err(format!(
            "its sidecar is that of another source, {}",
            clean(&sidecar.source, 80)
        ));
    }
    if sidecar.size != archive.size {
        return Err(format!(
            "it has {} bytes, and its sidecar says {}",
            archive.size, sidecar.size
        ));
    }
    match sidecar.data_time.parse::<Timestamp>() {
        Ok(said) if said.as_millisecond() == time.as_millisecond() => Ok(()),
        Ok(_) => Err(format!(
            "its sidecar says that its data is of {}, and its name says another time",
            clean(&sidecar.data_time, 40)
        )),
        Err(_) => Err(format!(
            "its sidecar's time is none: {}",
            clean(&sidecar.data_time, 40)
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::super::sidecar::sample;
    use super::super::store::DirectoryStore;
    use super::*;
    use crate::sign::SigningKey;

    fn put(store: &DirectoryStore, name: &str, bytes: &[u8]) {
        let mut upload = store.create(name).unwrap();
        upload.write_all(bytes).unwrap();
        upload.finish().unwrap();
    }

    fn archive(minute: u32) -> String {
        format!("db/20261120T02{minute:02}00.000Z-aaaa.tar.zst.age")
    }

    struct Room {
        _dir: tempfile::TempDir,
        store: DirectoryStore,
        key: SigningKey,
        trusted: Trusted,
    }

    impl Room {
        fn new() -> Room {
            let dir = tempfile::tempdir().unwrap();
            let key = SigningKey::generate("t").unwrap();
            let line = key.public_line();
            Room {
                store: DirectoryStore::new(dir.path()),
                _dir: dir,
                trusted: Trusted::parse([line.as_str()]).unwrap(),
                key,
            }
        }

        /// An archive with a signed sidecar, which `spoil` may have changed before it was signed.
        fn make(&self, name: &str, spoil: impl FnOnce(&mut Sidecar)) {
            put(&self.store, name, b"0123456789");
            let mut sidecar = sample(name, 10);
            spoil(&mut sidecar);
            let (bytes, signature) = sidecar.sign(&self.key).unwrap();
            put(&self.store, &name::signature(name), signature.as_bytes());
            put(&self.store, &name::sidecar(name), &bytes);
        }

        fn list(&self) -> Vec<Backup> {
            backups(&self.store, "db", &self.trusted).unwrap()
        }

        fn why(&self, name: &str) -> String {
            let all = self.list();
            let one = all.iter().find(|b| b.name == name).unwrap();
            one.vouched.why_not().expect("nobody vouches").to_owned()
        }
    }

    #[test]
    fn signed_backups_are_listed_the_oldest_first() {
        let room = Room::new();
        for minute in [30, 10, 20] {
            room.make(&archive(minute), |_| {});
        }
        put(&room.store, "db/notes.txt", b"no backup");
        put(
            &room.store,
            "dbx/20261120T021000.000Z-aaaa.tar.zst.age",
            b"another's",
        );
        let all = room.list();
        assert_eq!(all.len(), 3);
        for (backup, minute) in all.iter().zip([10, 20, 30]) {
            assert_eq!(backup.name, archive(minute));
            assert!(backup.vouched.signed().is_some());
            assert_eq!((backup.size, backup.copied.is_some()), (10, true));
        }
        assert_eq!(all[0].data_time, "2026-11-20T02:10:00Z".parse().ok());
    }

    #[test]
    fn a_sidecar_that_is_not_its_own_counts_for_nothing() {
        let room = Room::new();
        room.make(&archive(1), |s| s.archive = archive(2));
        room.make(&archive(2), |s| s.source = "files".into());
        room.make(&archive(3), |s| s.size = 11);
        room.make(&archive(4), |s| s.data_time = "2026-11-20T02:30:00Z".into());
        room.make(&archive(5), |s| s.data_time = "yesterday".into());
        assert!(room.why(&archive(1)).contains("another archive"));
        assert!(room.why(&archive(2)).contains("another source, files"));
        assert!(
            room.why(&archive(3))
                .contains("10 bytes, and its sidecar says 11")
        );
        assert!(room.why(&archive(4)).contains("another time"));
        assert!(room.why(&archive(5)).contains("none"));
        assert!(room.list().iter().all(|b| b.data_time.is_some()));
    }

    #[test]
    fn who_signs_must_count() {
        let room = Room::new();
        put(&room.store, &archive(1), b"0123456789");
        assert!(room.why(&archive(1)).contains("no sidecar"));
        put(
            &room.store,
            &name::sidecar(&archive(1)),
            &sample(&archive(1), 10).to_bytes(),
        );
        assert!(room.why(&archive(1)).contains("no signature"));
        room.make(&archive(2), |_| {});
        let others = SigningKey::generate("o").unwrap().public_line();
        let others = Trusted::parse([others.as_str()]).unwrap();
        let all = backups(&room.store, "db", &others).unwrap();
        assert!(all.iter().all(|b| b.vouched.signed().is_none()));
        put(&room.store, &archive(3), b"0123456789");
        put(
            &room.store,
            &name::sidecar(&archive(3)),
            &vec![b' '; 2 << 20],
        );
        assert!(room.why(&archive(3)).contains("at most"));
    }

    #[test]
    fn a_store_that_is_not_there_is_an_error() {
        let store = DirectoryStore::new(std::path::Path::new("/nonexistent/store"));
        assert!(backups(&store, "db", &Trusted::default()).is_err());
    }
}
