//! The local provider with real parts: what it restores, proves, and takes away again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use seawall::backup::Progress;
use seawall::model::drill::ProofOutcome;

use super::local_site::{Site, mode};

const ALL: &str = r#"  - step: files
    restore: {source: files, directory: files}
    proofs:
      - {proof: whole, manifest: true}
      - {proof: canary, canary: true}
      - {proof: many, files: {at_least: 20, bytes: "100"}}
  - step: zones
    restore: {source: zones, directory: zones}
    proofs:
      - {proof: whole, manifest: true}
      - {proof: hash, files: {sha256: {zones.txt: ZONES}}}
  - step: code
    restore: {source: code, repository: code.git}
    proofs:
      - {proof: commits, git: {commits: 3}}
  - step: db
    restore: {source: db, postgresql: {database: orders}}
    proofs:
      - {proof: count, sql: {query: SELECT count(*) FROM orders, equals: "5000"}}
      - {proof: range, sql: {query: SELECT sum(id) FROM orders, at_least: 1, at_most: 99999999}}
      - {proof: new, sql: {query: SELECT max(placed) FROM orders, newer_than: 1h}}
      - {proof: canary, canary: true}
  - step: web
    needs: [files, db]
    start:
      run: [busybox, httpd, -f, -p, "127.0.0.1:{{ steps.web.ports.http }}", -h, "{{ steps.files.directory }}/data"]
      environment: {PGHOST: "{{ steps.db.socket }}"}
      ports: [http]
      health: {http: "http://127.0.0.1:{{ steps.web.ports.http }}/1.html"}
    proofs:
      - {proof: page, http: {url: "http://localhost:{{ steps.web.ports.http }}/7.html", contains: Order 7}}
      - {proof: sql, sql: {query: SELECT item FROM orders WHERE id = 7, equals: item 7}}
      - {proof: command, command: {run: [grep, -c, Order, "{{ steps.files.directory }}/data/3.html"], contains: "1"}}
"#;

/// Of `seq 1 5000`.
fn zones_hash() -> String {
    let text: String = (1..=5000).map(|n| format!("{n}\n")).collect();
    seawall::model::sha256_hex(text.as_bytes())
}

#[test]
fn everything_is_restored_proved_and_gone_again() {
    let mut site = Site::new().with_database().with_repository();
    let backups: Vec<_> = ["files", "zones", "code", "db"]
        .map(|s| site.back_up(s))
        .into();
    site.lose();
    let steps = ALL.replace("ZONES", &zones_hash());
    let run = site.run("run-all", "", &steps);
    assert_eq!(run.unmet(), Vec::<String>::new());
    assert_eq!(run.controls_that_pass(), Vec::<String>::new());
    // What they were tried on is gone before the clock starts.
    assert!(!site.path("scratch/.nothing.pg").exists());
    for (step, backup) in ["files", "zones", "code", "db"].iter().zip(&backups) {
        let done = run.recovers(step);
        let point = done[0].point.clone().unwrap();
        assert_eq!(point.sha256.as_ref(), Some(&backup.sha256));
        assert_eq!((point.signed, point.store.as_str()), (true, "far"));
        assert_eq!(
            point.data_time.unwrap().parse::<jiff::Timestamp>().unwrap(),
            backup.data_time.parse::<jiff::Timestamp>().unwrap()
        );
        // Lie 8, toy scale: what was restored is what was backed up, to the byte.
        let bytes: u64 = done.iter().map(|d| d.bytes).sum();
        assert_eq!(bytes, backup.bytes, "{step}: {done:?}");
        assert!(done.iter().all(|d| d.doubts.is_empty()), "{done:?}");
    }
    run.recovers("web");
    run.all_proofs_pass();
    let watched = seawall::drill::provider::Provider::watched(&run.provider);
    assert_eq!(watched.refused, []);
    assert!(
        watched
            .used
            .iter()
            .any(|(what, by)| what.ends_with("/far") && by == "step db")
    );
    assert!(
        watched
            .used
            .iter()
            .any(|(what, by)| what.ends_with("/7.html") && by == "step web")
    );
    run.tear_down();
    assert!(!site.path("scratch").exists());
}

