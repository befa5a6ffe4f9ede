//! A restored host meets a baseline, or does not: seen over a real sshd that the drill starts.

use std::process::Command;

use super::world::{With, World, run, said};

/// The drill's last step is an sshd on what was restored; the page's mode is what is demanded.
fn drill(mode: &str) -> (World, std::process::Output) {
    let mut world = World::new(With::FilesOnly);
    std::fs::create_dir_all("/run/sshd").expect("sshd's empty place");
    for key in ["host_key", "client"] {
        run(Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(world.path(key)));
    }
    let root = world.path("").display().to_string();
    let root = root.trim_end_matches('/');
    let public = std::fs::read_to_string(world.path("host_key.pub")).expect("the host's key");
    world.write("known_hosts", &format!("[127.0.0.1]:* {public}"));
    world.write(
        "sshd_config",
        &format!(
            "ListenAddress 127.0.0.1\nHostKey {root}/host_key\nAuthorizedKeysFile {root}/client.pub\n\
             StrictModes no\nUsePAM no\nPermitRootLogin yes\nPasswordAuthentication no\n\
             KbdInteractiveAuthentication no\nPidFile none\nLogLevel ERROR\n"
        ),
    );
    world.write(
        "restored.yaml",
        &format!(
            "inventory: restored\nhosts:\n  restored:\n    address: 127.0.0.1\n    \
             port: {{{{ steps.host.ports.ssh }}}}\n    user: root\n    \
             identity: {root}/client\n    known_hosts: {root}/known_hosts\n"
        ),
    );
    world.write(
        "baseline.yaml",
        &format!(
            "baseline: restored\ntitle: What was restored\nrules:\n  - id: page.mode\n    \
             title: The page is as it ought to be\n    why: A page that nobody may read is none.\n    \
             area: files\n    severity: high\n    level: 1\n    controls: {{iso-27001: A.8.13}}\n    \
             resources:\n      - file: {{path: {root}/scratch/files/site/1.html, mode: \"{mode}\", exact: true}}\n"
        ),
    );
    world.write(
        "playbook.yaml",
        "playbook: restored\ntitle: What was restored\nhosts: [all]\nbaselines: [baseline.yaml]\n",
    );
    world.write_drill(
        "  - step: host\n    needs: [files]\n    start:\n      \
         run: [/usr/sbin/sshd, -D, -e, -f, ROOT/sshd_config, -p, \"{{ steps.host.ports.ssh }}\"]\n      \
         ports: [ssh]\n      health: {port: ssh}\n    proofs:\n      \
         - {proof: the page is there, command: {run: [cat, \"{{ steps.files.directory }}/site/42.html\"], contains: Order 42}}\n      \
         - {proof: it meets its baseline, meets: {playbook: playbook.yaml, inventory: restored.yaml, host: restored}}\n"
            .replace("ROOT", root)
            .as_str(),
    );
    world.backup();
    world.lose();
    let out = world.seawall(&["drill", "run", "drill.yaml"]);
    assert_eq!(world.left_behind(), Vec::<String>::new());
    (world, out)
}

#[test]
fn a_restored_host_that_meets_its_baseline_is_a_proof() {
    let (world, out) = drill("0644");
    assert_eq!(out.status.code(), Some(0), "{}", said(&out));
    assert_eq!(world.verdict(&world.drill_run())["word"], "met");
}

#[test]
fn a_restored_host_that_does_not_is_a_missed_drill() {
    let (world, out) = drill("0600");
    assert_eq!(out.status.code(), Some(1), "{}", said(&out));
    assert_eq!(world.verdict(&world.drill_run())["word"], "missed");
    assert!(said(&out).contains("page.mode"), "{}", said(&out));
}
