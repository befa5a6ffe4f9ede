//! Ansible's inventories in YAML, and what Ansible's variables mean to us in any format.

use std::ops::Range;
use std::sync::Arc;

use super::super::baseline::Value;
use super::super::diagnostic::Source;
use super::super::spans::{Entry, Kind, Node};
use super::Sudo;
use super::draft::{Draft, Settings};
use super::words::{self, ssh_arguments};

/// Whether a tree looks like one of Ansible's: groups with `hosts`, `children` or `vars`.
pub(super) fn looks_like(root: &Node) -> bool {
    let group = |entry: &Entry| {
        let parts = ["hosts", "children", "vars"];
        parts.iter().any(|part| entry.value.get(part).is_some())
    };
    root.get("inventory").is_none() && root.entries().iter().any(group)
}

pub(super) fn read<'s>(root: &Node, source: &'s Arc<Source>) -> Draft<'s> {
    let mut draft = Draft::new(source);
    for entry in root.entries() {
        group(&mut draft, entry);
    }
    draft
}

fn group(draft: &mut Draft, entry: &Entry) {
    let everyone = entry.key == "all";
    if !everyone {
        draft.groups.entry(entry.key.clone()).or_default();
    }
    for part in entry.value.entries() {
        match part.key.as_str() {
            "hosts" => hosts(draft, &entry.key, &part.value),
            "children" => {
                for child in part.value.entries() {
                    group(draft, child);
                    if let Some(parent) = draft.groups.get_mut(&entry.key) {
                        parent
                            .children
                            .push((child.key.clone(), child.key_span.clone()));
                    }
                }
            }
            "vars" => {
                let said = settings(draft, &part.value);
                let held = match draft.groups.get_mut(&entry.key) {
                    Some(group) => &mut group.settings,
                    None => &mut draft.defaults,
                };
                *held = said;
            }
            other => {
                let message = format!("a group of an Ansible inventory has no key `{other}`");
                draft.error("unknown-key", &part.key_span, message);
                if let Some(last) = draft.found.last_mut() {
                    last.help = Some("it may have `hosts`, `children` and `vars`; for our own form, begin the document with `inventory: NAME`".into());
                }
            }
        }
    }
}

fn hosts(draft: &mut Draft, group: &str, list: &Node) {
    if !matches!(list.kind, Kind::Map(_)) && !list.is_null() {
        draft.error(
            "wrong-type",
            &list.head(),
            "`hosts` must be a mapping: `hosts: {web-1: {}}`",
        );
    }
    for entry in list.entries() {
        let said = settings(draft, &entry.value);
        for name in draft.names(&entry.key, &entry.key_span) {
            draft.add(name.clone(), &entry.key_span, said.clone(), false);
            if let Some(group) = draft.groups.get_mut(group) {
                group.hosts.push((name, entry.key_span.clone()));
            }
        }
    }
}

fn settings(draft: &mut Draft, node: &Node) -> Settings {
    let mut out = Settings::default();
    for entry in node.entries() {
        let value = match &entry.value.kind {
            Kind::List(items) => {
                let texts: Option<Vec<_>> = items
                    .iter()
                    .map(|item| item.text().map(str::to_owned))
                    .collect();
                texts.map(Value::List)
            }
            _ => entry.value.text().map(|text| Value::Text(text.to_owned())),
        };
        // Mappings and nothing at all have no meaning for our variables.
        if let Some(value) = value {
            set(draft, &mut out, &entry.key, value, &entry.value.head());
        }
    }
    out
}

/// One variable of Ansible's: a connection setting, or a variable of ours.
pub(super) fn set(
    draft: &mut Draft,
    out: &mut Settings,
    name: &str,
    value: Value,
    span: &Range<usize>,
) {
    let text = match &value {
        Value::Text(text) => text.trim().to_owned(),
        Value::List(_) => String::new(),
    };
    match name {
        "ansible_host" | "ansible_ssh_host" => {
            draft.judge(words::check_host(&text), span);
            out.address = Some(text);
        }
        "ansible_user" | "ansible_ssh_user" => {
            draft.judge(words::check_user(&text), span);
            out.user = Some(text);
        }
        "ansible_port" | "ansible_ssh_port" => match text.parse::<u16>().ok().filter(|n| *n != 0) {
            Some(port) => out.port = Some(port),
            None => draft.error(
                "bad-value",
                span,
                format!("`{text}` is not a port: it must be from 1 to 65535"),
            ),
        },
        "ansible_ssh_private_key_file" | "ansible_private_key_file" => {
            out.identities = Some(vec![text])
        }
        "ansible_become" => {
            let wanted = truth(&text);
            if wanted.is_none() {
                draft.error(
                    "bad-value",
                    span,
                    format!("`{name}` must be true or false, not `{text}`"),
                );
            }
            // A password that is set elsewhere says more than this.
            if out.sudo != Some(Sudo::Password) || wanted == Some(false) {
                out.sudo = wanted.map(|yes| if yes { Sudo::Yes } else { Sudo::No });
            }
        }
        // The password itself is not kept: it is asked for.
        "ansible_become_password" | "ansible_become_pass" | "ansible_sudo_pass" => {
            out.sudo = Some(Sudo::Password)
        }
        "ansible_connection" => out.local = Some(text == "local"),
        "ansible_ssh_common_args" | "ansible_ssh_extra_args" => {
            arguments(draft, out, &text, span);
        }
        _ if name.starts_with("ansible_") => {}
        _ => {
            out.variables.insert(name.to_owned(), value);
        }
    }
}

fn arguments(draft: &mut Draft, out: &mut Settings, text: &str, span: &Range<usize>) {
    let said = ssh_arguments(text);
    for jump in &said.jump {
        draft.judge(words::target(jump), span);
    }
    if let Some(user) = &said.user {
        draft.judge(words::check_user(user), span);
    }
    if !said.jump.is_empty() {
        out.jump = Some(said.jump);
    }
    if !said.known_hosts.is_empty() {
        out.known_hosts = Some(said.known_hosts);
    }
    if !said.identities.is_empty() {
        out.identities = Some(said.identities);
    }
    out.port = said.port.or(out.port);
    out.user = said.user.or(out.user.take());
}

/// Ansible's booleans.
fn truth(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" | "1" | "y" | "t" => Some(true),
        "false" | "no" | "off" | "0" | "n" | "f" => Some(false),
        _ => None,
    }
}

/// `name[:port]` at the start of a host line.
pub(super) fn host_pattern(text: &str) -> (&str, Option<u16>) {
    match text.rsplit_once(':') {
        Some((name, port)) if !name.contains(':') && !port.contains(']') => match port.parse() {
            Ok(port) => (name, Some(port)),
            Err(_) => (text, None),
        },
        _ => match words::target(text) {
            Ok(target) if text.starts_with('[') => (
                text.trim_start_matches('[')
                    .split(']')
                    .next()
                    .unwrap_or(text),
                target.port,
            ),
            _ => (text, None),
        },
    }
}
