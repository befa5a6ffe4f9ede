//! Which backup a step takes. Pure.
//!
//! Times are the *data's*. A copy's time is shown and never used. What came after the disaster is
//! never taken, and what nobody vouches for only where there is nothing better, with a doubt.

use jiff::Timestamp;

use crate::backup::catalog::{Backup, Vouched};
use crate::backup::sidecar::Sidecar;
use crate::journal::PointNote;
use crate::shell::clean;

/// A backup that was picked.
#[derive(Clone, Debug)]
pub struct Picked {
    pub backup: Backup,
    /// In words: `latest of 7 before the disaster`.
    pub how: String,
    pub doubts: Vec<String>,
}

impl Picked {
    /// What its sidecar says, signed or not.
    pub fn sidecar(&self) -> Option<&Sidecar> {
        match &self.backup.vouched {
            Vouched::Signed(sidecar, _) | Vouched::Unsigned(sidecar, _) => Some(sidecar),
            Vouched::Nobody(_) => None,
        }
    }

    pub fn is_signed(&self) -> bool {
        matches!(self.backup.vouched, Vouched::Signed(..))
    }
}

/// Picks as the drill's document says: `latest`, `random`, or a name. `random` gives a number
/// below its argument.
pub fn pick(
    backups: &[Backup],
    wish: &str,
    disaster: Timestamp,
    random: &dyn Fn(usize) -> usize,
) -> Result<Picked, String> {
    if !matches!(wish, "latest" | "random") {
        return named(backups, wish, disaster);
    }
    let mut before: Vec<&Backup> = backups
        .iter()
        .filter(|b| b.data_time.is_some_and(|t| t <= disaster))
        .collect();
    if before.is_empty() {
        return Err(match backups.len() {
            0 => "the store holds no backup of it".into(),
            count => format!("none of the store's {count} backups is of before the disaster"),
        });
    }
    before.sort_by_key(|b| b.data_time);
    let is_signed = |b: &&&Backup| matches!(b.vouched, Vouched::Signed(..));
    let signed: Vec<&Backup> = before.iter().filter(is_signed).copied().collect();
    let (from, passed_over) = match signed.is_empty() {
        true => (&before, 0),
        false => {
            let newest = signed.last().and_then(|b| b.data_time);
            let newer = before.iter().filter(|b| b.data_time > newest).count();
            (&signed, newer)
        }
    };
    let index = match wish {
        "random" => random(from.len()).min(from.len() - 1),
        _ => from.len() - 1,
    };
    let Some(backup) = from.get(index) else {
        return Err("the store holds no backup of it".into());
    };
    let mut how = match wish {
        "random" => format!("one of {} before the disaster, at random", from.len()),
        _ => format!("latest of {} before the disaster", from.len()),
    };
    if passed_over > 0 {
        how.push_str(&format!(
            "; {passed_over} newer without a signature that counts passed over"
        ));
    }
    Ok(picked(backup, how))
}

fn named(backups: &[Backup], name: &str, disaster: Timestamp) -> Result<Picked, String> {
    let found = backups
        .iter()
        .find(|b| b.name == name || b.name.rsplit('/').next() == Some(name))
        .ok_or_else(|| format!("the store holds no backup called {}", clean(name, 200)))?;
    match found.data_time {
        Some(time) if time > disaster => Err(format!(
            "{} is of {time}, after the disaster: no recovery could have had it",
            clean(name, 200)
        )),
        _ => Ok(picked(found, "the one that the drill names".into())),
    }
}

fn picked(backup: &Backup, how: String) -> Picked {
    let name = clean(&backup.name, 200);
    let mut doubts = Vec::new();
    match &backup.vouched {
        Vouched::Signed(..) => {}
        Vouched::Unsigned(_, why) | Vouched::Nobody(why) => doubts.push(format!(
            "no signature that counts vouches for {name}: {}",
            clean(why, 200)
        )),
    }
    if backup.data_time.is_none() {
        doubts.push(format!("nobody says of which time the data in {name} is"));
    }
    Picked {
        backup: backup.clone(),
        how,
        doubts,
    }
}

/// Whether what its sidecar says is of this backup: an archive that was swapped for another's is
/// not taken.
pub fn belongs(picked: &Picked, source: &str) -> Result<(), String> {
    let Some(sidecar) = picked.sidecar() else {
        return Ok(());
    };
    let name = &picked.backup.name;
    if sidecar.source != source {
        return Err(format!(
            "{} is a backup of {}, and not of {source}",
            clean(name, 200),
            clean(&sidecar.source, 100)
        ));
    }
    if sidecar.archive != *name {
        return Err(format!(
            "the sidecar of {} is that of {}",
            clean(name, 200),
            clean(&sidecar.archive, 200)
        ));
    }
    if sidecar.size != picked.backup.size {
        return Err(format!(
            "{} has {} bytes, and its sidecar says {}",
            clean(name, 200),
            picked.backup.size,
            sidecar.size
        ));
    }
    Ok(())
}

