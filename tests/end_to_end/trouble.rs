//! Hosts in trouble: a clear finding, no hang, and the others go on.

use std::path::Path;

use super::site::Site;

#[test]
fn a_host_that_is_down_is_unknown_and_the_others_go_on() {
    let site = Site::of(2);
    site.lab.kill(&site.host()).expect("the host can be killed");
    let ran = site.treat("check", Path::new("playbooks/new-host.yaml"), &[]);
    assert_eq!(ran.code, 3, "{ran}");
    assert_eq!(ran.host(0)["outcome"], "unknown", "{ran}");
    assert!(ran.host(0)["unreachable"]["phase"].is_string(), "{ran}");
    assert_eq!(ran.host(1)["outcome"], "findings", "{ran}");
}

#[test]
fn a_wrong_host_key_is_refused() {
    let site = Site::of(1);
    site.inside("rm /etc/ssh/ssh_host_*; ssh-keygen -A; systemctl restart ssh");
    let ran = site.treat("check", Path::new("playbooks/new-host.yaml"), &[]);
    assert_eq!(ran.code, 3, "{ran}");
    assert_eq!(ran.host(0)["unreachable"]["phase"], "host-key", "{ran}");
}

#[test]
fn no_sudo_rights_are_said_plainly() {
    let site = Site::of(1);
    site.inside("rm -f /etc/sudoers.d/*");
    let ran = site.treat("check", Path::new("playbooks/new-host.yaml"), &[]);
    assert_eq!(ran.code, 3, "{ran}");
    assert_eq!(ran.host(0)["unreachable"]["phase"], "sudo", "{ran}");
}

#[test]
fn where_the_undo_cannot_be_kept_nothing_is_changed() {
    for break_it in [
        "mount -t tmpfs -o ro none /var/lib",
        "mkdir -p /var/lib/seawall && mount -t tmpfs -o size=4k none /var/lib/seawall && head -c 4096 /dev/zero >/var/lib/seawall/x",
        "rm -rf /var/lib && touch /var/lib",
    ] {
        let site = Site::of(1);
        let playbook = site.playbook(&["file: {path: /etc/motd, content: \"x\\n\"}"]);
        let before = site.inside("cat /etc/motd");
        site.inside(break_it);
        let ran = site.treat("apply", &playbook, &["--confirm", "10s"]);
        assert_eq!(ran.code, 1, "{break_it}: {ran}");
        assert_eq!(ran.host(0)["outcome"], "failed", "{break_it}: {ran}");
        let reason = ran.finding("t.r0")["reason"].to_string();
        assert!(reason.contains("undo store"), "{break_it}: {reason}");
        assert_eq!(site.inside("cat /etc/motd"), before, "{break_it}");
    }
}

#[test]
fn a_read_only_file_is_told_and_the_rest_is_done() {
    let site = Site::of(1);
    site.inside("mount --bind /etc/cron.d /etc/cron.d && mount -o remount,ro,bind /etc/cron.d");
    let playbook = site.playbook(&[
        "file: {path: /etc/cron.d/t, content: \"#\\n\"}",
        "file: {path: /etc/motd, content: \"x\\n\"}",
    ]);
    let ran = site.treat("apply", &playbook, &[]);
    assert_eq!(ran.code, 1, "{ran}");
    assert_eq!(ran.status("t.r0"), "fail", "{ran}");
    let reason = ran.finding("t.r0")["reason"].to_string();
    assert!(reason.to_lowercase().contains("read-only"), "{reason}");
    assert_eq!(ran.status("t.r1"), "changed", "{ran}");
}

#[test]
fn noise_and_other_languages_do_not_matter() {
    let site = Site::of(1);
    site.inside(
        "printf 'echo noise; echo more >&2; printf \"\\033]0;x\\007\"\\n' | tee /home/admin/.bashrc >/root/.bashrc; \
         chsh -s /bin/bash admin; echo 'LANG=de_DE.UTF-8' >/etc/default/locale; echo 'welcome' >/etc/motd; \
         printf 'AcceptEnv LANG LC_*\\nSetEnv LC_ALL=de_DE.UTF-8\\n' >/etc/ssh/sshd_config.d/x.conf; systemctl reload ssh",
    );
    let ran = site.treat("check", Path::new("playbooks/new-host.yaml"), &[]);
    assert_eq!(ran.code, 1, "{ran}");
    assert_eq!(ran.with_status("unknown"), Vec::<String>::new());
}

