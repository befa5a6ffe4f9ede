//! The key pair that the drill makes for itself: the private half stays on the controller, in the
//! run's own directory, and goes with it.

use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use aws_sdk_ec2::primitives::Blob;
use aws_sdk_ec2::types::ResourceType;

use super::Maker;
use crate::cloud::fault::{Fault, FaultKind};
use crate::cloud::find;
use crate::cloud::make::unwritten;
use crate::cloud::names::Kind;
use crate::cloud::provider::Inner;
use crate::drill::provider::{DrillContext, StepError};
use crate::model::sha256_hex;
use crate::sign::SigningKey;

/// The run's own directory on the controller.
pub(in crate::cloud) fn directory(inner: &Inner, run: &str) -> PathBuf {
    inner.setup.state_dir.join("drills").join(run)
}

fn file(inner: &Inner, run: &str) -> PathBuf {
    directory(inner, run).join("key")
}

/// A key that has another public half has another name: it is never taken for this one.
fn pair_name(run: &str, public_line: &str) -> String {
    let mark = sha256_hex(public_line.as_bytes());
    let mark = mark.get(..8).unwrap_or_default().to_owned();
    format!("seawall-{}-{mark}", run.to_ascii_lowercase())
}

/// What an earlier process of this run has made.
pub(super) fn known(inner: &Inner, drill: &DrillContext) -> Option<(String, PathBuf)> {
    let path = file(inner, &drill.run);
    let key = SigningKey::load(&path, &mut || None).ok()?;
    Some((pair_name(&drill.run, &key.public_line()), path))
}

pub(super) async fn ensure(maker: &Maker<'_>) -> Result<(String, PathBuf), StepError> {
    let inner = maker.work.inner;
    let run = maker.run();
    let path = file(inner, run);
    let public = match path.symlink_metadata().is_ok() {
        true => SigningKey::load(&path, &mut || None)
            .map_err(|e| StepError::new(format!("reading the drill's own key: {e}")))?
            .public_line(),
        false => make_file(maker, &path)?,
    };
    let name = pair_name(run, &public);
    let what = "importing the drill's key pair";
    let found = maker.work.send(what, false, || {
        find::ids(
            maker.ec2(),
            Kind::KeyPair,
            vec![find::filter("key-name", &name)],
        )
    });
    if !found.await?.is_empty() {
        return Ok((name, path));
    }
    let label = maker.label(Kind::KeyPair, &name)?;
    let import = || async {
        let sent = maker
            .ec2()
            .import_key_pair()
            .key_name(&name)
            .public_key_material(Blob::new(public.as_bytes()))
            .tag_specifications(label.specification(ResourceType::KeyPair))
            .send()
            .await;
        match sent.map_err(|e| Fault::of(what, e)) {
            // The name is the key's own: it is ours, by an answer that was lost.
            Err(fault) if fault.kind != FaultKind::Exists => Err(fault),
            _ => Ok(()),
        }
    };
    maker.work.send(what, false, import).await?;
    maker.work.made(&label, &name)?;
    Ok((name, path))
}

/// Gives the public half's line.
fn make_file(maker: &Maker<'_>, path: &std::path::Path) -> Result<String, StepError> {
    let run = maker.run();
    let wrong = |error: String| {
        StepError::new(format!(
            "writing the drill's own key to {}: {error}",
            path.display()
        ))
    };
    let shown = path.display().to_string();
    let label = maker.label(Kind::KeyFile, &shown)?;
    let mut directories = std::fs::DirBuilder::new();
    let made = directories
        .recursive(true)
        .mode(0o700)
        .create(directory(maker.work.inner, run));
    made.map_err(|e| wrong(e.to_string()))?;
    let key = SigningKey::generate(&format!("seawall drill {run}"));
    let key = key.map_err(|e| wrong(e.to_string()))?;
    key.write(path).map_err(|e| wrong(e.to_string()))?;
    let ledger = &maker.work.context.drill.ledger;
    ledger.made(&label.token, &shown).map_err(unwritten)?;
    Ok(key.public_line())
}

/// Both halves. Only in a run's own directory: the path comes out of a journal.
pub(in crate::cloud) fn remove(inner: &Inner, run: &str, path: &str) -> Result<(), String> {
    let ours = file(inner, run);
    if ours.as_os_str() != path {
        return Err(format!(
            "{} is not where this run keeps its key ({}): take it away by hand",
            crate::shell::clean(path, 300),
            ours.display()
        ));
    }
    for path in [ours.with_extension("pub"), ours] {
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(format!("removing {}: {error}", path.display()));
            }
            _ => {}
        }
    }
    Ok(())
}
