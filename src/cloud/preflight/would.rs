//! The lines of `drill plan`: what is met, which points, what would be made, what it would cost.
//! Pure.

use super::fleet;
use super::sight::{ASSUMED, NOT_KNOWN, Sight};
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

pub fn lines(drill: &Drill, scratch: &AwsScratch, sight: &Sight) -> Vec<String> {
    let mut lines = Vec::new();
    let (met, unmet): (Vec<_>, Vec<_>) = sight.ready.checks.iter().partition(|(_, met, _)| *met);
    let (assumed, met): (Vec<_>, Vec<_>) =
        (met.into_iter()).partition(|(.., detail)| detail.starts_with(NOT_KNOWN));
    let all = unmet.len() + met.len() + assumed.len();
    lines.push(match (unmet.len(), assumed.len()) {
        (0, 0) => format!("all {all} needs are met"),
        (0, n) => format!("{} of {all} needs are met, and {n} assumed", met.len()),
        (n, _) => format!("{n} of {all} needs are NOT met"),
    });
    for (check, _, detail) in &unmet {
        lines.push(format!("  NOT MET  {check}: {detail}"));
    }
    for (check, _, detail) in &met {
        lines.push(format!("  met      {check}: {detail}"));
    }
    for (check, _, detail) in &assumed {
        lines.push(format!("  assumed  {check}: {detail}"));
    }
    let noted = sight.ready.preexisting.iter();
    for text in noted.filter(|text| !text.starts_with(ASSUMED)) {
        lines.push(format!("  noted    {text}"));
    }
    let made: Vec<String> = (fleet::made(drill).iter())
        .map(|(what, n)| format!("{n} × {what}"))
        .collect();
    lines.push(format!("would be made: {}", made.join(", ")));
    if let Some(zone) = &sight.zone {
        lines.push(format!("in the zone {}", clean(&zone.name, 40)));
    }
    let total: u64 = sight.found.iter().map(|(_, found)| found.point.size).sum();
    lines.push(format!(
        "would be restored: {} from {} recovery points",
        gib_shown(gib(total)),
        sight.found.len()
    ));
    lines.extend(cost(drill, scratch, sight));
    lines
}

/// What all of it costs, for the objective's time and for a day.
fn cost(drill: &Drill, scratch: &AwsScratch, sight: &Sight) -> Vec<String> {
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
            lines.push(format!(
                "would cost about {} for the {} of its RTO, and {} for each day that it is left \
                 ({source})",
                prices::shown(day * share),
                hours(rto.0.as_secs()),
                prices::shown(day)
            ));
        }
        None => lines.push(format!(
            "would cost about {} a day ({source})",
            prices::shown(day)
        )),
    }
    lines.push(
        "not in that sum: AWS Backup's charge for each restore, initialisation rates, requests, \
         traffic, and the copies that lie in the vault"
            .to_owned(),
    );
    if !unknown.is_empty() {
        unknown.dedup();
        lines.push(format!(
            "of unknown price, and not in that sum: {}",
            unknown.join(", ")
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
