//! Instances that are this machine, reached by a local sh or by an sshd on the loopback; a store
//! with an archive of ours; and no AWS, or so little of it that a few lines answer.

mod archives;
mod logins;
mod proving;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::*;
use crate::backup::Progress;
use crate::backup::archive::write::ArchiveWriter;
use crate::backup::archive::{ArchiveHeader, Canary, Kind, Meta};
use crate::backup::name;
use crate::backup::sidecar::{CanaryClaim, sample};
use crate::backup::store::{DirectoryStore, Store};
use crate::backup::testing::blobs::{pair, sealed_for, zstd};
use crate::cloud::access::Access;
use crate::cloud::client::Clients;
use crate::cloud::poll::Pace;
use crate::cloud::provider::{AwsProvider, CloudSetup};
use crate::document::drill::Drill;
use crate::drill::clock::DrillClock;
use crate::drill::ledger::Ledger;
use crate::journal::{DrillEvent, Event, FixedClock, Journal, JournalReader, JournalWriter};
use crate::model::drill::ProofOutcome;
use crate::reach::Reach;
use crate::sign::{SigningKey, Trusted};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
const DATA_TIME: &str = "2026-11-20T02:30:00.123Z";
const ARCHIVE: &str = "files/20261120T023000.123Z-aaaa.tar.zst.age";

/// A drill whose instance `app` is this machine, and where its data goes.
struct Stage {
    dir: tempfile::TempDir,
    inner: Arc<Inner>,
    clients: Clients,
    drill: DrillContext,
}

/// `proofs`: of the step `files`, as YAML.
fn drill_text(dir: &Path, ssh: &str, lost: &str, proofs: &str) -> String {
    let dir = dir.display();
    format!(
        r#"
drill: t
title: t
lost: {{what: the primary, {lost}}}
scratch: {{aws: {{account: "123456789012", region: eu-central-1, vault: v, restore_role: r}}}}
objectives: {{}}
steps:
- step: db
  aws: {{resource: r, rds: {{login: {{user: app, database: orders, password_env: DB}}}}}}
  proofs: []
- step: app
  aws: {{fresh: {{image: ami-1, type: t3.micro, ssh: {{user: root, {ssh}}}}}}}
  proofs: []
- step: files
  needs: [app, db]
  restore: {{source: files, onto: app, directory: "{dir}/instance/srv/it's"}}
  proofs: [{proofs}]
"#
    )
}

impl Stage {
    fn new(reach: Arc<dyn Reach>, ssh: &str, lost: &str, proofs: &str) -> Stage {
        Stage::at("http://127.0.0.1:9", reach, ssh, lost, proofs)
    }

    fn at(endpoint: &str, reach: Arc<dyn Reach>, ssh: &str, lost: &str, proofs: &str) -> Stage {
        Stage::of(files(), endpoint, reach, ssh, lost, proofs)
    }

    fn of(
        data: Data,
        endpoint: &str,
        reach: Arc<dyn Reach>,
        ssh: &str,
        lost: &str,
        proofs: &str,
    ) -> Stage {
        let dir = tempfile::tempdir().unwrap();
        let text = drill_text(dir.path(), ssh, lost, proofs);
        let drill: Drill = serde_yaml::from_str(&text).unwrap();
        let policy = format!(
            "policy: site\ntitle: t\nstores: {{attic: {{place: attic, directory: store}}}}\n\
             sources: [{{source: files, {}, schedule: '0 2 * * *', rpo: 26h}}]\n",
            data.source
        );
        let (identities, recipients) = pair();
        let key = SigningKey::generate("t").unwrap();
        let line = key.public_line();
        let setup = CloudSetup {
            drill,
            drill_path: dir.path().join("drill.yaml"),
            policy: serde_yaml::from_str(&policy).unwrap(),
            policy_path: dir.path().join("policy.yaml"),
            identities: Arc::new(identities),
            trusted: Trusted::parse([line.as_str()]).unwrap(),
            random: Arc::new(|_| 0),
            access: Access {
                pace: 200.0,
                ..Access::default()
            },
            state_dir: dir.path().join("state"),
            reach,
            variable: Arc::new(|name| (name == "DB").then(|| "s'ecret".into())),
        };
        let inner = AwsProvider::new(setup).unwrap().inner;
        let clock: Arc<FixedClock> =
            Arc::new(FixedClock::new("2026-11-20T12:00:00Z".parse().unwrap(), 1));
        let writer = JournalWriter::create(&dir.path().join("run"), clock).unwrap();
        let ledger = Ledger::new(Journal::new(writer), Arc::new(DrillClock::new(|| 0)));
        let stage = Stage {
            clients: clients(endpoint, &inner),
            drill: DrillContext {
                run: "20261120-120000-aaaa".into(),
                disaster: "2026-11-20T12:00:00Z".parse().unwrap(),
                scratch: dir.path().to_owned(),
                ledger,
                again: false,
            },
            inner,
            dir,
        };
        stage.put(&data, &recipients, &key);
        stage
            .inner
            .know("app", |step| step.instance = Some(instance()));
        stage
    }

