//! From the wire to JSON in the model's member names and back, by the model alone.
//!
//! - `rest`: which operation of a REST service, and what of it is in its path and query.
//! - `json`, `query`, `xml`: bodies. `check`: what the model allows. `problem`: how each service says
//!   that it is not.

pub mod check;
pub mod json;
pub mod problem;
pub mod query;
pub mod rest;
pub mod xml;

use serde_json::{Map, Value};

use super::http::{self, Request, Response};
use super::model::{Model, Protocol};
use super::world::Refusal;
use problem::Problem;

/// A request whose operation is known, and no more yet.
pub struct Named {
    pub operation: String,
    /// What is known of its members: those of a path, or the pairs of a form.
    known: Vec<(String, String)>,
}

/// Which operation a request asks for.
pub fn name(model: &Model, request: &Request) -> Result<Named, Problem> {
    let named = match model.metadata.protocol {
        Protocol::RestJson => {
            let (operation, known) = rest::route(model, request)?;
            return Ok(Named { operation, known });
        }
        Protocol::Json => {
            let target = request.header("x-amz-target").unwrap_or_default();
            let (prefix, operation) = target.split_once('.').unwrap_or_default();
            if prefix != model.metadata.target_prefix {
                return Err(Problem::Operation(target.to_owned()));
            }
            Named {
                operation: operation.to_owned(),
                known: Vec::new(),
            }
        }
        Protocol::Query | Protocol::Ec2 => {
            let form = String::from_utf8_lossy(&request.body);
            let known = http::pairs(&form)
                .ok_or_else(|| Problem::Malformed("the form is not encoded".into()))?;
            let find = |wanted: &str| {
                let found = known.iter().find(|(name, _)| name == wanted);
                found.map(|(_, value)| value.clone()).unwrap_or_default()
            };
            let (operation, version) = (find("Action"), find("Version"));
            if version != model.metadata.api_version {
                return Err(Problem::Operation(format!(
                    "{operation} of version {version}"
                )));
            }
            Named { operation, known }
        }
    };
    match model.operations.contains_key(&named.operation) {
        true => Ok(named),
        false => Err(Problem::Operation(named.operation)),
    }
}

/// The request's members, as the model allows them.
pub fn decode(model: &Model, named: &Named, request: &Request) -> Result<Value, Problem> {
    let empty = Value::Object(Map::new());
    let Some(input) = &model.operations[&named.operation].input else {
        return Ok(empty);
    };
    let params = match model.metadata.protocol {
        Protocol::RestJson => {
            let mut params = json::decode(model, &input.shape, &request.body)?;
            rest::add(model, &input.shape, request, &named.known, &mut params)?;
            params
        }
        Protocol::Json => json::decode(model, &input.shape, &request.body)?,
        Protocol::Query | Protocol::Ec2 => query::decode(model, &input.shape, &named.known)?,
    };
    check::request(model, &input.shape, &params)?;
    Ok(params)
}

/// The answer on the wire. An error is a mistake in the handler: what it says is not in the model.
pub fn encode(
    model: &Model,
    operation: &str,
    answer: &Value,
    id: &str,
) -> Result<Response, String> {
    let what = &model.operations[operation];
    let shape = what.output.as_ref();
    match shape {
        Some(shape) => check::answer(model, &shape.shape, answer)?,
        None if answer.is_null() || answer.as_object().is_some_and(Map::is_empty) => {}
        None => return Err("the model says that nothing is answered".into()),
    }
    let status = what.http.response_code.unwrap_or(200);
    let metadata = &model.metadata;
    Ok(match metadata.protocol {
        Protocol::Query | Protocol::Ec2 => Response::new(
            status,
            "text/xml;charset=UTF-8",
            xml::answer(model, what, answer, id),
        ),
        Protocol::RestJson | Protocol::Json => {
            let body = match shape {
                Some(shape) => json::encode(model, &shape.shape, answer).to_string(),
                None => String::new(),
            };
            Response::new(status, json_type(model), body).with("x-amzn-RequestId", id)
        }
    })
}

/// An error on the wire, and its code there.
pub fn refuse(model: &Model, operation: &str, refusal: &Refusal, id: &str) -> (Response, String) {
    let declared = model.declared_error(operation, &refusal.code);
    let code = declared.map_or_else(|| refusal.code.clone(), |(code, _)| code);
    let response = match model.metadata.protocol {
        Protocol::Ec2 | Protocol::Query => Response::new(
            refusal.status,
            "text/xml;charset=UTF-8",
            xml::error(model, refusal, &code, id),
        ),
        Protocol::RestJson | Protocol::Json => {
            let body = json::error(model, operation, refusal, &code);
            Response::new(refusal.status, json_type(model), body.to_string())
                .with("x-amzn-RequestId", id)
                .with("x-amzn-ErrorType", &code)
        }
    };
    (response, code)
}

fn json_type(model: &Model) -> &'static str {
    match (
        model.metadata.protocol,
        model.metadata.json_version.as_str(),
    ) {
        (Protocol::Json, "1.0") => "application/x-amz-json-1.0",
        (Protocol::Json, _) => "application/x-amz-json-1.1",
        _ => "application/json",
    }
}
