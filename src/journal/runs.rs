//! Where runs are kept, what they are called, and how one is found again.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::{DirBuilder, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use super::chain::{self, Head, Place};
use super::manifest::verify_lines;
use super::{
    Clock, Event, JOURNAL_FILE, JournalError, JournalReader, JournalWriter, MANIFEST_FILE,
    Verified, lock, sha256,
};
use crate::sign::Trusted;

/// There is nowhere to keep runs.
#[derive(Debug, thiserror::Error)]
#[error(
    "there is nowhere to keep the journal: none of SEAWALL_STATE_DIR, XDG_STATE_HOME and HOME is \
     set; set SEAWALL_STATE_DIR to a folder"
)]
pub struct NoStateDir;

/// Where runs and their evidence are kept: `$SEAWALL_STATE_DIR`, else `$XDG_STATE_HOME/seawall`
/// (where that is absolute), else `~/.local/state/seawall`.
pub fn state_dir(env: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf, NoStateDir> {
    let set = |name| {
        env(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    if let Some(dir) = set("SEAWALL_STATE_DIR") {
        return Ok(dir);
    }
    if let Some(dir) = set("XDG_STATE_HOME").filter(|dir| dir.is_absolute()) {
        return Ok(dir.join("seawall"));
    }
    set("HOME")
        .map(|home| home.join(".local/state/seawall"))
        .ok_or(NoStateDir)
}

/// An id for a run that starts now, e.g. `20261120-073514-k3f9`: sorts by time, and its last four
/// characters (20 random bits) tell apart what starts in one second.
pub fn new_run_id(now: Timestamp, random: u32) -> String {
    const DIGITS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let tail: String = (0..4)
        .map(|place| char::from(DIGITS[(random >> (place * 5) & 31) as usize]))
        .collect();
    format!("{}-{tail}", now.strftime("%Y%m%d-%H%M%S"))
}

/// Why a run was not found or not begun.
#[derive(Debug, thiserror::Error)]
pub enum RunsError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("there is no run yet in {dir}")]
    NoRuns { dir: String },
    #[error("no run is called {wanted:?}{}", or_maybe(.nearest))]
    NotFound {
        wanted: String,
        nearest: Option<String>,
    },
    #[error("{wanted:?} is the beginning of {} runs: {}", .runs.len(), some_of(.runs))]
    Ambiguous { wanted: String, runs: Vec<String> },
}

fn or_maybe(nearest: &Option<String>) -> String {
    match nearest {
        Some(nearest) => format!("; is it {nearest}? `seawall runs` lists them"),
        None => "; `seawall runs` lists them".to_owned(),
    }
}

fn some_of(runs: &[String]) -> String {
    let shown: Vec<&str> = runs.iter().take(5).map(String::as_str).collect();
    let more = if runs.len() > shown.len() {
        ", …"
    } else {
        ""
    };
    format!("{}{more}", shown.join(", "))
}

/// One run's folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RunFolder {
    pub id: String,
    pub path: PathBuf,
}

impl RunFolder {
    pub fn open(&self) -> Result<JournalReader, JournalError> {
        JournalReader::open(&self.path)
    }

    /// Whether it came to its end and was sealed.
    pub fn is_sealed(&self) -> bool {
        self.path.join(MANIFEST_FILE).exists()
    }

    /// Whether a process writes it now.
    pub fn is_going(&self) -> bool {
        lock::is_held(&self.path.join(JOURNAL_FILE))
    }
}

/// What came of checking all runs and how they follow each other.
#[derive(Debug, Default)]
pub struct ChainState {
    /// The latest first, as they follow each other.
    pub runs: Vec<RunState>,
    /// What is missing or changed between them, each in a sentence.
    pub problems: Vec<String>,
}

/// What came of checking one of them.
#[derive(Debug)]
pub struct RunState {
    pub folder: RunFolder,
    /// Whether it names the run before it; one of before the chain began does not.
    pub chained: bool,
    /// A process writes it now.
    pub going: bool,
    pub verified: Result<Verified, JournalError>,
}

/// All the runs in a state folder. Failed and aborted ones stay too.
#[derive(Clone, Debug)]
pub struct Runs {
    state: PathBuf,
    dir: PathBuf,
}

impl Runs {
    pub fn new(state_dir: &Path) -> Self {
        Runs {
            state: state_dir.to_owned(),
            dir: state_dir.join("runs"),
        }
    }

