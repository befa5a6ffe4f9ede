//! Variables: declared with a type by baselines, set by layers, taken by texts as `{{ name }}`.

use std::collections::BTreeMap;
use std::ops::Range;

use minijinja::syntax::SyntaxConfig;
use minijinja::{Environment, UndefinedBehavior};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use super::baseline::{Value, Variable, VariableKind};
use super::diagnostic::nearest;

/// The parameter whose text is a whole template (`{% for … %}` and all). Elsewhere only
/// `{{ … }}` means something, so that pieces of sh such as `${#name}` stay as they are.
pub const TEMPLATE_KEY: &str = "template";

/// The values that hold for one host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Variables {
    values: BTreeMap<String, (VariableKind, Value)>,
}

impl Variables {
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.values.get(name).map(|(_, value)| value)
    }

    /// As one text; a list is joined by `,`.
    pub fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(|value| match value {
            Value::Text(text) => text.clone(),
            Value::List(list) => list.join(","),
        })
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.values
            .iter()
            .map(|(name, (_, value))| (name.as_str(), value))
    }

    fn context(&self) -> minijinja::Value {
        let typed = self.values.iter().map(|(name, (kind, value))| {
            let typed = match (kind, value) {
                (VariableKind::Integer, Value::Text(text)) => {
                    text.trim().parse::<i64>().map(minijinja::Value::from).ok()
                }
                (VariableKind::Boolean, Value::Text(text)) => {
                    boolean(text).map(minijinja::Value::from)
                }
                _ => None,
            };
            let typed = typed.unwrap_or_else(|| match value {
                Value::Text(text) => minijinja::Value::from(text.as_str()),
                Value::List(list) => minijinja::Value::from(list.clone()),
            });
            (name.as_str(), typed)
        });
        typed.collect()
    }
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

/// Whether a value is of a type; if not, what is wrong with it ("must be …, not …").
pub fn check_value(kind: VariableKind, value: &Value) -> Result<(), String> {
    let wrong = |wanted: &str| match value {
        Value::Text(text) => Err(format!("must be {wanted}, not `{text}`")),
        Value::List(_) => Err(format!("must be {wanted}, not a list")),
    };
    match (kind, value) {
        (VariableKind::List, Value::List(_)) | (VariableKind::Text, Value::Text(_)) => Ok(()),
        (VariableKind::Integer, Value::Text(text)) if text.trim().parse::<i64>().is_ok() => Ok(()),
        (VariableKind::Boolean, Value::Text(text)) if boolean(text).is_some() => Ok(()),
        (VariableKind::List, _) => wrong("a list"),
        (VariableKind::Text, _) => wrong("a text"),
        (VariableKind::Integer, _) => wrong("a whole number"),
        (VariableKind::Boolean, _) => wrong("true or false"),
    }
}

/// The values that hold, from the weakest layer to the strongest. Each layer has a name for
/// people, e.g. `the inventory (host web-1)`. Values of names that no baseline declares are left
/// out: an inventory may serve other programs too.
pub fn settle(
    declared: &BTreeMap<String, Variable>,
    layers: &[(&str, &BTreeMap<String, Value>)],
) -> Result<Variables, Vec<String>> {
    let mut out = Variables::default();
    let mut wrong = Vec::new();
    for (name, variable) in declared {
        let mut value = variable.default.as_ref();
        for (layer, values) in layers {
            let Some(set) = values.get(name) else {
                continue;
            };
            if let Err(why) = check_value(variable.kind, set) {
                wrong.push(format!("the variable `{name}` {why}; {layer} sets it"));
            }
            value = Some(set);
        }
        if let Some(value) = value {
            out.values
                .insert(name.clone(), (variable.kind, value.clone()));
        }
    }
    match wrong.is_empty() {
        true => Ok(out),
        false => Err(wrong),
    }
}

