//! The ways in which a drill lies that can happen on one machine, each with real parts. Those that
//! are decided purely (clocks, verdicts, reports) are with the engine.

use std::io::Write;
use std::net::TcpListener;

use seawall::drill::provider::Provider;
use seawall::model::drill::ProofOutcome;

use super::local_site::{Site, mode};

const FILES: &str = "  - step: files\n    restore: {source: files, directory: files}\n    proofs:\n      - {proof: whole, manifest: true}\n      - {proof: canary, canary: true}\n";
const DB: &str = "  - step: db\n    restore: {source: db, postgresql: {database: orders}}\n    proofs:\n      - {proof: count, sql: {query: SELECT count(*) FROM orders, equals: '5000'}}\n      - {proof: gone, sql: {query: SELECT count(*) FROM invoices, at_least: 1}}\n      - {proof: canary, canary: true}\n";

fn lost_files() -> Site {
    let mut site = Site::new();
    site.back_up("files");
    site.lose();
    site
}

#[test]
fn lie_01_available_but_not_usable() {
    let mut site = Site::new().with_database();
    site.back_up("files");
    site.back_up("db");
    site.lose();
    // The server runs and takes connections, the port accepts, and neither serves what is wanted.
    let web = "  - step: web\n    needs: [files]\n    start:\n      run: [busybox, httpd, -f, -p, '127.0.0.1:{{ steps.web.ports.http }}', -h, '{{ steps.files.directory }}/data']\n      ports: [http]\n      health: {port: http}\n    proofs:\n      - {proof: page, http: {url: 'http://127.0.0.1:{{ steps.web.ports.http }}/orders.html', contains: Order}}\n      - {proof: other, http: {url: 'http://127.0.0.1:{{ steps.web.ports.http }}/7.html', contains: Order 8}}\n";
    let run = site.run("lie-01", "", &format!("{FILES}{DB}{web}"));
    assert_eq!(run.unmet(), Vec::<String>::new());
    for step in ["files", "db", "web"] {
        run.recovers(step);
    }
    let said = run.prove("web", "page");
    assert_eq!(said.outcome, ProofOutcome::Fail, "{said:?}");
    assert!(said.read.contains("404"), "{said:?}");
    assert_eq!(run.prove("web", "other").outcome, ProofOutcome::Fail);
    let said = run.prove("db", "gone");
    assert_eq!(said.outcome, ProofOutcome::Fail, "{said:?}");
    assert!(said.read.contains("invoices"), "{said:?}");
    run.tear_down();
}

#[test]
fn lie_02_completed_but_empty_or_partial() {
    let mut site = Site::new().with_database();
    let backup = site.back_up("db");
    // An empty backup is restored without any trouble, and is as its manifest says.
    for entry in std::fs::read_dir(site.path("primary/data"))
        .unwrap()
        .flatten()
    {
        std::fs::remove_file(entry.path()).unwrap();
    }
    site.write("primary/data/nothing", "");
    let files = site.back_up("files");
    site.lose();
    let run = site.run("lie-02", "", &format!("{FILES}{DB}"));
    assert_eq!(run.unmet(), Vec::<String>::new());
    run.recovers("files");
    // The canary alone is data; what was restored is proved to be that and no more.
    assert_eq!(run.prove("files", "whole").outcome, ProofOutcome::Pass);
    std::fs::remove_file(site.path("scratch/files/data/.canary")).unwrap();
    let said = run.prove("files", "whole");
    assert_eq!(said.outcome, ProofOutcome::Fail, "{said:?}");
    assert_eq!(run.prove("files", "canary").outcome, ProofOutcome::Fail);
    // An archive that is cut off, of the size that its sidecar says by way of padding.
    let archive = site.path("far").join(&backup.archive);
    let mut bytes = std::fs::read(&archive).unwrap();
    let cut = bytes.len() * 6 / 10;
    bytes[cut..].fill(0);
    mode(&archive, 0o600);
    std::fs::write(&archive, bytes).unwrap();
    let error = run.fails("db").reason;
    assert!(error.contains("backup"), "{error}");
    // And one that is short, which is seen before a byte is restored.
    let whole = std::fs::read(site.path("far").join(&files.archive)).unwrap();
    std::fs::write(
        site.path("far").join(&files.archive),
        &whole[..whole.len() / 2],
    )
    .unwrap();
    run.tear_down();
    let run = site.run("lie-02b", "", FILES);
    assert_eq!(run.unmet(), Vec::<String>::new());
    run.fails("files");
    assert!(!site.path("scratch/files").exists());
    run.tear_down();
}

