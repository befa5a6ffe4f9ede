//! What playbooks of all kinds say alike: which hosts, and in which waves.

use std::ops::Range;

use super::super::diagnostic::{Diagnostic, nearest};
use super::super::documents::Document;
use super::super::inventory::{Inventory, select};
use super::super::playbook::WaveSize;
use super::super::spans::Node;
use super::some;

/// The host patterns under a key that mean nobody in the inventory.
pub(super) fn unknown_hosts(
    document: &Document,
    node: &Node,
    key: &str,
    inventory: &Inventory,
    found: &mut Vec<Diagnostic>,
) {
    for (pattern, span) in node.texts_at(key) {
        if select(inventory, &[pattern.to_owned()]).is_ok() {
            continue;
        }
        let bare = pattern.strip_prefix('!').unwrap_or(pattern);
        let help = match nearest(bare, inventory.names()) {
            Some(word) => format!("did you mean `{word}`?"),
            None => format!("the inventory has: {}", some(inventory.names())),
        };
        let message = match bare.contains(['*', '?', '[']) {
            true => format!("no host or group of the inventory matches `{bare}`"),
            false => format!("the inventory has no host or group `{bare}`"),
        };
        let place = document.place(span);
        found.push(Diagnostic::error("unknown-host", place, message).help(help));
    }
}

/// `waves` and `failure_budget`: sizes that come to an end.
pub(super) fn waves(document: &Document, root: &Node, found: &mut Vec<Diagnostic>) {
    let mut wrong = |span: &Range<usize>, message: String, help: &str| {
        let place = document.place(span);
        found.push(Diagnostic::error("bad-wave", place, message).help(help));
    };
    for (text, span) in root.texts_at("waves") {
        match text.trim().parse::<WaveSize>() {
            Ok(WaveSize::Hosts(0) | WaveSize::Percent(0)) => wrong(
                span,
                "a wave of no hosts would never end".to_owned(),
                "write 1 or more, or a share such as 25%",
            ),
            Err(why) if is_wave_shaped(text) => wrong(span, why, "a share is at most 100%"),
            _ => {}
        }
    }
    if let Some((text, span)) = root.text_at("failure_budget")
        && is_wave_shaped(text)
        && let Err(why) = text.trim().parse::<WaveSize>()
    {
        wrong(span, why, "a share is at most 100%");
    }
}

fn is_wave_shaped(text: &str) -> bool {
    let text = text.trim();
    let digits = text.strip_suffix('%').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}