    /// Begins a run: makes its folder under a new id, and chains it to the run before it. `random`
    /// gives random bits.
    pub fn create(
        &self,
        clock: Arc<dyn Clock>,
        random: impl FnMut() -> u32,
    ) -> Result<(String, JournalWriter), RunsError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.dir)
            .map_err(|e| JournalError::io("making the folder for runs", &self.dir, e))?;
        // Held until this returns: two that begin at once follow each other.
        let _lock = self.lock_chain()?;
        let runs = self.list()?;
        let (id, mut writer) = self.make(clock, random)?;
        self.chain(&id, &runs, &mut writer)?;
        Ok((id, writer))
    }

    /// Writes a run's first line, and that it is the last. Call it with the chain's lock held.
    fn chain(
        &self,
        id: &str,
        runs: &[RunFolder],
        writer: &mut JournalWriter,
    ) -> Result<(), JournalError> {
        let former = chain::next_link(&self.state, runs)?;
        writer.append(&Event::Chained { former })?;
        let head = Head {
            run: id.to_owned(),
            first_line: writer.last_hash().to_owned(),
        };
        chain::write_head(&self.state, &head)
    }

    fn lock_chain(&self) -> Result<std::fs::File, JournalError> {
        let path = self.state.join(chain::LOCK_FILE);
        let failed = |e| JournalError::io("locking", &path, e);
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        file.lock().map_err(failed)?;
        Ok(file)
    }

    fn make(
        &self,
        clock: Arc<dyn Clock>,
        mut random: impl FnMut() -> u32,
    ) -> Result<(String, JournalWriter), RunsError> {
        let mut tries = 0;
        loop {
            let id = new_run_id(clock.now(), random());
            match JournalWriter::create(&self.dir.join(&id), clock.clone()) {
                Ok(writer) => return Ok((id, writer)),
                Err(JournalError::Io { source, .. })
                    if source.kind() == std::io::ErrorKind::AlreadyExists && tries < 16 =>
                {
                    tries += 1;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Takes up a run whose process has died: which one it is, and its journal. See
    /// [`JournalWriter::resume`]. One that died before its first line joins the chain now.
    pub fn resume(
        &self,
        wanted: &str,
        clock: Arc<dyn Clock>,
    ) -> Result<(RunFolder, JournalWriter), RunsError> {
        let folder = self.find(wanted)?;
        let writer = JournalWriter::resume(&folder.path, clock, |writer| {
            let _lock = self.lock_chain()?;
            Ok::<_, RunsError>(self.chain(&folder.id, &self.list()?, writer)?)
        })?;
        Ok((folder, writer))
    }

    /// Checks every run, and that none is missing between them.
    pub fn verify(&self, trusted: &Trusted) -> Result<ChainState, RunsError> {
        // No run is begun while it is looked what there is; afterwards nobody has to wait. An
        // auditor's copy may have no lock, and be read-only.
        let lock = std::fs::File::open(self.state.join(chain::LOCK_FILE)).ok();
        let lock = lock.inspect(|file| drop(file.lock_shared()));
        let head = chain::read_head(&self.state);
        let folders = self.list()?;
        let mut places = BTreeMap::new();
        for folder in &folders {
            let place = Place {
                link: chain::link_in(&folder.path),
                ..Place::default()
            };
            places.insert(folder.id.clone(), place);
        }
        drop(lock);
        // Of a long journal, only the lines that somebody vouches for are kept.
        let mut wanted: BTreeMap<String, BTreeSet<u64>> = BTreeMap::new();
        for link in places
            .values()
            .filter_map(|place| place.link.as_ref()?.as_ref())
        {
            let lines = wanted.entry(link.run.clone()).or_default();
            lines.extend(link.line);
        }
        let mut state = ChainState::default();
        for folder in folders {
            let going = folder.is_going();
            let place = places.entry(folder.id.clone()).or_default();
            let lines = wanted.get(&folder.id);
            let verified = verify_lines(&folder.path, trusted, |number, hash| {
                if number == 1 || lines.is_some_and(|lines| lines.contains(&number)) {
                    place.lines.insert(number, hash.to_owned());
                }
            });
            place.manifest = std::fs::read(folder.path.join(MANIFEST_FILE))
                .ok()
                .map(|bytes| sha256(&bytes));
            state.runs.push(RunState {
                chained: place.link.is_some(),
                going,
                verified,
                folder,
            });
        }
        let order: BTreeMap<&str, usize> = chain::in_order(&places)
            .into_iter()
            .enumerate()
            .map(|(at, id)| (id, at))
            .collect();
        (state.runs).sort_by_key(|run| std::cmp::Reverse(order.get(run.folder.id.as_str())));
        state.problems = chain::judge(&places, &head);
        Ok(state)
    }

    /// All of them, the latest first. No folder at all is no run.
    pub fn list(&self) -> Result<Vec<RunFolder>, RunsError> {
        let entries = match std::fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(JournalError::io("listing", &self.dir, e).into()),
        };
        let mut runs = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|e| JournalError::io("listing", &self.dir, e))?;
            let id = entry.file_name().to_string_lossy().into_owned();
            if is_run_id(&id) {
                runs.push(RunFolder {
                    id,
                    path: entry.path(),
                });
            }
        }
        runs.sort_by(|a, b| b.cmp(a));
        Ok(runs)
    }

    /// The run that is meant: `latest`, a whole id, a beginning of one, or its last four
    /// characters.
    pub fn find(&self, wanted: &str) -> Result<RunFolder, RunsError> {
        let mut runs = self.list()?;
        if runs.is_empty() {
            return Err(RunsError::NoRuns {
                dir: self.dir.display().to_string(),
            });
        }
        if wanted == "latest" {
            // Of those of one second, the chain knows which came last.
            let head = chain::read_head(&self.state).ok().flatten();
            let at = runs
                .iter()
                .position(|run| head.as_ref().is_some_and(|head| head.run == run.id));
            return Ok(runs.swap_remove(at.unwrap_or(0)));
        }
        let means = |run: &RunFolder| {
            !wanted.is_empty()
                && (run.id.starts_with(wanted)
                    || run.id.rsplit('-').next().is_some_and(|tail| tail == wanted))
        };
        let (mut found, others): (Vec<_>, Vec<_>) = runs.into_iter().partition(means);
        match found.len() {
            0 => Err(RunsError::NotFound {
                wanted: crate::shell::clean(wanted, 60),
                nearest: others
                    .into_iter()
                    .map(|run| (strsim::osa_distance(&run.id, wanted), run.id))
                    .filter(|(distance, _)| *distance <= 4)
                    .min()
                    .map(|(_, id)| id),
            }),
            1 => Ok(found.swap_remove(0)),
            _ => Err(RunsError::Ambiguous {
                wanted: wanted.to_owned(),
                runs: found.into_iter().map(|run| run.id).collect(),
            }),
        }
    }
}

