//! Whether what was restored is what was picked, and could have come in that time. Pure.

use std::time::Duration;

use super::pick::Picked;
use crate::backup::archive::Kind;
use crate::backup::restore::Restored;
use crate::backup::sidecar::CanaryClaim;
use crate::document::policy::SourceDocument;
use crate::shell::clean;

/// Nothing that a disk and a decryption are in the way of is as fast, in bytes a second.
const IMPLAUSIBLE: f64 = 5e9;
/// Less than so many bytes say nothing about speed.
const SAYS_SPEED: u64 = 64 << 20;
/// Where what was restored is not what its sidecar says, or not of this source.
pub fn differs(
    picked: &Picked,
    restored: &Restored,
    source: &SourceDocument,
) -> Result<(), String> {
    let name = clean(&picked.backup.name, 200);
    let sidecar = picked.sidecar();
    if let Some(sidecar) = sidecar
        && sidecar.sha256 != restored.sha256
    {
        return Err(format!(
            "{name} is not what its sidecar says: SHA-256 {} instead of {}; it was changed or swapped",
            restored.sha256,
            clean(&sidecar.sha256, 64)
        ));
    }
    let Some(header) = &restored.header else {
        return Ok(());
    };
    let kind = match source {
        s if s.postgresql.is_some() => Kind::Postgresql,
        s if s.git.is_some() => Kind::Git,
        s if s.command.is_some() => Kind::Command,
        _ => Kind::Directories,
    };
    if header.source != source.source || header.kind != kind {
        return Err(format!(
            "{name} is, by its own header, a backup of {} ({:?}), and not of {} ({kind:?})",
            clean(&header.source, 100),
            header.kind,
            source.source,
        ));
    }
    let Some(sidecar) = sidecar else {
        return Ok(());
    };
    if header.data_time != sidecar.data_time {
        return Err(format!(
            "{name} holds data of {}, and its sidecar says {}",
            clean(&header.data_time, 40),
            clean(&sidecar.data_time, 40)
        ));
    }
    if header.canary.as_ref().map(CanaryClaim::from) != sidecar.canary {
        return Err(format!("{name} bears another canary than its sidecar says"));
    }
    match &restored.manifest {
        Some(manifest) if manifest.end().bytes != sidecar.bytes => Err(format!(
            "{name} holds {} bytes, and its sidecar says {}",
            manifest.end().bytes,
            sidecar.bytes
        )),
        _ => Ok(()),
    }
}

/// A doubt, where nothing could have been read, decrypted and written as fast.
pub fn too_fast(bytes: u64, took: Duration) -> Vec<String> {
    let rate = bytes as f64 / took.as_secs_f64().max(1e-9);
    match bytes >= SAYS_SPEED && rate > IMPLAUSIBLE {
        true => vec![format!(
            "{bytes} bytes in {took:?} is {:.1} GB/s, faster than a disk and a decryption are",
            rate / 1e9
        )],
        false => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lie_03_a_speed_that_nothing_has_is_a_doubt() {
        let second = Duration::from_secs(1);
        assert!(too_fast(4_000_000_000, second).is_empty());
        assert_eq!(too_fast(6_000_000_000, second).len(), 1);
        assert_eq!(too_fast(64 << 20, Duration::ZERO).len(), 1);
        // A small thing is done in no time.
        assert!(too_fast(1 << 20, Duration::from_micros(1)).is_empty());
    }
}
