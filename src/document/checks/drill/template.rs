//! Templates of proofs and services, tried with values of the right kinds.

use std::collections::BTreeMap;
use std::ops::Range;

use minijinja::{Environment, UndefinedBehavior};

use super::{DrillCheck, StepNode};

impl<'a> DrillCheck<'a> {
    /// A template that can be filled: syntax, and names that are there.
    pub(super) fn template(&mut self, text: &str, span: &Range<usize>, step: &StepNode<'a>) {
        if !text.contains("{{") && !text.contains("{%") {
            return;
        }
        let mut seen: Vec<&StepNode> = Vec::new();
        if let Some(own) = self.steps.iter().find(|other| other.name == step.name) {
            seen.push(own);
        }
        let needs = self.needs.get(step.name);
        let needed = |other: &&StepNode| {
            other.name != step.name && needs.is_some_and(|n| n.contains(other.name))
        };
        seen.extend(self.steps.iter().filter(needed));
        let values: BTreeMap<&str, minijinja::Value> =
            seen.iter().map(|s| (s.name, sample(s))).collect();
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        let context = match self.aws {
            None => minijinja::context! { scratch => "/scratch", steps => values },
            Some(_) => minijinja::context! { steps => values },
        };
        if let Err(error) = environment.render_str(text, context) {
            let names: Vec<&str> = seen.iter().map(|s| s.name).collect();
            let what = match error.detail() {
                Some(detail) => detail.to_owned(),
                None => error.kind().to_string(),
            };
            let message = format!("this template cannot be filled: {what}");
            let has = match self.aws {
                None => {
                    "`.directory`, `.socket` and `.database`, `.ports.PORT`; a step sees itself and what it needs"
                }
                Some(_) => {
                    "`.address` and `.instance`, `.volume`, `.endpoint` and `.port`, `.bucket`, `.table`, `.file_system`, `.directory`; a step sees itself and what it needs"
                }
            };
            let scratch = match self.aws {
                None => "`scratch` and ",
                Some(_) => "",
            };
            self.check.error("bad-template", span, message).help = Some(format!(
                "there are {scratch}`steps.NAME` of {}: {has}",
                names.join(", ")
            ));
        }
    }
}

/// What a template may name of a step.
fn sample(step: &StepNode) -> minijinja::Value {
    match step.kind {
        Some("directory" | "repository") => minijinja::context! { directory => "/d" },
        Some("postgresql") => minijinja::context! { socket => "/s", database => "d" },
        Some("start") => {
            let ports: BTreeMap<&str, u16> = step.ports.iter().map(|port| (*port, 1)).collect();
            minijinja::context! { ports => ports }
        }
        Some("instance" | "fresh") => minijinja::context! { address => "a", instance => "i" },
        Some("rds" | "aurora") => minijinja::context! { endpoint => "e", port => 1 },
        Some("s3") => minijinja::context! { bucket => "b" },
        Some("dynamodb") => minijinja::context! { table => "t" },
        Some("volume") if step.has_files => {
            minijinja::context! { volume => "v", directory => "/d" }
        }
        Some("volume") => minijinja::context! { volume => "v" },
        Some("efs") if step.has_files => {
            minijinja::context! { file_system => "f", directory => "/d" }
        }
        Some("efs") => minijinja::context! { file_system => "f" },
        _ => minijinja::context! {},
    }
}
