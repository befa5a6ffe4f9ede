//! Runs are chained too, so that a run that was taken away shows.
//!
//! The first event of each run (`chained`) names the run that was begun before it in the same state
//! folder, and bears a hash of it as it stood then:
//!
//! - of its manifest, where it was sealed: all of it;
//! - of its journal's last whole line, where it had died: all of the journal up to there;
//! - of its journal's first line, where it was still going: that it was there, and what came before
//!   it. (Of two runs at once, the later one cannot vouch for what the earlier has yet to write; its
//!   own seal does.)
//!
//! `chain.json` in the state folder names the run that was begun last: no later run speaks for that
//! one yet. `chain.lock` is held while a run is begun, so that two at once follow each other.
//!
//! What this does not prove: who may write the state folder may write a chain anew. A signed run
//! vouches for all before it; keeping a report's hash elsewhere vouches for that run.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Write;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::runs::is_run_id;
use super::{
    Event, JOURNAL_FILE, JournalError, JournalReader, MANIFEST_FILE, NO_FORMER_LINE, RunFolder,
    lock, sha256,
};

pub(super) const HEAD_FILE: &str = "chain.json";
pub(super) const LOCK_FILE: &str = "chain.lock";

/// A run as it stood when the next one was begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Link {
    /// Its id.
    pub run: String,
    /// Which line of its journal the hash is of; 0 where there was none. `None`: of its manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    pub sha256: String,
}

/// The run that was begun last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Head {
    pub run: String,
    /// Of its journal's first line.
    pub first_line: String,
}

/// What is known of one run's place in the chain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// `None`: it has no link; `Some(None)`: it says that it is the first.
    pub link: Option<Option<Link>>,
    /// The journal's lines: how many, and the hashes of those that were asked for.
    pub lines: BTreeMap<u64, String>,
    pub manifest: Option<String>,
}

/// What is wrong with a chain, each in a sentence. `head`: see [`Head`]; `Err`: it is there and
/// cannot be read.
pub(super) fn judge(
    runs: &BTreeMap<String, Place>,
    head: &Result<Option<Head>, String>,
) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut followers: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut firsts = Vec::new();
    for (id, place) in runs {
        match &place.link {
            None => {}
            Some(None) => firsts.push(id.as_str()),
            Some(Some(link)) => {
                followers.entry(&link.run).or_default().push(id);
                if let Some(problem) = against(link, runs.get(&link.run)) {
                    wrong.push(format!("{problem}; run {id} came after it and says so"));
                }
            }
        }
    }
    let chained: Vec<&str> = (runs.iter())
        .filter(|(_, place)| place.link.is_some())
        .map(|(id, _)| id.as_str())
        .collect();
    // Ids sort by time. One without a line died while it was begun.
    for (id, place) in runs {
        let late = chained.first().is_some_and(|first| id.as_str() > *first);
        if place.link.is_none() && late && place.lines.contains_key(&1) {
            wrong.push(format!(
                "run {id} names no run before it, though the chain had begun"
            ));
        }
    }
    for (former, later) in &followers {
        if later.len() > 1 {
            wrong.push(format!("{} all follow run {former}", later.join(", ")));
        }
    }
    if firsts.len() > 1 {
        wrong.push(format!(
            "{} all say that they are the first",
            firsts.join(", ")
        ));
    }
    let newest = match head {
        Ok(Some(head)) => {
            if !runs.contains_key(&head.run) {
                wrong.push(format!("run {} is missing; it was the last", head.run));
            } else if let Some(found) = runs.get(&head.run).and_then(|place| place.lines.get(&1))
                && *found != head.first_line
            {
                wrong.push(format!(
                    "run {} is not the one that was begun last",
                    head.run
                ));
            }
            Some(head.run.as_str())
        }
        Ok(None) if chained.is_empty() => None,
        Ok(None) => {
            wrong.push(format!(
                "{HEAD_FILE} is missing: whether a run after the last one was taken away is not \
                 known"
            ));
            None
        }
        Err(why) => {
            wrong.push(format!("{HEAD_FILE} cannot be read: {why}"));
            None
        }
    };
    wrong.extend(gaps(runs, &followers, &chained, newest));
    wrong
}

/// Each stretch of the chain must end in the newest run; where one ends elsewhere, what followed is
/// missing.
fn gaps(
    runs: &BTreeMap<String, Place>,
    followers: &BTreeMap<&str, Vec<&str>>,
    chained: &[&str],
    newest: Option<&str>,
) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for tip in chained.iter().filter(|id| !followers.contains_key(**id)) {
        let mut at = Some(*tip);
        let mut holds_newest = newest.is_none() && chained.last() == Some(tip);
        while let Some(id) = at.filter(|id| seen.insert(*id)) {
            holds_newest |= Some(id) == newest;
            at = runs
                .get(id)
                .and_then(|place| place.link.as_ref()?.as_ref())
                .map(|link| link.run.as_str());
        }
        if !holds_newest {
            wrong.push(format!("what followed run {tip} is missing"));
        }
    }
    let round: Vec<&str> = (chained.iter())
        .filter(|id| !seen.contains(**id))
        .copied()
        .collect();
    if !round.is_empty() {
        wrong.push(format!("{} follow each other in a ring", round.join(", ")));
    }
    wrong
}

