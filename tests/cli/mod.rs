//! The program at the command line: what it says and how it ends, without a host; and that what
//! `--json` prints is what its schema promises.

mod contradictions;
mod patch;
pub mod schema;
mod words;

use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// What a run of the program said.
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    pub fn of(out: std::process::Output) -> Said {
        Said {
            code: out.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&out.stdout).into_owned(),
            err: String::from_utf8_lossy(&out.stderr).into_owned(),
        }
    }
}

impl std::fmt::Display for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "code {}\n{}\n{}", self.code, self.out, self.err)
    }
}

/// A folder for documents, state and home, with nothing of the user's.
pub struct Desk {
    pub dir: TempDir,
}

impl Desk {
    pub fn new() -> Desk {
        let dir = tempfile::tempdir().expect("a folder for the test can be made");
        let desk = Desk { dir };
        desk.write("one.yaml", BASELINE);
        desk.write("playbook.yaml", PLAYBOOK);
        desk.write(
            "hosts.yaml",
            "inventory: t\nhosts:\n  nobody: {address: 127.0.0.1, port: 1}\n",
        );
        desk
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.dir.path().join(name), text).expect("a document is written");
    }

    pub fn run(&self, args: &[&str]) -> Said {
        self.run_with_state(args, &self.dir.path().join("state"))
    }

    pub fn run_with_state(&self, args: &[&str], state: &Path) -> Said {
        let out = self
            .command(args)
            .env("SEAWALL_STATE_DIR", state)
            .output()
            .expect("the program can be run");
        Said::of(out)
    }

    /// The program, not yet begun.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_seawall"));
        command
            .args(args)
            .current_dir(self.dir.path())
            .env("SEAWALL_STATE_DIR", self.dir.path().join("state"))
            .env("HOME", self.dir.path())
            .env_remove("SSH_AUTH_SOCK")
            .stdin(Stdio::null());
        command
    }
}

const BASELINE: &str = "baseline: one
title: One rule
rules:
  - id: t.motd
    title: The message of the day is short
    why: Nobody reads a long one.
    area: t
    severity: low
    resources:
      - file: {path: /etc/motd, content: \"hello\\n\"}
";

const PLAYBOOK: &str = "playbook: t
title: T
hosts: [all]
baselines: [one.yaml]
";
