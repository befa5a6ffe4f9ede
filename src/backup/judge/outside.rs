//! What is judged without a key: what the stores list, the sidecars, the headers and the
//! ciphertext.

use std::collections::BTreeSet;

use jiff::SignedDuration;

use super::schedule::Schedule;
use super::{Facts, SKEW, Said, Seen, bare, some};
use crate::backup::age::Stanza;
use crate::backup::catalog::Vouched;
use crate::model::Status;
use crate::shell::clean;

/// Sizes of so many backups are a history; fewer than the second number are none.
const HISTORY: usize = 10;
const ENOUGH: usize = 3;
/// How much larger or smaller than usual a backup may be.
const FACTOR: u64 = 3;

/// `1d 2h`, `3h 10m`, `45s`.
fn age_words(seconds: i64) -> String {
    let seconds = seconds.max(0);
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, m) => format!("{m}m"),
        (0, h, m) => format!("{h}h {m}m"),
        (d, h, _) => format!("{d}d {h}h"),
    }
}

pub(super) fn present(facts: &Facts, seen: &Seen) -> Said {
    let expected = "a backup of this source";
    let whole = seen
        .all
        .iter()
        .filter(|(_, copies)| {
            copies
                .iter()
                .any(|(_, b)| !matches!(b.vouched, Vouched::Nobody(_)))
        })
        .count();
    if whole == 0 {
        return seen.unknown(expected, seen.nothing());
    }
    let newest = seen.newest().map_or(String::new(), |(_, name)| {
        let stores: Vec<&str> = seen
            .copies(name)
            .iter()
            .map(|(h, _)| h.store.as_str())
            .collect();
        format!("; the newest, {name}, in {}", stores.join(", "))
    });
    let said = Said::new(
        Status::Pass,
        expected,
        format!("{whole} in {} stores{newest}", facts.held.len()),
    );
    match seen.unasked.is_empty() {
        true => said,
        false => said.because(format!("not asked: {}", seen.unasked.join("; "))),
    }
}

pub(super) fn on_schedule(facts: &Facts, seen: &Seen) -> Said {
    let source = facts.source;
    let zone = facts.policy.time_zone.as_deref().unwrap_or("UTC");
    let expected = format!(
        "made as scheduled (`{}`, {zone}), {} late at most",
        source.schedule, source.grace
    );
    let schedule = match Schedule::new(&source.schedule, zone) {
        Ok(schedule) => schedule,
        Err(why) => return Said::new(Status::Unknown, expected, "not known").because(why),
    };
    let grace = i64::try_from(source.grace.0.as_secs()).unwrap_or(i64::MAX);
    let Some(due) = schedule.last_before(facts.now, grace) else {
        return Said::new(Status::Unknown, expected, "not known")
            .because("the schedule has never come round");
    };
    match seen.newest() {
        None => seen.unknown(expected, seen.nothing()),
        Some((time, _)) if time.as_second().saturating_add(SKEW) >= due.as_second() => Said::new(
            Status::Pass,
            expected,
            format!("the newest is of {time}, due {due}"),
        ),
        Some((time, _)) => seen.unknown(
            expected,
            format!("missed: one was due {due}, and the newest is of {time}"),
        ),
    }
}

pub(super) fn fresh(facts: &Facts, seen: &Seen) -> Said {
    let expected = format!("data no older than {}", facts.source.rpo);
    let Some((time, _)) = seen.newest() else {
        return seen.unknown(expected, seen.nothing());
    };
    let old = facts.now.as_second().saturating_sub(time.as_second());
    let limit = i64::try_from(facts.source.rpo.0.as_secs()).unwrap_or(i64::MAX);
    let actual = format!("{} old: the newest data is of {time}", age_words(old));
    match old <= limit {
        true => Said::new(Status::Pass, expected, actual),
        false => seen.unknown(expected, actual),
    }
}