/// `name=value` of the command line, by the declared type; a list is given with commas.
pub fn parse_setting(
    declared: &BTreeMap<String, Variable>,
    setting: &str,
) -> Result<(String, Value), String> {
    let Some((name, text)) = setting.split_once('=') else {
        return Err(format!("`{setting}` must be `name=value`"));
    };
    let Some(variable) = declared.get(name) else {
        return Err(match nearest(name, declared.keys().map(String::as_str)) {
            Some(word) => format!("no baseline has a variable `{name}`; did you mean `{word}`?"),
            None => format!("no baseline has a variable `{name}`"),
        });
    };
    let value = match variable.kind {
        VariableKind::List if text.is_empty() => Value::List(Vec::new()),
        VariableKind::List => Value::List(text.split(',').map(|w| w.trim().to_owned()).collect()),
        _ => Value::Text(text.to_owned()),
    };
    check_value(variable.kind, &value).map_err(|why| format!("the variable `{name}` {why}"))?;
    Ok((name.to_owned(), value))
}

/// A copy of a resource with its `{{ … }}` replaced.
pub fn resolve<R: Serialize + DeserializeOwned + Clone>(
    resource: &R,
    variables: &Variables,
) -> Result<R, String> {
    let mut json = serde_json::to_value(resource).map_err(|error| error.to_string())?;
    if !takes_variables(&json) {
        return Ok(resource.clone());
    }
    let environment = environment();
    render(&environment, &variables.context(), "", &mut json)?;
    serde_json::from_value(json)
        .map_err(|error| format!("with its variables replaced it is not right any more: {error}"))
}

fn takes_variables(json: &Json) -> bool {
    match json {
        Json::String(text) => text.contains("{{"),
        Json::Array(items) => items.iter().any(takes_variables),
        Json::Object(object) => object
            .iter()
            .any(|(key, value)| key == TEMPLATE_KEY || takes_variables(value)),
        _ => false,
    }
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    let syntax = SyntaxConfig::builder().keep_trailing_newline(true).build();
    if let Ok(syntax) = syntax {
        environment.set_syntax(syntax);
    }
    environment
}

fn render(
    environment: &Environment,
    context: &minijinja::Value,
    key: &str,
    json: &mut Json,
) -> Result<(), String> {
    match json {
        Json::String(text) if key == TEMPLATE_KEY => {
            let rendered = environment.render_str(text, context.clone());
            *text = rendered.map_err(|error| why(&error))?;
        }
        Json::String(text) if text.contains("{{") => {
            *json = render_text(environment, context, text)?;
        }
        Json::Array(items) => {
            for item in items.iter_mut() {
                render(environment, context, key, item)?;
            }
            // `[a, "{{ list }}"]` is one list, not a list in a list.
            if items.iter().any(Json::is_array) {
                let flat = std::mem::take(items)
                    .into_iter()
                    .flat_map(|item| match item {
                        Json::Array(inner) => inner,
                        other => vec![other],
                    });
                *items = flat.collect();
            }
        }
        Json::Object(object) => {
            for (key, value) in object.iter_mut() {
                render(environment, context, key, value)?;
            }
        }
        _ => {}
    }
    Ok(())
}

fn render_text(
    environment: &Environment,
    context: &minijinja::Value,
    text: &str,
) -> Result<Json, String> {
    let pieces = pieces(text).map_err(|(_, why)| why)?;
    let mut out = String::new();
    for piece in &pieces {
        let (span, source) = match piece {
            Piece::Text(text) => {
                out.push_str(text);
                continue;
            }
            Piece::Expression(span, source) => (span, source),
        };
        let expression = environment.compile_expression(source);
        let value = expression
            .and_then(|expression| expression.eval(context.clone()))
            .map_err(|error| why(&error))?;
        if value.is_undefined() {
            return Err(format!("the variable of `{}` has no value", source.trim()));
        }
        if value.kind() == minijinja::value::ValueKind::Seq {
            if *span != (0..text.len()) {
                return Err(list_in_text(source));
            }
            let items = value.try_iter().map_err(|error| why(&error))?;
            return Ok(items.map(|item| Json::String(item.to_string())).collect());
        }
        out.push_str(&value.to_string());
    }
    Ok(Json::String(out))
}