/// What the journal says of it.
pub fn note(picked: &Picked, source: &str, store: String, place: String) -> PointNote {
    let sidecar = picked.sidecar();
    let backup = &picked.backup;
    PointNote {
        source: source.to_owned(),
        name: backup.name.clone(),
        store,
        place,
        data_time: backup.data_time.map(|t| t.to_string()),
        copy_time: backup.copied.map(|t| t.to_string()),
        size: backup.size,
        sha256: sidecar.map(|s| s.sha256.clone()),
        signed: picked.is_signed(),
        vouched: None,
        how: picked.how.clone(),
        files: sidecar.map(|s| s.files),
        bytes: sidecar.map(|s| s.bytes),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::backup::archive::Kind;

    pub(crate) fn sidecar(name: &str, data_time: &str) -> Sidecar {
        Sidecar {
            format: 1,
            version: "0".into(),
            policy: "p".into(),
            source: "s".into(),
            kind: Kind::Directories,
            archive: name.into(),
            data_time: data_time.into(),
            finished: data_time.into(),
            size: 10,
            sha256: "0".repeat(64),
            recipients: vec![],
            files: 1,
            bytes: 5,
            canary: None,
            warnings: 0,
        }
    }

    /// Signed by someone who counts, or not, or without a sidecar.
    fn backup(hour: u32, vouched: &str) -> Backup {
        let time = format!("2026-11-20T{hour:02}:00:00Z");
        let name = format!("s/{hour:02}");
        let sidecar = sidecar(&name, &time);
        Backup {
            size: 10,
            // The copy is newer than any data: it must not matter.
            copied: "2026-11-21T00:00:00Z".parse().ok(),
            data_time: time.parse().ok(),
            vouched: match vouched {
                "signed" => Vouched::Signed(sidecar, "SHA256:x".into()),
                "unsigned" => Vouched::Unsigned(sidecar, "another's key".into()),
                _ => Vouched::Nobody("there is none".into()),
            },
            name,
        }
    }

    fn at(hour: u32) -> Timestamp {
        format!("2026-11-20T{hour:02}:30:00Z").parse().unwrap()
    }

    fn take(backups: &[Backup], wish: &str, disaster: Timestamp) -> Result<Picked, String> {
        pick(backups, wish, disaster, &|count| count / 2)
    }

    #[test]
    fn lie_04_the_latest_before_the_disaster_is_taken_and_nothing_after_it() {
        let all: Vec<Backup> = [3, 1, 2, 5].map(|h| backup(h, "signed")).into();
        let picked = take(&all, "latest", at(3)).unwrap();
        assert_eq!(picked.backup.name, "s/03");
        assert_eq!(picked.how, "latest of 3 before the disaster");
        assert!(picked.doubts.is_empty() && picked.is_signed());
        assert_eq!(take(&all, "random", at(3)).unwrap().backup.name, "s/02");
        let error = take(&all, "latest", at(0)).unwrap_err();
        assert!(error.contains("none of the store's 4"), "{error}");
        assert!(take(&[], "latest", at(3)).is_err());
        assert_eq!(take(&all, "02", at(3)).unwrap().backup.name, "s/02");
        assert_eq!(take(&all, "s/02", at(3)).unwrap().backup.name, "s/02");
        let error = take(&all, "05", at(3)).unwrap_err();
        assert!(error.contains("after the disaster"), "{error}");
        assert!(take(&all, "07", at(3)).is_err());
    }

    #[test]
    fn unsigned_ones_are_taken_only_for_want_of_better_and_with_a_doubt() {
        let mixed = [
            backup(1, "signed"),
            backup(2, "unsigned"),
            backup(3, "nobody"),
        ];
        let picked = take(&mixed, "latest", at(4)).unwrap();
        assert_eq!(picked.backup.name, "s/01");
        assert!(picked.how.contains("2 newer"), "{}", picked.how);
        let picked = take(&mixed[1..], "latest", at(4)).unwrap();
        assert_eq!(picked.backup.name, "s/03");
        assert_eq!(picked.doubts.len(), 1);
        let mut nameless = backup(1, "nobody");
        nameless.data_time = None;
        assert!(take(&[nameless.clone()], "latest", at(4)).is_err());
        assert_eq!(take(&[nameless], "01", at(4)).unwrap().doubts.len(), 2);
    }

    #[test]
    fn a_sidecar_of_another_archive_does_not_belong() {
        let good = take(&[backup(1, "signed")], "latest", at(4)).unwrap();
        belongs(&good, "s").unwrap();
        assert!(belongs(&good, "other").is_err());
        let mut swapped = good.clone();
        swapped.backup.name = "s/02".into();
        assert!(belongs(&swapped, "s").is_err());
        let mut short = good;
        short.backup.size = 9;
        assert!(belongs(&short, "s").is_err());
    }
}