/// `YYYYMMDD-HHMMSS-xxxx`.
pub(super) fn is_run_id(name: &str) -> bool {
    let fits = |c: char, shape: char| match shape {
        '0' => c.is_ascii_digit(),
        'x' => c.is_ascii_lowercase() || ('2'..='7').contains(&c),
        _ => c == shape,
    };
    const SHAPE: &str = "00000000-000000-xxxx";
    name.len() == SHAPE.len() && name.chars().zip(SHAPE.chars()).all(|(c, s)| fits(c, s))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::tests::clock;

    fn env(pairs: &'static [(&str, &str)]) -> impl Fn(&str) -> Option<OsString> {
        move |name| {
            pairs
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| value.into())
        }
    }

    #[test]
    fn the_state_folder_follows_the_environment() {
        let all = &[
            ("SEAWALL_STATE_DIR", "/s"),
            ("XDG_STATE_HOME", "/x"),
            ("HOME", "/h"),
        ];
        assert_eq!(state_dir(env(all)).unwrap(), Path::new("/s"));
        let xdg = &[
            ("SEAWALL_STATE_DIR", ""),
            ("XDG_STATE_HOME", "/x"),
            ("HOME", "/h"),
        ];
        assert_eq!(state_dir(env(xdg)).unwrap(), Path::new("/x/seawall"));
        let home = &[("XDG_STATE_HOME", "relative"), ("HOME", "/h")];
        assert_eq!(
            state_dir(env(home)).unwrap(),
            Path::new("/h/.local/state/seawall")
        );
        assert!(state_dir(env(&[])).is_err());
    }

    #[test]
    fn ids_sort_by_time_and_are_recognized() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let id = new_run_id(at("2026-11-20T07:35:14.9Z"), 0);
        assert_eq!(id, "20261120-073514-aaaa");
        assert_eq!(
            new_run_id(at("2026-11-20T07:35:14Z"), u32::MAX),
            "20261120-073514-7777"
        );
        assert!(is_run_id(&id));
        for other in ["", "20261120-073514-AAAA", "x", "20261120-073514-aaaaa"] {
            assert!(!is_run_id(other), "{other}");
        }
    }

    #[test]
    fn runs_are_found_by_what_a_person_types() {
        let state = tempfile::tempdir().unwrap();
        let runs = Runs::new(state.path());
        assert!(matches!(runs.find("latest"), Err(RunsError::NoRuns { .. })));
        let mut bits = 0;
        let mut ids = Vec::new();
        for _ in 0..3 {
            let (id, _) = runs
                .create(clock(), || {
                    bits += 1;
                    bits
                })
                .unwrap();
            ids.push(id);
        }
        assert_eq!(runs.find("latest").unwrap().id, ids[2]);
        assert_eq!(runs.find(&ids[0]).unwrap().id, ids[0]);
        assert_eq!(runs.find("caaa").unwrap().id, ids[1]);
        assert!(matches!(
            runs.find("2026"),
            Err(RunsError::Ambiguous { runs, .. }) if runs.len() == 3
        ));
        let near = runs.find("20261120-073514-cbaa").unwrap_err();
        assert!(
            near.to_string().contains("is it 20261120-073514-"),
            "{near}"
        );
        assert!(matches!(runs.find(""), Err(RunsError::NotFound { .. })));
    }

    #[test]
    fn an_id_that_is_taken_is_not_used_again() {
        let state = tempfile::tempdir().unwrap();
        let runs = Runs::new(state.path());
        let mut bits = [5, 5, 6].into_iter();
        let (first, _) = runs.create(clock(), || bits.next().unwrap()).unwrap();
        let (second, _) = runs.create(clock(), || bits.next().unwrap()).unwrap();
        assert_ne!(first, second);
    }
}
