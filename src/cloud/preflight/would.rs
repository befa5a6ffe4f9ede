//! The lines of `drill plan`: what is met, which points, what would be made, what it would cost.
//! Pure.

use jiff::Timestamp;

use super::fleet;
use super::sight::{ASSUMED, Sight};
use crate::cloud::points::Found;
use crate::cloud::prices::{self, Priced, per_day};
use crate::document::drill::aws::{AwsRestore, AwsScratch, Gateway};
use crate::document::drill::{Drill, Step};
use crate::shell::clean;

/// A recovery point in words: its data's time, its size, its ARN.
pub fn point(found: &Found) -> String {
    let note = &found.point.note;
    let data = match &note.data_time {
        Some(at) => format!("data of {at}"),
        None => "data of a time that is not known".to_owned(),
    };
    let copied =
        (note.copy_time.as_ref()).map_or(String::new(), |at| format!(", in the vault since {at}"));
    let size = match found.point.size {
        0 => "size not said".to_owned(),
        bytes => gib_shown(gib(bytes)),
    };
    format!("{data}{copied}, {size}, {}: {}", note.how, note.name)
}

fn gib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 30)
}

fn gib_shown(gib: f64) -> String {
    match gib {
        gib if gib < 0.1 => "under 0.1 GiB".to_owned(),
        gib => format!("{gib:.1} GiB"),
    }
}

