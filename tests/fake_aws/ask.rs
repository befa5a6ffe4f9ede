//! What the handlers share: reading a call's parameters, pages, tags, ids, and asking EC2.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::world::{Answer, Call, Refusal, World};

pub type Tags = BTreeMap<String, String>;

pub fn text<'a>(params: &'a Value, name: &str) -> Option<&'a str> {
    params.get(name).and_then(Value::as_str)
}

/// What the model requires: the protocol has seen to it that it is there.
pub fn wanted<'a>(params: &'a Value, name: &str) -> &'a str {
    text(params, name).unwrap_or_default()
}

pub fn number(params: &Value, name: &str) -> Option<f64> {
    params.get(name).and_then(Value::as_f64)
}

pub fn flag(params: &Value, name: &str) -> Option<bool> {
    params.get(name).and_then(Value::as_bool)
}

pub fn list(params: &Value, name: &str) -> Vec<String> {
    let items = params.get(name).and_then(Value::as_array);
    (items.into_iter().flatten())
        .filter_map(|item| item.as_str().map(str::to_owned))
        .collect()
}

/// `[{Key, Value}]` → the tags.
pub fn tags(params: &Value, name: &str) -> Tags {
    let items = params.get(name).and_then(Value::as_array);
    (items.into_iter().flatten())
        .map(|tag| {
            (
                wanted(tag, "Key").to_owned(),
                wanted(tag, "Value").to_owned(),
            )
        })
        .collect()
}

/// The tags → `[{Key, Value}]`.
pub fn tag_list(tags: &Tags) -> Value {
    (tags.iter())
        .map(|(key, value)| json!({"Key": key, "Value": value}))
        .collect()
}

/// `{"key": "value"}` → the tags.
pub fn tag_map(value: Option<&Value>) -> Tags {
    let map = value.and_then(Value::as_object);
    (map.into_iter().flatten())
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect()
}

/// One page of `all`, and the token of the next one. A token that this double did not give is
/// refused with `code`.
pub fn page<T>(
    all: Vec<T>,
    token: Option<&str>,
    size: Option<f64>,
    default: usize,
    code: &str,
) -> Result<(Vec<T>, Option<String>), Refusal> {
    let from = match token {
        None => 0,
        Some(token) => (token.strip_prefix("page"))
            .and_then(|number| number.parse::<usize>().ok())
            .filter(|from| *from <= all.len())
            .ok_or_else(|| Refusal::new(400, code, "The token is not one of ours."))?,
    };
    let size = size.map_or(default, |size| size as usize).max(1);
    let next = (from + size < all.len()).then(|| format!("page{}", from + size));
    Ok((all.into_iter().skip(from).take(size).collect(), next))
}

/// Leaves out what is null: a member that the service does not send.
pub fn present(mut value: Value) -> Value {
    if let Some(map) = value.as_object_mut() {
        map.retain(|_, value| !value.is_null());
    }
    value
}

/// The services count milliseconds.
pub fn ms(time: f64) -> f64 {
    (time * 1000.0).floor() / 1000.0
}

/// `0A1B2C3D-…`
pub fn uuid(world: &mut World) -> String {
    let (a, b) = (world.new_id("u"), world.new_id("u"));
    let hex = format!("{}{}", &a[3..], &b[3..]);
    format!(
        "{}-{}-{}-{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..]
    )
}

/// What EC2 says in the same account and region.
pub fn ec2(world: &mut World, call: &Call, operation: &str, params: Value) -> Answer {
    let call = Call {
        service: "ec2".into(),
        operation: operation.into(),
        params,
        ..call.clone()
    };
    super::ec2::handle(world, &call)
}

/// A subnet as EC2 describes it, `None` where there is none.
pub fn subnet(world: &mut World, call: &Call, id: &str) -> Option<Value> {
    let said = ec2(world, call, "DescribeSubnets", json!({"SubnetIds": [id]})).ok()?;
    said.get("Subnets")?.get(0).cloned()
}

/// The first of these security groups that is not there.
pub fn missing_group(world: &mut World, call: &Call, ids: &[String]) -> Option<String> {
    (ids.iter())
        .find(|id| {
            let asked = json!({"GroupIds": [id]});
            ec2(world, call, "DescribeSecurityGroups", asked).is_err()
        })
        .cloned()
}

pub fn unsupported(call: &Call) -> Refusal {
    let what = format!("this double does not know {}", call.operation);
    Refusal::new(400, "UnsupportedOperation", what)
}
