//! A restored repository: every object is whole, and there are as many commits as are demanded.

use super::{Found, View, outcome, quoted};
use crate::cloud::remote::shell::Ran;
use crate::document::drill::GitProof;
use crate::model::drill::ProofOutcome;

const OUTPUT: usize = 64 << 10;
/// How the program ends: objects are borrowed; fsck found something; no git, or no such directory.
const BORROWS: u32 = 64;
const BROKEN: u32 = 65;
const CANNOT: u32 = 66;

pub async fn prove(view: &View<'_>, demand: &GitProof) -> Result<Found, String> {
    let directory = view.directory()?;
    let target = view.target()?;
    let calls = program(directory)?;
    let ran = view.run(&target, "", &calls, OUTPUT).await?;
    judge(&ran, demand, view.at(&target, directory))
}

/// git, without what the machine or the account has set for it. What the repository itself would
/// have run is switched off.
fn program(directory: &str) -> Result<String, String> {
    let directory = quoted(directory)?;
    Ok(format!(
        r#"export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null GIT_TERMINAL_PROMPT=0
have git || {{ echo 'there is no git' >&2; exit {CANNOT}; }}
d={directory}
[ -d "$d" ] || {{ echo 'the directory is not there' >&2; exit {CANNOT}; }}
[ ! -d "$d/.git" ] || d=$d/.git
if [ -e "$d/objects/info/alternates" ] || [ -L "$d/objects/info/alternates" ]; then exit {BORROWS}; fi
g() {{ git -c safe.directory='*' -c core.fsmonitor=false -c core.hooksPath=/dev/null --git-dir "$d" "$@"; }}
g fsck --full --strict --no-progress --no-dangling >&2 || exit {BROKEN}
g rev-list --all --count
exit $?"#
    ))
}

/// Pure.
fn judge(ran: &Ran, demand: &GitProof, at: String) -> Result<Found, String> {
    let expected = format!(
        "every object whole (git fsck --full --strict), and at least {} commits",
        demand.commits
    );
    let found = |outcome, read: String| {
        Ok(Found {
            outcome,
            expected,
            read,
            at,
        })
    };
    match ran.ended.status {
        Some(BORROWS) => found(
            ProofOutcome::Fail,
            "it borrows objects from another repository (objects/info/alternates)".into(),
        ),
        Some(BROKEN) => found(ProofOutcome::Fail, format!("git fsck: {}", ran.said(300))),
        _ => {
            let text = ran.text("asking git")?;
            let commits: u64 =
                (text.trim().parse()).map_err(|_| "git did not say how many commits there are")?;
            found(
                outcome(commits >= demand.commits),
                format!("every object whole; {commits} commits"),
            )
        }
    }
}