/// A word of what the line is about (none: of the same as the line before), and the line.
pub type Line = (&'static str, String);

/// First what is amiss or not known, then what would come of it, and at last what is well.
pub fn lines(drill: &Drill, scratch: &AwsScratch, disaster: Timestamp, sight: &Sight) -> Vec<Line> {
    let checks = &sight.ready.checks;
    let (met, unmet): (Vec<_>, Vec<_>) = checks.iter().partition(|(_, met, _)| *met);
    let (assumed, met): (Vec<_>, Vec<_>) =
        (met.into_iter()).partition(|(name, ..)| sight.assumed.contains(name));
    let mut lines = vec![("needs", counted(met.len(), unmet.len(), assumed.len()))];
    let told = |(name, _, detail): &(String, bool, String)| format!("{name}: {detail}");
    lines.extend(unmet.into_iter().map(|one| ("NOT MET", told(one))));
    lines.extend(assumed.into_iter().map(|one| ("ASSUMED", told(one))));
    // What is assumed stands above already.
    let there = sight.ready.preexisting.iter();
    let there = there.filter(|text| !text.starts_with(ASSUMED));
    lines.extend(there.map(|text| ("noted", text.clone())));
    let made: Vec<String> = (fleet::made(drill).iter())
        .map(|(what, n)| format!("{n} × {what}"))
        .collect();
    lines.push(("makes", made.join(", ")));
    if let Some(zone) = &sight.zone {
        lines.push(("in", format!("the zone {}", clean(&zone.name, 40))));
        for (step, kind) in &zone.substituted {
            let (step, kind) = (clean(step, 80), clean(kind, 40));
            lines.push(("", format!("{step} as {kind}, which is a substitute")));
        }
    }
    lines.push(("restores", restored(sight)));
    lines.push(("data", oldest(drill, disaster, sight)));
    lines.extend(cost(drill, scratch, sight));
    lines.extend((sight.ready.not_enforced.iter()).map(|text| ("unproved", text.clone())));
    lines.extend(met.into_iter().map(|one| ("met", told(one))));
    lines
}

fn counted(met: usize, unmet: usize, assumed: usize) -> String {
    let all = met + unmet + assumed;
    let unknown = match assumed {
        0 => String::new(),
        n => format!("; {n} of {all} could not be asked, and would be ASSUMED"),
    };
    match unmet {
        0 if assumed == 0 => format!("all {all} are met"),
        0 => format!("{met} are met{unknown}"),
        n => format!("{n} of {all} are NOT met: the drill would be refused{unknown}"),
    }
}

fn restored(sight: &Sight) -> String {
    let total: u64 = sight.found.iter().map(|(_, found)| found.point.size).sum();
    let points = match sight.found.len() {
        1 => "1 recovery point".to_owned(),
        n => format!("{n} recovery points"),
    };
    format!("{} from {points}", gib_shown(gib(total)))
}

/// How old the data would be, which is what an RPO is compared with.
fn oldest(drill: &Drill, disaster: Timestamp, sight: &Sight) -> String {
    let mut ages: Vec<(i64, &str)> = Vec::new();
    let mut unknown = Vec::new();
    for (step, found) in &sight.found {
        let at = found.point.note.data_time.as_deref();
        match at.and_then(|text| text.parse::<Timestamp>().ok()) {
            Some(at) => ages.push((disaster.as_second() - at.as_second(), step)),
            None => unknown.push(clean(step, 80)),
        }
    }
    let mut said = match ages.into_iter().max() {
        None => "of no recovery point the data's time is known".to_owned(),
        Some((age, step)) => {
            let age = u64::try_from(age).unwrap_or(0);
            let compared = match drill.objectives.rpo {
                Some(rpo) if age > rpo.0.as_secs() => format!(", over the RPO of {rpo}"),
                Some(rpo) => format!(", within the RPO of {rpo}"),
                None => String::new(),
            };
            let step = clean(step, 80);
            format!("the oldest is {} old ({step}){compared}", hours(age))
        }
    };
    if !unknown.is_empty() {
        said.push_str(&format!("; of unknown time: {}", unknown.join(", ")));
    }
    said
}

/// What all of it costs, for the objective's time and for a day.
fn cost(drill: &Drill, scratch: &AwsScratch, sight: &Sight) -> Vec<Line> {
    let mut day = 0.0;
    let mut unknown: Vec<String> = Vec::new();
    for step in &drill.steps {
        let Some(aws) = &step.aws else { continue };
        for (what, times) in priced(step, aws, scratch, sight) {
            match per_day(&scratch.region, what) {
                Some(price) => day += price * times,
                None => unknown.push(format!("{} ({})", clean(&step.step, 80), named(what))),
            }
        }
    }
    let mut lines = Vec::new();
    let source = format!("AWS list prices of {}, rounded, without tax", prices::AS_OF);
    match drill.objectives.rto {
        Some(rto) => {
            let share = rto.0.as_secs_f64() / 86_400.0;
            let text = format!(
                "about {} if it takes its RTO of {rto}, and {} for each day that it is left \
                 ({source})",
                prices::shown(day * share),
                prices::shown(day)
            );
            lines.push(("costs", text));
        }
        None => lines.push((
            "costs",
            format!("about {} a day ({source})", prices::shown(day)),
        )),
    }
    lines.push((
        "",
        "not in that sum: AWS Backup's charge for each restore, initialisation rates, requests, \
         traffic, and the copies that lie in the vault"
            .to_owned(),
    ));
    if !unknown.is_empty() {
        unknown.dedup();
        let unknown = unknown.join(", ");
        lines.push((
            "",
            format!("of unknown price, and not in that sum: {unknown}"),
        ));
    }
    lines
}

fn hours(seconds: u64) -> String {
    match seconds {
        s if s < 3600 => format!("{} minutes", s / 60),
        s => format!("{:.1} hours", s as f64 / 3600.0),
    }
}

/// What a step makes that costs something, and how many of it.
fn priced<'a>(
    step: &Step,
    aws: &'a AwsRestore,
    scratch: &AwsScratch,
    sight: &'a Sight,
) -> Vec<(Priced<'a>, f64)> {
    let found = sight.found.iter().find(|(of, _)| *of == step.step);
    let size = gib(found.map_or(0, |(_, found)| found.point.size));
    let substitute = (sight.zone.as_ref())
        .and_then(|zone| zone.substituted.iter().find(|(of, _)| *of == step.step))
        .map(|(_, kind)| kind.as_str());
    let mut all = Vec::new();
    if let Some(kind) = fleet::volume_kind(aws) {
        all.push((Priced::Volume(kind, size), 1.0));
    }
    let machine = match (&aws.instance, &aws.fresh) {
        (Some(to), _) => Some((to.kind.as_str(), size)),
        // What the image says of its disk is not asked; 8 GiB are usual.
        (None, Some(fresh)) => Some((fresh.kind.as_str(), fresh.disk.map_or(8.0, f64::from))),
        (None, None) => None,
    };
    if let Some((kind, disk)) = machine {
        all.push((Priced::Instance(substitute.unwrap_or(kind)), 1.0));
        all.push((Priced::Volume("gp3", disk), 1.0));
        if scratch.network.gateway != Gateway::None {
            all.push((Priced::Address, 1.0));
        }
    }
    if let Some(rds) = &aws.rds {
        let class = rds.class.as_deref().unwrap_or("as it was");
        all.push((Priced::Database(class, size), 1.0));
    }
    if let Some(aurora) = &aws.aurora {
        all.push((Priced::Aurora(&aurora.class), f64::from(aurora.instances)));
        all.push((Priced::Cluster(size), 1.0));
    }
    if aws.s3.is_some() {
        all.push((Priced::Bucket(size), 1.0));
    }
    if aws.dynamodb.is_some() {
        all.push((Priced::Table(size), 1.0));
    }
    if aws.efs.is_some() {
        all.push((Priced::FileSystem(size), 1.0));
    }
    all
}

fn named(what: Priced<'_>) -> String {
    match what {
        Priced::Instance(kind) | Priced::Volume(kind, _) => clean(kind, 40),
        Priced::Database(class, _) => format!("database class {}", clean(class, 40)),
        Priced::Aurora(class) => format!("Aurora class {}", clean(class, 40)),
        _ => "this region".to_owned(),
    }
}
