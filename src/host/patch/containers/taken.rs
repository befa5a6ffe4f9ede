//! One object of an engine's JSON, taken apart key by key, so that none is forgotten. Pure.

use serde_json::{Map, Value};

/// The keys of one object, each taken once; what is left over and set is refused.
pub(super) struct Taken<'a> {
    pub left: Map<String, Value>,
    pub what: &'a str,
}

pub(super) type Made<T> = Result<T, String>;

impl<'a> Taken<'a> {
    pub fn of(inspect: &Value, what: &'a str) -> Made<Self> {
        let left = inspect.get(what).and_then(Value::as_object).cloned();
        let left = left.ok_or_else(|| format!("the engine does not say its {what}"))?;
        Ok(Taken { left, what })
    }

    pub fn take(&mut self, key: &str) -> Value {
        self.left.shift_remove(key).unwrap_or_default()
    }

    pub fn text(&mut self, key: &str) -> Made<String> {
        match self.take(key) {
            Value::Null => Ok(String::new()),
            Value::String(text) => Ok(text),
            _ => Err(self.odd(key)),
        }
    }

    pub fn number(&mut self, key: &str) -> Made<i64> {
        match self.take(key) {
            Value::Null => Ok(0),
            Value::Number(n) => n.as_i64().ok_or_else(|| self.odd(key)),
            _ => Err(self.odd(key)),
        }
    }

    pub fn flag(&mut self, key: &str) -> Made<bool> {
        match self.take(key) {
            Value::Null => Ok(false),
            Value::Bool(flag) => Ok(flag),
            _ => Err(self.odd(key)),
        }
    }

    pub fn list(&mut self, key: &str) -> Made<Vec<Value>> {
        match self.take(key) {
            Value::Null => Ok(Vec::new()),
            Value::Array(all) => Ok(all),
            _ => Err(self.odd(key)),
        }
    }

    pub fn texts(&mut self, key: &str) -> Made<Vec<String>> {
        let all = self.list(key)?;
        let texts = all.iter().map(|v| v.as_str().map(str::to_owned));
        texts.collect::<Option<_>>().ok_or_else(|| self.odd(key))
    }

    pub fn map(&mut self, key: &str) -> Made<Map<String, Value>> {
        match self.take(key) {
            Value::Null => Ok(Map::new()),
            Value::Object(map) => Ok(map),
            _ => Err(self.odd(key)),
        }
    }

    pub fn odd(&self, key: &str) -> String {
        format!("has {}.{key} in a form that we do not know", self.what)
    }

    /// Nothing else is set.
    pub fn done(self) -> Made<()> {
        match self.left.iter().find(|(_, value)| is_set(value)) {
            None => Ok(()),
            Some((key, _)) => Err(format!(
                "has {}.{}, which we cannot give it again",
                self.what,
                crate::shell::clean(key, 60)
            )),
        }
    }
}

/// Whether a value is other than nothing.
pub(super) fn is_set(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(flag) => *flag,
        Value::Number(n) => n.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(all) => all.iter().any(is_set),
        Value::Object(map) => !map.is_empty(),
    }
}
