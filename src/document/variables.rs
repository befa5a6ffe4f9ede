//! Variables: declared with a type by baselines, set by layers, taken by texts as `{{ name }}`.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::LazyLock;

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

    /// Some value for each: the default, the given one, or one made up where there is none. For
    /// finding what would be wrong with any value.
    pub(crate) fn sample(
        declared: &BTreeMap<String, Variable>,
        given: &BTreeMap<String, Value>,
    ) -> Self {
        let made_up = |kind| match kind {
            VariableKind::Text => Value::Text("x".into()),
            VariableKind::Integer => Value::Text("1".into()),
            VariableKind::Boolean => Value::Text("true".into()),
            VariableKind::List => Value::List(vec!["x".into()]),
        };
        let values = declared.iter().map(|(name, variable)| {
            let value = given.get(name).or(variable.default.as_ref()).cloned();
            let value = value.unwrap_or_else(|| made_up(variable.kind));
            (name.clone(), (variable.kind, value))
        });
        Variables {
            values: values.collect(),
        }
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
            (name.clone(), typed)
        });
        minijinja::Value::from(typed.collect::<BTreeMap<_, _>>())
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
    render(&ENVIRONMENT, &variables.context(), "", &mut json)?;
    serde_json::from_value(json)
        .map_err(|error| format!("with its variables replaced, this resource is wrong: {error}"))
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

static ENVIRONMENT: LazyLock<Environment<'static>> = LazyLock::new(environment);

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_formatter(|out, state, value| match value.kind() {
        minijinja::value::ValueKind::Bool => Ok(out.write_str(&written(value))?),
        _ => minijinja::escape_formatter(out, state, value),
    });
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
            return Err(format!(
                "no value is set for `{}`: say it under `variables` of the playbook, a group or the host",
                source.trim()
            ));
        }
        if value.kind() == minijinja::value::ValueKind::Seq {
            if *span != (0..text.len()) {
                return Err(list_in_text(source));
            }
            let items = value.try_iter().map_err(|error| why(&error))?;
            return Ok(items.map(|item| Json::String(written(&item))).collect());
        }
        out.push_str(&written(&value));
    }
    Ok(Json::String(out))
}

/// A value as our documents spell it; the template language has `True` and `None`.
fn written(value: &minijinja::Value) -> String {
    match value.kind() {
        minijinja::value::ValueKind::Bool => value.is_true().to_string(),
        _ => value.to_string(),
    }
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
    if key != TEMPLATE_KEY && !text.contains("{{") {
        return Ok(Vec::new());
    }
    let environment = &*ENVIRONMENT;
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn declared() -> BTreeMap<String, Variable> {
        let variable = |kind, default| Variable {
            kind,
            default,
            about: None,
        };
        let text = |text: &str| Some(Value::Text(text.into()));
        let users = Value::List(vec!["root".into(), "ops".into()]);
        BTreeMap::from([
            ("port".into(), variable(VariableKind::Integer, text("22"))),
            (
                "strict".into(),
                variable(VariableKind::Boolean, text("false")),
            ),
            ("users".into(), variable(VariableKind::List, Some(users))),
            ("log_host".into(), variable(VariableKind::Text, None)),
        ])
    }

    fn replaced(json: Json) -> Result<Json, String> {
        let variables = settle(&declared(), &[]).map_err(|e| e.join("\n"))?;
        resolve(&json, &variables)
    }

    #[test]
    fn texts_take_variables() {
        assert_eq!(
            replaced(json!({"a": "Port {{ port }}, {{port + 1}}"})),
            Ok(json!({"a": "Port 22, 23"}))
        );
        assert_eq!(
            replaced(json!({"a": "{{ users }}"})),
            Ok(json!({"a": ["root", "ops"]}))
        );
        assert_eq!(
            replaced(json!({"a": ["x", "{{ users }}"]})),
            Ok(json!({"a": ["x", "root", "ops"]}))
        );
        assert_eq!(
            replaced(json!({"a": "{{ users | join(' ') }}"})),
            Ok(json!({"a": "root ops"}))
        );
        assert_eq!(
            replaced(json!({"a": "{{ strict }}{{ '{{' }}"})),
            Ok(json!({"a": "false{{"}))
        );
    }

    #[test]
    fn only_templates_know_blocks() {
        let sh = json!({"check": "x=${#1}; y={% z; {{ port }}"});
        assert_eq!(replaced(sh), Ok(json!({"check": "x=${#1}; y={% z; 22"})));
        let template = json!({"template": "{{ strict }}\n{% for u in users %}{{ u }}\n{% endfor %}{% if strict %}no{% endif %}end\n"});
        assert_eq!(
            replaced(template),
            Ok(json!({"template": "false\nroot\nops\nend\n"}))
        );
    }

    #[test]
    fn what_has_no_value_is_an_error() {
        for text in [
            "{{ log_host }}",
            "{{ nobody }}",
            "{{ port",
            "{{ port + }}",
            "x {{ users }}",
        ] {
            assert!(replaced(json!({"a": text})).is_err(), "{text}");
        }
        assert!(replaced(json!({"template": "{{ log_host }}"})).is_err());
    }

    #[test]
    fn the_strongest_layer_holds_and_each_is_checked() {
        let layer =
            |name: &str, text: &str| BTreeMap::from([(name.to_owned(), Value::Text(text.into()))]);
        let (playbook, host) = (layer("port", "2222"), layer("port", "22022"));
        let both = settle(
            &declared(),
            &[("the playbook", &playbook), ("the host", &host)],
        )
        .unwrap();
        assert_eq!(both.text("port").as_deref(), Some("22022"));
        let one = settle(&declared(), &[("the playbook", &playbook)]).unwrap();
        assert_eq!(one.text("port").as_deref(), Some("2222"));
        assert_eq!(one.text("users").as_deref(), Some("root,ops"));
        assert_eq!(one.get("log_host"), None);
        let wrong = layer("port", "many");
        let told = settle(
            &declared(),
            &[("the playbook", &wrong), ("the host", &host)],
        )
        .unwrap_err();
        assert_eq!(
            told,
            ["the variable `port` must be a whole number, not `many`; the playbook sets it"]
        );
        let others = layer("ansible_thing", "x");
        assert!(settle(&declared(), &[("the host", &others)]).is_ok());
    }

    #[test]
    fn the_command_line_is_typed_too() {
        let set = |text: &str| parse_setting(&declared(), text);
        assert_eq!(
            set("port=2222"),
            Ok(("port".into(), Value::Text("2222".into())))
        );
        let users = Value::List(vec!["a".into(), "b=c".into()]);
        assert_eq!(set("users=a, b=c"), Ok(("users".into(), users)));
        assert!(set("port=x").is_err() && set("port").is_err());
        assert!(set("prot=1").unwrap_err().contains("`port`"));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[a-z{}%'\" |+.#\n\\\\]{0,40}") {
            let _ = (names_in("", &text), names_in(TEMPLATE_KEY, &text));
            let _ = replaced(json!({"a": text, "template": text}));
        }

        #[test]
        fn pieces_are_the_whole_text(text in "[a-c{} '\"]{0,30}") {
            if let Ok(pieces) = pieces(&text) {
                let all = pieces.iter().map(|piece| match piece {
                    Piece::Text(text) => (*text).to_owned(),
                    Piece::Expression(span, _) => text[span.clone()].to_owned(),
                });
                prop_assert_eq!(all.collect::<String>(), text);
            }
        }
    }
}
