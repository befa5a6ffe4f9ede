//! The whole program against the double: documents in a folder, an environment of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use super::stage::{LOST, SCRATCH};
use crate::fake_aws::seed;
use crate::fake_aws::server::{ACCESS_KEY, FakeAws, Options, SECRET};

pub struct Site {
    pub aws: FakeAws,
    pub dir: tempfile::TempDir,
}

/// What a run of the program said.
pub struct Said {
    pub code: Option<i32>,
    /// Both streams.
    pub text: String,
    pub out: String,
}

impl Site {
    pub fn new() -> Site {
        Site {
            aws: FakeAws::start(Options {
                speed: SPEED,
                seed: Some(seed::example()),
                ..Options::default()
            }),
            dir: tempfile::tempdir().expect("a folder for the test"),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        let folder = path.parent().expect("a folder");
        std::fs::create_dir_all(folder).expect("it can be made");
        std::fs::write(&path, text).expect("it can be written");
    }

    /// The program, with keys but without an endpoint: nothing of the machine's own configuration.
    pub fn bare(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_seawall"));
        command
            .args(args)
            .current_dir(self.dir.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path("home"))
            .env("SEAWALL_STATE_DIR", self.path("state"))
            .env("SEAWALL_TEST_PACE", SPEED.to_string())
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
            .env("AWS_SECRET_ACCESS_KEY", SECRET)
            .stdin(Stdio::null());
        command
    }

    /// The same, with the double in the place of AWS.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = self.bare(args);
        command.env("AWS_ENDPOINT_URL", self.aws.url());
        command
    }

    /// The only run, or the latest.
    pub fn run_id(&self) -> String {
        let runs = std::fs::read_dir(self.path("state/runs")).expect("runs");
        let names = runs.flatten().map(|run| run.file_name());
        let names = names.filter_map(|name| name.into_string().ok());
        names.max().expect("a run")
    }

    pub fn events(&self) -> Vec<Value> {
        let path = self.path("state/runs").join(self.run_id());
        let text = std::fs::read_to_string(path.join("journal.jsonl")).expect("a journal");
        let lines = text.lines();
        lines
            .map(|line| serde_json::from_str(line).expect("a line of the journal"))
            .collect()
    }

    /// What stood in the way: what was refused, and who asked for it.
    pub fn refused(&self) -> Vec<(String, String)> {
        let text = |event: &Value, key: &str| event[key].as_str().unwrap_or_default().to_owned();
        (self.events().iter())
            .filter(|event| event["drill_event"] == "refused")
            .map(|event| (text(event, "what"), text(event, "by")))
            .collect()
    }

    /// The page of the latest run, as text.
    pub fn page(&self) -> String {
        let name = format!("state/reports/{}.html", self.run_id());
        std::fs::read_to_string(self.path(&name)).expect("a page")
    }
}

pub fn said(command: &mut Command) -> Said {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().expect("the program can be run");
    let out = String::from_utf8_lossy(&stdout).into_owned();
    Said {
        code: status.code(),
        text: format!("{out}{}", String::from_utf8_lossy(&stderr)),
        out,
    }
}

/// A document that is in the way of nothing: one table, which nobody logs in to.
pub fn carts(scratch: &str) -> String {
    format!(
        "{}
  - step: carts
    aws: {{resource: \"arn:aws:dynamodb:{LOST}:111122223333:table/carts\", dynamodb: {{}}}}
    proofs:
      - proof: there are carts
        items: {{at_least: 250, key: {{id: cart-0007}}, has: {{total: 35}}}}
",
        above(SCRATCH, scratch)
    )
}

/// What stands above the steps; `more` belongs to the scratch.
pub fn above(region: &str, more: &str) -> String {
    format!(
        "drill: yearly
title: {LOST} is lost
lost: {{what: the region {LOST}, regions: [{LOST}]}}
scratch:
  aws:
    account: \"111122223333\"
    region: {region}
    vault: dr-copies
    restore_role: arn:aws:iam::111122223333:role/seawall-restore
{more}objectives: {{rto: 4h, rpo: 26h}}
steps:"
    )
}

/// Seconds of the double's clock in one of ours.
const SPEED: f64 = 500.0;

/// Whether a folder holds a run.
pub fn has_runs(state: &Path) -> bool {
    std::fs::read_dir(state.join("runs")).is_ok_and(|mut runs| runs.next().is_some())
}
