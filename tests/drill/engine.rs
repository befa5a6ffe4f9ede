//! What the verbs of a drill say, how they end, and what two processes may not do to one run.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use seawall::backup::Progress;
use seawall::backup::age::{Recipients, generate_identity};
use seawall::backup::create::{Creation, create};
use seawall::backup::store;
use seawall::document::{Disk, load_policy};
use seawall::sign::SigningKey;
use secrecy::ExposeSecret;
use serde_json::Value;

/// A directory that was backed up and is lost.
struct Site {
    dir: tempfile::TempDir,
}

const STEP: &str = "  - step: files
    restore: {source: files, directory: files}
    proofs:
      - {proof: whole, manifest: true}
";

/// A proof that comes to no end where the data is, and fails where it is not.
const HANGS: &str = "  - step: slow
    restore: {source: files, directory: slow}
    proofs:
      - proof: looked at for ten minutes
        command:
          run: [sh, -c, \"test -e {{ steps.slow.directory }}/primary/0.html && exec sleep 600\"]
";

/// A drill in another process, which does not outlive its test.
struct Going {
    child: Option<Child>,
}

impl Going {
    fn child(&mut self) -> &mut Child {
        self.child.as_mut().expect("it is going")
    }

    fn signal(&mut self, signal: i32) {
        let pid = i32::try_from(self.child().id()).expect("a pid");
        // SAFETY: the child was not waited for, so that its pid is its own.
        assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
    }

    fn kill(&mut self) {
        self.child().kill().expect("it can be killed");
        self.child().wait().expect("its end");
    }

    fn end(mut self) -> Output {
        let child = self.child.take().expect("it is going");
        child.wait_with_output().expect("its end")
    }
}

impl Drop for Going {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Site {
    fn new(steps: &str) -> Site {
        let dir = tempfile::Builder::new().prefix("sw-").tempdir_in("/tmp");
        let site = Site {
            dir: dir.expect("a folder for the test"),
        };
        let mode = fs::Permissions::from_mode(0o711);
        fs::set_permissions(site.dir.path(), mode).expect("its mode");
        for folder in ["primary", "far", "state"] {
            fs::create_dir_all(site.path(folder)).expect("a folder");
        }
        for page in 0..20 {
            site.write(&format!("primary/{page}.html"), &format!("page {page}\n"));
        }
        let (secret, recipient) = generate_identity();
        site.write("key.txt", secret.expose_secret());
        let private = fs::Permissions::from_mode(0o600);
        fs::set_permissions(site.path("key.txt"), private).expect("its mode");
        let root = site.dir.path().display();
        site.write(
            "policy.yaml",
            &format!(
                "policy: test\ntitle: A test\nrecipients: [{recipient}]\nstores:\n  far: {{place: \
                 hill, directory: {root}/far}}\nsources:\n  - source: files\n    directories: \
                 {{paths: [{root}/primary]}}\n    schedule: \"15 2 * * *\"\n    rpo: 26h\n"
            ),
        );
        site.drill(steps);
        site.back_up(&recipient);
        fs::remove_dir_all(site.path("primary")).expect("the disaster");
        site
    }

    fn drill(&self, steps: &str) {
        let root = self.dir.path().display();
        self.write(
            "drill.yaml",
            &format!(
                "drill: test\ntitle: The room is lost\nlost: {{what: the room, paths: \
                 [{root}/primary]}}\npolicy: policy.yaml\nidentities: [key.txt]\nscratch: \
                 {{directory: {root}/scratch}}\nobjectives: {{rto: 1h, rpo: 2h}}\nassumed:\n  - \
                 {{what: detection, takes: 10m, why: monitoring}}\nsteps:\n{steps}"
            ),
        );
    }

    fn back_up(&self, recipient: &str) {
        let signer = SigningKey::generate("a test").expect("a key");
        signer
            .write(&self.path("state/signing-key"))
            .expect("it is kept");
        let loaded = load_policy(&self.path("policy.yaml"), &Disk).expect("a sound policy");
        let policy = loaded.policy;
        let far = store::open(&policy.stores["far"], self.dir.path()).expect("a store");
        let recipients = Recipients::parse(&[recipient.to_owned()]).expect("a recipient");
        create(&Creation {
            policy: &policy,
            source: &policy.sources[0],
            recipients: &recipients,
            stores: BTreeMap::from([("far".to_owned(), far)]),
            signer: &signer,
            random: 7,
            progress: &Progress::default(),
        })
        .expect("a backup");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap_or_else(|e| panic!("writing {name}: {e}"));
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_seawall"));
        command
            .args(args)
            .current_dir(self.dir.path())
            .env("SEAWALL_STATE_DIR", self.path("state"))
            .env_remove("SEAWALL_AGE_IDENTITY")
            .env_remove("SEAWALL_SIGNING_KEY")
            .stdin(Stdio::null());
        command
    }

    fn seawall(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("the program can be run")
    }

    /// Starts a drill that hangs, and waits until it does.
    fn hanging(&self) -> (Going, String) {
        let child = self
            .command(&["drill", "run", "drill.yaml", "--quiet"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program can be run");
        let going = Going { child: Some(child) };
        let run = self.until("the proof is tried", || {
            let run = self.runs().into_iter().next()?;
            let events = self.events(&run);
            let verify = |e: &Value, what: &str| {
                e["drill_event"] == what && e["phase"] == "verify" && e["step"] == "slow"
            };
            let other = events.iter().any(|e| e["drill_event"] == "step-ended");
            (other && events.iter().any(|e| verify(e, "phase-started"))).then_some(run)
        });
        (going, run)
    }

    fn until<T>(&self, what: &str, seen: impl Fn() -> Option<T>) -> T {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(60) {
            if let Some(seen) = seen() {
                return seen;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("{what}: not seen in a minute");
    }

    fn runs(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path("state/runs")).into_iter().flatten();
        let mut runs: Vec<String> = entries
            .flatten()
            .map(|e| e.file_name().to_string_lossy().into_owned())
            .filter(|name| name.len() == 20)
            .collect();
        runs.sort_by(|a, b| b.cmp(a));
        runs
    }

    fn events(&self, run: &str) -> Vec<Value> {
        let path = self.path("state/runs").join(run).join("journal.jsonl");
        let text = fs::read_to_string(path).unwrap_or_default();
        text.lines()
            .filter_map(|l| serde_json::from_str(l).ok())
            .collect()
    }

    fn word(&self, run: &str) -> String {
        let events = self.events(run);
        let judged = events.iter().rfind(|e| e["drill_event"] == "judged");
        judged.map_or_else(String::new, |e| {
            e["verdict"]["word"].as_str().unwrap_or_default().to_owned()
        })
    }

    /// Nothing of the drill is there, and no process that it started.
    #[track_caller]
    fn is_clear(&self) {
        assert!(!self.path("scratch").exists(), "the scratch is there");
        for entry in fs::read_dir("/proc").expect("/proc").flatten() {
            let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
            let text = String::from_utf8_lossy(&environment);
            let ours = text.contains("SEAWALL_DRILL=")
                && self.runs().iter().any(|run| text.contains(run.as_str()));
            assert!(!ours, "{} is there", entry.path().display());
        }
    }
}

fn text(out: &Output) -> String {
    format!(
        "{:?}\n{}\n{}",
        out.status.code(),
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr)
    )
}

#[track_caller]
fn says(out: &Output, code: i32, wanted: &str) {
    let said = text(out);
    assert_eq!(out.status.code(), Some(code), "{said}");
    assert!(said.contains(wanted), "{said}");
}

#[test]
fn a_plan_names_the_backup_and_writes_nothing() {
    let site = Site::new(STEP);
    let out = site.seawall(&["drill", "plan", "drill.yaml"]);
    says(&out, 0, "  1. files: files, into the directory files");
    says(&out, 0, "latest of 1");
    says(&out, 0, "whole (manifest)");
    says(&out, 0, "10m for detection: monitoring");
    assert!(site.runs().is_empty());
    assert!(!site.path("scratch").exists());
}

#[test]
fn a_drill_with_a_mistake_is_refused_with_its_place() {
    let site = Site::new(STEP);
    site.drill(&STEP.replace("source: files", "source: fils"));
    for verb in ["plan", "run"] {
        let out = site.seawall(&["drill", verb, "drill.yaml"]);
        says(&out, 2, "drill.yaml:");
        says(&out, 2, "fils");
    }
    assert!(site.runs().is_empty());
    assert!(!site.path("scratch").exists());
}

#[test]
fn a_drill_is_met_sealed_and_reported() {
    let site = Site::new(STEP);
    let out = site.seawall(&["drill", "run", "drill.yaml", "--junit", "junit.xml"]);
    says(&out, 0, "");
    let run = &site.runs()[0];
    assert_eq!(site.word(run), "met");
    site.is_clear();
    let page = fs::read_to_string(site.path(&format!("state/reports/{run}.html")));
    assert!(page.expect("a page").contains("The room is lost"));
    assert!(site.path("junit.xml").exists());
    says(&site.seawall(&["verify", run]), 0, "");
    // Whoever asks again, from elsewhere, gets the same answer, and the documents may be gone.
    fs::remove_file(site.path("drill.yaml")).expect("the document goes");
    says(
        &site.seawall(&["drill", "resume", run]),
        0,
        "has come to its end",
    );
    says(
        &site.seawall(&["drill", "sweep", run]),
        0,
        "left nothing behind",
    );
    says(
        &site.seawall(&["drill", "sweep", "--all"]),
        0,
        "no drill is left",
    );
    let out = site.seawall(&["drill", "run", "drill.yaml"]);
    says(&out, 2, "drill.yaml");
}

#[test]
fn a_signal_tears_down_and_judges() {
    let site = Site::new(&format!("{STEP}{HANGS}"));
    let (mut going, run) = site.hanging();
    going.signal(libc::SIGTERM);
    says(&going.end(), 2, "terminated; tearing down");
    assert_eq!(site.word(&run), "inconclusive");
    site.is_clear();
    says(&site.seawall(&["verify", &run]), 0, "");
}

#[test]
fn a_second_signal_leaves_at_once_and_says_what_takes_it_away() {
    let site = Site::new(&format!("{STEP}{HANGS}"));
    let (mut going, run) = site.hanging();
    // Both are pending when it comes to look, or one after the other: it leaves by the second.
    going.signal(libc::SIGINT);
    going.signal(libc::SIGTERM);
    let out = going.end();
    assert_eq!(out.status.code(), Some(2), "{}", text(&out));
    let sweep = format!("seawall drill sweep {run}");
    assert!(text(&out).contains(&sweep), "{}", text(&out));
    says(&site.seawall(&["drill", "sweep", &run, "--quiet"]), 0, "");
    site.is_clear();
}

#[test]
fn a_run_that_is_going_on_is_nobody_elses() {
    let site = Site::new(&format!("{STEP}{HANGS}"));
    let (mut going, run) = site.hanging();
    for verb in ["resume", "sweep"] {
        let out = site.seawall(&["drill", verb, &run]);
        says(&out, 2, "wait until it ends");
    }
    says(
        &site.seawall(&["drill", "sweep", "--all"]),
        0,
        "is going on",
    );
    assert!(site.path("scratch").exists());
    going.kill();
    let out = site.seawall(&["drill", "sweep", "--all", "--quiet"]);
    says(&out, 0, "");
    assert_eq!(site.word(&run), "inconclusive");
    site.is_clear();
    says(&site.seawall(&["verify", "--all"]), 0, "");
}

#[test]
fn a_plan_that_was_changed_in_its_folder_is_not_gone_by() {
    let site = Site::new(&format!("{STEP}{HANGS}"));
    let (mut going, run) = site.hanging();
    going.kill();
    let path = site.path("state/runs").join(&run).join("drill.json");
    let whole = fs::read_to_string(&path).expect("the plan is kept");
    fs::write(&path, whole.replace("/scratch", "/elsewhere")).expect("it is changed");
    for verb in ["resume", "sweep"] {
        let out = site.seawall(&["drill", verb, &run]);
        says(&out, 2, "was changed after the drill began");
    }
    fs::write(&path, whole).expect("it is as it was");
    says(&site.seawall(&["drill", "sweep", &run, "--quiet"]), 0, "");
    site.is_clear();
}

#[test]
fn what_is_no_drill_is_neither_resumed_nor_swept() {
    let site = Site::new(STEP);
    let folder = site.path("state/runs/20261120-073514-aaaa");
    fs::create_dir_all(&folder).expect("a folder");
    let line = |verb: &str| {
        format!(
            "{{\"seq\":1,\"time\":\"2026-11-20T07:35:14.000Z\",\"prev\":\"{}\",\"event\":\
             \"run-started\",\"run\":\"x\",\"verb\":\"{verb}\",\"version\":\"0\",\"playbook\":\
             \"p\",\"playbook_title\":\"t\",\"level\":1,\"hosts\":[],\"rules\":0,\"documents\":\
             {{}},\"by\":\"me\"}}\n",
            "0".repeat(64)
        )
    };
    write_journal(&folder, &line("apply"));
    for verb in ["resume", "sweep"] {
        says(
            &site.seawall(&["drill", verb, "latest"]),
            2,
            "no drill but a `apply`",
        );
    }
    assert_eq!(
        fs::read_to_string(folder.join("journal.jsonl")).expect("it"),
        line("apply")
    );
    // One that died before it said what it was is brought to its end.
    write_journal(&folder, "");
    says(
        &site.seawall(&["drill", "resume", "latest"]),
        2,
        "before anything of it was begun",
    );
    assert_eq!(site.word("20261120-073514-aaaa"), "inconclusive");
}

fn write_journal(folder: &Path, text: &str) {
    fs::write(folder.join("journal.jsonl"), text).expect("a journal");
}
