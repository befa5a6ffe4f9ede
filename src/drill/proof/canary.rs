//! The canary: what was written into the source before the backup is in what was restored, and is
//! the one that the signed sidecar names. So it is this backup, and it is of that time. Pure.

use jiff::Timestamp;

use crate::backup::archive::canary;
use crate::backup::sidecar::CanaryClaim;
use crate::model::sha256_hex;

/// What the control looks for, where nothing was picked yet.
pub fn made_up(at: Timestamp, place: String) -> CanaryClaim {
    CanaryClaim {
        token_sha256: sha256_hex(b"nobody wrote this"),
        at: at.to_string(),
        place,
    }
}

pub fn expected(claim: &CanaryClaim) -> String {
    format!(
        "the token with SHA-256 {} of {}, as the signed sidecar says",
        claim.token_sha256, claim.at
    )
}

/// Whether the text of a canary's file or table holds what is claimed; and what was read, in words.
pub fn judge(claim: &CanaryClaim, text: &str, disaster: Timestamp) -> (bool, String) {
    let tokens = canary::tokens(text);
    let found = tokens
        .iter()
        .find(|(token, _)| sha256_hex(token.as_bytes()) == claim.token_sha256);
    let read = match found {
        None => {
            let read = format!("{} tokens, and that one is not among them", tokens.len());
            return (false, after_disaster(claim, disaster).unwrap_or(read));
        }
        Some((_, time)) if same_time(time, &claim.at) => {
            format!("it is there, written at {time}")
        }
        Some((_, time)) => return (false, format!("it is there, but of {time}")),
    };
    match after_disaster(claim, disaster) {
        Some(after) => (false, after),
        None => (true, read),
    }
}

/// Times as both write them, to the millisecond.
fn same_time(one: &str, other: &str) -> bool {
    let millis = |text: &str| text.parse::<Timestamp>().map(|t| t.as_millisecond()).ok();
    millis(one).is_some() && millis(one) == millis(other)
}

fn after_disaster(claim: &CanaryClaim, disaster: Timestamp) -> Option<String> {
    let at: Timestamp = claim.at.parse().ok()?;
    (at > disaster).then(|| format!("it was written at {at}, after the disaster ({disaster})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_the_same_to_the_millisecond() {
        assert!(same_time(
            "2026-11-20T02:30:00.123Z",
            "2026-11-20T02:30:00.123000Z"
        ));
        assert!(!same_time(
            "2026-11-20T02:30:00.123Z",
            "2026-11-20T02:30:00.124Z"
        ));
        assert!(!same_time("x", "x"));
    }

    #[test]
    fn only_the_claimed_token_of_its_own_time_counts() {
        let at = "2026-11-20T02:30:00.123Z";
        let token = "0123456789abcdef0123456789abcdef";
        let claim = CanaryClaim {
            token_sha256: sha256_hex(token.as_bytes()),
            at: at.into(),
            place: "data/.canary".into(),
        };
        let disaster: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
        let early: Timestamp = "2026-11-20T01:00:00Z".parse().unwrap();
        let text = format!("{token} {at}\n");
        assert!(judge(&claim, &text, disaster).0);
        assert!(!judge(&claim, &text, early).0);
        assert!(!judge(&claim, "", disaster).0);
        assert!(!judge(&claim, &text.replace("30:00", "31:00"), disaster).0);
        assert!(!judge(&made_up(early, "x".into()), &text, disaster).0);
    }
}
