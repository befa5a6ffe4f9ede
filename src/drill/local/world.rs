//! What templates of a drill may name: where each step's restored things are.

use std::collections::BTreeMap;
use std::path::PathBuf;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior};
use serde::{Deserialize, Serialize};

/// Where the things of one step are. What a step has not is `None` or empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<PathBuf>,
    /// The directory of a PostgreSQL server's socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub socket: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ports: BTreeMap<String, u16>,
}

/// What there is: in the scratch, or the stand-ins for it on which proofs must fail.
#[derive(Clone, Debug, Default)]
pub struct World {
    pub scratch: PathBuf,
    pub steps: BTreeMap<String, Place>,
}

impl World {
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
        let steps = minijinja::Value::from(Serde(&self.steps));
        let scratch = self.scratch.to_string_lossy();
        environment
            .render_str(text, minijinja::context! { scratch, steps })
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

    #[test]
    fn templates_name_what_is_there_and_nothing_else() {
        let place = Place {
            directory: Some("/s/files".into()),
            ports: BTreeMap::from([("http".into(), 8080)]),
            ..Place::default()
        };
        let world = World {
            scratch: "/s".into(),
            steps: BTreeMap::from([("web".into(), place.clone()), ("a-b".into(), place)]),
        };
        let fill = |text| world.fill(text).unwrap();
        assert_eq!(
            fill("http://127.0.0.1:{{ steps.web.ports.http }}/"),
            "http://127.0.0.1:8080/"
        );
        assert_eq!(fill("{{ steps['a-b'].directory }}"), "/s/files");
        assert_eq!(fill("{{ scratch }}/x"), "/s/x");
        assert_eq!(fill("no braces <&>"), "no braces <&>");
        for wrong in [
            "{{ steps.db.socket }}",
            "{{ steps.web.socket }}",
            "{{ x }}",
            "{{",
        ] {
            let error = world.fill(wrong).unwrap_err();
            assert!(error.contains("not there"), "{error}");
        }
    }
}
