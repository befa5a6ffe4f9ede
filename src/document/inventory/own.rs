//! Our own inventory documents.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};

use super::super::baseline::Value;
use super::super::diagnostic::Source;
use super::super::scalar::Words;
use super::super::schema::schema_for_inventory;
use super::super::spans::Node;
use super::super::{structure, yaml};
use super::draft::{Draft, Settings};
use super::{Sudo, words};

/// Fields that the defaults, a group and a host share.
macro_rules! settings {
    ($(#[$about:meta])* $name:ident { $($(#[$meta:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$about])*
        #[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
        #[serde(deny_unknown_fields, default)]
        pub struct $name {
            $($(#[$meta])* pub $field: $type,)*
            /// The user to log in as.
            pub user: Option<String>,
            /// 1 to 65535.
            #[schemars(range(min = 1))]
            pub port: Option<u16>,
            /// Private keys to log in with; relative to this file, `~` is your home.
            pub identity: Option<Words>,
            /// Files of known host keys; relative to this file.
            pub known_hosts: Option<Words>,
            /// `[user@]host[:port]` of the machines to go through, the nearest to you first.
            pub jump: Option<Words>,
            /// Whether to get root's rights by sudo.
            pub sudo: Option<Sudo>,
            /// Old algorithms are allowed.
            pub legacy: Option<bool>,
            /// Values of variables that baselines declare.
            pub variables: BTreeMap<String, Value>,
            /// How sensitive what it holds is, e.g. `public`, `internal`, `confidential`, `restricted`.
            pub data: Option<String>,
        }

        impl From<$name> for Settings {
            fn from(from: $name) -> Settings {
                Settings {
                    port: from.port,
                    user: from.user,
                    identities: from.identity.map(|words| words.0),
                    known_hosts: from.known_hosts.map(|words| words.0),
                    jump: from.jump.map(|words| words.0),
                    sudo: from.sudo,
                    legacy: from.legacy,
                    variables: from.variables,
                    data: from.data,
                    ..Settings::default()
                }
            }
        }
    };
}

/// An inventory document.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InventoryDocument {
    /// Its name, e.g. `production`.
    pub inventory: String,
    #[serde(default)]
    pub about: Option<String>,
    /// What holds for every host, unless its group or it itself says otherwise.
    #[serde(default)]
    pub defaults: DefaultsDocument,
    /// Group name → what is in it.
    #[serde(default)]
    pub groups: BTreeMap<String, Option<GroupDocument>>,
    /// Host name → how to reach it. A name may hold a range: `web-[1:4]`.
    pub hosts: BTreeMap<String, Option<HostDocument>>,
}

settings! {
    /// What holds for every host.
    DefaultsDocument {}
}

settings! {
    /// A group of hosts.
    GroupDocument {
        /// Names of hosts; `web-[1:4]` is four of them.
        hosts: Vec<String>,
        /// Groups that are in this one.
        groups: Vec<String>,
    }
}

settings! {
    /// One host.
    HostDocument {
        /// Where it is, if not at its name.
        address: Option<String>,
        /// On this machine, without SSH.
        local: Option<bool>,
        /// Groups it is in, besides those that name it.
        groups: Vec<String>,
    }
}

impl<'de> Deserialize<'de> for Sudo {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "true" => Ok(Sudo::Yes),
            "false" => Ok(Sudo::No),
            "password" => Ok(Sudo::Password),
            other => Err(serde::de::Error::unknown_variant(
                other,
                &["true", "false", "password"],
            )),
        }
    }
}

impl JsonSchema for Sudo {
    fn schema_name() -> Cow<'static, str> {
        "Sudo".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "Whether to get root's rights by sudo; `password`: sudo asks for one.",
            "enum": [true, false, "password"]
        })
    }
}

/// Checks what goes to ssh, wherever it is said.
fn check_all(draft: &mut Draft, root: &Node) {
    let each = |key: &str| root.get(key).map(Node::entries).unwrap_or_default().iter();
    let said = each("groups")
        .chain(each("hosts"))
        .map(|entry| &entry.value);
    for node in said.chain(root.get("defaults")) {
        if let Some((text, span)) = node.text_at("address") {
            draft.judge(words::check_host(text), span);
        }
        if let Some((text, span)) = node.text_at("user") {
            draft.judge(words::check_user(text), span);
        }
        let jumps = node
            .text_at("jump")
            .into_iter()
            .chain(node.texts_at("jump"));
        for (text, span) in jumps {
            draft.judge(words::target(text), span);
        }
    }
}

/// Reads a tree that has the shape of our own documents.
pub(super) fn read<'s>(root: &Node, source: &'s Arc<Source>) -> Draft<'s> {
    let mut draft = Draft::new(source);
    draft.found = structure::check(root, &schema_for_inventory(), source);
    let sound = draft.found.is_empty();
    let document = match sound.then(|| yaml::read::<InventoryDocument>(&source.text)) {
        Some(Ok(document)) => Some(document),
        Some(Err(error)) => {
            draft.error("bad-value", &error.span, error.message);
            None
        }
        None => None,
    };
    let (mut groups, mut hosts) = (BTreeMap::new(), BTreeMap::new());
    if let Some(document) = document {
        draft.defaults = document.defaults.into();
        groups = document.groups;
        hosts = document.hosts;
    }
    check_all(&mut draft, root);
    // The tree gives the order and the places, and stands in where the typed value is missing,
    // so that wrong names are shown together with wrong shapes.
    for entry in root.get("hosts").map(Node::entries).unwrap_or_default() {
        let typed = hosts.remove(&entry.key).flatten().unwrap_or_default();
        let (address, local) = (typed.address.clone(), typed.local);
        let settings = Settings {
            address,
            local,
            ..typed.into()
        };
        for name in draft.names(&entry.key, &entry.key_span) {
            draft.add(name.clone(), &entry.key_span, settings.clone(), true);
            let groups = entry.value.texts_at("groups").into_iter();
            let groups: Vec<_> = groups
                .map(|(group, span)| (group.to_owned(), span.clone()))
                .collect();
            if let Some(host) = draft.host(&name) {
                host.groups = groups;
            }
        }
    }
    for entry in root.get("groups").map(Node::entries).unwrap_or_default() {
        if entry.key == "all" {
            draft.error(
                "bad-group",
                &entry.key_span,
                "`all` means every host and cannot be a group; use `defaults`",
            );
        }
        let mut members = Vec::new();
        for (pattern, span) in entry.value.texts_at("hosts") {
            let names = draft.names(pattern, span);
            members.extend(names.into_iter().map(|name| (name, span.clone())));
        }
        let children = entry.value.texts_at("groups").into_iter();
        let children = children
            .map(|(name, span)| (name.to_owned(), span.clone()))
            .collect();
        let typed = groups.remove(&entry.key).flatten().unwrap_or_default();
        let group = draft.groups.entry(entry.key.clone()).or_default();
        group.hosts = members;
        group.children = children;
        group.settings = typed.into();
    }
    draft
}