pub(super) fn size_plausible(seen: &Seen) -> Said {
    let expected = format!(
        "something is in it, and its size is between 1/{FACTOR} and {FACTOR} times the median of \
         the last {HISTORY}"
    );
    let Some((_, newest)) = seen.newest() else {
        return Said::new(Status::Unknown, expected, seen.nothing());
    };
    let size = |name: &str| seen.sidecar(name).map_or(0, |sidecar| sidecar.size);
    if let Some(sidecar) = seen.sidecar(newest)
        && (sidecar.bytes == 0 || sidecar.files == 0)
    {
        let actual = format!("{} files, {} bytes in it", sidecar.files, sidecar.bytes);
        return Said::new(Status::Fail, expected, actual);
    }
    let mut former: Vec<u64> = seen
        .vouched
        .iter()
        .rev()
        .skip(1)
        .take(HISTORY)
        .map(|(_, name)| size(name))
        .collect();
    former.sort_unstable();
    let is = size(newest);
    let Some(median) = former
        .get(former.len() / 2)
        .filter(|_| former.len() >= ENOUGH)
    else {
        // What has no history yet cannot differ from it; that none is missing is `kept`'s to say.
        return Said::new(Status::NotApplicable, expected, format!("{is} bytes")).because(format!(
            "the history is too short to say: {} before this one, and {ENOUGH} are needed",
            former.len()
        ));
    };
    let plausible = is.saturating_mul(FACTOR) >= *median && is <= median.saturating_mul(FACTOR);
    let actual = format!(
        "{is} bytes; the median of the {} before is {median}",
        former.len()
    );
    Said::pass_or_fail(plausible, expected, actual)
}

pub(super) fn signed(facts: &Facts, seen: &Seen) -> Said {
    let expected = "every backup vouched for by a key that counts";
    let mut wrong: Vec<String> = Vec::new();
    let mut count = 0;
    for held in facts.held {
        for backup in held.backups.iter().flatten() {
            count += 1;
            if let Some(why) = backup.vouched.why_not() {
                wrong.push(format!("{} in {}: {why}", backup.name, held.store));
            }
        }
    }
    wrong.extend(
        seen.future
            .iter()
            .map(|name| format!("{name}: it is from the future")),
    );
    if !wrong.is_empty() {
        let told: Vec<&str> = wrong.iter().map(String::as_str).collect();
        return Said::new(Status::Fail, expected, some(&told));
    }
    if count == 0 || !seen.unasked.is_empty() {
        return Said::new(Status::Unknown, expected, format!("{count} seen")).because(
            match seen.unasked.is_empty() {
                true => seen.nothing(),
                false => format!("not asked: {}", seen.unasked.join("; ")),
            },
        );
    }
    let by: BTreeSet<&str> = seen
        .all
        .values()
        .flatten()
        .filter_map(|(_, backup)| match &backup.vouched {
            Vouched::Signed(_, by) => Some(by.as_str()),
            _ => None,
        })
        .collect();
    let by: Vec<&str> = by.into_iter().collect();
    Said::new(
        Status::Pass,
        expected,
        format!("{count} of {count}, by {}", some(&by)),
    )
}

pub(super) fn encrypted_to(facts: &Facts, seen: &Seen) -> Said {
    let demanded: BTreeSet<String> = match facts.policy.passphrase_env {
        Some(_) => ["passphrase".to_owned()].into(),
        None => facts.policy.recipients.iter().map(|r| bare(r)).collect(),
    };
    let expected = match facts.policy.passphrase_env {
        Some(_) => "encrypted with a passphrase, and to nobody".to_owned(),
        None => format!("encrypted to these {} and nobody else", demanded.len()),
    };
    let Some((_, newest)) = seen.newest() else {
        return Said::new(Status::Unknown, expected, seen.nothing());
    };
    let wanted = match &facts.expected {
        Ok(wanted) => wanted,
        Err(why) => return Said::new(Status::Unknown, expected, "not known").because(why.clone()),
    };
    let mut wrong = Vec::new();
    let mut unread = Vec::new();
    let mut kinds = String::new();
    for looked in facts.looked {
        match &looked.header {
            Ok(header) => {
                kinds = header.kinds();
                if let Err(why) = fits(&header.stanzas, wanted) {
                    wrong.push(format!("{} in {}: {why}", looked.name, looked.store));
                }
            }
            Err(why) => unread.push(format!("{}: {why}", looked.store)),
        }
    }
    if let Some(sidecar) = seen.sidecar(newest) {
        let said: BTreeSet<String> = sidecar.recipients.iter().map(|r| bare(r)).collect();
        let list = |set: Vec<&String>| {
            set.iter()
                .map(|r| clean(r, 90))
                .collect::<Vec<_>>()
                .join(", ")
        };
        let missing: Vec<&String> = demanded.difference(&said).collect();
        let extra: Vec<&String> = said.difference(&demanded).collect();
        if !missing.is_empty() {
            wrong.push(format!("{newest} is not encrypted to {}", list(missing)));
        }
        if !extra.is_empty() {
            wrong.push(format!(
                "{newest} is encrypted to others too: {}",
                list(extra)
            ));
        }
    }
    if !wrong.is_empty() {
        return Said::new(Status::Fail, expected, wrong.join("; "));
    }
    if !unread.is_empty() || kinds.is_empty() {
        return Said::new(Status::Unknown, expected, "the header was not read")
            .because(unread.join("; "));
    }
    let mut actual = format!("{kinds}, as its signed sidecar says");
    if wanted.iter().any(|stanza| stanza.kind == "X25519") {
        actual.push_str("; whose the X25519 ones are, no header says without the key");
    }
    Said::new(Status::Pass, expected, actual)
}

