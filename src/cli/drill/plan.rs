//! `seawall drill plan FILE`

use std::fmt::Write;
use std::path::Path;

use jiff::Timestamp;

use super::load::{self, Means};
use crate::cli::say;
use crate::document::drill::aws::{AwsScratch, Gateway};
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
                .enable_all()
                .build()?;
            say(&in_aws(&runtime.block_on(provider.would(&plan))))?;
        }
    }
    say("\nNothing was written. `seawall drill run` carries it out.\n")?;
    Ok(0)
}

/// What AWS was asked, as a person reads it: a line that is set in begins with a word of its own.
#[cfg(feature = "aws")]
fn in_aws(lines: &[String]) -> String {
    let mut out = String::from("\nin AWS now\n");
    for line in lines {
        let (word, text) = match line.strip_prefix("  ").and_then(|l| l.split_once("  ")) {
            Some((word, text)) => (format!("    {word:<9} "), text),
            None => ("  ".to_owned(), line.as_str()),
        };
        let hang = word.chars().count();
        for (n, part) in wrap(&clean(text, 800), 80 - hang, 12).iter().enumerate() {
            let before = if n == 0 { word.as_str() } else { "" };
            let _ = writeln!(out, "{before:<hang$}{part}");
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
            "all 2 needs are met".to_owned(),
            format!("  met      a key \u{1b}[31mis there: {arn} and {arn}"),
            "  NOT MET  another: it is not".to_owned(),
        ]);
        assert!(
            text.lines().all(|line| line.chars().count() <= 80),
            "{text}"
        );
        assert!(text.contains("\n  all 2 needs are met\n"), "{text}");
        assert!(text.contains("\n    met       a key"), "{text}");
        assert!(
            text.contains("\n    NOT MET   another: it is not\n"),
            "{text}"
        );
        assert!(text.contains("\n              5"), "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");
    }
}