    /// Puts an archive into the store, with its signed sidecar.
    fn put(&self, data: &Data, recipients: &crate::backup::age::Recipients, key: &SigningKey) {
        let path = self.dir.path().join("store");
        std::fs::create_dir(&path).unwrap();
        let store = DirectoryStore::new(&path);
        let write = |name: &str, bytes: &[u8]| {
            let mut upload = store.create(name).unwrap();
            upload.write_all(bytes).unwrap();
            upload.finish().unwrap();
        };
        let bytes = sealed_for(recipients, &zstd(&data.plain));
        let mut sidecar = sample(ARCHIVE, bytes.len() as u64);
        sidecar.data_time = DATA_TIME.into();
        sidecar.sha256 = crate::model::sha256_hex(&bytes);
        sidecar.bytes = data.bytes;
        sidecar.canary = Some(CanaryClaim::from(&canary()));
        let (text, signature) = sidecar.sign(key).unwrap();
        write(ARCHIVE, &bytes);
        write(&name::signature(ARCHIVE), signature.as_bytes());
        write(&name::sidecar(ARCHIVE), &text);
    }

    fn step(&self, name: &str) -> &Step {
        self.inner.step(name).unwrap()
    }

    fn context(&self, step: &str, attempt: u32) -> StepContext<'_> {
        StepContext {
            drill: &self.drill,
            step: self.step(step),
            attempt,
            progress: Arc::new(Progress::default()),
        }
    }

    fn work<'a>(&'a self, context: &'a StepContext<'a>) -> Work<'a> {
        Work {
            inner: &self.inner,
            clients: &self.clients,
            context,
        }
    }

    /// Where the archive goes.
    fn goal(&self) -> PathBuf {
        self.dir.path().join("instance/srv/it's")
    }

    /// What lies beside it, and itself.
    fn beside(&self) -> Vec<String> {
        let list = std::fs::read_dir(self.dir.path().join("instance/srv"));
        let mut names: Vec<String> = (list.into_iter().flatten())
            .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    async fn proved(&self, proof: usize) -> ProofSaid {
        let context = self.context("files", 1);
        let proof = &context.step.proofs[proof];
        prove(&self.inner, &context, proof).await
    }

    fn events(&self) -> Vec<DrillEvent> {
        let records = JournalReader::open(&self.dir.path().join("run")).unwrap();
        let drill = records.filter_map(|record| match record.unwrap().event {
            Event::Drill(event) => Some(event),
            _ => None,
        });
        drill.collect()
    }
}

fn instance() -> Instance {
    Instance {
        id: "i-0123456789abcdef0".into(),
        zone: "eu-central-1a".into(),
        kind: "t3.micro".into(),
        address: "127.0.0.1".parse().ok(),
    }
}

macro_rules! client {
    ($service:ident, $endpoint:expr) => {
        $service::Client::from_conf(
            $service::Config::builder()
                .behavior_version($service::config::BehaviorVersion::latest())
                .region($service::config::Region::new("eu-central-1"))
                .credentials_provider($service::config::Credentials::new(
                    "AK", "SK", None, None, "test",
                ))
                .endpoint_url($endpoint)
                .build(),
        )
    };
}

