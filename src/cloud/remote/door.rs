//! How an instance is logged in to: its address, whose key opens it, and which host key it must
//! show.

use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::cloud::provider::Inner;
use crate::cloud::state::Instance;
use crate::document::drill::Step;
use crate::document::drill::aws::AwsSsh;
use crate::drill::local::guard::absolute;
use crate::reach::known_hosts::name_of;
use crate::reach::{Become, Target, Via};

/// How a step's instance is logged in to, and whether it is a fresh one.
pub fn ssh_of(step: &Step) -> Option<(&AwsSsh, bool)> {
    let aws = step.aws.as_ref()?;
    match (&aws.fresh, &aws.instance) {
        (Some(fresh), _) => Some((&fresh.ssh, true)),
        (None, Some(restored)) => restored.ssh.as_ref().map(|ssh| (ssh, false)),
        (None, None) => None,
    }
}

/// Private: what a run keeps on the controller.
pub fn folder(inner: &Inner, run: &str) -> Result<PathBuf, String> {
    let folder = inner.setup.state_dir.join("drills").join(run);
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&folder)
        .map_err(|e| format!("making {}: {e}", folder.display()))?;
    Ok(folder)
}

/// Writes a file that nobody else reads: whole, or not at all.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<(), String> {
    let wrong = |e: std::io::Error| format!("writing {}: {e}", path.display());
    let temporary = path.with_extension("new");
    let _ = std::fs::remove_file(&temporary);
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)
        .map_err(wrong)?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .and_then(|()| std::fs::rename(&temporary, path))
        .map_err(wrong)
}

fn known_hosts(inner: &Inner, run: &str, step: &str) -> Result<PathBuf, String> {
    Ok(folder(inner, run)?.join(format!("{step}.known_hosts")))
}

/// Writes down which host keys the instance must show.
pub fn know(
    inner: &Inner,
    run: &str,
    step: &str,
    target: &Target,
    keys: &[String],
) -> Result<(), String> {
    let name = name_of(
        target.address.as_deref().unwrap_or_default(),
        target.port.unwrap_or(22),
    );
    let text: String = keys.iter().map(|key| format!("{name} {key}\n")).collect();
    write_private(&known_hosts(inner, run, step)?, text.as_bytes())
}

/// Where the instance of a step is, and how it is logged in to.
pub fn target(inner: &Inner, run: &str, step: &str, instance: &Instance) -> Result<Target, String> {
    let document = inner
        .step(step)
        .ok_or_else(|| format!("there is no step {step}"))?;
    let (ssh, fresh) = ssh_of(document).ok_or_else(|| {
        format!("the step {step} does not say how its instance is logged in to (`ssh`)")
    })?;
    let address = instance.address.ok_or_else(|| {
        format!(
            "the instance {} has no address that SSH could go to",
            instance.id
        )
    })?;
    let identities = match (&ssh.identity, fresh) {
        (Some(path), _) => vec![beside(inner, path)],
        (None, true) => {
            let network = inner.state().network.clone();
            let key = network.and_then(|network| network.key);
            let (_, path) = key.ok_or("the key pair that the drill makes is not there")?;
            vec![path]
        }
        // The keys that it had: those of whoever runs this.
        (None, false) => Vec::new(),
    };
    let sudo = ssh.sudo.unwrap_or(ssh.user != "root");
    Ok(Target {
        name: format!("{step} ({})", instance.id),
        via: Via::Ssh,
        address: Some(address.to_string()),
        port: Some(ssh.port),
        user: Some(ssh.user.clone()),
        identities,
        known_hosts: vec![known_hosts(inner, run, step)?],
        become_root: if sudo { Become::Sudo } else { Become::No },
        ..Target::default()
    })
}

/// A path of the drill's document.
pub fn beside(inner: &Inner, path: &str) -> PathBuf {
    let document = absolute(&inner.setup.drill_path);
    document.parent().unwrap_or(Path::new("/")).join(path)
}
