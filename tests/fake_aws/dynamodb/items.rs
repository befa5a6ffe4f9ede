//! Reading a table.

use serde_json::{Map, Value, json};

use super::super::ask::{number, present, text, wanted};
use super::super::world::{Answer, Call, Refusal};
use super::{State, Table, not_found, wrong};

/// Items that a page of a scan has at most: so few that whoever counts meets pages.
const PAGE: usize = 100;

/// A table that can be read: an ACTIVE one.
fn readable<'a>(state: &'a mut State, call: &Call) -> Result<&'a Table, Refusal> {
    let table = state.table(wanted(&call.params, "TableName"))?;
    match table.status(call.now) {
        "ACTIVE" => Ok(table),
        _ => Err(not_found("the table is not ACTIVE")),
    }
}

fn key_of(table: &Table, item: &Map<String, Value>) -> Map<String, Value> {
    (table.key.iter())
        .filter_map(|(name, _, _)| Some((name.clone(), item.get(name)?.clone())))
        .collect()
}

pub fn scan(state: &mut State, call: &Call) -> Answer {
    let params = &call.params;
    let strange = [
        "FilterExpression",
        "ScanFilter",
        "ProjectionExpression",
        "AttributesToGet",
        "IndexName",
        "TotalSegments",
    ];
    if let Some(name) = strange.iter().find(|name| params.get(**name).is_some()) {
        return Err(wrong(format!("this double scans without {name}")));
    }
    let table = readable(state, call)?;
    let from = match params.get("ExclusiveStartKey").and_then(Value::as_object) {
        None => 0,
        Some(key) => {
            (table
                .items
                .iter()
                .position(|item| key_of(table, item) == *key))
            .ok_or_else(|| wrong("The provided starting key is invalid"))?
                + 1
        }
    };
    let limit = number(params, "Limit").map_or(PAGE, |limit| (limit as usize).min(PAGE));
    let items: Vec<&Map<String, Value>> = table.items.iter().skip(from).take(limit).collect();
    let more = from + items.len() < table.items.len();
    let last = (items.last().filter(|_| more)).map(|item| key_of(table, item));
    let count = items.len();
    let items = (text(params, "Select") != Some("COUNT")).then_some(items);
    Ok(present(json!({
        "Items": items,
        "Count": count,
        "ScannedCount": count,
        "LastEvaluatedKey": last,
    })))
}

pub fn get(state: &mut State, call: &Call) -> Answer {
    let table = readable(state, call)?;
    let key = call
        .params
        .get("Key")
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    let fits = key.len() == table.key.len()
        && (table.key.iter())
            .all(|(name, kind, _)| key.get(name).is_some_and(|value| value.get(kind).is_some()));
    if !fits {
        return Err(wrong("The provided key element does not match the schema"));
    }
    let item = table.items.iter().find(|item| key_of(table, item) == key);
    Ok(present(json!({"Item": item})))
}