fn clients(endpoint: &str, inner: &Inner) -> Clients {
    Clients {
        backup: client!(aws_sdk_backup, endpoint),
        ec2: client!(aws_sdk_ec2, endpoint),
        rds: client!(aws_sdk_rds, endpoint),
        s3: client!(aws_sdk_s3, endpoint),
        dynamodb: client!(aws_sdk_dynamodb, endpoint),
        efs: client!(aws_sdk_efs, endpoint),
        kms: client!(aws_sdk_kms, endpoint),
        sts: client!(aws_sdk_sts, endpoint),
        quotas: client!(aws_sdk_servicequotas, endpoint),
        guard: inner.guard.clone(),
        pace: Pace(200.0),
        region: "eu-central-1".into(),
        life: crate::cloud::client::Life::Endless,
    }
}

fn canary() -> Canary {
    Canary {
        token: TOKEN.into(),
        at: DATA_TIME.into(),
        place: "data/.canary".into(),
    }
}

fn canary_file() -> String {
    format!("{TOKEN} {DATA_TIME}\n")
}

const LARGE: usize = 3 << 20;

fn data_bytes() -> u64 {
    (LARGE + "hello\n".len() + canary_file().len()) as u64
}

/// What the store holds.
struct Data {
    /// Of the policy, as YAML.
    source: &'static str,
    /// An archive of ours.
    plain: Vec<u8>,
    bytes: u64,
}

fn header(kind: Kind, stream: Option<&str>) -> ArchiveHeader {
    ArchiveHeader {
        format: 1,
        version: "0".into(),
        policy: "site".into(),
        source: "files".into(),
        kind,
        data_time: DATA_TIME.into(),
        stream: stream.map(str::to_owned),
        canary: Some(canary()),
    }
}

/// The output of a program.
fn output(bytes: &[u8]) -> Data {
    let progress = Progress::default();
    let header = header(Kind::Command, Some("dump.txt"));
    let mut writer = ArchiveWriter::new(Vec::new(), &header, 0, &progress).unwrap();
    writer.stream("dump.txt", 7, &mut { bytes }).unwrap();
    Data {
        source: "command: {run: [dump], file: dump.txt}",
        plain: writer.finish(0, &[]).unwrap().0,
        bytes: bytes.len() as u64,
    }
}

fn files() -> Data {
    Data {
        source: "directories: {paths: [/data]}",
        plain: plain(),
        bytes: data_bytes(),
    }
}

fn plain() -> Vec<u8> {
    let progress = Progress::default();
    let header = header(Kind::Directories, None);
    let (uid, gid) = crate::backup::archive::beneath::us();
    let meta = |mode| Meta {
        mode,
        uid,
        gid,
        mtime: 1_700_000_000,
    };
    let mut writer = ArchiveWriter::new(Vec::new(), &header, 0, &progress).unwrap();
    writer.directory(b"data", meta(0o750)).unwrap();
    let mut file = |path: &[u8], bytes: &[u8]| {
        writer
            .file(path, meta(0o640), bytes.len() as u64, &mut { bytes })
            .unwrap();
    };
    file(b"data/.canary", canary_file().as_bytes());
    file(b"data/hello\nworld", b"hello\n");
    file(b"data/large", &vec![b'l'; LARGE]);
    writer
        .symlink(b"data/link", b"/etc/hostname", meta(0o777))
        .unwrap();
    writer
        .hardlink(b"data/other", b"data/large", meta(0o640))
        .unwrap();
    writer.finish(0, &[]).unwrap().0
}

#[test]
fn data_goes_to_a_place_that_is_named_in_full() {
    assert!(is_place("/srv/data").is_ok());
    for wrong in ["/", "srv", "/srv/", "/a//b", "/a/../b", "/a/.", "", "/a\nb"] {
        assert!(is_place(wrong).is_err(), "{wrong}");
    }
}
