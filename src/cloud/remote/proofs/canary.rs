//! The canary: the token that was written into the source before the backup is there, and is the one
//! that the signed sidecar names.

use super::{BENEATH, Found, View, outcome, quoted};
use crate::backup::archive::{canary, unescape};
use crate::backup::sidecar::CanaryClaim;
use crate::drill::proof::canary::{expected, judge, made_up};

pub async fn prove(view: &View<'_>) -> Result<Found, String> {
    let claim = claim(view)?;
    let directory = view.directory()?;
    let place = unescape(&claim.place).ok_or("the canary's place is no path")?;
    let place = String::from_utf8(place).map_err(|_| "the canary's place is no text")?;
    let target = view.target()?;
    let calls = format!(
        "enter {} || exit $?\nbeneath {} || exit 0\nhead -c {} -- \"$REPLY\"\nexit $?",
        quoted(directory)?,
        quoted(place.trim_start_matches('/'))?,
        canary::LARGEST
    );
    let ran = view.run(&target, BENEATH, &calls, canary::LARGEST).await?;
    let at = format!("{directory}/{place}");
    let text = ran.text(&format!("reading {at}"))?;
    let (passes, read) = judge(&claim, &text, view.drill.disaster);
    Ok(Found {
        outcome: outcome(passes),
        expected: expected(&claim),
        read,
        at: view.at(&target, &at),
    })
}

/// What the signed sidecar says; where none has said it yet, the control makes one up.
fn claim(view: &View<'_>) -> Result<CanaryClaim, String> {
    match (&view.own.canary, view.is_control) {
        (Some(claim), _) => Ok(claim.clone()),
        (None, true) => Ok(made_up(view.drill.disaster, ".canary".into())),
        (None, false) => Err("no signed sidecar says which canary it ought to be".into()),
    }
}