#[test]
fn a_host_without_dpkg_is_seen_as_far_as_it_can_be() {
    let site = Site::of(1);
    site.inside("mv /usr/bin/dpkg-query /usr/bin/dpkg-query.away");
    let playbook = site.playbook(&[
        "package: {name: telnet, state: absent}",
        "sysctl: {key: net.ipv4.ip_forward, value: \"0\"}",
    ]);
    let ran = site.treat("check", &playbook, &[]);
    assert_eq!(ran.status("t.r0"), "unknown", "{ran}");
    assert_ne!(ran.status("t.r1"), "unknown", "{ran}");
}

#[test]
fn a_second_run_waits_for_the_first() {
    let site = Site::of(1);
    site.inside("mkdir -p /var/lib/seawall && echo other >/var/lib/seawall/pending");
    let playbook = site.playbook(&["file: {path: /etc/motd, content: \"x\\n\"}"]);
    let ran = site.treat("apply", &playbook, &[]);
    assert_eq!(ran.code, 1, "{ran}");
    let reason = ran.finding("t.r0")["reason"].to_string();
    assert!(reason.contains("other"), "{reason}");
}

#[test]
fn a_run_that_nobody_watches_over_is_told_by_check_and_undone_by_the_next_apply() {
    let site = Site::of(1);
    let first = site.playbook(&[
        "file: {path: /etc/motd, content: \"lost\\n\"}",
        "command: {check: test -e /etc/never, expected: never, fix: \"kill -9 $(cut -d' ' -f1 $store/watching) $$\", undo: \"true\"}",
    ]);
    let before = site.inside("cat /etc/motd");
    let inventory = site.inventory();
    let mut child = site
        .command(&[
            "apply",
            first.to_str().expect("a path of ours is text"),
            "-i",
            inventory.to_str().expect("a path of the lab is text"),
            "--quiet",
        ])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("the program can be run");
    let until = std::time::Instant::now() + std::time::Duration::from_secs(60);
    let dead = "cd /var/lib/seawall && read run <pending && cat /etc/motd && read p r <$run/watching && ! [ -e /proc/$p ] && read p r <$run/acting && ! [ -e /proc/$p ]";
    while !site
        .inside(&format!("({dead}) >/dev/null 2>&1 && echo dead"))
        .contains("dead")
    {
        assert!(std::time::Instant::now() < until, "the watchdog never dies");
    }
    child.kill().expect("the controller can be killed");
    child.wait().expect("it has ended");
    assert_eq!(site.inside("cat /etc/motd"), "lost");
    let second = site.playbook(&["file: {path: /etc/issue, content: \"second\\n\"}"]);
    let check = site.treat("check", &second, &[]);
    let notes = check.host(0)["notes"].to_string();
    assert!(notes.contains("waiting on this host"), "{check}");
    let ran = site.treat("apply", &second, &[]);
    assert_eq!(ran.code, 0, "{ran}");
    let notes = ran.host(0)["notes"].to_string();
    assert!(notes.contains("it was undone first"), "{ran}");
    assert_eq!(site.inside("cat /etc/motd"), before);
    assert_eq!(site.inside("cat /etc/issue"), "second");
}

#[test]
fn a_keep_whose_answer_was_lost_is_not_called_an_undo() {
    let site = Site::of(1);
    let playbook = site.playbook(&[
        "file: {path: /etc/motd, content: \"kept\\n\"}",
        "command: {check: test -e /etc/never, expected: never, fix: \"touch /etc/never; mv -T $base/pending $store/kept; kill -9 $$\", undo: \"rm -f /etc/never\"}",
    ]);
    let ran = site.treat("apply", &playbook, &[]);
    assert_eq!(site.inside("cat /etc/motd"), "kept");
    assert_eq!(ran.code, 1, "{ran}");
    assert_eq!(ran.host(0)["outcome"], "failed", "{ran}");
    assert_eq!(ran.host(0)["confirm"], "kept", "{ran}");
    let notes = ran.host(0)["notes"].to_string();
    assert!(notes.contains("has kept the run"), "{ran}");
    let run = ran.run_id().to_owned();
    let back = site.rollback(&run, &[]);
    assert_eq!(back.code, 0, "{back}");
    assert_ne!(site.inside("cat /etc/motd"), "kept");
}
