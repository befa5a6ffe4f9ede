//! Real engines and a registry, in namespaces of their own.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use seawall::host::patch::containers;
use seawall::host::patch::job::{Job, Said};
use seawall::model::patch::{ContainerSeen, ImagePlan};
use seawall::shell::{FrameReader, Limits, Nonce, assemble};

pub struct World {
    child: Child,
    init: String,
}

/// What an observation said.
pub struct Seen {
    pub containers: Vec<ContainerSeen>,
    pub unseen: Vec<(String, String)>,
    /// All bytes that left the host.
    pub raw: String,
}

impl Seen {
    pub fn of(&self, name: &str) -> &ContainerSeen {
        let found = self.containers.iter().find(|c| c.name == name);
        found.unwrap_or_else(|| panic!("no {name} in {:?} {:?}", self.containers, self.unseen))
    }
}

pub fn plan_of<'a>(plans: &'a [ImagePlan], name: &str) -> &'a ImagePlan {
    let found = plans.iter().find(|p| p.container == name);
    found.unwrap_or_else(|| panic!("no {name} in {plans:?}"))
}

impl World {
    pub fn new() -> World {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/patch_containers/world.sh");
        let mut child = Command::new("unshare")
            .args(["-mnpf", "--kill-child", "--mount-proc", "--propagation"])
            .args(["private", "bash"])
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare (needs root, and scripts/install-deps)");
        let out = child.stdout.take().expect("its output");
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line).expect("a line");
        assert_eq!(line.trim(), "ready", "the engines did not come up");
        let children = format!("/proc/{0}/task/{0}/children", child.id());
        let init = std::fs::read_to_string(children).expect("its child");
        World {
            child,
            init: init.trim().to_owned(),
        }
    }

    /// Runs a program in there.
    pub fn run(&self, program: &str) -> Output {
        let mut child = Command::new("nsenter")
            .args(["-t", &self.init, "-m", "-n", "-p", "--", "env", "-i"])
            .args(["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"])
            .args(["sh", "-s"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("nsenter");
        let mut stdin = child.stdin.take().expect("its input");
        stdin.write_all(program.as_bytes()).expect("a program");
        drop(stdin);
        child.wait_with_output().expect("its end")
    }

    /// Runs it, and it must end well; what it printed.
    pub fn good(&self, program: &str) -> String {
        let out = self.run(&format!("HOME=/root; export HOME\n{program}"));
        assert!(
            out.status.success(),
            "{program}\n{}{}",
            String::from_utf8_lossy(&out.stdout),
            String::from_utf8_lossy(&out.stderr)
        );
        String::from_utf8_lossy(&out.stdout).trim().to_owned()
    }

    /// Builds an image with the publisher's engine and pushes it. `changes`: lines of a Dockerfile;
    /// `version` lies in its /www/version.
    pub fn publish(&self, reference: &str, version: &str, changes: &[&str]) {
        let changes: Vec<String> = changes.iter().map(|c| format!("-c '{c}'")).collect();
        self.good(&format!(
            "set -e; export DOCKER_HOST=unix:///run/publisher/sock\n\
             echo {version} >/run/world/root/www/version\n\
             tar -C /run/world/root -c . | docker import {} - {reference} >/dev/null\n\
             docker push -q {reference}",
            changes.join(" ")
        ));
    }

    pub fn observe(&self) -> Seen {
        let nonce = Nonce::draw();
        let program = assemble(
            &nonce,
            containers::observe_functions(),
            "observe_containers",
        );
        let out = self.run(&program);
        let mut reader = FrameReader::new(&nonce, Limits::default());
        reader.push(&out.stdout).expect("frames");
        let mut frames = Vec::new();
        while let Some(frame) = reader.next_frame() {
            frames.push(frame);
        }
        let (containers, unseen) = containers::read(&frames);
        let raw = String::from_utf8_lossy(&out.stdout).into_owned()
            + &String::from_utf8_lossy(&out.stderr);
        Seen {
            containers,
            unseen,
            raw,
        }
    }

    /// Runs a job's program in the foreground: what it said, its status, and all its output.
    pub fn job(&self, job: &Job) -> (Vec<Said>, i32, String) {
        let functions = format!(
            "say() {{ word \"$1\"; printf '\\n@seawall %s %s %s\\n' \"$REPLY\" \"$2\" \"$(printf '%s' \"$3\" | tr '\\n' ' ')\"; }}\n\
             word() {{ REPLY=$1; }}\njob_end() {{ exit \"$1\"; }}\n\
             dir=/var/lib/seawall/patch/test; mkdir -p -m 0700 \"$dir\"\n{}",
            job.functions
        );
        let nonce = Nonce::draw();
        let out = self.run(&assemble(&nonce, &functions, &job.calls));
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        let said = text
            .lines()
            .filter_map(|line| {
                let mut words = line.strip_prefix("@seawall ")?.splitn(3, ' ');
                Some(Said {
                    kind: words.next()?.to_owned(),
                    name: words.next()?.to_owned(),
                    text: words.next().unwrap_or_default().to_owned(),
                })
            })
            .collect();
        let text = text + &String::from_utf8_lossy(&out.stderr);
        (said, out.status.code().unwrap_or(-1), text)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-9", &self.init]).status();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
