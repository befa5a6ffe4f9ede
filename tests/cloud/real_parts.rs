//! The program against the double, with real parts behind: an SSH server that plays the instances,
//! an S3 server, a PostgreSQL, a web server, and an archive encrypted with age. And the program
//! interrupted and killed in the middle.

use std::path::Path;
use std::process::{Child, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::real_site::{PASSWORD, Parts, Site};
use super::stage::{LOST, SCRATCH};
use crate::backup::weed;
use crate::recovery::world::said;

/// Where secrets stood on a command line while this watched.
struct Watch {
    stop: Arc<AtomicBool>,
    seen: Arc<Mutex<Vec<String>>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Watch {
    fn begin(secrets: Vec<String>) -> Watch {
        let (stop, seen) = (
            Arc::new(AtomicBool::new(false)),
            Arc::<Mutex<Vec<_>>>::default(),
        );
        let thread = {
            let (stop, seen) = (stop.clone(), seen.clone());
            std::thread::spawn(move || {
                while !stop.load(Ordering::SeqCst) {
                    for entry in std::fs::read_dir("/proc").expect("/proc").flatten() {
                        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
                        let line = String::from_utf8_lossy(&line).replace('\0', " ");
                        if secrets.iter().any(|secret| line.contains(secret)) {
                            seen.lock().expect("a list").push(line);
                        }
                    }
                    std::thread::sleep(Duration::from_millis(5));
                }
            })
        };
        Watch {
            stop,
            seen,
            thread: Some(thread),
        }
    }

    fn end(mut self) -> Vec<String> {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("it watched to its end");
        }
        std::mem::take(&mut *self.seen.lock().expect("a list"))
    }
}

/// Files below a folder that hold one of these texts, also where they are compressed.
fn holding(folder: &Path, secrets: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(holding(&path, secrets));
            continue;
        }
        // The key that evidence is signed with is meant to be there.
        if path.ends_with("state/signing-key") {
            continue;
        }
        let bytes = std::fs::read(&path).unwrap_or_default();
        let plain = zstd::decode_all(bytes.as_slice()).unwrap_or(bytes);
        let text = String::from_utf8_lossy(&plain);
        if let Some(secret) = secrets.iter().find(|secret| text.contains(*secret)) {
            found.push(format!("{}: {secret}", path.display()));
        }
    }
    found
}

fn ran(site: &Site) -> Value {
    let out = site.seawall(&["report", "latest", "--json"]);
    serde_json::from_slice(&out.stdout).unwrap_or_else(|e| panic!("{e}: {}", said(&out)))
}

#[test]
fn a_drill_with_real_parts_is_met_and_nothing_is_left_or_told() {
    let site = Site::new(Parts::All);
    let backup = site.seawall(&["backup", "create", "policy.yaml"]);
    assert_eq!(backup.status.code(), Some(0), "{}", said(&backup));
    site.lose();
    let plan = site.seawall(&["drill", "plan", "drill.yaml"]);
    assert_eq!(plan.status.code(), Some(0), "{}", said(&plan));
    assert_eq!(site.left(), Vec::<String>::new(), "a plan makes nothing");

    let age_key = std::fs::read_to_string(site.path("recovery-key.txt")).expect("the key");
    let age_key = age_key.lines().last().unwrap_or_default().to_owned();
    assert!(age_key.starts_with("AGE-SECRET-KEY-"));
    let mut secrets = vec![PASSWORD.to_owned(), weed::SECRET.to_owned(), age_key];
    let watch = Watch::begin(secrets.clone());
    let out = site.seawall(&["drill", "run", "drill.yaml"]);
    assert_eq!(watch.end(), Vec::<String>::new());
    assert_eq!(out.status.code(), Some(0), "{}", said(&out));

    let report = ran(&site);
    assert_eq!(report["verdict"]["word"], "met", "{report:#}");
    assert_eq!(report["left"], serde_json::json!([]));
    for step in report["steps"].as_array().expect("steps") {
        let name = &step["step"];
        assert_eq!(step["verdict"], "met", "{name}");
        if name != "site" {
            let at = |what: &str| {
                step[what]
                    .as_u64()
                    .unwrap_or_else(|| panic!("{name}: {what}"))
            };
            assert!(at("available_ms") <= at("works_ms"), "{name}");
            assert!(at("requests") > 0, "{name}");
        }
        for proof in step["proofs"].as_array().expect("proofs") {
            assert_eq!(proof["outcome"], "pass", "{name}: {proof}");
        }
    }
    for volume in ["documents", "shop", "jump"] {
        let step = report["steps"].as_array().into_iter().flatten();
        let step = step
            .clone()
            .find(|step| step["step"] == volume)
            .expect(volume);
        assert!(step["initialised_ms"].is_u64(), "{volume}: a third time");
    }
    let guard = report["guard"].to_string();
    for endpoint in [site.aws.url(), format!("127.0.0.1:{}", weed::port())] {
        assert!(
            guard.contains(endpoint.trim_start_matches("http://")),
            "{endpoint}: {guard}"
        );
    }
    assert!(report["requests"].to_string().contains("teardown"));

    // What was unpacked on the instance is gone with the instance in AWS; here it lies.
    let page = std::fs::read_to_string(site.path("instance/srv/site/site/42.html"));
    assert_eq!(page.expect("it was unpacked"), "<h1>Order 42</h1>\n");
    site.nothing_is_left();
    assert_eq!(site.aws.mistakes(), Vec::<String>::new());
    let asked = |region: &str| site.aws.log().iter().filter(|e| e.region == region).count();
    assert_eq!(asked(LOST), 0);
    assert!(asked(SCRATCH) > 50);

    let verify = site.seawall(&["verify", "latest"]);
    assert_eq!(verify.status.code(), Some(0), "{}", said(&verify));
    secrets.push("PRIVATE KEY".to_owned());
    assert_eq!(holding(&site.path("state"), &secrets), Vec::<String>::new());
    for out in [&plan, &out, &verify] {
        let told = said(out);
        assert!(
            !secrets.iter().any(|secret| told.contains(secret)),
            "{told}"
        );
    }
}

