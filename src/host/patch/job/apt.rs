//! What the jobs of apt are told. Pure.

use crate::document::patch::{Conffiles, Patch};
use crate::model::patch::{ChangeKind, HostPlan, PatchSnapshot, Upgrade, WayBack};
use crate::shell::{NulInText, quote};

use super::packages::{MANAGER, Part, automatic, former, is_word, strange};

const APT: &str = include_str!("sh/apt.sh");
const DOWNLOAD: &str = include_str!("sh/apt_download.sh");
const BACK: &str = include_str!("sh/apt_back.sh");
const HOOK: &str = include_str!("sh/apt_hook.sh");

/// Functions and calls of one job.
pub(super) fn program(
    part: Part,
    plan: &HostPlan,
    before: Option<&PatchSnapshot>,
    patch: &Patch,
) -> Result<(String, String), NulInText> {
    let conffiles = match patch.packages.conffiles {
        Conffiles::Keep => "keep",
        Conffiles::Replace => "replace",
    };
    let mut functions = format!(
        "conffiles={conffiles} lock_wait={}\nhook_text={}\n{MANAGER}\n{APT}\n",
        patch.lock_wait.0.as_secs(),
        quote(HOOK)?
    );
    match part {
        Part::Download => functions.push_str(DOWNLOAD),
        Part::Back => functions.push_str(BACK),
        Part::Repair | Part::Upgrade => {}
    }
    let mut lines = String::new();
    if part != Part::Repair {
        for upgrade in plan.upgrades.iter().filter(|u| part.takes(u)) {
            match line(upgrade, before) {
                Some(line) => lines.push_str(&line),
                None => return Ok((String::new(), strange(upgrade)?)),
            }
        }
    }
    let calls = format!(
        "printf '%s' {} >\"$dir/plan\"\nbytes={} grows={} way_back={}\n{}",
        quote(&lines)?,
        plan.download.unwrap_or(0),
        plan.grows.unwrap_or(0).max(0),
        u8::from(patch.packages.way_back),
        part.word()
    );
    Ok((functions, calls))
}

/// KIND NAME ARCH FROM TO AUTO WAY OLD NEW; `None` where a word is none that dpkg would have.
fn line(upgrade: &Upgrade, before: Option<&PatchSnapshot>) -> Option<String> {
    let kind = match upgrade.kind {
        ChangeKind::Upgrade => "upgrade",
        ChangeKind::New => "new",
        ChangeKind::Remove => "remove",
    };
    let from = former(upgrade, before);
    let words = [
        kind.to_owned(),
        upgrade.name.clone(),
        upgrade.arch.clone(),
        or_dash(&from),
        or_dash(&upgrade.to),
        u8::from(automatic(upgrade, before)).to_string(),
        match upgrade.way_back {
            WayBack::None { .. } => "none",
            _ => "some",
        }
        .to_owned(),
        or_dash(&file(&upgrade.name, &from, &upgrade.arch)),
        or_dash(&file(&upgrade.name, &upgrade.to, &upgrade.arch)),
    ];
    let well = words.iter().all(|w| w == "-" || is_word(w)) && is_word(&upgrade.name);
    well.then(|| format!("{}\n", words.join(" ")))
}

fn or_dash(word: &str) -> String {
    if word.is_empty() { "-" } else { word }.to_owned()
}

/// What apt calls a package's file; empty without a version.
fn file(name: &str, version: &str, arch: &str) -> String {
    if version.is_empty() {
        return String::new();
    }
    let version = version.replace(':', "%3a");
    format!("{name}_{version}_{arch}.deb")
}
