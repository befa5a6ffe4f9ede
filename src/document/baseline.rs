//! Baselines: rules as code.

use std::collections::BTreeMap;

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::scalar::{ScalarOr, Text, Words};
use crate::model::Severity;

/// A baseline document: what good looks like for one kind of system.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Baseline<R> {
    /// The baseline's name, e.g. `debian-12`.
    pub baseline: String,
    /// A few words for a person.
    pub title: String,
    #[serde(default)]
    pub about: Option<String>,
    /// Other baselines (paths relative to this file) whose rules and variables stand in this one.
    #[serde(default)]
    pub include: Vec<String>,
    /// Values that rules may take as `{{ name }}`; a playbook, a group or a host may set others.
    #[serde(default)]
    pub variables: BTreeMap<String, Variable>,
    /// Holds for every rule of this file, besides the rule's own.
    #[serde(default)]
    pub when: Option<Condition>,
    /// The demands, in the order in which they are reported.
    pub rules: Vec<Rule<R>>,
}

/// A typed variable with its default.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Variable {
    /// What its values are.
    #[serde(rename = "type")]
    pub kind: VariableKind,
    /// Without one, a playbook, group or host must say it before a rule that takes it applies.
    #[serde(default)]
    pub default: Option<Value>,
    #[serde(default)]
    pub about: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum VariableKind {
    Text,
    Integer,
    Boolean,
    /// A list of texts.
    List,
}

/// A variable's value. In documents: a scalar (kept as its text) or a list of scalars.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Text(String),
    List(Vec<String>),
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct V;
        impl<'de> Visitor<'de> for V {
            type Value = Value;
            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("a text or a list of texts")
            }
            fn visit_str<E: de::Error>(self, v: &str) -> Result<Value, E> {
                Ok(Value::Text(v.to_owned()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = seq.next_element::<Text>()? {
                    list.push(item.0);
                }
                Ok(Value::List(list))
            }
        }
        deserializer.deserialize_any(ScalarOr(V))
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Text(text) => serializer.serialize_str(text),
            Value::List(list) => list.serialize(serializer),
        }
    }
}

impl JsonSchema for Value {
    fn schema_name() -> Cow<'static, str> {
        "Value".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let words = generator.subschema_for::<Words>();
        json_schema!({"description": "A scalar, or a list of scalars.", "allOf": [words]})
    }
}

/// One demand on a host.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule<R> {
    /// Lower case, dotted, unique over all baselines of a playbook, e.g. `ssh.root`.
    pub id: String,
    /// A few words for a person, e.g. `Root cannot log in over SSH`.
    pub title: String,
    /// What is gained, and what may break: a sentence or two.
    pub why: String,
    /// The chapter that it stands in, e.g. `sshd`.
    pub area: String,
    /// How bad it is when the rule is not met.
    pub severity: Severity,
    /// 1: for every host. 2: defence in depth, which may cost comfort.
    #[serde(default = "level_1")]
    pub level: u8,
    /// The requirements it serves: framework → one id or a list of them.
    #[serde(default)]
    pub controls: BTreeMap<String, Words>,
    /// The rule applies only where all of this holds.
    #[serde(default)]
    pub when: Option<Condition>,
    /// Kinds of host on which it has no meaning, or does harm, each with the reason.
    #[serde(default)]
    pub except: Vec<Exception>,
    /// It applies only where a playbook names it under `opt_in`.
    #[serde(default)]
    pub opt_in: bool,
    /// Only a person can judge it: what to look at. Then `resources` may be empty.
    #[serde(default)]
    pub manual: Option<String>,
    /// All of these are demanded.
    #[serde(default = "no_resources::<R>")]
    pub resources: Vec<R>,
}

fn no_resources<R>() -> Vec<R> {
    Vec::new()
}

fn level_1() -> u8 {
    1
}

/// What must hold of a host. All fields that are given must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// `debian`, `debian-12`, `ubuntu-22.04`…: any of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub os: Vec<String>,
    /// Facts that must be there (`host::snapshot::FACTS`): all of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub facts: Vec<String>,
    /// Facts that must not be there: none of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<String>,
    /// Packages that must be installed: all of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub packages: Vec<String>,
    /// A variable that must have this value: `name: value`, all of these.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Exception {
    /// One of the facts.
    pub fact: String,
    /// Why the rule does not apply there; stands in the finding.
    pub reason: String,
}
