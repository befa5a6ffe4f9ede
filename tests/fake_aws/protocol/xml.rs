//! XML answers: of EC2 and of the query protocol.

use serde_json::{Map, Value};

use super::super::model::{Kind, Model, Operation, Protocol};
use super::super::world::Refusal;

const HEAD: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

/// An answer that was checked.
pub fn answer(model: &Model, what: &Operation, answer: &Value, id: &str) -> String {
    let name = &what.name;
    let namespace = &model.metadata.xml_namespace;
    let mut inner = String::new();
    if let Some(output) = &what.output {
        value(model, &output.shape, answer, &mut inner);
    }
    if model.metadata.protocol == Protocol::Ec2 {
        if what.output.is_none() {
            inner.push_str("<return>true</return>");
        }
        return format!(
            "{HEAD}<{name}Response xmlns=\"{namespace}\"><requestId>{id}</requestId>{inner}\
             </{name}Response>"
        );
    }
    let wrapper = what.output.as_ref().and_then(|o| o.result_wrapper.as_ref());
    if let Some(wrapper) = wrapper {
        inner = format!("<{wrapper}>{inner}</{wrapper}>");
    }
    format!(
        "{HEAD}<{name}Response xmlns=\"{namespace}\">{inner}<ResponseMetadata>\
         <RequestId>{id}</RequestId></ResponseMetadata></{name}Response>"
    )
}

/// An error; its message is not trusted to be without markup.
pub fn error(model: &Model, refusal: &Refusal, code: &str, id: &str) -> String {
    let (code, message) = (escaped(code), escaped(&refusal.message));
    if model.metadata.protocol == Protocol::Ec2 {
        return format!(
            "{HEAD}<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error>\
             </Errors><RequestID>{id}</RequestID></Response>"
        );
    }
    let kind = if refusal.status >= 500 {
        "Receiver"
    } else {
        "Sender"
    };
    let namespace = &model.metadata.xml_namespace;
    format!(
        "{HEAD}<ErrorResponse xmlns=\"{namespace}\"><Error><Type>{kind}</Type><Code>{code}</Code>\
         <Message>{message}</Message></Error><RequestId>{id}</RequestId></ErrorResponse>"
    )
}

/// The inside of an element.
fn value(model: &Model, name: &str, value: &Value, out: &mut String) {
    let shape = model.shape(name);
    match (shape.kind, value) {
        (Kind::Structure, Value::Object(members)) => {
            for (own, value) in members.iter().filter(|(_, value)| !value.is_null()) {
                if let Some(member) = shape.members.get(own) {
                    let wire = member.location_name.as_deref().unwrap_or(own);
                    element(model, wire, &member.shape, value, out);
                }
            }
        }
        (Kind::List, Value::Array(items)) => {
            if let Some(member) = &shape.member {
                let wire = member.location_name.as_deref().unwrap_or("member");
                for item in items {
                    element(model, wire, &member.shape, item, out);
                }
            }
        }
        (Kind::Map, Value::Object(entries)) => map(model, name, entries, out),
        (Kind::Timestamp, time) => out.push_str(&iso(time.as_f64().unwrap_or_default())),
        (_, Value::String(text)) => out.push_str(&escaped(text)),
        (_, other) => out.push_str(&other.to_string()),
    }
}

fn element(model: &Model, wire: &str, shape: &str, inner: &Value, out: &mut String) {
    out.push_str(&format!("<{wire}>"));
    value(model, shape, inner, out);
    out.push_str(&format!("</{wire}>"));
}

fn map(model: &Model, name: &str, entries: &Map<String, Value>, out: &mut String) {
    let Some(member) = &model.shape(name).value else {
        return;
    };
    for (key, value) in entries {
        out.push_str(&format!("<entry><key>{}</key>", escaped(key)));
        element(model, "value", &member.shape, value, out);
        out.push_str("</entry>");
    }
}

/// `2026-01-01T00:00:00.000Z`
fn iso(seconds: f64) -> String {
    let time = jiff::Timestamp::from_millisecond((seconds * 1000.0).round() as i64);
    format!("{:.3}", time.unwrap_or_default())
}

/// What XML cannot say at all becomes a question mark.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\r' => out.push_str("&#13;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() => out.push('?'),
            c => out.push(c),
        }
    }
    out
}
