//! The age format. Headers, recipients and identities are the age crate's; the payload (STREAM:
//! chunks of 64 KiB under ChaCha20-Poly1305) is done here with aws-lc's cipher, on as many cores as
//! there are.
//!
//! - `header`: what stands before the payload, and the key that it holds.
//! - `recipients`, `identities`: whom a file is for, and who may open it.
//! - `stream`: chunks, nonces and the cipher.
//! - `read`, `write`: the payload as a stream, on threads.
//!
//! Errors come out of `read` and `write` as [`std::io::Error`]s that hold an [`AgeError`];
//! `AgeError::from` gets it back.

mod header;
mod identities;
mod read;
mod recipients;
mod stream;
mod tap;
mod write;

use std::io;
use std::sync::Arc;

use secrecy::SecretString;

pub use header::{Header, Stanza, inspect};
pub use identities::{Identities, IdentitySources, generate_identity};
pub use read::{DecryptOptions, DecryptReader};
pub use recipients::Recipients;
pub use tap::Ciphertext;
pub use write::{EncryptOptions, EncryptWriter};

use crate::shell::clean;

/// The largest scrypt work factor (log2 of N) that we open: 2^20 takes a gigabyte of memory and a
/// few seconds. A file may demand any; one that was made to harm would.
pub const MAX_WORK_FACTOR: u8 = 20;

/// What went wrong, and what to do. The kinds tell apart what a person must do about it.
#[derive(Debug, thiserror::Error)]
pub enum AgeError {
    /// The header is not one, is malformed, or demands too much.
    #[error("{0}")]
    Header(String),
    /// The text around a binary file (`-----BEGIN AGE ENCRYPTED FILE-----`) is damaged.
    #[error("{0}")]
    Armor(String),
    /// The header's seal is wrong: it was changed after a recipient's part had been made.
    #[error("{0}")]
    HeaderSeal(String),
    /// None of the keys, or not the passphrase.
    #[error("{0}")]
    NoMatch(String),
    /// The payload was changed, cut off, or something follows it.
    #[error("{0}")]
    Payload(String),
    /// A recipient or an identity that we were given is unusable.
    #[error("{0}")]
    Key(String),
    /// A plugin is missing or failed.
    #[error("{0}")]
    Plugin(String),
    #[error("{0}")]
    Other(String),
    #[error(transparent)]
    Io(io::Error),
}

impl From<io::Error> for AgeError {
    fn from(error: io::Error) -> Self {
        match error.downcast::<AgeError>() {
            Ok(ours) => ours,
            Err(error) => armor_error(error),
        }
    }
}

impl From<AgeError> for io::Error {
    fn from(error: AgeError) -> Self {
        match error {
            AgeError::Io(error) => error,
            error => io::Error::new(io::ErrorKind::InvalidData, error),
        }
    }
}

/// What the armor reader found wrong, or any other failure to read.
fn armor_error(error: io::Error) -> AgeError {
    match error.downcast::<::age::armor::ArmoredReadError>() {
        Ok(armor) => AgeError::Armor(format!(
            "the armor is damaged: {armor}; get the file again, as it was made"
        )),
        Err(error) => AgeError::Io(error),
    }
}

/// Asks a person for a passphrase; the argument says for what. `None`: nobody is there.
pub type AskPassphrase<'a> = &'a (dyn Fn(&str) -> Option<SecretString> + Sync);

/// Who answers while a file is opened or made: plugins ask, and so does a file that turns out to be
/// encrypted with a passphrase. `None`: nobody is there.
pub trait Person: Send + Sync {
    fn passphrase(&self, what: &str) -> Option<SecretString>;
    /// A choice: `Some(true)` for `yes`, `Some(false)` for `no`.
    fn confirm(&self, question: &str, yes: &str, no: Option<&str>) -> Option<bool> {
        let _ = (question, yes, no);
        None
    }
    /// Something that is no secret, e.g. which slot.
    fn answer(&self, question: &str) -> Option<String> {
        let _ = question;
        None
    }
    /// Such as "touch your key".
    fn tell(&self, message: &str) {
        let _ = message;
    }
}

/// What plugins see of a [`Person`]. What a plugin says is a stranger's text.
#[derive(Clone)]
struct Callbacks(Option<Arc<dyn Person>>);

const MAX_MESSAGE: usize = 400;

impl ::age::Callbacks for Callbacks {
    fn display_message(&self, message: &str) {
        if let Some(person) = &self.0 {
            person.tell(&clean(message, MAX_MESSAGE));
        }
    }

    fn confirm(&self, question: &str, yes: &str, no: Option<&str>) -> Option<bool> {
        let no = no.map(|text| clean(text, MAX_MESSAGE));
        self.0.as_ref()?.confirm(
            &clean(question, MAX_MESSAGE),
            &clean(yes, MAX_MESSAGE),
            no.as_deref(),
        )
    }

    fn request_public_string(&self, question: &str) -> Option<String> {
        self.0.as_ref()?.answer(&clean(question, MAX_MESSAGE))
    }

    fn request_passphrase(&self, what: &str) -> Option<SecretString> {
        self.0.as_ref()?.passphrase(&clean(what, MAX_MESSAGE))
    }
}

/// What to do about a plugin that is not there.
fn missing_plugin(binary: &str) -> AgeError {
    let binary = clean(binary, 80);
    let more = if binary == "age-plugin-pq" {
        " (post-quantum keys came with age 1.3; its release has that plugin for programs that do \
         not know them yet)"
    } else {
        ""
    };
    AgeError::Plugin(format!(
        "the plugin {binary} is needed and is not in PATH: install it{more}, or use a key of \
         another kind"
    ))
}

fn plugin_died(name: &str, error: &io::Error) -> AgeError {
    AgeError::Plugin(format!(
        "the age plugin {} broke off: {}; see whether it works with age itself",
        clean(name, 80),
        clean(&error.to_string(), MAX_MESSAGE)
    ))
}

fn plugin_errors<E: std::fmt::Display>(errors: &[E]) -> AgeError {
    let said: Vec<String> = errors
        .iter()
        .take(5)
        .map(|error| clean(&error.to_string(), MAX_MESSAGE))
        .collect();
    AgeError::Plugin(format!("an age plugin failed: {}", said.join("; ")))
}

#[cfg(test)]
mod tests;