/// Whether a header holds what is wanted and nothing else.
fn fits(stanzas: &[Stanza], wanted: &[Stanza]) -> Result<(), String> {
    let mut left: Vec<&Stanza> = stanzas.iter().collect();
    let mut plugins = 0;
    for want in wanted {
        if want.kind == "plugin" {
            // What a plugin calls its own is the plugin's affair.
            plugins += 1;
            continue;
        }
        let tag = want.args.first();
        let at = left.iter().position(|stanza| {
            stanza.kind == want.kind && (tag.is_none() || stanza.args.first() == tag)
        });
        match at {
            Some(at) => drop(left.swap_remove(at)),
            None => {
                return Err(format!(
                    "no {} recipient of those demanded is in it",
                    want.kind
                ));
            }
        }
    }
    let known = ["X25519", "scrypt", "ssh-ed25519", "ssh-rsa"];
    let foreign = left
        .iter()
        .filter(|s| !known.contains(&s.kind.as_str()))
        .count();
    match left.len() {
        n if n == plugins && foreign == n => Ok(()),
        n if n < plugins => Err("a plugin's recipient is not in it".to_owned()),
        n => Err(format!("{} recipients too many", n - plugins.min(n))),
    }
}

pub(super) fn hash(facts: &Facts, seen: &Seen) -> Said {
    let expected = "the ciphertext as it was when it was made (SHA-256)";
    let mut wrong = Vec::new();
    let mut unknown = Vec::new();
    let mut right = 0;
    for looked in facts.looked {
        let place = format!("{} in {}", looked.name, looked.store);
        match (&looked.sha256, seen.sidecar(&looked.name)) {
            (Err(why), _) => unknown.push(format!("{place}: {why}")),
            (Ok(_), None) => unknown.push(format!("{place}: nobody vouches for what it should be")),
            (Ok(is), Some(sidecar)) if *is == sidecar.sha256 => right += 1,
            (Ok(is), Some(sidecar)) => wrong.push(format!(
                "{place}: {}… and should be {}…",
                clean(is, 12),
                clean(&sidecar.sha256, 12)
            )),
        }
    }
    let list = |all: &[String]| some(&all.iter().map(String::as_str).collect::<Vec<_>>());
    if !wrong.is_empty() {
        return Said::new(Status::Fail, expected, list(&wrong));
    }
    if !unknown.is_empty() || right == 0 {
        let why = if unknown.is_empty() {
            seen.nothing()
        } else {
            list(&unknown)
        };
        return Said::new(Status::Unknown, expected, format!("{right} read and right"))
            .because(why);
    }
    Said::new(
        Status::Pass,
        expected,
        format!("{right} read to the end, all right"),
    )
}

