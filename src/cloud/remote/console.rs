//! Host keys from what an instance printed on its console as it booted. Pure; the text is the
//! instance's own, and hostile.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use russh::keys::PublicKey;

const BEGIN: &str = "-----BEGIN SSH HOST KEY KEYS-----";
const END: &str = "-----END SSH HOST KEY KEYS-----";
/// Keys that one instance may have.
const KEYS: usize = 16;
/// EC2 keeps 64 KiB of it.
const LARGEST: usize = 1 << 20;
/// How a key's type may begin.
const KINDS: [&str; 3] = ["ssh-", "ecdsa-sha2-", "sk-"];

/// The console's text out of EC2's answer, which is Base64. Empty: there is none yet.
pub fn text(encoded: &str) -> String {
    let plain: String = (encoded.chars())
        .filter(|c| !c.is_ascii_whitespace())
        .take(LARGEST)
        .collect();
    let bytes = STANDARD.decode(plain).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The keys between the last two marks, as `known_hosts` has them: `ssh-ed25519 AAAA…`. Empty: they
/// are not there (yet), or not whole.
pub fn host_keys(text: &str) -> Vec<String> {
    let mut keys = Vec::new();
    let mut open: Option<Vec<String>> = None;
    for line in text.lines() {
        if line.contains(BEGIN) {
            open = Some(Vec::new());
        } else if line.contains(END) {
            // A later boot counts more than an earlier one.
            if let Some(found) = open.take().filter(|found| !found.is_empty()) {
                keys = found;
            }
        } else if let Some(found) = &mut open
            && found.len() < KEYS
            && let Some(key) = key(line)
            && !found.contains(&key)
        {
            found.push(key);
        }
    }
    keys
}

/// The key in a line, whatever the system's log wrote before it.
fn key(line: &str) -> Option<String> {
    let words: Vec<&str> = line.split_whitespace().take(40).collect();
    words.windows(2).find_map(|pair| match pair {
        [kind, data] if KINDS.iter().any(|k| kind.starts_with(k)) => canonical(kind, data),
        _ => None,
    })
}

fn canonical(kind: &str, data: &str) -> Option<String> {
    let key = PublicKey::from_openssh(&format!("{kind} {data}")).ok()?;
    (key.algorithm().as_str() == kind).then(|| format!("{kind} {data}"))
}

/// A key that a document names, with or without a comment.
pub fn named(text: &str) -> Result<String, String> {
    let mut words = text.split_whitespace();
    let (kind, data) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    canonical(kind, data).ok_or_else(|| {
        let shown = crate::shell::clean(text, 60);
        format!("`host_key` is no public key such as `ssh-ed25519 AAAA…`: {shown}")
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ED: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    const OTHER: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAIZfPEm8Xb7bJVOnDPYE0pCr5bLXVYyvO3a0PPAbJyk";

    #[test]
    fn keys_are_found_between_the_marks_alone() {
        let text = format!(
            "ci-info: no\r\n{OTHER} before\r\n{BEGIN}\r\n[   12.3] cloud-init[9]: {ED} root@ip\r\n\
             ssh-rsa AAAA broken\r\n{END}\r\n{OTHER} after\r\n"
        );
        assert_eq!(host_keys(&text), [ED]);
    }

    #[test]
    fn the_last_whole_block_counts() {
        let block = |key: &str| format!("{BEGIN}\n{key} a\n{END}\n");
        assert_eq!(host_keys(&(block(ED) + &block(OTHER))), [OTHER]);
        let cut = format!("{}{BEGIN}\n{OTHER}\n", block(ED));
        assert_eq!(host_keys(&cut), [ED]);
        assert!(host_keys(&format!("{BEGIN}\n{ED}\n")).is_empty());
        assert_eq!(host_keys(&format!("{}{BEGIN}\n{END}\n", block(ED))), [ED]);
    }

    #[test]
    fn a_key_must_be_of_the_type_that_it_says() {
        let wrong = ED.replace("ssh-ed25519", "ssh-rsa");
        assert!(host_keys(&format!("{BEGIN}\n{wrong}\n{END}\n")).is_empty());
        assert!(named(&wrong).is_err());
        assert_eq!(named(&format!(" {ED}  root@host ")).unwrap(), ED);
        assert!(named("").is_err());
    }

    #[test]
    fn ec2s_answer_is_decoded() {
        let encoded = STANDARD.encode(format!("{BEGIN}\n{ED}\n{END}\n"));
        let (one, two) = encoded.split_at(20);
        assert_eq!(host_keys(&text(&format!("{one}\n{two}"))), [ED]);
        assert_eq!(text(""), "");
        assert_eq!(text("*"), "");
    }

    proptest! {
        #[test]
        fn whatever_a_console_says_is_no_more_than_text(
            lines in proptest::collection::vec(prop_oneof![
                Just(BEGIN.to_owned()), Just(END.to_owned()), Just(ED.to_owned()),
                any::<String>(), "ssh-[a-z0-9]{0,9} [A-Za-z0-9+/]{0,40}",
            ], 0..30),
        ) {
            let keys = host_keys(&lines.join("\n"));
            prop_assert!(keys.len() <= KEYS);
            for key in keys {
                prop_assert_eq!(named(&key).unwrap(), key);
            }
        }
    }
}
