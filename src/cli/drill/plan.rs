//! `seawall drill plan FILE`

use std::fmt::Write;
use std::path::Path;

use jiff::Timestamp;

use super::load::{self, Means};
use crate::cli::say;
use crate::document::drill::aws::{AwsRestore, AwsScratch, Gateway, VolumeBy, Wait};
use crate::document::drill::{Objectives, Step};
use crate::drill::local::LocalProvider;
use crate::drill::plan::{Plan, kind, what};
#[cfg(feature = "aws")]
use crate::report::words::wrap;
use crate::shell::clean;

pub fn run(file: &Path) -> anyhow::Result<u8> {
    let plan = load::plan(file)?;
    let disaster = plan.disaster()?.unwrap_or_else(Timestamp::now);
    match load::means(&plan, load::no_identities()?)? {
        Means::Local(provider) => {
            say(&told(&plan, disaster, |step| {
                Some(point(&provider, step, disaster))
            }))?;
        }
        #[cfg(feature = "aws")]
        Means::Aws(provider) => {
            say(&told(&plan, disaster, |_| None))?;
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .thread_stack_size(super::carry::STACK)
                .enable_all()
                .build()?;
            say(&in_aws(&runtime.block_on(provider.would(&plan))))?;
        }
    }
    say("\nNothing was written. `seawall drill run` carries it out.\n")?;
    Ok(0)
}

/// What AWS was asked, as a person reads it.
#[cfg(feature = "aws")]
fn in_aws(lines: &[(&str, String)]) -> String {
    const HANG: usize = 12;
    let mut out = String::from("\nas AWS answers now\n");
    for (about, line) in lines {
        for (n, part) in wrap(&clean(line, 800), 80 - HANG, 12).iter().enumerate() {
            let about = if n == 0 { about } else { "" };
            let _ = writeln!(out, "  {about:<9} {part}");
        }
    }
    out
}

/// The recovery point that a step would take now, in words.
fn point(provider: &LocalProvider, step: &Step, disaster: Timestamp) -> String {
    match provider.would_pick(step, disaster) {
        Ok(point) => format!(
            "{} ({}), data of {}{}, {}",
            clean(&point.name, 120),
            clean(&point.store, 120),
            clean(point.data_time.as_deref().unwrap_or("an unknown time"), 40),
            if point.signed { "" } else { ", not signed" },
            clean(&point.how, 120),
        ),
        Err(reason) => format!("none can be named now: {}", clean(&reason, 300)),
    }
}

/// The plan as a person reads it.
fn told(plan: &Plan, disaster: Timestamp, point: impl Fn(&Step) -> Option<String>) -> String {
    let drill = &plan.drill;
    let mut out = String::new();
    let mut line = |text: String| {
        let _ = writeln!(out, "{text}");
    };
    line(format!(
        "{}: {}",
        clean(&drill.drill, 80),
        clean(&drill.title, 200)
    ));
    line(format!("lost        {}", clean(&drill.lost.what, 200)));
    let off_limits = (drill.lost.paths.iter())
        .chain(&drill.lost.hosts)
        .chain(&drill.lost.places);
    for place in off_limits {
        line(format!(
            "            {} may not be touched",
            clean(place, 200)
        ));
    }
    for region in &drill.lost.regions {
        line(format!(
            "            no request goes to {}",
            clean(region, 40)
        ));
    }
    let when = match drill.disaster {
        Some(_) => format!("{disaster}"),
        None => "when the clock starts".to_owned(),
    };
    line(format!("disaster    {when}"));
    line(format!(
        "scratch     {}",
        clean(&drill.scratch.shown(), 200)
    ));
    if let Some(aws) = &drill.scratch.aws {
        for text in scratch(aws) {
            line(format!("            {text}"));
        }
    }
    line(format!("objectives  {}", objectives(&drill.objectives)));
    for assumed in &drill.assumed {
        line(format!(
            "assumed     {} for {}: {}",
            assumed.takes,
            clean(&assumed.what, 80),
            clean(&assumed.why, 200)
        ));
    }
    line(format!(
        "steps       {}, at most {} side by side",
        drill.steps.len(),
        plan.parallel()
    ));
    for (number, step) in plan.steps().enumerate() {
        line(String::new());
        line(format!(
            "{:>3}. {}: {}",
            number + 1,
            clean(&step.step, 80),
            what(step)
        ));
        if !step.needs.is_empty() {
            line(format!(
                "     needs       {}",
                clean(&step.needs.join(", "), 300)
            ));
        }
        if let Some(point) = step.restore.as_ref().and_then(|_| point(step)) {
            line(format!("     backup      {point}"));
        }
        if let Some(aws) = step.aws.as_ref().filter(|aws| aws.fresh.is_none()) {
            line(format!("     pick        {}", clean(&aws.pick, 200)));
        }
        for text in step.aws.iter().flat_map(how) {
            line(format!("     how         {text}"));
        }
        if step.objectives != Objectives::default() {
            line(format!("     objectives  {}", objectives(&step.objectives)));
        }
        line(format!("     deadline    {}", step.deadline));
        for proof in &step.proofs {
            line(format!(
                "     proof       {} ({})",
                clean(&proof.proof, 200),
                kind(proof)
            ));
        }
    }
    out
}

