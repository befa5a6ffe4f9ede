//! A few kinds of resource, in the shape that the host room gives to its own.

use schemars::JsonSchema;
use seawall::document::{Demand, Words};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
pub struct Resource {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sysctl: Option<Sysctl>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<File>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Command>,
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
