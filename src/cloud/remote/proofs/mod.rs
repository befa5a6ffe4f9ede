//! Proofs of a drill in AWS: over SSH on an instance of the drill, or asked of AWS itself. What
//! could not be carried out is unknown, never a pass and never a failure.

mod canary;
mod command;
mod files;
mod git;
mod http;
mod items;
mod manifest;
mod meets;
mod objects;
mod sql;

use std::time::Duration;

use super::world::World;
use super::{Remarks, door, shell};
use crate::cloud::names::resource_name;
use crate::cloud::provider::{Inner, Work};
use crate::cloud::state::Recovered;
use crate::document::drill::{Proof, Step};
use crate::drill::plan;
use crate::drill::provider::{DrillContext, ProofSaid, StepContext, StepError};
use crate::journal::{DrillEvent, Event};
use crate::model::drill::ProofOutcome;
use crate::reach::Target;
use crate::shell::clean;

/// Most that is shown of what was expected or read, in characters.
const SHOWN: usize = 400;

/// What a proof looks at.
struct View<'a> {
    inner: &'a Inner,
    drill: &'a DrillContext,
    step: &'a Step,
    own: Recovered,
    world: World,
    /// The step on whose instance programs run.
    on: Option<String>,
    /// Where the data is on that instance.
    path: Option<String>,
    is_control: bool,
}

/// What a proof found: an outcome, what was expected, what was read, and where.
#[derive(Clone, Debug)]
struct Found {
    outcome: ProofOutcome,
    expected: String,
    read: String,
    at: String,
}

/// Tries a proof on what was restored.
pub async fn prove(inner: &Inner, context: &StepContext<'_>, proof: &Proof) -> ProofSaid {
    let own = inner.recovered(&context.step.step);
    let world = World::of(&inner.state());
    let view = View::new(inner, context.drill, context.step, own, world, proof);
    said(&view, proof).await
}

/// Tries a proof before anything was made.
pub async fn control(inner: &Inner, drill: &DrillContext, step: &Step, proof: &Proof) -> ProofSaid {
    if proof.objects.is_none() && proof.items.is_none() {
        let data_comes_later = step.restore.is_some() || place_of(step).is_some();
        return unknown(
            proof,
            match data_comes_later {
                true => {
                    "there is no instance yet; it is tried again on the instance before the data \
                     comes"
                }
                false => "there is no instance yet, and it comes with its data",
            },
        );
    }
    let name = resource_name(&drill.run, &step.step, 1);
    let own = Recovered {
        bucket: Some(name.clone()),
        table: Some(name),
        ..Recovered::default()
    };
    let mut view = View::new(inner, drill, step, own, World::default(), proof);
    view.is_control = true;
    said(&view, proof).await
}

/// Tries the step's proofs on the place where its data will be, before it comes. One that passes
/// proves nothing.
pub async fn try_without(work: &Work<'_>, on: &str, path: &str) -> Result<Remarks, StepError> {
    let (inner, step) = (work.inner, work.step());
    let mut remarks = Remarks::default();
    let placed = (on.to_owned(), path.to_owned());
    for proof in &step.proofs {
        if proof.objects.is_some() || proof.items.is_some() {
            continue;
        }
        let mut own = inner.recovered(&step.step);
        own.placed = Some(placed.clone());
        let mut world = World::of(&inner.state());
        world.0.insert(step.step.clone(), (&own).into());
        let mut view = View::new(inner, work.context.drill, step, own, world, proof);
        view.is_control = true;
        let said = said(&view, proof).await;
        let passes = said.outcome == ProofOutcome::Pass;
        let event = DrillEvent::Control {
            step: step.step.clone(),
            proof: proof.proof.clone(),
            can_fail: !passes,
            detail: clean(
                &format!("on the instance, without the data, it reads: {}", said.read),
                500,
            ),
        };
        (work.context.drill.ledger.journal())
            .append(&Event::Drill(event))
            .map_err(super::journal)?;
        if passes {
            let name = clean(&proof.proof, 100);
            (remarks.doubts).push(format!("the proof `{name}` passes without the data"));
        }
    }
    Ok(remarks)
}

async fn said(view: &View<'_>, proof: &Proof) -> ProofSaid {
    let found = if let Some(demand) = &proof.objects {
        objects::prove(view, demand).await
    } else if let Some(demand) = &proof.items {
        items::prove(view, demand).await
    } else if proof.manifest.is_some() {
        manifest::prove(view).await
    } else if let Some(demand) = &proof.files {
        files::prove(view, demand).await
    } else if let Some(demand) = &proof.sql {
        sql::prove(view, demand).await
    } else if proof.canary.is_some() {
        canary::prove(view).await
    } else if let Some(demand) = &proof.http {
        http::prove(view, demand).await
    } else if let Some(demand) = &proof.command {
        command::prove(view, demand).await
    } else if let Some(demand) = &proof.git {
        git::prove(view, demand).await
    } else if let Some(demand) = &proof.meets {
        meets::prove(view, demand).await
    } else {
        Err("this proof is of no kind".into())
    };
    match found {
        Ok(found) => ProofSaid {
            kind: plan::kind(proof),
            outcome: found.outcome,
            expected: clean(&found.expected, SHOWN),
            read: clean(&found.read, SHOWN),
            at: clean(&found.at, SHOWN),
        },
        Err(why) => unknown(proof, why),
    }
}

