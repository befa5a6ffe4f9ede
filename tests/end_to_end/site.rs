//! One lab with its own hosts, documents and state folder, gone when the test ends.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use seawall::lab::{Lab, Options};
use serde_json::Value;
use tempfile::TempDir;

pub struct Site {
    pub lab: Lab,
    pub dir: TempDir,
}

/// What a run of the program gave.
pub struct Ran {
    pub code: i32,
    pub json: Value,
    pub stderr: String,
}

impl Site {
    /// A lab of so many hosts.
    pub fn of(hosts: usize) -> Site {
        let options = Options {
            // With the watcher, which takes the lab down even if this process is killed.
            name: crate::lab::fixture::name(),
            prefix: Some("host".into()),
            ..Options::default()
        };
        let lab = Lab::up(hosts, &options).unwrap_or_else(|e| panic!("a lab can be raised: {e}"));
        let dir = tempfile::tempdir().expect("a folder for the test can be made");
        Site { lab, dir }
    }

    pub fn host(&self) -> String {
        self.lab.hosts()[0].name.clone()
    }

    pub fn inventory(&self) -> PathBuf {
        self.lab.inventory()
    }

    /// The program, with a state folder of its own and nothing of the user's.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_seawall"));
        command
            .args(args)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env("SEAWALL_STATE_DIR", self.dir.path().join("state"))
            .env("HOME", self.dir.path())
            .env_remove("SSH_AUTH_SOCK")
            .stdin(Stdio::null());
        command
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        let out = self.command(args).output().expect("the program can be run");
        ran(out)
    }

    /// `VERB PLAYBOOK -i INVENTORY --json …`
    pub fn treat(&self, verb: &str, playbook: &Path, more: &[&str]) -> Ran {
        let inventory = self.inventory();
        let mut args = vec![
            verb,
            playbook.to_str().expect("a path of ours is text"),
            "-i",
            inventory.to_str().expect("a path of the lab is text"),
            "--json",
        ];
        args.extend(more);
        self.run(&args)
    }

    pub fn rollback(&self, run: &str, more: &[&str]) -> Ran {
        let inventory = self.inventory();
        let mut args = vec![
            "rollback",
            run,
            "-i",
            inventory.to_str().expect("a path of the lab is text"),
            "--json",
        ];
        args.extend(more);
        self.run(&args)
    }

    /// A playbook with these rules' resources, each as YAML in one line.
    pub fn playbook(&self, resources: &[&str]) -> PathBuf {
        let mut rules = String::new();
        for (number, resource) in resources.iter().enumerate() {
            rules.push_str(&format!(
                "  - id: t.r{number}\n    title: t\n    why: w\n    area: t\n    severity: high\n    resources:\n      - {resource}\n"
            ));
        }
        let baseline = format!("baseline: t\ntitle: t\nrules:\n{rules}");
        std::fs::write(self.dir.path().join("t.yaml"), baseline).expect("a baseline is written");
        let playbook = "playbook: t\ntitle: t\nhosts: [all]\nbaselines: [t.yaml]\n";
        let path = self.dir.path().join("playbook.yaml");
        std::fs::write(&path, playbook).expect("a playbook is written");
        path
    }

    /// Looks into the host from outside: no sshd, no sudo.
    pub fn inside(&self, script: &str) -> String {
        let out = self
            .lab
            .exec(&self.host(), &["sh", "-c", script])
            .unwrap_or_else(|e| panic!("the host can be looked into: {e}"));
        String::from_utf8_lossy(&out.stdout).trim().to_owned()
    }

    /// Everything in the host's upper layer with owner, mode, size and time of change, but for
    /// what a log-in itself writes.
    pub fn upper(&self) -> String {
        let upper = self
            .lab
            .upper(&self.host())
            .expect("the host has an upper layer");
        let out = Command::new("find")
            .current_dir(upper)
            .args([
                ".",
                "(",
                "-path",
                "./var/log",
                "-o",
                "-path",
                "./run",
                "-o",
                "-path",
                "./var/lib/systemd",
                "-o",
                "-path",
                "./tmp",
                "-o",
                "-path",
                "./var/tmp",
                "-o",
                "-path",
                "./var/spool/rsyslog",
                ")",
                "-prune",
                "-o",
                "-type",
                "d",
                "-printf",
                "%P %m %U:%G\n",
                "-o",
                "-printf",
                "%P %m %U:%G %s %C@\n",
            ])
            .output()
            .expect("find can be run");
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        let mut lines: Vec<&str> = text.lines().collect();
        lines.sort_unstable();
        lines.join("\n")
    }
}

pub fn ran(out: Output) -> Ran {
    Ran {
        code: out.status.code().unwrap_or(-1),
        json: serde_json::from_slice(&out.stdout).unwrap_or(Value::Null),
        stderr: String::from_utf8_lossy(&out.stderr).into_owned(),
    }
}

impl Ran {
    pub fn run_id(&self) -> &str {
        self.json["run"]
            .as_str()
            .unwrap_or_else(|| panic!("a run: {self}"))
    }

    pub fn host(&self, index: usize) -> &Value {
        &self.json["hosts"][index]
    }

    /// The status of a rule on the first host that it is judged on.
    pub fn status(&self, rule: &str) -> &str {
        self.finding(rule)["status"].as_str().unwrap_or("none")
    }

    pub fn finding(&self, rule: &str) -> &Value {
        self.json["findings"]
            .as_array()
            .and_then(|all| all.iter().find(|f| f["rule"] == rule))
            .unwrap_or(&Value::Null)
    }

    /// `rule: expected, actual, reason` of every finding of this status.
    pub fn with_status(&self, status: &str) -> Vec<String> {
        self.json["findings"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|f| f["status"] == status)
            .map(|f| {
                format!(
                    "{}: {} / {} / {}",
                    f["rule"], f["expected"], f["actual"], f["reason"]
                )
            })
            .collect()
    }
}

impl std::fmt::Display for Ran {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        write!(f, "code {}\n{}\n{:#}", self.code, self.stderr, self.json)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Err(error) = Lab::down(self.lab.name()) {
            eprintln!("the lab {} is left: {error}", self.lab.name());
        }
    }
}
