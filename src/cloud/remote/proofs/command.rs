//! Any program that ends with 0 and says what is demanded.

use super::{Found, View, outcome, quoted};
use crate::cloud::remote::shell::Ran;
use crate::document::drill::CommandProof;

/// Most of its output that is searched, in bytes.
const OUTPUT: usize = 1 << 20;

pub async fn prove(view: &View<'_>, demand: &CommandProof) -> Result<Found, String> {
    let run = view.world.fill_all(&demand.run)?;
    let wanted = match &demand.contains {
        Some(text) => Some(view.world.fill(text)?).filter(|text| !text.is_empty()),
        None => None,
    };
    // A restored instance comes with its data: there is no moment at which this could have been
    // seen to fail.
    if wanted.is_none() && view.own.placed.is_none() {
        return Err(
            "that a program ends well proves nothing here: demand what it says (`contains`)".into(),
        );
    }
    let mut words = Vec::new();
    for word in &run {
        words.push(quoted(word)?);
    }
    if words.is_empty() {
        return Err("`run` names no program".into());
    }
    let directory = quoted(view.path.as_deref().unwrap_or("/"))?;
    let calls = format!(
        "cd -- {directory} || exit 96\numask 022\n{}\nexit $?",
        words.join(" ")
    );
    let target = view.target()?;
    let ran = view.run(&target, "", &calls, OUTPUT).await?;
    let at = view.at(&target, &run.join(" "));
    judge(&ran, wanted.as_deref(), at)
}

/// Pure.
pub fn judge(ran: &Ran, wanted: Option<&str>, at: String) -> Result<Found, String> {
    if let Some(status @ (96 | 126 | 127)) = ran.ended.status {
        let why = String::from_utf8_lossy(&ran.ended.stderr);
        return Err(format!("it could not be run (status {status}): {why}"));
    }
    let holds =
        |out: &[u8], text: &str| out.windows(text.len().max(1)).any(|w| w == text.as_bytes());
    let contains =
        wanted.is_none_or(|text| holds(&ran.out, text) || holds(&ran.ended.stderr, text));
    let expected = match wanted {
        Some(text) => format!("exit status 0, and `{text}` in what it says"),
        None => "exit status 0".into(),
    };
    if ran.cut {
        return Err(format!("it said more than {OUTPUT} bytes"));
    }
    Ok(Found {
        outcome: outcome(ran.well() && contains),
        expected,
        read: format!("{}: {}", ran.how(), ran.said(300)),
        at,
    })
}
