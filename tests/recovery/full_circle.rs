//! Back up, verify, lose, drill, verify the evidence.

use super::world::{With, World, said};

#[test]
fn a_site_is_backed_up_lost_and_recovered() {
    let mut world = World::new(With::Database);
    world.backup();
    let out = world.seawall(&["backup", "verify", "policy.yaml"]);
    assert_eq!(out.status.code(), Some(0), "{}", said(&out));
    let key = world.path("recovery-key.txt");
    let key = key.to_str().expect("a path of ours");
    let out = world.seawall(&["backup", "verify", "policy.yaml", "--identity", key]);
    assert_eq!(out.status.code(), Some(0), "{}", said(&out));
    world.lose();
    let out = world.seawall(&["drill", "run", "drill.yaml"]);
    assert_eq!(out.status.code(), Some(0), "{}", said(&out));
    let run = world.drill_run();
    let verdict = world.verdict(&run);
    assert_eq!(verdict["word"], "met", "{verdict}");
    assert_eq!(verdict["assumed_ms"], 600_000);
    assert_eq!(world.left_behind(), Vec::<String>::new());
    let out = world.seawall(&["verify", "--all"]);
    assert_eq!(out.status.code(), Some(0), "{}", said(&out));
}

#[test]
fn a_lost_backup_is_a_missed_drill_and_leaves_nothing() {
    let mut world = World::new(With::FilesOnly);
    world.backup();
    world.lose();
    for entry in std::fs::read_dir(world.path("far/files")).expect("the store") {
        let path = entry.expect("its entry").path();
        if path.extension().is_some_and(|e| e == "age") {
            let mut bytes = std::fs::read(&path).expect("the archive");
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            std::fs::write(&path, bytes).expect("a flipped bit");
        }
    }
    let out = world.seawall(&["drill", "run", "drill.yaml"]);
    assert_eq!(out.status.code(), Some(1), "{}", said(&out));
    let run = world.drill_run();
    assert_eq!(world.verdict(&run)["word"], "missed");
    assert_eq!(world.left_behind(), Vec::<String>::new());
}

#[test]
fn the_key_that_opens_backups_is_one_of_ages() {
    let world = World::new(With::FilesOnly);
    let out = world.seawall(&["keygen", "--age", "--out", "safe.txt"]);
    assert_eq!(out.status.code(), Some(0), "{}", said(&out));
    let printed = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(!printed.contains("AGE-SECRET-KEY"), "{printed}");
    let age = super::world::run(
        std::process::Command::new("age-keygen")
            .arg("-y")
            .arg(world.path("safe.txt")),
    );
    let recipient = String::from_utf8_lossy(&age.stdout).trim().to_owned();
    assert!(printed.contains(&recipient), "{printed}");
    let again = world.seawall(&["keygen", "--age", "--out", "safe.txt"]);
    assert_eq!(again.status.code(), Some(2), "{}", said(&again));
}

#[test]
fn lie_09_capacity_and_quota_assumed() {
    let mut world = World::new(With::FilesOnly);
    world.backup();
    world.lose();
    let text = std::fs::read_to_string(world.path("drill.yaml")).expect("the drill");
    let root = world.path("scratch");
    let scratch = format!("scratch: {{directory: {}}}", root.display());
    assert!(text.contains(&scratch));
    let asks = format!("scratch: {{directory: {}, free: 8000T}}", root.display());
    world.write("drill.yaml", &text.replace(&scratch, &asks));
    let out = world.seawall(&["drill", "run", "drill.yaml"]);
    assert_eq!(out.status.code(), Some(2), "{}", said(&out));
    assert!(said(&out).contains("free"), "{}", said(&out));
    assert_eq!(world.left_behind(), Vec::<String>::new());
}
