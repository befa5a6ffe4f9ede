//! REST: the operation by method and path, members in path and query.

use serde_json::{Map, Value};

use super::super::http::{self, Request};
use super::super::model::{Kind, Member, Model};
use super::problem::Problem;
use super::query::scalar;

type Labels = Vec<(String, String)>;

/// The operation, and the labels of its path by their names on the wire. Where several fit, the one
/// with the fewest labels.
pub fn route(model: &Model, request: &Request) -> Result<(String, Labels), Problem> {
    model
        .operations
        .values()
        .filter(|what| what.http.method == request.method)
        .filter_map(|what| {
            let labels = labels(&what.http.request_uri, request)?;
            Some((what.name.clone(), labels))
        })
        .min_by_key(|(_, labels)| labels.len())
        .ok_or_else(|| Problem::Operation(format!("{} {}", request.method, request.path)))
}

/// None: another path. A slash at the end does not count: the SDKs do not agree on it.
fn labels(pattern: &str, request: &Request) -> Option<Labels> {
    let (pattern, wanted) = pattern.split_once('?').unwrap_or((pattern, ""));
    let has = |name: &str| {
        request
            .query
            .split('&')
            .any(|pair| pair.split('=').next() == Some(name))
    };
    if !wanted.is_empty() && !has(wanted) {
        return None;
    }
    let pattern: Vec<&str> = pattern.trim_end_matches('/').split('/').collect();
    let path: Vec<&str> = request.path.trim_end_matches('/').split('/').collect();
    if pattern.len() != path.len() {
        return None;
    }
    let mut labels = Vec::new();
    for (wanted, have) in pattern.iter().zip(path) {
        let label = wanted.strip_prefix('{').and_then(|w| w.strip_suffix('}'));
        match label {
            Some(label) => labels.push((label.to_owned(), http::decoded(have, false)?)),
            None if *wanted == have => {}
            None => return None,
        }
    }
    Some(labels)
}

/// Adds what path and query say to `params`.
pub fn add(
    model: &Model,
    shape: &str,
    request: &Request,
    labels: &[(String, String)],
    params: &mut Value,
) -> Result<(), Problem> {
    let shape = model.shape(shape);
    let Some(params) = params.as_object_mut() else {
        return Ok(());
    };
    let pairs = http::pairs(&request.query)
        .ok_or_else(|| Problem::Malformed("the query is not encoded".into()))?;
    let located = |location: &str, wire: &str| {
        shape.members.iter().find(|(own, member)| {
            member.location.as_deref() == Some(location)
                && member.location_name.as_deref().unwrap_or(own) == wire
        })
    };
    for (name, value) in labels {
        if let Some((own, member)) = located("uri", name) {
            insert(model, params, own, member, value)?;
        }
    }
    for (name, value) in &pairs {
        match located("querystring", name) {
            Some((own, member)) => insert(model, params, own, member, value)?,
            // A word in the operation's own address.
            None if value.is_empty() => {}
            None => return Err(Problem::Unknown(name.clone())),
        }
    }
    Ok(())
}

fn insert(
    model: &Model,
    params: &mut Map<String, Value>,
    own: &str,
    member: &Member,
    text: &str,
) -> Result<(), Problem> {
    let shape = model.shape(&member.shape);
    match (shape.kind, &shape.member) {
        (Kind::List, Some(item)) => {
            let value = scalar(model.shape(&item.shape).kind, text, own)?;
            let list = params
                .entry(own)
                .or_insert_with(|| Value::Array(Vec::new()));
            if let Some(list) = list.as_array_mut() {
                list.push(value);
            }
        }
        _ => {
            params.insert(own.to_owned(), scalar(shape.kind, text, own)?);
        }
    }
    Ok(())
}
