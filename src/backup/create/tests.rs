use std::fs;
use std::path::Path;
use std::time::Duration;

use super::*;
use crate::backup::testing::{Fault, FaultyStore};

/// A policy with one source, `what`, and a key that nobody holds.
fn policy(what: &str) -> Policy {
    let text = format!(
        "{{policy: nightly, title: t, stores: {{a: {{place: here, directory: /none}}}},
          recipients: [age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p],
          sources: [{{source: s, schedule: '0 2 * * *', rpo: 26h, {what}}}]}}"
    );
    serde_yaml::from_str(&text).unwrap()
}

fn files(directory: &Path) -> Policy {
    policy(&format!(
        "directories: {{paths: [{}]}}",
        directory.display()
    ))
}

fn command(script: &str) -> Policy {
    let run = serde_json::to_string(&["sh", "-c", script]).unwrap();
    policy(&format!("command: {{run: {run}, file: out}}"))
}

fn run(
    policy: &Policy,
    stores: &[&Arc<FaultyStore>],
    progress: &Progress,
) -> Result<(Sidecar, Vec<String>), CreateError> {
    let stores = stores
        .iter()
        .enumerate()
        .map(|(n, store)| (format!("s{n}"), Arc::clone(store) as Arc<dyn Store>));
    create(&Creation {
        policy,
        source: &policy.sources[0],
        recipients: &Recipients::parse(&policy.recipients).unwrap(),
        stores: stores.collect(),
        signer: &SigningKey::generate("test").unwrap(),
        random: 1,
        progress,
    })
}

/// Noise, which can't be made smaller: as many bytes reach the stores.
fn noise(size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    aws_lc_rs::rand::fill(&mut bytes).unwrap();
    bytes
}

#[test]
fn all_stores_hold_the_same_and_the_sidecar_says_what() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a"), noise(5 << 20)).unwrap();
    let stores = [FaultyStore::new(Fault::None), FaultyStore::new(Fault::None)];
    let progress = Progress::default();
    let (sidecar, warnings) =
        run(&files(dir.path()), &[&stores[0], &stores[1]], &progress).unwrap();
    assert_eq!(warnings, Vec::<String>::new());
    let kept = stores[0].kept.lock().unwrap();
    assert_eq!(*kept, *stores[1].kept.lock().unwrap());
    let name = &sidecar.archive;
    let expected = [name.clone(), name::sidecar(name), name::signature(name)];
    assert_eq!(kept.keys().cloned().collect::<Vec<_>>(), expected);
    let ciphertext = &kept[name];
    assert_eq!(sidecar.size, ciphertext.len() as u64);
    assert_eq!(sidecar.sha256, crate::model::sha256_hex(ciphertext));
    assert_eq!((sidecar.files, sidecar.bytes), (1, 5 << 20));
    assert_eq!(progress.sealed.load(Ordering::Relaxed), sidecar.size);
    assert_eq!(kept[&name::sidecar(name)], sidecar.to_bytes());
    assert_eq!(name::parse(name).unwrap().1.to_string(), sidecar.data_time);
}

#[test]
fn a_store_that_fails_fails_the_backup_in_all() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a"), noise(20 << 20)).unwrap();
    let policy = files(dir.path());
    for fault in [
        Fault::Create(".age"),
        Fault::WriteAt(0),
        Fault::WriteAt(7 << 20),
        Fault::WriteAt(20 << 20),
    ] {
        let (good, bad) = (FaultyStore::new(Fault::None), FaultyStore::new(fault));
        for order in [[&good, &bad], [&bad, &good]] {
            let error = run(&policy, &order, &Progress::default()).unwrap_err();
            assert!(error.to_string().contains("as it was told"), "{error}");
            assert!(error.to_string().contains("store s"), "{error}");
            assert_eq!(good.names(), Vec::<String>::new(), "{fault:?}");
            assert_eq!(good.open.load(Ordering::SeqCst), 0, "{fault:?}");
            assert_eq!(bad.open.load(Ordering::SeqCst), 0, "{fault:?}");
        }
    }
}

