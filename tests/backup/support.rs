//! A key, two stores and a source, and what `age`, `zstd` and `tar` make of a backup.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use seawall::backup::Progress;
use seawall::backup::age::Recipients;
use seawall::backup::create::{CreateError, Creation, create_with};
use seawall::backup::sidecar::Sidecar;
use seawall::backup::source::Programs;
use seawall::backup::store::{DirectoryStore, Store};
use seawall::document::policy::Policy;
use seawall::sign::SigningKey;

use crate::recovery::world::run;

pub struct Site {
    dir: tempfile::TempDir,
    pub programs: Programs,
    signer: SigningKey,
}

impl Site {
    pub fn new() -> Site {
        // A socket's path may have 107 characters, and a database's server is another account.
        let dir = tempfile::Builder::new()
            .prefix("sw-")
            .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o711))
            .tempdir_in("/tmp")
            .expect("a folder for the test");
        for folder in ["near", "far"] {
            fs::create_dir(dir.path().join(folder)).expect("a store");
        }
        run(Command::new("age-keygen")
            .arg("-o")
            .arg(dir.path().join("key")));
        Site {
            dir,
            programs: Programs::default(),
            signer: SigningKey::generate("test").expect("a signing key"),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Backs up a source, written as YAML, to both stores.
    pub fn try_create(&self, source: &str) -> Result<(Sidecar, Vec<String>), CreateError> {
        let recipient = run(Command::new("age-keygen").arg("-y").arg(self.path("key")));
        let recipient = String::from_utf8_lossy(&recipient.stdout).trim().to_owned();
        let policy = format!(
            "{{policy: nightly, title: t, recipients: [{recipient}],
              stores: {{near: {{place: a, directory: /n}}, far: {{place: b, directory: /f}}}},
              sources: [{{source: s, schedule: '0 2 * * *', rpo: 26h, {source}}}]}}"
        );
        let policy: Policy = serde_yaml::from_str(&policy).expect("a policy");
        let store = |name: &str| {
            let store: Arc<dyn Store> = Arc::new(DirectoryStore::new(&self.path(name)));
            (name.to_owned(), store)
        };
        let creation = Creation {
            policy: &policy,
            source: &policy.sources[0],
            recipients: &Recipients::parse(&policy.recipients).expect("a recipient"),
            stores: BTreeMap::from([store("near"), store("far")]),
            signer: &self.signer,
            random: 7,
            progress: &Progress::default(),
        };
        create_with(&creation, &self.programs)
    }

    /// The same; it must go well.
    pub fn create(&self, source: &str) -> (Sidecar, Vec<String>) {
        self.try_create(source).expect("a backup")
    }

    /// Why it does not go well, and that nothing stayed.
    pub fn fails(&self, source: &str) -> String {
        let before = self.held();
        let error = self.try_create(source).expect_err("no backup").to_string();
        assert_eq!(self.held(), before, "{error}");
        error
    }

    /// All files of both stores.
    pub fn held(&self) -> Vec<PathBuf> {
        let mut held = Vec::new();
        for store in ["near/s", "far/s"] {
            let entries = fs::read_dir(self.path(store)).into_iter().flatten();
            held.extend(entries.flatten().map(|entry| entry.path()));
        }
        held.sort();
        held
    }

    /// `age -d | zstd -d | tar x`, into a new directory.
    pub fn extract(&self, backup: &Sidecar, into: &str) -> PathBuf {
        let into = self.path(into);
        fs::create_dir(&into).expect("a directory");
        let spawn = |command: &mut Command, input: Stdio| {
            command
                .stdin(input)
                .stdout(Stdio::piped())
                .spawn()
                .unwrap_or_else(|e| panic!("{command:?}: {e}: scripts/install-deps has it"))
        };
        let archive = File::open(self.path("near").join(&backup.archive)).expect("the archive");
        let mut age = spawn(
            Command::new("age")
                .arg("-d")
                .arg("-i")
                .arg(self.path("key")),
            archive.into(),
        );
        let age_out = age.stdout.take().expect("a pipe");
        let mut zstd = spawn(Command::new("zstd").arg("-dc"), age_out.into());
        let zstd_out = zstd.stdout.take().expect("a pipe");
        let mut tar = spawn(
            Command::new("tar").arg("-xp").arg("-C").arg(&into),
            zstd_out.into(),
        );
        for child in [&mut tar, &mut zstd, &mut age] {
            assert!(child.wait().expect("an end").success());
        }
        into
    }

    /// `cat stream/*` of an extracted archive.
    pub fn joined(&self, extracted: &Path) -> Vec<u8> {
        let mut parts: Vec<PathBuf> = fs::read_dir(extracted.join("stream"))
            .expect("parts")
            .flatten()
            .map(|entry| entry.path())
            .collect();
        parts.sort();
        let parts = parts.iter().map(|part| fs::read(part).expect("a part"));
        parts.flatten().collect()
    }
}

/// An executable script in the place of a program.
pub fn script(path: &Path, text: &str) -> String {
    use std::os::unix::fs::PermissionsExt;
    fs::write(path, format!("#!/bin/sh\n{text}\n")).expect("a script");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("its mode");
    path.display().to_string()
}
