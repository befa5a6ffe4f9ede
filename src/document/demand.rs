//! What a value must be: exactly this, at least that, one of these, none of those.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::scalar::{ScalarOr, Text, Words};

/// What a value must be. In a document: a text (exactly that), or a mapping with one or more of
/// `equals`, `one_of`, `at_least`, `at_most`, `none_of`, `subset_of`, `has`, `matches`, and `set`:
/// what `apply` writes (needed unless `equals` says it). `expected` says in words what is demanded
/// where an expression or a long list would be hard to read.
///
/// `one_of` compares the whole value; `none_of`, `subset_of` and `has` look at its words, which
/// are separated by commas or white space. Numbers are compared as integers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Demand {
    pub equals: Option<String>,
    pub one_of: Vec<String>,
    pub at_least: Option<i64>,
    pub at_most: Option<i64>,
    /// No word of the value is one of these.
    pub none_of: Vec<String>,
    /// Every word of the value is one of these, and there is at least one.
    pub subset_of: Vec<String>,
    /// Each of these is a word of the value.
    pub has: Vec<String>,
    /// A regular expression that matches somewhere in the value.
    pub matches: Option<String>,
    /// What `apply` writes; several words are joined by a comma.
    pub set: Option<Words>,
    /// What is demanded in words, e.g. `a size`; it is shown in place of the demand itself.
    pub expected: Option<String>,
    /// `at_least` and `at_most` as written, where they take a variable. Empty once variables are
    /// replaced.
    pub pending: BTreeMap<String, String>,
}

const FIELDS: &[&str] = &[
    "equals",
    "one_of",
    "at_least",
    "at_most",
    "none_of",
    "subset_of",
    "has",
    "matches",
    "set",
    "expected",
];

impl<'de> Deserialize<'de> for Demand {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct V;
        impl<'de> Visitor<'de> for V {
            type Value = Demand;
            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("a text, or a mapping such as {at_most: 4, set: 4}")
            }
            fn visit_str<E: de::Error>(self, v: &str) -> Result<Demand, E> {
                Ok(Demand {
                    equals: Some(v.to_owned()),
                    ..Demand::default()
                })
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Demand, A::Error> {
                let mut demand = Demand::default();
                let mut seen = BTreeMap::new();
                while let Some(key) = map.next_key::<String>()? {
                    if seen.insert(key.clone(), ()).is_some() {
                        return Err(de::Error::custom(format!("duplicate field `{key}`")));
                    }
                    if matches!(key.as_str(), "at_least" | "at_most") {
                        let text = map.next_value::<Text>()?;
                        if text.0.contains("{{") {
                            demand.pending.insert(key, text.0);
                            continue;
                        }
                        let number = text.0.trim().parse::<i64>().map_err(|_| {
                            let wrong = &text.0;
                            de::Error::custom(format!(
                                "`{key}` must be a whole number, not `{wrong}`"
                            ))
                        })?;
                        match key.as_str() {
                            "at_least" => demand.at_least = Some(number),
                            _ => demand.at_most = Some(number),
                        }
                        continue;
                    }
                    match key.as_str() {
                        "equals" => demand.equals = Some(map.next_value::<Text>()?.0),
                        "one_of" => demand.one_of = map.next_value::<Words>()?.0,
                        "none_of" => demand.none_of = map.next_value::<Words>()?.0,
                        "subset_of" => demand.subset_of = map.next_value::<Words>()?.0,
                        "has" => demand.has = map.next_value::<Words>()?.0,
                        "matches" => demand.matches = Some(map.next_value::<Text>()?.0),
                        "set" => demand.set = Some(map.next_value()?),
                        "expected" => demand.expected = Some(map.next_value::<Text>()?.0),
                        other => return Err(de::Error::unknown_field(other, FIELDS)),
                    }
                }
                Ok(demand)
            }
        }
        deserializer.deserialize_any(ScalarOr(V))
    }
}

impl Serialize for Demand {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let text = |v: &Option<i64>| v.map(|n| n.to_string());
        if let Some(v) = &self.equals {
            map.serialize_entry("equals", v)?;
        }
        for (key, list) in [
            ("one_of", &self.one_of),
            ("none_of", &self.none_of),
            ("subset_of", &self.subset_of),
            ("has", &self.has),
        ] {
            if !list.is_empty() {
                map.serialize_entry(key, list)?;
            }
        }
        for (key, value) in [
            ("at_least", text(&self.at_least)),
            ("at_most", text(&self.at_most)),
            ("matches", self.matches.clone()),
        ] {
            if let Some(v) = value {
                map.serialize_entry(key, &v)?;
            }
        }
        for (key, text) in &self.pending {
            map.serialize_entry(key, text)?;
        }
        if let Some(v) = &self.set {
            map.serialize_entry("set", v)?;
        }
        if let Some(v) = &self.expected {
            map.serialize_entry("expected", v)?;
        }
        map.end()
    }
}

impl JsonSchema for Demand {
    fn schema_name() -> Cow<'static, str> {
        "Demand".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let words = generator.subschema_for::<Words>();
        let scalar = json_schema!({"type": ["string", "number", "boolean"]});
        json_schema!({
            "description": "What a value must be: a text (exactly that), or a mapping.",
            "oneOf": [
                {"type": ["string", "number", "boolean"]},
                {
                    "type": "object",
                    "additionalProperties": false,
                    "minProperties": 1,
                    "properties": {
                        "equals": scalar, "one_of": words, "at_least": scalar,
                        "at_most": scalar, "none_of": words, "subset_of": words, "has": words,
                        "matches": {"type": "string"}, "set": words,
                        "expected": {"type": "string"}
                    }
                }
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_may_take_a_variable() {
        let json = serde_json::json!({"at_most": "{{ tries }}", "set": "4"});
        let demand: Demand = serde_json::from_value(json.clone()).unwrap();
        assert_eq!((demand.at_most, demand.pending.len()), (None, 1));
        assert_eq!(
            serde_json::to_value(&demand).unwrap(),
            serde_json::json!({"at_most": "{{ tries }}", "set": "4"})
        );
        let worded = serde_json::json!({"matches": "^/", "set": "/x", "expected": "a path"});
        let demand: Demand = serde_json::from_value(worded.clone()).unwrap();
        assert_eq!(serde_json::to_value(&demand).unwrap(), worded);
        let whole: Demand = serde_json::from_value(serde_json::json!({"at_most": "4"})).unwrap();
        assert_eq!((whole.at_most, whole.pending.len()), (Some(4), 0));
    }
}
