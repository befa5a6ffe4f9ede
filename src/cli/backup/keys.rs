//! Keys that open backups: from files, the environment, or a person.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use secrecy::SecretString;

use crate::backup::age::{AskPassphrase, Identities, IdentitySources, Person};
use crate::shell::clean;

/// The text of an identity file.
const VARIABLE: &str = "SEAWALL_AGE_IDENTITY";

#[derive(clap::Args, Clone, Debug, Default)]
pub struct Keys {
    /// A file with age identities, or an SSH private key; may be given several times. Besides,
    /// $SEAWALL_AGE_IDENTITY may hold the text of one
    #[arg(short, long = "identity", value_name = "FILE")]
    identity: Vec<PathBuf>,
    /// Ask for the passphrase of backups that are encrypted with one
    #[arg(long)]
    passphrase: bool,
}

/// The identities of one place.
pub struct Place {
    pub label: String,
    pub identities: Arc<Identities>,
}

/// A person at the terminal.
struct Terminal;

impl Person for Terminal {
    fn passphrase(&self, what: &str) -> Option<SecretString> {
        prompt(what)
    }

    fn tell(&self, message: &str) {
        eprintln!("{}", clean(message, 400));
    }
}

fn prompt(what: &str) -> Option<SecretString> {
    super::super::setup::is_interactive()
        .then(|| rpassword::prompt_password(format!("{}: ", clean(what, 200))).ok())
        .flatten()
        .map(SecretString::from)
}

impl Keys {
    /// Everything in one, and each place by itself. Passphrases are asked for once for each.
    pub fn gather(&self, policy_passphrase: Option<&str>) -> anyhow::Result<Vec<Place>> {
        let mut places = Vec::new();
        let mut add = |label: String, sources: IdentitySources| -> anyhow::Result<()> {
            let ask: AskPassphrase = &|what| prompt(what);
            let identities = Identities::gather(sources, ask)?.with_person(Arc::new(Terminal));
            for warning in identities.warnings() {
                eprintln!("seawall: {}", clean(warning, 400));
            }
            places.push(Place {
                label,
                identities: Arc::new(identities),
            });
            Ok(())
        };
        for path in &self.identity {
            let sources = IdentitySources {
                files: vec![path.clone()],
                ..IdentitySources::default()
            };
            add(clean(&path.display().to_string(), 200), sources)?;
        }
        if let Some(text) = std::env::var(VARIABLE).ok().filter(|text| !text.is_empty()) {
            let sources = IdentitySources {
                text: Some(text.into()),
                ..IdentitySources::default()
            };
            add(format!("${VARIABLE}"), sources).with_context(|| format!("${VARIABLE}"))?;
        }
        let given = self.given(policy_passphrase)?;
        if let Some(passphrase) = given {
            let sources = IdentitySources {
                passphrase: Some(passphrase),
                ..IdentitySources::default()
            };
            add("the passphrase".to_owned(), sources)?;
        }
        Ok(places)
    }

    /// A passphrase: asked for, or from where the policy says.
    fn given(&self, policy_passphrase: Option<&str>) -> anyhow::Result<Option<SecretString>> {
        if self.passphrase {
            let given = prompt("Passphrase of the backup")
                .context("--passphrase asks for one, and nobody is at the terminal")?;
            return Ok(Some(given));
        }
        Ok(policy_passphrase
            .and_then(|name| std::env::var(name).ok())
            .filter(|passphrase| !passphrase.is_empty())
            .map(SecretString::from))
    }

    /// All of them as one.
    pub fn all(&self, policy_passphrase: Option<&str>) -> anyhow::Result<Identities> {
        let passphrase = self.given(policy_passphrase)?;
        let sources = IdentitySources {
            files: self.identity.clone(),
            text: std::env::var(VARIABLE)
                .ok()
                .filter(|text| !text.is_empty())
                .map(SecretString::from),
            passphrase,
        };
        let ask: AskPassphrase = &|what| prompt(what);
        let identities = Identities::gather(sources, ask)?;
        for warning in identities.warnings() {
            eprintln!("seawall: {}", clean(warning, 400));
        }
        anyhow::ensure!(
            !identities.is_empty(),
            "which key opens it? Give one with --identity FILE, in ${VARIABLE}, or --passphrase"
        );
        Ok(identities.with_person(Arc::new(Terminal)))
    }
}