/// What the document says besides of how a thing is restored in AWS, in lines.
fn how(aws: &AwsRestore) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(volume) = &aws.volume {
        let kind = clean(volume.kind.as_deref().unwrap_or("gp3"), 40);
        lines.push(match (volume.by, volume.initialisation_rate) {
            (VolumeBy::Backup, _) => format!("{kind}, by AWS Backup"),
            (VolumeBy::Ec2, Some(rate)) => format!("{kind}, by EC2, filled at {rate} MiB/s"),
            (VolumeBy::Ec2, None) => format!("{kind}, by EC2"),
        });
        if let Some(to) = &volume.attach {
            let mount = match &to.mount {
                Some(path) => format!(", mounted at {}", clean(path, 200)),
                None => String::new(),
            };
            lines.push(format!(
                "on the instance of {} as {}{mount}",
                clean(&to.to, 80),
                clean(&to.device, 80)
            ));
        }
    }
    let substitutes = (aws.instance.as_ref().map(|to| &to.substitutes))
        .or(aws.fresh.as_ref().map(|fresh| &fresh.substitutes));
    if let Some(substitutes) = substitutes.filter(|all| !all.is_empty()) {
        lines.push(format!(
            "where there is no capacity for it: {}",
            clean(&substitutes.join(", "), 200)
        ));
    }
    if let Some(rds) = &aws.rds {
        lines.push(match &rds.class {
            Some(class) => format!("of the class {}", clean(class, 40)),
            None => "of the class that it had".to_owned(),
        });
    }
    if let Some(mount) = aws.efs.as_ref().and_then(|efs| efs.mount.as_ref()) {
        lines.push(format!(
            "mounted on the instance of {} at {}",
            clean(&mount.on, 80),
            clean(&mount.path, 200)
        ));
    }
    if aws.wait == Wait::Initialised {
        lines.push("its proofs begin when all its blocks have come".to_owned());
    }
    lines
}

/// Where a drill in AWS is held, in lines.
fn scratch(aws: &AwsScratch) -> Vec<String> {
    let network = &aws.network;
    let way = match (network.gateway, &network.controller) {
        (Gateway::None, _) => "no gateway".to_owned(),
        (Gateway::Controller, Some(address)) => {
            format!("one route, to {}", clean(address, 60))
        }
        (Gateway::Controller, None) => "one route, to nobody".to_owned(),
        (Gateway::Internet, _) => "a gateway to the INTERNET".to_owned(),
    };
    vec![
        format!(
            "vault {}, which must bear the tag {} = {}",
            clean(&aws.vault, 80),
            clean(&aws.marker.key, 80),
            clean(&aws.marker.value, 80)
        ),
        format!("restored with {}", clean(&aws.restore_role, 200)),
        format!("network {}, {way}", clean(&network.cidr, 40)),
        format!(
            "everything expires after {}, at most {} restore jobs side by side",
            aws.expires,
            aws.restores.max(1)
        ),
    ]
}

fn objectives(objectives: &Objectives) -> String {
    let told: Vec<String> = [("RTO", objectives.rto), ("RPO", objectives.rpo)]
        .into_iter()
        .filter_map(|(name, span)| Some(format!("{name} {}", span?)))
        .collect();
    match told.is_empty() {
        true => "none: there will be nothing to compare with".to_owned(),
        false => told.join(", "),
    }
}

#[cfg(all(test, feature = "aws"))]
mod tests {
    use super::*;

    #[test]
    fn what_aws_was_asked_stays_within_a_terminal_and_keeps_its_first_words() {
        let arn = format!(
            "arn:aws:kms:eu-central-1:111122223333:key/{}",
            "5".repeat(90)
        );
        let text = in_aws(&[
            ("needs", "all 2 are met".to_owned()),
            ("met", format!("a key \u{1b}[31mis there: {arn} and {arn}")),
            ("NOT MET", "another: it is not".to_owned()),
        ]);
        assert!(
            text.lines().all(|line| line.chars().count() <= 80),
            "{text}"
        );
        assert!(text.contains("\n  needs     all 2 are met\n"), "{text}");
        assert!(text.contains("\n  met       a key"), "{text}");
        assert!(
            text.contains("\n  NOT MET   another: it is not\n"),
            "{text}"
        );
        assert!(text.contains("\n            5"), "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");
    }
}