/// All of them, the earliest first: as they follow each other, elsewhere as their ids sort. (Ids of
/// one second say nothing about their order, nor do those of a clock that was set back.)
pub(super) fn in_order(runs: &BTreeMap<String, Place>) -> Vec<&str> {
    let mut out = Vec::new();
    let mut done = BTreeSet::new();
    for id in runs.keys() {
        // From here back to the first that is not yet there.
        let mut back = Vec::new();
        let mut at = Some(id.as_str());
        while let Some((id, place)) = at.and_then(|id| runs.get_key_value(id))
            && done.insert(id.as_str())
        {
            back.push(id.as_str());
            at = (place.link.as_ref())
                .and_then(|link| link.as_ref())
                .map(|link| link.run.as_str());
        }
        out.extend(back.into_iter().rev());
    }
    out
}

/// What is wrong with a former run, as its follower saw it.
fn against(link: &Link, former: Option<&Place>) -> Option<String> {
    let run = crate::shell::clean(&link.run, 40);
    let Some(former) = former else {
        return Some(format!("run {run} is missing"));
    };
    match link.line {
        None => match &former.manifest {
            None => Some(format!("run {run} was sealed, and its manifest is missing")),
            Some(found) if *found != link.sha256 => {
                Some(format!("run {run} was changed: its manifest is another"))
            }
            Some(_) => None,
        },
        Some(0) => None,
        Some(line) => match former.lines.get(&line) {
            None => Some(format!("run {run} was cut off: line {line} is missing")),
            Some(found) if *found != link.sha256 => {
                Some(format!("run {run} was changed up to line {line}"))
            }
            Some(_) => None,
        },
    }
}

/// The link of the first event. `None`: the run has none, or nothing at all.
pub(super) fn link_in(dir: &Path) -> Option<Option<Link>> {
    let first = JournalReader::open(dir).ok()?.next()?.ok()?;
    match first.event {
        Event::Chained { former } => Some(former),
        _ => None,
    }
}

/// What the next run's first event says. Call it with the chain's lock held.
pub(super) fn next_link(state: &Path, runs: &[RunFolder]) -> Result<Option<Link>, JournalError> {
    // A head that cannot be read is `verify`'s to tell; runs go on from what is there.
    let head = read_head(state).ok().flatten();
    let links: BTreeMap<&str, Option<Link>> = runs
        .iter()
        .filter_map(|run| Some((run.id.as_str(), link_in(&run.path)?)))
        .collect();
    let mut tip = head.as_ref().map(|head| head.run.as_str());
    if tip.is_none() {
        let named: BTreeSet<&str> = (links.values().flatten())
            .map(|link| link.run.as_str())
            .collect();
        tip = links.keys().rfind(|id| !named.contains(**id)).copied();
    }
    // What follows the head: its process died before it was the head itself. Its id may sort before
    // the head's, where both are of one second or the clock was set back.
    let mut left = links.len();
    while let Some((id, _)) = links
        .iter()
        .find(|(_, link)| link.as_ref().map(|link| link.run.as_str()) == tip && tip.is_some())
        .filter(|_| left > 0)
    {
        tip = Some(id);
        left -= 1;
    }
    let Some(tip) = tip else {
        return Ok(None);
    };
    match runs.iter().find(|run| run.id == tip) {
        Some(run) => link_of(run).map(Some),
        // It was taken away: that it was there is kept.
        None => Ok(head.map(|head| Link {
            run: head.run,
            line: Some(1),
            sha256: head.first_line,
        })),
    }
}

/// A run as it stands now.
fn link_of(run: &RunFolder) -> Result<Link, JournalError> {
    let manifest = run.path.join(MANIFEST_FILE);
    if manifest.exists() {
        let bytes =
            std::fs::read(&manifest).map_err(|e| JournalError::io("reading", &manifest, e))?;
        return Ok(Link {
            run: run.id.clone(),
            line: None,
            sha256: sha256(&bytes),
        });
    }
    let going = lock::is_held(&run.path.join(JOURNAL_FILE));
    let (mut line, mut hash) = (0, NO_FORMER_LINE.to_owned());
    if let Ok(mut reader) = JournalReader::open(&run.path) {
        // Up to what holds: the rest is told when the run is verified.
        while let Some(Ok(_)) = reader.next() {
            line = reader.lines();
            hash = reader.last_hash().to_owned();
            if going {
                break;
            }
        }
    }
    Ok(Link {
        run: run.id.clone(),
        line: Some(line),
        sha256: hash,
    })
}

/// `Err`: it is there and is not one of ours.
pub(super) fn read_head(state: &Path) -> Result<Option<Head>, String> {
    const LARGEST: u64 = 4096;
    let path = state.join(HEAD_FILE);
    let mut text = Vec::new();
    match File::open(&path) {
        Ok(file) => {
            use std::io::Read;
            file.take(LARGEST)
                .read_to_end(&mut text)
                .map_err(|e| e.to_string())?;
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e.to_string()),
    }
    let head: Head = serde_json::from_slice(&text).map_err(|e| e.to_string())?;
    if !is_run_id(&head.run) {
        return Err("it names no run".into());
    }
    Ok(Some(head))
}

pub(super) fn write_head(state: &Path, head: &Head) -> Result<(), JournalError> {
    let path = state.join(HEAD_FILE);
    let failed = |e| JournalError::io("writing", &path, e);
    let mut text = serde_json::to_vec(head).unwrap_or_default();
    text.push(b'\n');
    let mut file = tempfile::Builder::new()
        .prefix(".chain-")
        .tempfile_in(state)
        .map_err(failed)?;
    file.write_all(&text).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(&path).map_err(|e| failed(e.error))?;
    Ok(())
}

#[cfg(test)]
mod tests;