#[test]
fn lie_03_warm_caches() {
    let site = lost_files();
    // Just written and read, so in memory: put out before the clock starts, or told.
    let run = site.run("lie-03", "", FILES);
    let warm = |run: &super::local_site::Run| {
        let all = run.prepare().preexisting.into_iter();
        all.filter(|text| text.contains("page cache"))
            .collect::<Vec<_>>()
    };
    let first = warm(&run);
    run.tear_down();
    // A store in memory cannot be put out of it.
    let memory = tempfile::Builder::new().tempdir_in("/dev/shm").unwrap();
    for entry in ["files"] {
        let to = memory.path().join(entry);
        std::fs::create_dir(&to).unwrap();
        for file in std::fs::read_dir(site.path("far").join(entry))
            .unwrap()
            .flatten()
        {
            std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
    }
    std::fs::remove_dir_all(site.path("far")).unwrap();
    std::os::unix::fs::symlink(memory.path(), site.path("far")).unwrap();
    let run = site.run("lie-03b", "", FILES);
    let second = warm(&run);
    assert_eq!(second.len(), 1, "{second:?} {first:?}");
    assert!(second[0].contains("100 %"), "{second:?}");
    run.tear_down();
}

#[test]
fn lie_04_the_wrong_recovery_point() {
    let mut site = Site::new();
    let old = site.back_up("files");
    site.write("primary/data/late.html", "after the first backup");
    let new = site.back_up("files");
    let disaster = jiff::Timestamp::now();
    site.write("primary/data/later.html", "after the disaster");
    let after = site.back_up("files");
    site.lose();
    let mut run = site.run("lie-04", "", FILES);
    run.context.disaster = disaster;
    assert_eq!(run.unmet(), Vec::<String>::new());
    let done = run.recovers("files");
    let point = done[0].point.clone().unwrap();
    assert_eq!(point.name, new.archive);
    assert_eq!(point.how, "latest of 2 before the disaster");
    assert!(!site.path("scratch/files/data/later.html").exists());
    run.tear_down();
    // The one that is named is of after the disaster: nobody could have had it.
    let named = FILES.replace(
        "source: files,",
        &format!("source: files, pick: '{}',", after.archive),
    );
    let mut run = site.run("lie-04b", "", &named);
    run.context.disaster = disaster;
    run.prepare();
    assert!(run.fails("files").reason.contains("after the disaster"));
    run.tear_down();
    // The older archive under the newer one's name, sidecar and all.
    let far = |name: &str| site.path("far").join(name);
    let swap = |from: &str, to: &str| {
        mode(&far(to), 0o600);
        std::fs::copy(far(from), far(to)).unwrap();
    };
    swap(&old.archive, &new.archive);
    let mut run = site.run("lie-04c", "", FILES);
    run.context.disaster = disaster;
    run.prepare();
    let done = run.carry_out("files");
    // Either it is refused, or it is seen that nobody vouches for it, and the next best is taken.
    match done {
        Err(_) => {}
        Ok(done) => assert_eq!(done[0].point.clone().unwrap().name, old.archive),
    }
    run.tear_down();
}

#[test]
fn lie_05_the_primary_quietly_used() {
    let site = Site::new();
    site.back_up("files");
    // Here the primary is still there: nothing may notice.
    site.write("primary/secret", "PRIMARY");
    std::fs::write(
        site.path("peek.sh"),
        format!("cat {}/secret\n", site.path("primary").display()),
    )
    .unwrap();
    let root = site.path("");
    let root = root.display();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let serving = std::thread::spawn(move || {
        // Production, on this machine: it answers whoever asks.
        for stream in listener.incoming().take(1) {
            let _ = stream
                .unwrap()
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nOrder 7");
        }
    });
    let steps = format!(
        "  - step: files\n    restore: {{source: files, directory: files}}\n    proofs:\n      - {{proof: named, command: {{run: [cat, {root}/primary/secret]}}}}\n      - {{proof: peeks, command: {{run: [sh, {root}/peek.sh], contains: PRIMARY}}}}\n      - {{proof: link, files: {{sha256: {{data/out: '{}'}}}}}}\n      - {{proof: page, http: {{url: 'http://127.0.0.1:{port}/7.html', contains: Order 7}}}}\n  - step: near\n    restore: {{source: files, directory: near}}\n    proofs: [{{proof: whole, manifest: true}}]\n  - step: svc\n    start: {{run: [sh, -c, 'cat $DATA/secret; ls /'], environment: {{DATA: {root}/primary}}, health: {{command: ['false']}}}}\n    proofs: [{{proof: p, command: {{run: ['false']}}}}]\n",
        seawall::model::sha256_hex(b"PRIMARY")
    );
    let mut run = site.run("lie-05", "", &steps);
    // The document's check would refuse it: here the provider must by itself.
    for step in run.steps.iter_mut().filter(|s| s.step == "near") {
        step.restore.as_mut().unwrap().store = Some("near".into());
    }
    let readiness = run.prepare();
    assert!(
        readiness.enforced.iter().any(|e| e.contains("masked")),
        "{readiness:?}"
    );
    assert!(
        readiness.not_enforced.iter().any(|e| e.contains("network")),
        "{readiness:?}"
    );
    run.recovers("files");
    run.provider.watched();
    let refused = |what: &str| {
        let refused = run.provider.watched().refused;
        assert!(
            refused.iter().any(|(r, _)| r.contains(what)),
            "{what}: {refused:?}"
        );
    };
    assert_eq!(run.prove("files", "named").outcome, ProofOutcome::Unknown);
    refused("primary/secret");
    let said = run.prove("files", "peeks");
    assert_eq!(said.outcome, ProofOutcome::Fail, "{said:?}");
    assert!(!said.read.contains("PRIMARY"), "{said:?}");
    let out = site.path("scratch/files/data/out");
    std::os::unix::fs::symlink(site.path("primary/secret"), out).unwrap();
    let said = run.prove("files", "link");
    assert_eq!(said.outcome, ProofOutcome::Fail, "{said:?}");
    let said = run.prove("files", "page");
    assert_eq!(said.outcome, ProofOutcome::Unknown, "{said:?}");
    assert!(said.read.contains("no program of this drill"), "{said:?}");
    assert!(run.fails("near").refused.is_some());
    refused("near");
    assert!(run.fails("svc").refused.is_some());
    refused("primary");
    run.tear_down();
    drop(std::net::TcpStream::connect(("127.0.0.1", port)));
    serving.join().unwrap();
}

#[test]
fn lie_08_toy_scale() {
    let mut site = Site::new();
    std::fs::write(site.path("primary/data/big"), vec![7; 20_000_000]).unwrap();
    let backup = site.back_up("files");
    site.lose();
    let run = site.run("lie-08", "", FILES);
    run.prepare();
    let done = run.recovers("files");
    let point = done[0].point.clone().unwrap();
    // What is claimed, what was restored, and what is on the disk: one figure.
    assert!(backup.bytes > 20_000_000);
    assert_eq!(point.bytes, Some(backup.bytes));
    assert_eq!(done[1].bytes, backup.bytes);
    assert_eq!(point.files, Some(backup.files));
    run.tear_down();
}

#[test]
fn lie_10_a_scratch_that_was_laid_out_beforehand() {
    let site = lost_files();
    let scratch = site.path("scratch");
    std::fs::create_dir_all(scratch.join("cache")).unwrap();
    mode(&scratch, 0o700);
    let run = site.run("lie-10", "", FILES);
    let readiness = run.prepare();
    assert!(readiness.checks.iter().all(|c| c.1), "{readiness:?}");
    assert!(
        readiness
            .preexisting
            .iter()
            .any(|p| p.contains("cache (directory)")),
        "{readiness:?}"
    );
    run.recovers("files");
    run.tear_down();
    // What was not the drill's stays.
    let left: Vec<_> = std::fs::read_dir(&scratch)
        .unwrap()
        .flatten()
        .map(|e| e.file_name())
        .collect();
    assert_eq!(left, ["cache"]);
    let more = format!(
        "scratch: {{directory: {}, strict: true}}\n",
        scratch.display()
    );
    let run = site.run("lie-10b", &more, FILES);
    let unmet = run.unmet();
    assert!(unmet[0].contains("the scratch is empty"), "{unmet:?}");
    run.tear_down();
    // And what stands where a step restores to is never taken for restored.
    std::fs::create_dir_all(scratch.join("files/data")).unwrap();
    let run = site.run("lie-10c", "", FILES);
    assert_eq!(run.unmet().len(), 1);
    assert!(run.fails("files").reason.contains("there already"));
    run.tear_down();
    assert!(scratch.join("files/data").exists());
}

#[test]
fn lie_11_a_validation_that_proves_nothing() {
    let mut site = Site::new().with_database().with_repository();
    for source in ["files", "code", "db"] {
        site.back_up(source);
    }
    site.lose();
    // Each of these is content with nothing; the honest ones beside them are not.
    let steps = "  - step: files\n    restore: {source: files, directory: files}\n    proofs:\n      - {proof: BAD-true, command: {run: ['true']}}\n      - {proof: BAD-ls, command: {run: [ls, '{{ steps.files.directory }}']}}\n      - {proof: one, files: {at_least: 1}}\n      - {proof: whole, manifest: true}\n      - {proof: canary, canary: true}\n  - step: db\n    restore: {source: db, postgresql: {database: orders}}\n    proofs:\n      - {proof: BAD-one, sql: {query: SELECT 1 FROM pg_class LIMIT 1, equals: '1'}}\n      - {proof: count, sql: {query: SELECT count(*) FROM orders, at_least: 0}}\n      - {proof: canary, canary: true}\n  - step: code\n    restore: {source: code, repository: code.git}\n    proofs:\n      - {proof: BAD-zero, git: {commits: 0}}\n      - {proof: one, git: {commits: 1}}\n  - step: web\n    needs: [files]\n    start: {run: [busybox, httpd, -f, -p, '127.0.0.1:{{ steps.web.ports.p }}'], ports: [p], health: {port: p}}\n    proofs:\n      - {proof: page, http: {url: 'http://127.0.0.1:{{ steps.web.ports.p }}/', contains: x}}\n";
    let run = site.run("lie-11", "", steps);
    assert_eq!(run.unmet(), Vec::<String>::new());
    let passed = run.controls_that_pass();
    // A count that demands nothing does not come so far: the document is refused.
    assert_eq!(passed, ["BAD-true", "BAD-ls", "BAD-one", "BAD-zero"]);
    assert!(!site.path("scratch/.nothing").exists());
    run.tear_down();
}

#[test]
fn lie_11_a_dump_that_is_cut_off() {
    // Others' archive: a bare dump, encrypted whole, of which pg_restore --list says nothing bad.
    let mut site = Site::new().with_database();
    site.sql(
        "INSERT INTO orders (id, item) SELECT n, md5(n::text) FROM generate_series(10000, 60000) n",
    );
    let folder = site.path("primary/db").display().to_string();
    let dump = std::process::Command::new("pg_dump")
        .args(["-Fc", "-Z0", "-U", "postgres", "-h", &folder, "postgres"])
        .output()
        .expect("pg_dump: scripts/install-deps")
        .stdout;
    site.back_up("db");
    site.lose();
    for entry in std::fs::read_dir(site.path("far/db")).unwrap().flatten() {
        std::fs::remove_file(entry.path()).unwrap();
    }
    site.encrypt_as("db", &dump[..dump.len() * 6 / 10]);
    let run = site.run("lie-11b", "", DB);
    assert_eq!(run.unmet(), Vec::<String>::new());
    let error = run.fails("db").reason;
    assert!(error.contains("pg_restore"), "{error}");
    run.tear_down();
    // The whole of it is restored, with doubts: nobody vouches for it.
    std::fs::remove_dir_all(site.path("far/db")).unwrap();
    site.encrypt_as("db", &dump);
    let run = site.run("lie-11c", "", DB);
    assert_eq!(run.unmet(), Vec::<String>::new());
    let done = run.recovers("db");
    assert!(!done[0].doubts.is_empty(), "{done:?}");
    assert!(!done[0].point.clone().unwrap().signed);
    assert_eq!(run.prove("db", "canary").outcome, ProofOutcome::Unknown);
    run.tear_down();
}