pub(super) fn places(facts: &Facts, seen: &Seen) -> Said {
    let demanded = facts.source.places as usize;
    let expected = format!("the newest in {demanded} independent places, the same in each");
    let Some((_, newest)) = seen.newest() else {
        return seen.unknown(expected, seen.nothing());
    };
    let right = seen.sidecar(newest).map(|sidecar| sidecar.sha256.as_str());
    let (mut sure, mut possible, mut told) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    for held in facts.held {
        let there = held
            .backups
            .as_ref()
            .map(|all| all.iter().any(|b| b.name == newest));
        let looked = facts
            .looked
            .iter()
            .find(|looked| looked.store == held.store && looked.name == newest);
        let how = match (there, looked.map(|looked| &looked.sha256)) {
            (Ok(false), _) => "not there".to_owned(),
            (Ok(true), Some(Ok(is))) if Some(is.as_str()) == right => {
                sure.insert(held.place.as_str());
                possible.insert(held.place.as_str());
                "the same".to_owned()
            }
            (Ok(true), Some(Ok(_))) => "another".to_owned(),
            (Ok(true), Some(Err(why))) => {
                possible.insert(held.place.as_str());
                format!("not read: {why}")
            }
            (Ok(true), None) => {
                possible.insert(held.place.as_str());
                "not read".to_owned()
            }
            (Err(why), _) => {
                possible.insert(held.place.as_str());
                format!("not asked: {why}")
            }
        };
        told.push(format!("{} ({}): {how}", held.store, held.place));
    }
    let actual = format!(
        "{newest}: {} of {demanded}; {}",
        sure.len(),
        told.join("; ")
    );
    let status = match () {
        () if sure.len() >= demanded => Status::Pass,
        () if possible.len() >= demanded => Status::Unknown,
        () => Status::Fail,
    };
    let said = Said::new(status, expected, actual);
    match status {
        Status::Unknown => said.because("not every copy could be read"),
        _ => said,
    }
}

pub(super) fn kept(facts: &Facts, seen: &Seen) -> Said {
    let keep = &facts.source.keep;
    let mut expected = format!("{} at least", keep.at_least);
    if let Some(days) = keep.days {
        expected = format!("{expected}, and every scheduled one of the last {days} days");
    }
    let count = seen.vouched.len();
    if count < keep.at_least as usize {
        return seen.unknown(expected, format!("{count} that count"));
    }
    let Some((days, (first, _))) = keep.days.zip(seen.vouched.first().copied()) else {
        return Said::new(Status::Pass, expected, format!("{count}"));
    };
    let zone = facts.policy.time_zone.as_deref().unwrap_or("UTC");
    let schedule = match Schedule::new(&facts.source.schedule, zone) {
        Ok(schedule) => schedule,
        Err(why) => return Said::new(Status::Unknown, expected, "not known").because(why),
    };
    let days_ago = facts
        .now
        .checked_sub(SignedDuration::from_hours(24 * i64::from(days)))
        .unwrap_or(first);
    let grace = i64::try_from(facts.source.grace.0.as_secs()).unwrap_or(i64::MAX);
    let times: Vec<i64> = seen
        .vouched
        .iter()
        .map(|(time, _)| time.as_second())
        .collect();
    match schedule.gaps(&times, days_ago.max(first), facts.now, grace, SKEW) {
        Err(why) => Said::new(Status::Unknown, expected, format!("{count}")).because(why),
        Ok(gaps) if gaps.is_empty() => Said::new(
            Status::Pass,
            expected,
            format!("{count}, the oldest of {first}"),
        ),
        Ok(gaps) => {
            let told: Vec<&str> = gaps.iter().map(String::as_str).collect();
            seen.unknown(
                expected,
                format!(
                    "{count}; none for {} scheduled: {}",
                    gaps.len(),
                    some(&told)
                ),
            )
        }
    }
}

pub(super) fn leftovers(facts: &Facts) -> Said {
    let expected = "nothing that a writer left half-made";
    let found: Vec<String> = facts
        .held
        .iter()
        .flat_map(|held| {
            held.leftovers
                .iter()
                .map(|name| format!("{name} in {}", held.store))
        })
        .collect();
    match found.len() {
        0 if facts.held.iter().any(|held| held.backups.is_err()) => {
            Said::new(Status::Unknown, expected, "not known").because("a store could not be asked")
        }
        0 => Said::new(Status::Pass, expected, "nothing"),
        _ => {
            let told: Vec<&str> = found.iter().map(String::as_str).collect();
            Said::new(Status::Fail, expected, some(&told))
                .because("it is no backup and takes room: remove it")
        }
    }
}
