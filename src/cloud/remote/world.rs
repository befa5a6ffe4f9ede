//! What templates of a drill in AWS may name: where each step's restored things are. Pure.

use std::collections::BTreeMap;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior};
use serde::Serialize;

use crate::cloud::state::{Recovered, State};

/// What a step has not is left out, and naming it is an error.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Place {
    /// Of an instance: where SSH goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Of a database: its host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bucket: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_system: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// On its instance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
}

impl From<&Recovered> for Place {
    fn from(step: &Recovered) -> Self {
        let instance = step.instance.as_ref();
        Place {
            address: instance.and_then(|i| i.address).map(|a| a.to_string()),
            endpoint: step.endpoint.as_ref().map(|(host, _)| host.clone()),
            port: step.endpoint.as_ref().map(|(_, port)| *port),
            bucket: step.bucket.clone(),
            table: step.table.clone(),
            file_system: step.file_system.clone(),
            volume: step.volume.clone(),
            instance: instance.map(|i| i.id.clone()),
            directory: step.placed.as_ref().map(|(_, path)| path.clone()),
        }
    }
}

/// All steps.
#[derive(Clone, Debug, Default)]
pub struct World(pub BTreeMap<String, Place>);

impl World {
    pub fn of(state: &State) -> World {
        let places = state.steps.iter();
        World(
            places
                .map(|(name, step)| (name.clone(), step.into()))
                .collect(),
        )
    }

    /// Fills in a template of the drill's document.
    ///
    /// # Errors
    /// When it names something that is not there, in words that name the template.
    pub fn fill(&self, text: &str) -> Result<String, String> {
        if !text.contains("{{") && !text.contains("{%") {
            return Ok(text.to_owned());
        }
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        let syntax = SyntaxConfig::builder().keep_trailing_newline(true).build();
        if let Ok(syntax) = syntax {
            environment.set_syntax(syntax);
        }
        let steps = minijinja::Value::from(Serde(&self.0));
        environment
            .render_str(text, minijinja::context! { steps })
            .map_err(|error| {
                format!(
                    "`{}` names something that is not there: {}",
                    crate::shell::clean(text, 120),
                    error.detail().unwrap_or("it has no value")
                )
            })
    }

    pub fn fill_all(&self, texts: &[String]) -> Result<Vec<String>, String> {
        texts.iter().map(|text| self.fill(text)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::state::Instance;

    #[test]
    fn templates_name_what_is_there_and_nothing_else() {
        let mut state = State::default();
        let app = Recovered {
            instance: Some(Instance {
                id: "i-1".into(),
                zone: "z".into(),
                kind: "t".into(),
                address: "10.0.0.7".parse().ok(),
            }),
            placed: Some(("app".into(), "/srv/data".into())),
            ..Recovered::default()
        };
        let db = Recovered {
            endpoint: Some(("db.example".into(), 5432)),
            ..Recovered::default()
        };
        state.steps.insert("app".into(), app);
        state.steps.insert("the-db".into(), db);
        let world = World::of(&state);
        let fill = |text| world.fill(text).unwrap();
        assert_eq!(
            fill("http://{{ steps.app.address }}/{{ steps.app.instance }}"),
            "http://10.0.0.7/i-1"
        );
        assert_eq!(fill("{{ steps.app.directory }}\n"), "/srv/data\n");
        assert_eq!(
            fill("{{ steps['the-db'].endpoint }}:{{ steps['the-db'].port }}"),
            "db.example:5432"
        );
        for wrong in [
            "{{ steps.app.bucket }}",
            "{{ steps.x.table }}",
            "{{ x }}",
            "{{",
        ] {
            let error = world.fill(wrong).unwrap_err();
            assert!(error.contains("not there"), "{error}");
        }
    }
}
