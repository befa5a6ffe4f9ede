//! dnf and rpm.

use super::Ask;
use super::system::System;
use crate::model::patch::PatchSnapshot;
use crate::shell::Frame;

/// What is called where dnf manages the packages.
pub(super) fn calls(_ask: &Ask) -> String {
    String::from(":\n")
}

pub(super) fn read(_frames: &[Frame], _system: &Result<System, String>, out: &mut PatchSnapshot) {
    for section in ["installed", "offers", "holds", "broken", "lock", "reboot"] {
        out.unseen
            .insert(section.into(), "dnf is not looked at yet".into());
    }
}
