//! Forms: of EC2 (`Filter.1.Name`) and of the query protocol (`Filters.Filter.1.Name`).

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::super::model::{Kind, Member, Model, Protocol, Shape};
use super::problem::Problem;

/// What a form says, by the dots in its names.
#[derive(Default)]
struct Node {
    text: Option<String>,
    below: BTreeMap<String, Node>,
}

/// The form's members in the model's names.
pub fn decode(model: &Model, shape: &str, form: &[(String, String)]) -> Result<Value, Problem> {
    let mut root = Node::default();
    for (name, text) in form {
        if name == "Action" || name == "Version" {
            continue;
        }
        let mut node = &mut root;
        for part in name.split('.') {
            node = node.below.entry(part.to_owned()).or_default();
        }
        if node.text.replace(text.clone()).is_some() {
            return Err(Problem::Malformed(format!("{name} is there twice")));
        }
    }
    value(model, shape, &root, "")
}

fn value(model: &Model, name: &str, node: &Node, path: &str) -> Result<Value, Problem> {
    let shape = model.shape(name);
    let is_ec2 = model.metadata.protocol == Protocol::Ec2;
    match (shape.kind, &shape.member) {
        (Kind::Structure, _) => structure(model, shape, node, path),
        (Kind::List, Some(member)) => {
            // EC2 has no word between a list's name and its numbers.
            let word = member.location_name.as_deref().unwrap_or("member");
            let items = match is_ec2 {
                true => Some(node),
                false => node.below.get(word).or_else(|| node.below.get("member")),
            };
            list(model, member, items, path)
        }
        (Kind::Map, _) => Err(Problem::Unknown(path.to_owned())),
        (kind, _) => match &node.text {
            Some(text) if node.below.is_empty() => scalar(kind, text, path),
            _ => Err(wrong_type(kind, path)),
        },
    }
}

fn structure(model: &Model, shape: &Shape, node: &Node, path: &str) -> Result<Value, Problem> {
    let is_ec2 = model.metadata.protocol == Protocol::Ec2;
    let mut out = Map::new();
    for (wire, node) in &node.below {
        let found = shape
            .members
            .iter()
            .find(|(own, member)| wire_name(own, member, is_ec2) == *wire);
        let full = match path {
            "" => wire.clone(),
            path => format!("{path}.{wire}"),
        };
        let (own, member) = found.ok_or_else(|| Problem::Unknown(full.clone()))?;
        out.insert(own.clone(), value(model, &member.shape, node, &full)?);
    }
    Ok(Value::Object(out))
}

/// How a member is called in a form.
fn wire_name(own: &str, member: &Member, is_ec2: bool) -> String {
    if !is_ec2 {
        return member.location_name.as_deref().unwrap_or(own).to_owned();
    }
    if let Some(name) = &member.query_name {
        return name.clone();
    }
    let name = member.location_name.as_deref().unwrap_or(own);
    let mut letters = name.chars();
    let first = letters.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(letters).collect()
}

fn list(
    model: &Model,
    member: &Member,
    items: Option<&Node>,
    path: &str,
) -> Result<Value, Problem> {
    let mut numbered = Vec::new();
    for (number, node) in items.into_iter().flat_map(|items| &items.below) {
        let path = format!("{path}.{number}");
        let number: u32 = number.parse().map_err(|_| Problem::Unknown(path.clone()))?;
        numbered.push((number, value(model, &member.shape, node, &path)?));
    }
    numbered.sort_by_key(|(number, _)| *number);
    Ok(numbered.into_iter().map(|(_, value)| value).collect())
}

/// A value that came as text. Times become seconds since 1970.
pub fn scalar(kind: Kind, text: &str, path: &str) -> Result<Value, Problem> {
    let value = match kind {
        Kind::String => Some(text.into()),
        Kind::Blob => STANDARD.decode(text).is_ok().then(|| text.into()),
        Kind::Boolean => match text {
            "true" => Some(true.into()),
            "false" => Some(false.into()),
            _ => None,
        },
        Kind::Integer | Kind::Long => text.parse::<i64>().ok().map(Value::from),
        Kind::Float | Kind::Double => text.parse::<f64>().ok().map(Value::from),
        Kind::Timestamp => {
            let time = text.parse::<jiff::Timestamp>().ok();
            time.map(|time| (time.as_millisecond() as f64 / 1000.0).into())
        }
        Kind::Structure | Kind::List | Kind::Map => None,
    };
    value.ok_or_else(|| wrong_type(kind, path))
}

fn wrong_type(kind: Kind, path: &str) -> Problem {
    Problem::Type {
        path: path.to_owned(),
        wanted: format!("{kind:?}"),
    }
}
