//! Which key signs here. Others ask `signing_key` before they begin, so that a key that cannot be
//! used is told before anything is done.

use std::io::IsTerminal;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use secrecy::SecretString;

use crate::journal::{Journal, Signed, state_dir};
use crate::sign::{SignError, SigningKey, Trusted};

/// Names a key elsewhere than in the state folder.
const KEY_VARIABLE: &str = "SEAWALL_SIGNING_KEY";
/// Holds its passphrase, where nobody can be asked.
const PASSPHRASE_VARIABLE: &str = "SEAWALL_SIGNING_PASSPHRASE";

/// Where this machine's signing key is: `$SEAWALL_SIGNING_KEY`, else `signing-key` in the state
/// folder; and whether it was named.
pub fn key_path() -> anyhow::Result<(PathBuf, bool)> {
    match std::env::var_os(KEY_VARIABLE).filter(|path| !path.is_empty()) {
        Some(path) => Ok((PathBuf::from(path), true)),
        None => {
            let state = state_dir(|name| std::env::var_os(name))?;
            Ok((state.join("signing-key"), false))
        }
    }
}

/// This machine's signing key; `None` where it has none and none is to be made. With `create`, one
/// is made in the state folder, and standard error says so.
///
/// # Errors
/// When there is a key that cannot be used, and when `$SEAWALL_SIGNING_KEY` names none.
pub fn signing_key(create: bool) -> anyhow::Result<Option<SigningKey>> {
    let (path, named) = key_path()?;
    match load(&path) {
        Ok(key) => Ok(Some(key)),
        Err(error) if !error.is_missing() => Err(error.into()),
        Err(error) if named => Err(anyhow::anyhow!("${KEY_VARIABLE}: {error}")),
        Err(_) if create => make(&path).map(Some),
        Err(_) => Ok(None),
    }
}

/// The public half of this machine's signing key; nothing where it has none.
pub fn own_trusted() -> anyhow::Result<Trusted> {
    let (path, named) = key_path()?;
    match SigningKey::public_of(&path) {
        Ok(trusted) => Ok(trusted),
        Err(error) if error.is_missing() && !named => Ok(Trusted::default()),
        Err(error) => Err(error.into()),
    }
}

/// Seals a run with this machine's key, where it has one. Standard error says where it is not
/// signed: because the key failed, always; because there is none, unless `quiet`.
pub fn seal(journal: &Journal, key: Option<&SigningKey>, quiet: bool) -> anyhow::Result<()> {
    match journal.seal(key)?.signed {
        Signed::By(_) => {}
        Signed::No if quiet => {}
        Signed::No => eprintln!(
            "seawall: this run is not signed: `seawall keygen` makes a key, and later runs are"
        ),
        Signed::Failed(why) => eprintln!(
            "seawall: this run is sealed, and NOT SIGNED: {}",
            crate::shell::clean(&why, 500)
        ),
    }
    Ok(())
}

fn load(path: &Path) -> Result<SigningKey, SignError> {
    SigningKey::load(path, &mut || {
        if let Ok(given) = std::env::var(PASSPHRASE_VARIABLE) {
            return Some(SecretString::from(given));
        }
        let question = format!(
            "Passphrase of {}: ",
            crate::shell::clean(&path.display().to_string(), 200)
        );
        std::io::stdin()
            .is_terminal()
            .then(|| rpassword::prompt_password(question).ok())
            .flatten()
            .map(SecretString::from)
    })
}

/// Makes the folder that a key goes to, for us alone.
pub fn make_folder(key: &Path) -> anyhow::Result<()> {
    if let Some(folder) = key.parent() {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|e| anyhow::anyhow!("making the folder {}: {e}", folder.display()))?;
    }
    Ok(())
}

/// The public half of the key at `path`, as one line.
pub fn public_line(path: &Path) -> anyhow::Result<String> {
    let trusted = SigningKey::public_of(path)?;
    trusted
        .lines()
        .pop()
        .ok_or_else(|| anyhow::anyhow!("{} holds no key", path.display()))
}

/// Makes the state folder's key. Of two processes that do so at once, both get the same key.
fn make(path: &Path) -> anyhow::Result<SigningKey> {
    make_folder(path)?;
    let key = SigningKey::generate(&format!("seawall {}", super::treat::who()))?;
    match key.write(path) {
        Ok(()) => {
            eprintln!(
                "seawall: made a signing key: {}, public half {}.pub",
                path.display(),
                path.display()
            );
            Ok(key)
        }
        Err(SignError::Exists { .. }) => Ok(load(path)?),
        Err(error) => Err(error.into()),
    }
}