/// When the signal comes, by what the double was last asked, how often.
struct Cut {
    signal: i32,
    operation: &'static str,
    times: usize,
}

const fn cut(signal: i32, operation: &'static str, times: usize) -> Cut {
    Cut {
        signal,
        operation,
        times,
    }
}

fn asked(site: &Site, operation: &str) -> usize {
    let log = site.aws.log();
    log.iter()
        .filter(|e| e.operation == operation && e.status == 200)
        .count()
}

/// Begins a drill, and sends it the signal at that moment.
fn interrupted(site: &Site, cut: &Cut) -> Output {
    let before = asked(site, cut.operation);
    let mut child: Child = (site.command(&["drill", "run", "drill.yaml", "--quiet"]))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program begins");
    let patience = Instant::now() + Duration::from_secs(120);
    while asked(site, cut.operation) < before + cut.times {
        let ended = child.try_wait().expect("it can be asked for");
        if ended.is_some() || Instant::now() > patience {
            let _ = child.kill();
            let out = child.wait_with_output().expect("its output");
            panic!("{} was never asked for: {}", cut.operation, said(&out));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    // SAFETY: our own child, which nobody has waited for.
    unsafe { libc::kill(child.id() as i32, cut.signal) };
    child.wait_with_output().expect("its output")
}

#[test]
fn an_interrupted_drill_takes_all_of_it_away_at_once() {
    let site = Site::new(Parts::Few);
    for cut in [
        cut(libc::SIGINT, "StartRestoreJob", 1),
        cut(libc::SIGTERM, "RunInstances", 1),
    ] {
        let out = interrupted(&site, &cut);
        assert_eq!(
            out.status.code(),
            Some(2),
            "{}: {}",
            cut.operation,
            said(&out)
        );
        site.nothing_is_left();
        let report = ran(&site);
        assert_ne!(report["verdict"]["word"], "met");
        assert_eq!(report["exit_code"], 2);
        let verify = site.seawall(&["verify", "latest"]);
        assert_eq!(verify.status.code(), Some(0), "{}", said(&verify));
    }
    assert_eq!(site.aws.mistakes(), Vec::<String>::new());
}

#[test]
fn a_killed_drill_is_resumed_or_swept_and_nothing_is_left() {
    let site = Site::new(Parts::Few);
    for (operation, times, verb, code) in [
        ("CreateVpc", 1, "sweep", 0),
        ("RunInstances", 1, "resume", 0),
        ("StartRestoreJob", 2, "resume", 0),
        ("StartRestoreJob", 1, "sweep", 0),
        ("AttachVolume", 1, "resume", 0),
        ("TerminateInstances", 1, "sweep", 0),
    ] {
        let out = interrupted(&site, &cut(libc::SIGKILL, operation, times));
        assert_eq!(out.status.code(), None, "{operation}: {}", said(&out));
        let out = site.seawall(&["drill", verb, "latest", "--quiet"]);
        assert_eq!(
            out.status.code(),
            Some(code),
            "{operation}, {verb}: {}",
            said(&out)
        );
        site.nothing_is_left();
        let report = ran(&site);
        let met = report["verdict"]["word"] == "met";
        assert!(
            met || verb == "sweep",
            "{operation}: {:#}",
            report["verdict"]
        );
        assert!(
            !report.to_string().contains("scratch region beforehand"),
            "{operation}"
        );
        let verify = site.seawall(&["verify", "latest"]);
        assert_eq!(verify.status.code(), Some(0), "{}", said(&verify));
    }
    let log = site.aws.log();
    assert_eq!(log.iter().filter(|e| e.region == LOST).count(), 0);
    assert_eq!(site.aws.mistakes(), Vec::<String>::new());
}