/// A proof that could not be carried out.
fn unknown(proof: &Proof, why: impl AsRef<str>) -> ProofSaid {
    ProofSaid {
        kind: plan::kind(proof),
        outcome: ProofOutcome::Unknown,
        expected: clean(&proof.proof, SHOWN),
        read: clean(why.as_ref(), SHOWN),
        at: String::new(),
    }
}

fn outcome(passes: bool) -> ProofOutcome {
    match passes {
        true => ProofOutcome::Pass,
        false => ProofOutcome::Fail,
    }
}

/// Where a step's data will be on an instance, as its document says: a step and a path.
pub(super) fn place_of(step: &Step) -> Option<(&str, &str)> {
    if let Some(restore) = &step.restore {
        return Some((restore.onto.as_deref()?, restore.directory.as_deref()?));
    }
    let aws = step.aws.as_ref()?;
    if let Some(attach) = aws.volume.as_ref().and_then(|v| v.attach.as_ref()) {
        return Some((&attach.to, attach.mount.as_deref()?));
    }
    let mount = aws.efs.as_ref().and_then(|efs| efs.mount.as_ref())?;
    Some((&mount.on, &mount.path))
}

/// The step on whose instance a proof is carried out, and where the data is there.
fn where_to(step: &Step, own: &Recovered, proof: &Proof) -> (Option<String>, Option<String>) {
    let has_instance = |step: &Step| {
        let aws = step.aws.as_ref();
        aws.is_some_and(|aws| aws.instance.is_some() || aws.fresh.is_some())
    };
    let placed = own.placed.clone();
    let attached = || {
        let aws = step.aws.as_ref()?;
        let attach = aws.volume.as_ref()?.attach.as_ref()?;
        Some(attach.to.clone())
    };
    let on = (proof.on.clone())
        .or_else(|| placed.as_ref().map(|(on, _)| on.clone()))
        .or_else(|| has_instance(step).then(|| step.step.clone()))
        .or_else(|| place_of(step).map(|(on, _)| on.to_owned()))
        .or_else(attached);
    let path = match (&placed, &on) {
        (Some((at, path)), Some(on)) if at == on => Some(path.clone()),
        // The whole of a restored instance is what was restored.
        (None, Some(on)) if *on == step.step && has_instance(step) => Some("/".to_owned()),
        _ => None,
    };
    (on, path)
}

impl<'a> View<'a> {
    fn new(
        inner: &'a Inner,
        drill: &'a DrillContext,
        step: &'a Step,
        own: Recovered,
        world: World,
        proof: &Proof,
    ) -> Self {
        let (on, path) = where_to(step, &own, proof);
        View {
            inner,
            drill,
            step,
            own,
            world,
            on,
            path,
            is_control: false,
        }
    }

    fn target(&self) -> Result<Target, String> {
        let on = (self.on.as_ref())
            .ok_or("there is no instance to carry it out on: name a step with one in `on`")?;
        let instance = (self.inner.recovered(on).instance)
            .ok_or_else(|| format!("the step {on} has no instance"))?;
        door::target(self.inner, &self.drill.run, on, &instance)
    }

    /// Where the data is on the instance.
    fn directory(&self) -> Result<&str, String> {
        let path = self.path.as_deref();
        path.ok_or_else(|| "this step has no restored directory on that instance".into())
    }

    fn limit(&self) -> Duration {
        self.step.deadline.0.min(shell::LONGEST)
    }

    /// Runs a program of ours on the instance; of its output at most `most` bytes.
    async fn run(
        &self,
        target: &Target,
        functions: &str,
        calls: &str,
        most: usize,
    ) -> Result<shell::Ran, String> {
        shell::run(self.inner, target, functions, calls, self.limit(), most).await
    }

    /// `app (i-…):/srv/data`, for a person.
    fn at(&self, target: &Target, what: &str) -> String {
        format!("{}: {what}", target.name)
    }
}

/// Text for a program; with a NUL byte it is none.
fn quoted(text: &str) -> Result<String, String> {
    crate::shell::quote(text).map_err(|e| e.to_string())
}

/// Defines `beneath PATH`: where a path within `$top` leads, `$top` being a directory as links
/// lead; it fails where that is outside, or nowhere.
const BENEATH: &str = r#"beneath() {
  REPLY=$(readlink -f -- "$top/$1") || return 1
  [ -f "$REPLY" ] || return 1
  case "$REPLY" in "$top"/*) return 0 ;; esac
  return 2
}
enter() {
  top=$(cd -- "$1" 2>/dev/null && pwd -P) || { echo 'the directory is not there' >&2; return 96; }
  [ "$top" != / ] || top=
}
"#;
