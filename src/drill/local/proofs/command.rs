//! Any program that ends with 0 and says what is demanded. It finds the lost paths masked. What it
//! does besides looking, it does on the empty scratch too, since the control runs it there.

use super::{Found, View, outcome};
use crate::document::drill::CommandProof;
use crate::drill::local::run::{Program, clean_bytes};

/// Most of its output that is searched, in bytes.
const OUTPUT: usize = 1 << 20;

pub fn prove(view: &View, demand: &CommandProof) -> Result<Found, String> {
    let run = view.world.fill_all(&demand.run)?;
    let wanted = match &demand.contains {
        Some(text) => Some(view.world.fill(text)?),
        None => None,
    };
    let Some((program, arguments)) = run.split_first() else {
        return Err("`run` names no program".into());
    };
    let mut program = Program::new(program).args(arguments);
    let directory = view.kept.place.directory.as_ref();
    program.directory = Some(directory.unwrap_or(&view.world.scratch).clone());
    view.work.refuse_lost(&program).map_err(|e| e.reason)?;
    let stop = || view.is_stopped();
    let children = view.work.inner.children(view.work.drill);
    let ran = children.run(&program, b"", &view.limits(&stop, OUTPUT))?;
    let holds =
        |out: &[u8], text: &str| out.windows(text.len().max(1)).any(|w| w == text.as_bytes());
    let contains = wanted
        .as_ref()
        .is_none_or(|text| holds(&ran.stdout, text) || holds(&ran.stderr, text));
    let expected = match &wanted {
        Some(text) => format!("exit status 0, and `{text}` in what it says"),
        None => "exit status 0".into(),
    };
    let said = match ran.stdout.is_empty() {
        true => ran.said(300),
        false => clean_bytes(&ran.stdout, 300),
    };
    Ok(Found {
        outcome: outcome(ran.well() && contains),
        expected,
        read: format!("{}: {said}", ran.how()),
        at: run.join(" "),
    })
}
