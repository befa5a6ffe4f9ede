//! `keygen`, `verify`, and what each run leaves behind, at the command line.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use crate::cli::{Desk, Said};

use super::{openssh, well};

/// A run that ends at once: its only host does not answer.
fn check(desk: &Desk) -> Said {
    let said = desk.run(&["check", "playbook.yaml", "-i", "hosts.yaml"]);
    assert_eq!(said.code, 3, "{said}");
    said
}

/// The runs' folders, the oldest first. Those of one second are sorted by how they follow.
fn folders(desk: &Desk) -> Vec<PathBuf> {
    let mut all: Vec<PathBuf> = fs::read_dir(desk.dir.path().join("state/runs"))
        .expect("there are runs")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    let name = |path: &PathBuf| {
        path.file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned()
    };
    let former = |path: &PathBuf| {
        let text = fs::read_to_string(path.join("journal.jsonl")).expect("a journal");
        let first: serde_json::Value =
            serde_json::from_str(text.lines().next().expect("a line")).expect("JSON");
        assert_eq!(first["event"], "chained");
        first["former"]["run"].as_str().map(str::to_owned)
    };
    let mut sorted = Vec::new();
    let mut last = None;
    while let Some(at) = all.iter().position(|path| former(path) == last) {
        let path = all.swap_remove(at);
        last = Some(name(&path));
        sorted.push(path);
    }
    assert!(all.is_empty(), "not in the chain: {all:?}");
    sorted
}

#[test]
fn the_commands_that_keygen_prints_work_as_they_stand() {
    let desk = Desk::new();
    let made = desk.run(&["keygen", "--comment", "of the test"]);
    assert_eq!(made.code, 0, "{made}");
    assert!(!made.out.contains("PRIVATE"), "{made}");
    assert!(made.out.contains("of the test"), "{made}");
    let said = check(&desk);
    assert!(!said.err.contains("not signed"), "{said}");
    let folder = folders(&desk).pop().expect("a run");
    let commands: Vec<&str> = made
        .out
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with("echo ") || line.starts_with("ssh-keygen "))
        .collect();
    assert_eq!(commands.len(), 2, "{made}");
    let script = commands.join("\n");
    let checked = openssh("sh", &["-e", "-c", &script], &folder, b"");
    assert!(well(&checked), "{checked:?}");
    assert!(String::from_utf8_lossy(&checked.stdout).contains("Good \"seawall\" signature"));
    // And fail where the manifest is another.
    let manifest = folder.join("manifest.json");
    let text = fs::read_to_string(&manifest).expect("a manifest");
    fs::write(&manifest, text.replace("\"format\": 1", "\"format\": 2")).expect("written");
    assert!(!well(&openssh("sh", &["-e", "-c", &script], &folder, b"")));
    // Shown again, and never made twice.
    let shown = desk.run(&["keygen", "--show"]);
    assert!(shown.out.contains(commands[0]), "{shown}");
    let again = desk.run(&["keygen"]);
    assert_eq!(again.code, 2, "{again}");
    assert!(again.err.contains("never written over"), "{again}");
}

#[test]
fn a_run_without_a_key_says_so_once_and_is_whole() {
    let desk = Desk::new();
    let said = check(&desk);
    assert_eq!(said.err.matches("not signed").count(), 1, "{said}");
    assert!(said.err.contains("seawall keygen"), "{said}");
    let one = desk.run(&["verify", "latest"]);
    assert_eq!(one.code, 0, "{one}");
    assert!(one.out.contains("by nobody"), "{one}");
    let quiet = desk.run(&["check", "playbook.yaml", "-i", "hosts.yaml", "--quiet"]);
    assert!(!quiet.err.contains("not signed"), "{quiet}");
}