#[test]
fn another_process_takes_over_what_stands_and_sees_what_does_not() {
    let mut site = Site::new().with_database();
    site.back_up("files");
    site.back_up("db");
    site.lose();
    let steps = ALL.replace("ZONES", &zones_hash());
    let run = site.run("run-adopt", "", &steps);
    assert_eq!(run.unmet(), Vec::<String>::new());
    for step in ["files", "db", "web"] {
        run.recovers(step);
    }
    let made = run.ledger();
    // The controller dies: nothing is destroyed, its lock is gone.
    drop(run);
    let next = site.run("run-adopt", "", &steps);
    for step in ["files", "db", "web"] {
        assert_eq!(next.adopt(step, &made), Ok(()), "{step}");
    }
    for (step, proof) in [
        ("files", "whole"),
        ("files", "canary"),
        ("db", "count"),
        ("db", "canary"),
        ("web", "page"),
    ] {
        let said = next.prove(step, proof);
        assert_eq!(said.outcome, ProofOutcome::Pass, "{said:?}");
    }
    // It dies too, and then the server does: that is seen, and nothing is believed.
    drop(next);
    let server = made
        .iter()
        .find(|e| e.kind == "postgresql" && e.step.as_deref() == Some("db"))
        .unwrap();
    let pid: i32 = server
        .id
        .as_ref()
        .unwrap()
        .split(':')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    // SAFETY: no pointers; the server that this test started.
    unsafe { libc::kill(pid, libc::SIGKILL) };
    let last = site.run("run-adopt", "", &steps);
    let begun = Instant::now();
    while last.adopt("db", &made).is_ok() && begun.elapsed() < Duration::from_secs(30) {
        std::thread::sleep(Duration::from_millis(50));
    }
    let error = last.adopt("db", &made).unwrap_err();
    assert!(error.contains("does not run"), "{error}");
    assert_eq!(last.adopt("files", &made), Ok(()));
    last.destroy(&made);
    assert!(!site.path("scratch").exists());
}

#[test]
fn what_was_made_and_never_written_down_is_found_by_its_tag() {
    let mut site = Site::new();
    site.back_up("files");
    site.lose();
    let steps = "  - step: svc\n    start: {run: [sh, -c, 'trap \"\" TERM; sleep 600 & sleep 600'], health: {command: ['true']}}\n    proofs: [{proof: p, command: {run: [ls, '{{ scratch }}/x']}}]\n";
    let run = site.run("run-tag", "", steps);
    assert_eq!(run.unmet(), Vec::<String>::new());
    run.recovers("svc");
    assert!(
        run.leftovers().iter().any(|l| l.kind == "process"),
        "{:?}",
        run.leftovers()
    );
    // As if we had died between making it and writing its number down.
    let mut entries = run.ledger();
    for entry in &mut entries {
        entry.id = None;
    }
    run.destroy(&entries);
}

#[test]
fn two_drills_do_not_share_a_scratch() {
    let mut site = Site::new();
    site.back_up("files");
    site.lose();
    let steps = "  - step: files\n    restore: {source: files, directory: files}\n    proofs: [{proof: whole, manifest: true}]\n";
    let one = site.run("run-one", "", steps);
    assert_eq!(one.unmet(), Vec::<String>::new());
    let two = site.run("run-two", "", steps);
    let unmet = two.unmet();
    assert!(
        unmet[0].contains("in use by the drill run-one"),
        "{unmet:?}"
    );
    // The second one's teardown touches nothing of the first's.
    one.recovers("files");
    two.tear_down();
    assert_eq!(one.prove("files", "whole").outcome, ProofOutcome::Pass);
    // It dies without a word: the next one says how to clear up.
    let entries = one.ledger();
    drop(one);
    let unmet = site.run("run-three", "", steps).unmet();
    assert!(unmet[0].contains("drill sweep run-one"), "{unmet:?}");
    site.run("run-one", "", steps).destroy(&entries);
    assert!(!site.path("scratch").exists());
}

