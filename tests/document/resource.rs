//! A few kinds of resource, such as the host room has.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use seawall::document::{Demand, Words};
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    Sysctl(Sysctl),
    File(File),
    Command(Command),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sysctl {
    pub key: String,
    pub value: Demand,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct File {
    pub path: String,
    #[serde(default)]
    pub owner: Option<Words>,
    #[serde(default)]
    pub mode: Option<String>,
    #[serde(default)]
    pub exact: bool,
    #[serde(default)]
    pub template: Option<String>,
    #[serde(default)]
    pub risk: Risk,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Risk {
    #[default]
    Safe,
    Disruptive,
    LockOut,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub check: String,
    pub expected: String,
}

impl<'de> Deserialize<'de> for Resource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct V;
        impl<'de> Visitor<'de> for V {
            type Value = Resource;
            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("a mapping with one key, the kind")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Resource, A::Error> {
                use serde::de::Error;
                let kind: Option<String> = map.next_key()?;
                match kind.as_deref() {
                    Some("sysctl") => Ok(Resource::Sysctl(map.next_value()?)),
                    Some("file") => Ok(Resource::File(map.next_value()?)),
                    Some("command") => Ok(Resource::Command(map.next_value()?)),
                    _ => Err(A::Error::custom("there is no such kind")),
                }
            }
        }
        deserializer.deserialize_map(V)
    }
}

impl JsonSchema for Resource {
    fn schema_name() -> Cow<'static, str> {
        "Resource".into()
    }
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let sysctl = generator.subschema_for::<Sysctl>();
        let file = generator.subschema_for::<File>();
        let command = generator.subschema_for::<Command>();
        json_schema!({"oneOf": [
            {"type": "object", "additionalProperties": false, "required": ["sysctl"], "properties": {"sysctl": sysctl}},
            {"type": "object", "additionalProperties": false, "required": ["file"], "properties": {"file": file}},
            {"type": "object", "additionalProperties": false, "required": ["command"], "properties": {"command": command}},
        ]})
    }
}
