//! A bare list: one `user@host:port` a line.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use super::super::diagnostic::Source;
use super::draft::{Draft, Settings};
use super::words::{Target, target};

pub(super) fn read(source: &Arc<Source>) -> Draft<'_> {
    let mut draft = Draft::new(source);
    let mut targets: Vec<(Target, Range<usize>)> = Vec::new();
    let mut at = 0;
    for line in source.text.split_inclusive('\n') {
        let start = at + (line.len() - line.trim_start().len());
        at += line.len();
        let text = line.split('#').next().unwrap_or_default().trim();
        let span = start..start + text.len();
        if text.is_empty() {
            continue;
        }
        match target(text) {
            Ok(target) => targets.push((target, span)),
            Err(why) => {
                draft.error("bad-host", &span, why);
                if let Some(last) = draft.found.last_mut() {
                    last.help = Some("a list of hosts has one `user@host:port` a line, or `[IPv6]:port`; user and port may be left out".into());
                }
            }
        }
    }
    // Several hosts behind one address are told apart by their ports.
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for (target, _) in &targets {
        *counts.entry(target.host.clone()).or_default() += 1;
    }
    for (target, span) in targets {
        let shared = counts.get(&target.host).is_some_and(|count| *count > 1);
        let (name, address) = match target.port {
            Some(port) if shared => (format!("{}:{port}", target.host), Some(target.host)),
            _ => (target.host, None),
        };
        let settings = Settings {
            address,
            port: target.port,
            user: target.user,
            ..Settings::default()
        };
        draft.add(name, &span, settings, true);
    }
    draft
}