#[test]
fn verify_names_what_was_changed_and_by_whom_it_is_signed() {
    let desk = Desk::new();
    desk.run(&["keygen"]);
    check(&desk);
    let folder = folders(&desk).pop().expect("a run");
    let verify = || desk.run(&["verify", "latest"]);
    let said = verify();
    assert_eq!(said.code, 0, "{said}");
    assert!(said.out.contains("signed   by SHA256:"), "{said}");
    // A report beside it is no harm.
    fs::write(folder.join("report.html"), "x").expect("written");
    assert_eq!(verify().code, 0);
    // A signature that was taken away, where there is a key.
    let signature = fs::read(folder.join("manifest.json.sig")).expect("a signature");
    fs::remove_file(folder.join("manifest.json.sig")).expect("removed");
    let said = verify();
    assert_eq!(said.code, 1, "{said}");
    assert!(said.out.contains("BY NOBODY"), "{said}");
    fs::write(folder.join("manifest.json.sig"), signature).expect("written");
    // A byte of the journal; the seal of another journal.
    let journal = folder.join("journal.jsonl");
    let text = fs::read_to_string(&journal).expect("a journal");
    fs::write(&journal, text.replacen("nobody", "nobodi", 1)).expect("written");
    let said = verify();
    assert_eq!(said.code, 1, "{said}");
    assert!(said.out.contains("NOT AS IT WAS WRITTEN"), "{said}");
    fs::write(&journal, &text).expect("written");
    assert_eq!(verify().code, 0);
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    fs::write(&journal, lines[..lines.len() - 1].concat()).expect("written");
    let said = verify();
    assert_eq!(said.code, 1, "{said}");
    let report = desk.run(&["report"]);
    assert_eq!(report.code, 1, "{report}");
}

#[test]
fn another_key_counts_only_where_it_is_named() {
    let (desk, auditor) = (Desk::new(), Desk::new());
    desk.run(&["keygen"]);
    check(&desk);
    let folder = folders(&desk).pop().expect("a run");
    let folder = folder.to_string_lossy();
    // Elsewhere, with a copy of the folder and the public key.
    let said = auditor.run(&["verify", &folder]);
    assert_eq!(said.code, 1, "{said}");
    assert!(said.out.contains("NOT KNOWN BY WHOM"), "{said}");
    let key = desk.dir.path().join("state/signing-key.pub");
    let key = key.to_string_lossy();
    let said = auditor.run(&["verify", &folder, "--key", &key]);
    assert_eq!(said.code, 0, "{said}");
    // A private key, nothing, and a file that is not there.
    let private = key.trim_end_matches(".pub").to_owned();
    auditor.write("empty", "");
    for wrong in [private.as_str(), "empty", "nope"] {
        let said = auditor.run(&["verify", &folder, "--key", wrong]);
        assert_eq!(said.code, 2, "{said}");
        assert!(said.err.contains("--key"), "{said}");
    }
}

#[test]
fn a_deleted_run_shows() {
    let desk = Desk::new();
    check(&desk);
    desk.run(&["keygen"]);
    for _ in 0..3 {
        check(&desk);
    }
    let all = |desk: &Desk| desk.run(&["verify"]);
    let said = all(&desk);
    assert_eq!(said.code, 0, "{said}");
    assert!(said.out.contains("chain    whole: 4 runs"), "{said}");
    assert_eq!(said.out.matches("whole, signed").count(), 3, "{said}");
    assert_eq!(said.out.matches("whole, not signed").count(), 1, "{said}");
    let runs = folders(&desk);
    for gone in &runs {
        let aside = desk.dir.path().join("aside");
        fs::rename(gone, &aside).expect("moved");
        let said = desk.run(&["verify", "--all"]);
        assert_eq!(said.code, 1, "{said}");
        let name = gone.file_name().expect("a name").to_string_lossy();
        assert!(
            said.out.contains(&format!("run {name} is missing")),
            "{said}"
        );
        fs::rename(&aside, gone).expect("moved back");
    }
    assert_eq!(all(&desk).code, 0);
    // A signature that was taken away from one in the middle.
    fs::remove_file(runs[2].join("manifest.json.sig")).expect("removed");
    // Two runs of one second are in any order.
    let said = all(&desk);
    assert!(
        said.code == 1 || said.out.contains("whole, not signed"),
        "{said}"
    );
}