#[test]
fn a_socket_with_a_long_path_goes_elsewhere_and_is_taken_away() {
    let mut site = Site::new().with_database();
    site.back_up("db");
    site.lose();
    let steps = "  - step: db\n    restore: {source: db, postgresql: {database: orders}}\n    proofs: [{proof: count, sql: {query: SELECT count(*) FROM orders, equals: '5000'}}]\n";
    let run = site.run_in(&"long-".repeat(20), "run-long", "", steps);
    assert_eq!(run.unmet(), Vec::<String>::new());
    assert_eq!(run.controls_that_pass(), Vec::<String>::new());
    run.recovers("db");
    run.all_proofs_pass();
    let elsewhere = || {
        let entries = std::fs::read_dir("/tmp").unwrap().flatten();
        entries
            .filter(|e| {
                e.file_name()
                    .to_string_lossy()
                    .starts_with("seawall-run-long-")
            })
            .count()
    };
    assert_eq!(elsewhere(), 1);
    run.tear_down();
    assert_eq!(elsewhere(), 0);
}

#[test]
fn a_service_that_dies_or_never_is_well_says_why() {
    let mut site = Site::new();
    site.back_up("files");
    site.lose();
    let steps = "  - step: dies\n    start: {run: [sh, -c, 'echo no such table >&2; exit 7'], ports: [p], health: {port: p}}\n    proofs: [{proof: p, command: {run: ['false']}}]\n  - step: hangs\n    start: {run: [sh, -c, 'echo waiting for godot; sleep 600'], ports: [p], health: {port: p}, within: 1s}\n    proofs: [{proof: p, command: {run: ['false']}}]\n  - step: stops\n    start: {run: [sleep, '600'], ports: [p], health: {port: p}, within: 10m}\n    proofs: [{proof: p, command: {run: ['false']}}]\n";
    let run = site.run("run-svc", "", steps);
    assert_eq!(run.unmet(), Vec::<String>::new());
    let error = run.fails("dies").reason;
    assert!(
        error.contains("no such table") && error.contains('7'),
        "{error}"
    );
    let error = run.fails("hangs").reason;
    assert!(
        error.contains("not healthy within") && error.contains("godot"),
        "{error}"
    );
    let progress = Arc::new(Progress::default());
    progress.stop();
    let error = run.carry_out_with("stops", progress).unwrap_err().reason;
    assert!(error.contains("asked to stop"), "{error}");
    run.tear_down();
}

#[test]
fn the_scratch_must_be_private_and_let_the_server_pass() {
    let mut site = Site::new().with_database();
    site.back_up("db");
    site.lose();
    let steps = "  - step: db\n    restore: {source: db, postgresql: {database: orders}}\n    proofs: [{proof: count, sql: {query: SELECT count(*) FROM orders, equals: '5000'}}]\n";
    std::fs::create_dir(site.path("closed")).unwrap();
    mode(&site.path("closed"), 0o700);
    let run = site.run_in("closed/scratch", "run-closed", "", steps);
    // SAFETY: it has no arguments and cannot fail.
    if unsafe { libc::geteuid() } == 0 {
        let unmet = run.unmet();
        assert!(
            unmet.len() == 1 && unmet[0].contains("must let it pass"),
            "{unmet:?}"
        );
    }
    run.tear_down();
    let more = format!(
        "scratch: {{directory: {}, free: 900T}}\n",
        site.path("scratch").display()
    );
    let run = site.run("run-room", &more, steps);
    let unmet = run.unmet();
    assert!(
        unmet.iter().any(|u| u.starts_with("room in the scratch")),
        "{unmet:?}"
    );
    run.tear_down();
}