/// What to say of a list that stands inside a longer text.
pub(crate) fn list_in_text(source: &str) -> String {
    let name = source.trim();
    format!(
        "`{name}` is a list and stands inside a longer text; write `{{{{ {name} | join(' ') }}}}`"
    )
}

fn why(error: &minijinja::Error) -> String {
    match (error.kind(), error.detail()) {
        (minijinja::ErrorKind::UndefinedError, _) => "a variable has no value".into(),
        (kind, Some(detail)) => format!("{kind}: {detail}"),
        (kind, None) => kind.to_string(),
    }
}

/// A part of a text that may take variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece<'t> {
    Text(&'t str),
    /// The byte range of the whole `{{ … }}`, and what is between.
    Expression(Range<usize>, &'t str),
}

/// Splits a text at its `{{ … }}`. An error has the offset of what is wrong.
pub(crate) fn pieces(text: &str) -> Result<Vec<Piece<'_>>, (usize, String)> {
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(open) = text.get(at..).and_then(|rest| rest.find("{{")) {
        let open = at + open;
        let Some(len) = text.get(open + 2..).and_then(closing) else {
            return Err((
                open,
                "`{{` has no `}}`; for the two braces themselves write `{{ '{{' }}`".into(),
            ));
        };
        let end = open + 2 + len + 2;
        out.extend(
            text.get(at..open)
                .filter(|t| !t.is_empty())
                .map(Piece::Text),
        );
        let source = text.get(open + 2..open + 2 + len).unwrap_or_default();
        out.push(Piece::Expression(open..end, source));
        at = end;
    }
    out.extend(text.get(at..).filter(|t| !t.is_empty()).map(Piece::Text));
    Ok(out)
}

/// Where `}}` stands, outside of quotes.
fn closing(rest: &str) -> Option<usize> {
    let mut quote = None;
    let mut before = ' ';
    for (at, c) in rest.char_indices() {
        match quote {
            Some(open) if c == open && before != '\\' => quote = None,
            Some(_) => {}
            None if c == '\'' || c == '"' => quote = Some(c),
            None if c == '}' && rest.get(at..)?.starts_with("}}") => return Some(at),
            None => {}
        }
        before = c;
    }
    None
}

/// What a text takes: each name, and where in the text (the whole text for a template).
/// An error has the offset of what is wrong.
pub(crate) fn names_in(key: &str, text: &str) -> Result<Vec<Use>, (Range<usize>, String)> {
    let environment = environment();
    let sorted = |names: std::collections::HashSet<String>| {
        let mut names: Vec<String> = names.into_iter().collect();
        names.sort();
        names
    };
    if key == TEMPLATE_KEY {
        let template = environment
            .template_from_str(text)
            .map_err(|error| (0..text.len(), why(&error)))?;
        let names = sorted(template.undeclared_variables(false));
        let used = names.into_iter().map(|name| Use {
            name,
            span: 0..text.len(),
            bare_in_text: false,
        });
        return Ok(used.collect());
    }
    let mut out = Vec::new();
    let pieces = pieces(text).map_err(|(at, why)| (at..at + 2, why))?;
    for piece in pieces {
        let Piece::Expression(span, source) = piece else {
            continue;
        };
        let expression = environment
            .compile_expression(source)
            .map_err(|error| (span.clone(), why(&error)))?;
        for name in sorted(expression.undeclared_variables(false)) {
            let bare_in_text = source.trim() == name && span != (0..text.len());
            out.push(Use {
                name,
                span: span.clone(),
                bare_in_text,
            });
        }
    }
    Ok(out)
}

/// One taking of a variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Use {
    pub name: String,
    pub span: Range<usize>,
    /// It stands by itself in `{{ }}`, inside a longer text: a list would make no sense there.
    pub bare_in_text: bool,
}
