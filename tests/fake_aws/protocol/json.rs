//! JSON bodies: of JSON 1.0 and 1.1, and of REST services.

use serde_json::{Map, Value};

use super::super::model::{Kind, Member, Model, Shape};
use super::super::world::Refusal;
use super::problem::Problem;

/// The body's members in the model's names; nulls left out. Types are for `check` to judge.
pub fn decode(model: &Model, shape: &str, body: &[u8]) -> Result<Value, Problem> {
    if body.is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    let value: Value = serde_json::from_slice(body)
        .map_err(|e| Problem::Malformed(format!("the body is not JSON: {e}")))?;
    if !value.is_object() {
        return Err(Problem::Malformed("the body is no object".into()));
    }
    renamed(model, shape, &value, Direction::In)
}

/// An answer that was checked.
pub fn encode(model: &Model, shape: &str, answer: &Value) -> Value {
    // Only what comes in has names that nobody knows.
    renamed(model, shape, answer, Direction::Out).unwrap_or_default()
}

#[derive(Clone, Copy, PartialEq)]
enum Direction {
    In,
    Out,
}

fn renamed(model: &Model, name: &str, value: &Value, way: Direction) -> Result<Value, Problem> {
    let shape = model.shape(name);
    let renamed = |member: &Member, value: &Value| renamed(model, &member.shape, value, way);
    Ok(match (shape.kind, value) {
        (Kind::Structure, Value::Object(members)) => {
            let mut out = Map::new();
            for (name, value) in members {
                let (to, member) =
                    found(shape, name, way).ok_or_else(|| Problem::Unknown(name.clone()))?;
                if !value.is_null() {
                    out.insert(to.to_owned(), renamed(member, value)?);
                }
            }
            Value::Object(out)
        }
        (Kind::List, Value::Array(items)) => {
            let Some(member) = &shape.member else {
                return Ok(value.clone());
            };
            let items: Result<_, _> = items.iter().map(|item| renamed(member, item)).collect();
            Value::Array(items?)
        }
        (Kind::Map, Value::Object(entries)) => {
            let Some(member) = &shape.value else {
                return Ok(value.clone());
            };
            let mut out = Map::new();
            for (key, value) in entries {
                out.insert(key.clone(), renamed(member, value)?);
            }
            Value::Object(out)
        }
        _ => value.clone(),
    })
}

/// A member by its name on this side, and its name on the other.
fn found<'a>(shape: &'a Shape, name: &str, way: Direction) -> Option<(&'a str, &'a Member)> {
    let wire = |(own, member): (&'a String, &'a Member)| {
        let wire = member.location_name.as_deref().unwrap_or(own);
        (own.as_str(), wire, member)
    };
    match way {
        Direction::Out => {
            let (_, wire, member) = wire(shape.members.get_key_value(name)?);
            Some((wire, member))
        }
        // What belongs in the path or the query is not looked for in the body.
        Direction::In => shape
            .members
            .iter()
            .map(wire)
            .find(|(_, wire, member)| *wire == name && member.location.is_none())
            .map(|(own, _, member)| (own, member)),
    }
}

/// The error's members as its shape has them.
pub fn error(model: &Model, operation: &str, refusal: &Refusal, code: &str) -> Value {
    let mut body = Map::new();
    body.insert("__type".into(), code.into());
    let declared = model
        .operations
        .get(operation)
        .and_then(|what| what.errors.iter().find(|e| e.shape == code));
    let members = declared.map(|e| &model.shape(&e.shape).members);
    for name in members.into_iter().flat_map(|members| members.keys()) {
        match name.as_str() {
            "Code" | "ErrorCode" => {
                body.insert(name.clone(), code.into());
            }
            "Type" => {
                let fault = refusal.status >= 500;
                let kind = if fault { "Server" } else { "Client" };
                body.insert(name.clone(), kind.into());
            }
            "Message" | "message" => {
                body.insert(name.clone(), refusal.message.as_str().into());
            }
            _ => {}
        }
    }
    if !body.contains_key("Message") && !body.contains_key("message") {
        body.insert("message".into(), refusal.message.as_str().into());
    }
    Value::Object(body)
}
