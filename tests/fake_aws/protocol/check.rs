//! What the model allows: in a request all of it, in an answer what a handler can get wrong.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::super::model::{Kind, Model, Shape};
use super::problem::Problem;

/// The first thing that the model does not allow. `params`: in the model's names.
pub fn request(model: &Model, shape: &str, params: &Value) -> Result<(), Problem> {
    Check {
        model,
        limits: true,
    }
    .value(shape, params, "")
}

/// Types, names, enums and required members of what a handler answers.
pub fn answer(model: &Model, shape: &str, answer: &Value) -> Result<(), String> {
    Check {
        model,
        limits: false,
    }
    .value(shape, answer, "")
    .map_err(|problem| format!("{problem:?}"))
}

struct Check<'a> {
    model: &'a Model,
    /// Hold values against lengths, ranges and patterns, too.
    limits: bool,
}

impl Check<'_> {
    fn value(&self, name: &str, value: &Value, path: &str) -> Result<(), Problem> {
        let shape = self.model.shape(name);
        let wrong_type = || Problem::Type {
            path: path.to_owned(),
            wanted: format!("{:?}", shape.kind),
        };
        let size = match shape.kind {
            Kind::Structure => return self.structure(shape, value, path),
            Kind::List => {
                let items = value.as_array().ok_or_else(wrong_type)?;
                let member = shape.member.as_ref().ok_or_else(wrong_type)?;
                for (i, item) in items.iter().enumerate() {
                    self.value(&member.shape, item, &format!("{path}[{i}]"))?;
                }
                items.len() as f64
            }
            Kind::Map => {
                let entries = value.as_object().ok_or_else(wrong_type)?;
                let key = shape.key.as_ref().ok_or_else(wrong_type)?;
                let member = shape.value.as_ref().ok_or_else(wrong_type)?;
                for (name, item) in entries {
                    let path = format!("{path}.{name}");
                    self.value(&key.shape, &Value::from(name.as_str()), &path)?;
                    // AWS Backup does answer nulls here: an EBS point's availabilityZone.
                    if self.limits || !item.is_null() {
                        self.value(&member.shape, item, &path)?;
                    }
                }
                entries.len() as f64
            }
            Kind::String => {
                let text = value.as_str().ok_or_else(wrong_type)?;
                self.text(shape, text, path)?;
                text.chars().count() as f64
            }
            Kind::Blob => {
                let text = value.as_str().ok_or_else(wrong_type)?;
                let bytes = STANDARD.decode(text).map_err(|_| wrong_type())?;
                bytes.len() as f64
            }
            Kind::Boolean => {
                value.as_bool().ok_or_else(wrong_type)?;
                return Ok(());
            }
            Kind::Integer => {
                let number = value.as_i64().and_then(|n| i32::try_from(n).ok());
                f64::from(number.ok_or_else(wrong_type)?)
            }
            Kind::Long => value.as_i64().ok_or_else(wrong_type)? as f64,
            Kind::Float | Kind::Double => value.as_f64().ok_or_else(wrong_type)?,
            Kind::Timestamp => {
                value.as_f64().ok_or_else(wrong_type)?;
                return Ok(());
            }
        };
        if !self.limits {
            return Ok(());
        }
        let why = match (shape.min, shape.max) {
            (Some(min), _) if size < min => format!("at least {min}"),
            (_, Some(max)) if size > max => format!("at most {max}"),
            _ => return Ok(()),
        };
        let what = match shape.kind {
            Kind::List | Kind::Map | Kind::String | Kind::Blob => "length",
            _ => "value",
        };
        Err(refused(
            path,
            value,
            format!("Member must have {what} of {why}"),
        ))
    }

    fn structure(&self, shape: &Shape, value: &Value, path: &str) -> Result<(), Problem> {
        let Some(members) = value.as_object() else {
            return Err(Problem::Type {
                path: path.to_owned(),
                wanted: "Structure".into(),
            });
        };
        let below = |name: &str| match path {
            "" => name.to_owned(),
            path => format!("{path}.{name}"),
        };
        for name in &shape.required {
            if members.get(name).is_none_or(Value::is_null) {
                return Err(Problem::Missing(below(name)));
            }
        }
        for (name, value) in members {
            let Some(member) = shape.members.get(name) else {
                return Err(Problem::Unknown(below(name)));
            };
            if !value.is_null() {
                self.value(&member.shape, value, &below(name))?;
            }
        }
        Ok(())
    }

    fn text(&self, shape: &Shape, text: &str, path: &str) -> Result<(), Problem> {
        let why = if !shape.values.is_empty() && !shape.values.iter().any(|one| one == text) {
            format!("Member must satisfy enum value set: {:?}", shape.values)
        } else if self.limits && shape.pattern().is_some_and(|p| !p.is_match(text)) {
            let pattern = shape.pattern.as_deref().unwrap_or_default();
            format!("Member must satisfy regular expression pattern: {pattern}")
        } else {
            return Ok(());
        };
        Err(refused(path, &Value::from(text), why))
    }
}

fn refused(path: &str, value: &Value, why: String) -> Problem {
    Problem::Value {
        path: path.to_owned(),
        value: match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        },
        why,
    }
}