#[test]
fn a_run_that_died_stays_in_the_chain() {
    let desk = Desk::new();
    check(&desk);
    let folder = folders(&desk).pop().expect("a run");
    fs::remove_file(folder.join("manifest.json")).expect("removed");
    fs::remove_file(desk.dir.path().join("state/chain.json")).expect("removed");
    check(&desk);
    let said = desk.run(&["verify"]);
    assert_eq!(said.code, 0, "{said}");
    assert!(said.out.contains("did not come to its end"), "{said}");
    assert_eq!(desk.run(&["verify", &folder.to_string_lossy()]).code, 1);
}

#[test]
fn a_key_that_cannot_be_used_is_told_before_anything_is_done() {
    use std::os::unix::fs::PermissionsExt;
    let desk = Desk::new();
    desk.run(&["keygen"]);
    let key = desk.dir.path().join("state/signing-key");
    fs::set_permissions(&key, PermissionsExt::from_mode(0o644)).expect("changed");
    let said = desk.run(&["check", "playbook.yaml", "-i", "hosts.yaml"]);
    assert_eq!(said.code, 2, "{said}");
    assert!(said.err.contains("chmod 600"), "{said}");
    assert!(!desk.dir.path().join("state/runs").exists());
    let named = Said::of(
        desk.command(&["check", "playbook.yaml", "-i", "hosts.yaml"])
            .env("SEAWALL_SIGNING_KEY", "/nowhere/key")
            .output()
            .expect("it runs"),
    );
    assert_eq!(named.code, 2, "{named}");
    assert!(named.err.contains("SEAWALL_SIGNING_KEY"), "{named}");
}

/// An agent of the test's own; it ends with it.
struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_key_in_the_agent_signs() {
    let desk = Desk::new();
    let dir = desk.dir.path();
    let args = ["-q", "-t", "ed25519", "-N", "", "-f", "mine"];
    assert!(well(&openssh("ssh-keygen", &args, dir, b"")));
    let socket = dir.join("agent");
    let agent = Command::new("ssh-agent")
        .args(["-D", "-a"])
        .arg(&socket)
        .stdout(Stdio::null())
        .spawn()
        .expect("ssh-agent (openssh-client; scripts/install-deps) runs");
    let agent = Agent(agent);
    while !socket.exists() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let added = Command::new("ssh-add")
        .args(["-q", "mine"])
        .current_dir(dir)
        .env("SSH_AUTH_SOCK", &socket)
        .stderr(Stdio::null())
        .status()
        .expect("ssh-add runs");
    assert!(added.success());
    fs::remove_file(dir.join("mine")).expect("only the agent has it now");
    let with_agent = |args: &[&str]| {
        let out = desk
            .command(args)
            .env("SSH_AUTH_SOCK", &socket)
            .env("SEAWALL_SIGNING_KEY", dir.join("mine.pub"))
            .output();
        Said::of(out.expect("it runs"))
    };
    let run = ["check", "playbook.yaml", "-i", "hosts.yaml"];
    let said = with_agent(&run);
    assert_eq!(said.code, 3, "{said}");
    assert!(!said.err.contains("SIGNED"), "{said}");
    assert_eq!(with_agent(&["verify", "latest"]).code, 0);
    // The agent is gone: the run is sealed, and it is said that nobody signed it.
    drop(agent);
    let said = with_agent(&run);
    assert_eq!(said.code, 3, "{said}");
    assert!(said.err.contains("NOT SIGNED"), "{said}");
    assert!(said.err.contains("ssh-add -l"), "{said}");
}