#[test]
fn what_fails_at_the_very_end_leaves_no_sidecar() {
    let dir = tempfile::tempdir().unwrap();
    for fault in [Fault::Finish, Fault::Create(".sig")] {
        let (good, bad) = (FaultyStore::new(Fault::None), FaultyStore::new(fault));
        let error = run(&files(dir.path()), &[&bad, &good], &Progress::default()).unwrap_err();
        assert!(error.to_string().contains("no backup"), "{error}");
        for store in [good, bad] {
            assert!(!store.names().iter().any(|name| name.ends_with(".json")));
        }
    }
}

#[test]
fn a_slow_store_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a"), noise(12 << 20)).unwrap();
    let slow = FaultyStore::new(Fault::Slow(Duration::from_millis(10)));
    let fast = FaultyStore::new(Fault::None);
    let (sidecar, _) = run(&files(dir.path()), &[&slow, &fast], &Progress::default()).unwrap();
    assert_eq!(
        slow.kept.lock().unwrap()[&sidecar.archive],
        fast.kept.lock().unwrap()[&sidecar.archive]
    );
}

#[test]
fn a_program_that_fails_leaves_nothing() {
    for (script, why) in [
        ("head -c 30000000 /dev/urandom; exit 7", "exit code 7"),
        ("head -c 3000000 /dev/urandom; kill -9 $$", "signal 9"),
        ("echo oh >&2; exit 1", "oh"),
    ] {
        let store = FaultyStore::new(Fault::None);
        let error = run(&command(script), &[&store], &Progress::default()).unwrap_err();
        assert!(error.to_string().contains(why), "{error}");
        assert_eq!(store.names(), Vec::<String>::new());
        assert_eq!(store.open.load(Ordering::SeqCst), 0);
    }
}

#[test]
fn an_endless_program_ends_with_a_wish_to_stop_or_a_failing_store() {
    let store = FaultyStore::new(Fault::WriteAt(3 << 20));
    let error = run(
        &command("cat /dev/urandom"),
        &[&store],
        &Progress::default(),
    );
    assert!(error.unwrap_err().to_string().contains("disk is full"));
    for script in ["cat /dev/urandom", "sleep 1000", "exec sleep 1000 >&-"] {
        let store = FaultyStore::new(Fault::None);
        let progress = Arc::new(Progress::default());
        let stopper = progress.clone();
        let waiting = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(300));
            stopper.stop();
        });
        let error = run(&command(script), &[&store], &progress).unwrap_err();
        waiting.join().unwrap();
        assert!(error.to_string().contains("stopped"), "{error}");
        assert_eq!(store.names(), Vec::<String>::new());
        assert_eq!(store.open.load(Ordering::SeqCst), 0);
    }
}

#[test]
fn a_canary_that_cannot_be_written_ends_it_before_anything_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("canary");
    fs::write(&file, "a file of somebody's\n").unwrap();
    let mut policy = files(dir.path());
    policy.sources[0].canary = Some(crate::document::policy::CanaryDocument {
        file: Some(file.display().to_string()),
        table: None,
    });
    let store = FaultyStore::new(Fault::None);
    let error = run(&policy, &[&store], &Progress::default()).unwrap_err();
    assert!(
        error.to_string().contains("not a canary of ours"),
        "{error}"
    );
    assert_eq!(fs::read_to_string(&file).unwrap(), "a file of somebody's\n");
    assert_eq!(store.open.load(Ordering::SeqCst), 0);
}

#[test]
fn a_wish_to_stop_is_heard_while_a_store_is_slow_to_take_the_last_bytes() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("a"), noise(4 << 20)).unwrap();
    let slow = FaultyStore::new(Fault::Slow(Duration::from_millis(700)));
    let progress = Arc::new(Progress::default());
    let stopper = progress.clone();
    let waiting = std::thread::spawn(move || {
        // Everything has been read by then, and nothing is kept yet.
        while stopper.bytes.load(Ordering::Relaxed) < 4 << 20 {
            std::thread::sleep(Duration::from_millis(5));
        }
        stopper.stop();
    });
    let error = run(&files(dir.path()), &[&slow], &progress).unwrap_err();
    waiting.join().unwrap();
    assert!(error.to_string().contains("stopped"), "{error}");
    assert_eq!(slow.names(), Vec::<String>::new());
    assert_eq!(slow.open.load(Ordering::SeqCst), 0);
}
