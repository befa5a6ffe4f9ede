//! What the jobs of dnf are told. Pure.

use crate::document::patch::Patch;
use crate::model::patch::{ChangeKind, HostPlan, PatchSnapshot, Upgrade};
use crate::shell::{NulInText, quote};

use super::packages::{MANAGER, Part, former, is_word, strange};

const DNF: &str = include_str!("sh/dnf.sh");

/// Functions and calls of one job.
pub(super) fn program(
    part: Part,
    plan: &HostPlan,
    before: Option<&PatchSnapshot>,
    patch: &Patch,
) -> Result<(String, String), NulInText> {
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
    // Which file stays is the package's own choice with rpm (`noreplace`); it is reported.
    let functions = format!(
        "lock_wait={}\n{MANAGER}\n{DNF}\n",
        patch.lock_wait.0.as_secs()
    );
    Ok((functions, calls))
}

/// KIND NAME ARCH FROM TO; `None` where a word is none that rpm would have.
fn line(upgrade: &Upgrade, before: Option<&PatchSnapshot>) -> Option<String> {
    let kind = match upgrade.kind {
        ChangeKind::Upgrade => "upgrade",
        ChangeKind::New => "new",
        ChangeKind::Remove => "remove",
    };
    let from = former(upgrade, before);
    let mut out = kind.to_owned();
    for word in [&upgrade.name, &upgrade.arch, &from, &upgrade.to] {
        let missing = word.is_empty();
        if !missing && !is_word(word) || missing && (word == &upgrade.name || word == &upgrade.arch)
        {
            return None;
        }
        out.push(' ');
        out.push_str(if missing { "-" } else { word });
    }
    out.push('\n');
    Some(out)
}
