//! `seawall drill plan FILE`

use std::fmt::Write;
use std::path::Path;

use jiff::Timestamp;

use super::load;
use crate::cli::say;
use crate::document::drill::{Objectives, Step};
use crate::drill::local::LocalProvider;
use crate::drill::plan::{Plan, kind, what};
use crate::shell::clean;

pub fn run(file: &Path) -> anyhow::Result<u8> {
    let plan = load::plan(file)?;
    let disaster = plan.disaster()?.unwrap_or_else(Timestamp::now);
    let provider = load::provider(&plan, load::no_identities()?)?;
    say(&told(&plan, disaster, |step| {
        point(&provider, step, disaster)
    }))?;
    Ok(0)
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
fn told(plan: &Plan, disaster: Timestamp, point: impl Fn(&Step) -> String) -> String {
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
    let when = match drill.disaster {
        Some(_) => format!("{disaster}"),
        None => "when the clock starts".to_owned(),
    };
    line(format!("disaster    {when}"));
    line(format!(
        "scratch     {}",
        clean(&drill.scratch.shown(), 200)
    ));
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
        if step.restore.is_some() {
            line(format!("     backup      {}", point(step)));
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
    line("\nNothing was written. `seawall drill run` carries it out.".to_owned());
    out
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
