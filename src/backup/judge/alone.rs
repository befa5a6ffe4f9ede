//! An archive by itself: no policy says what it should be.

use super::{Looked, Opened, Said};
use crate::backup::catalog::Vouched;
use crate::model::Status;

pub(super) fn signed(beside: Option<&Vouched>) -> Said {
    let expected = "a sidecar beside it, signed by this machine's key";
    match beside {
        None => Said::new(Status::Unknown, expected, "no sidecar lies beside it")
            .because("nobody says what it should be"),
        Some(Vouched::Signed(sidecar, by)) => Said::new(
            Status::Pass,
            expected,
            format!(
                "{}, data of {}, by {by}",
                sidecar.archive, sidecar.data_time
            ),
        ),
        Some(Vouched::Unsigned(_, why) | Vouched::Nobody(why)) => {
            Said::new(Status::Fail, expected, why.clone())
        }
    }
}

pub(super) fn encrypted_to(looked: &Looked) -> Said {
    let expected = "encrypted to those who should read it, and nobody else";
    match &looked.header {
        Ok(header) => Said::new(Status::Manual, expected, header.kinds())
            .because("no policy says to whom; a person must judge"),
        Err(why) => Said::new(Status::Fail, expected, why.clone()),
    }
}

pub(super) fn hash(looked: &Looked, beside: Option<&Vouched>) -> Said {
    let expected = "the ciphertext as its signed sidecar says (SHA-256)";
    match (&looked.sha256, beside.and_then(Vouched::signed)) {
        (Err(why), _) => Said::new(Status::Unknown, expected, "not read").because(why.clone()),
        (Ok(is), None) => Said::new(Status::Unknown, expected, is.clone())
            .because("nobody says what it should be"),
        (Ok(is), Some(sidecar)) => Said::pass_or_fail(*is == sidecar.sha256, expected, is.clone()),
    }
}

pub(super) fn content(opened: &Opened) -> Said {
    let expected = "it opens to its end, and every byte is as its manifest says";
    let inside = match &opened.inside {
        Ok(inside) => inside,
        Err(why) => return Said::new(Status::Fail, expected, why.clone()),
    };
    let told = format!(
        "{}, to its end: {} files, {} bytes",
        inside.form, inside.files, inside.bytes
    );
    if let Some(difference) = inside.differences.first() {
        let count = inside.differences.len();
        return Said::new(
            Status::Fail,
            expected,
            format!("{count} differences: {difference}"),
        );
    }
    match inside.has_manifest {
        true => Said::new(Status::Pass, expected, told),
        false => Said::new(Status::Unknown, expected, told)
            .because("it has no manifest: that all that should be in it is, nobody can say"),
    }
}

pub(super) fn recipients(opened: &Opened) -> Said {
    let expected = "each key that was given opens it";
    let wrong = opened
        .unlocked
        .iter()
        .find_map(|one| one.opens.as_ref().err().map(|why| (&one.label, why)));
    match wrong {
        Some((label, why)) => Said::new(Status::Fail, expected, format!("{label}: {why}")),
        None => {
            let labels: Vec<&str> = opened.unlocked.iter().map(|u| u.label.as_str()).collect();
            Said::new(Status::Pass, expected, labels.join(", "))
        }
    }
}
