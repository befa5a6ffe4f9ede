//! Lock-outs: whatever keeps us out, the host is reachable and as it was within the window.

use std::time::{Duration, Instant};

use super::site::Site;

/// Applies what locks us out, and proves that the host undid it.
fn locks_out_and_comes_back(resources: &[&str], look: &str) {
    let site = Site::of(1);
    let playbook = site.playbook(resources);
    let before = site.inside(look);
    let ran = site.treat("apply", &playbook, &["--confirm", "6s"]);
    assert_eq!(ran.code, 1, "{ran}");
    assert_eq!(ran.host(0)["outcome"], "failed", "{ran}");
    assert_eq!(ran.host(0)["confirm"], "undone", "{ran}");
    assert_eq!(site.inside(look), before);
    let notes = ran.host(0)["notes"].to_string();
    assert!(!notes.contains("differs from before"), "{ran}");
    // And it can be reached again, as ever.
    let check = site.treat("check", &playbook, &[]);
    assert_eq!(check.status("t.r0"), "fail", "{check}");
    assert_eq!(
        site.inside("ls /var/lib/seawall/pending 2>&1 | grep -c 'No such'"),
        "1"
    );
}

const SSHD: &str = "ls /etc/ssh/sshd_config.d; cat /etc/ssh/sshd_config; sshd -T | sort";

#[test]
fn sshd_on_another_port() {
    locks_out_and_comes_back(&["sshd: {option: Port, value: \"2222\"}"], SSHD);
}

#[test]
fn sshd_that_lets_nobody_in() {
    locks_out_and_comes_back(&["sshd: {option: AllowUsers, value: nobody-at-all}"], SSHD);
}

#[test]
fn sshd_with_macs_that_nobody_shares() {
    // With an AEAD cipher no MAC is negotiated at all, so the cipher goes with it.
    locks_out_and_comes_back(
        &[
            "sshd: {option: MACs, value: umac-64@openssh.com}",
            "sshd: {option: Ciphers, value: aes192-ctr}",
        ],
        SSHD,
    );
}

#[test]
fn a_firewall_that_drops_everything() {
    locks_out_and_comes_back(
        &[
            "command: {check: \"nft list table inet t >/dev/null 2>&1\", expected: a firewall, risk: lock-out, \
           fix: \"nft add table inet t && nft 'add chain inet t input { type filter hook input priority 0; policy drop; }'\", \
           undo: \"nft delete table inet t\"}",
        ],
        "nft list ruleset",
    );
}

#[test]
fn the_sudo_rule_that_let_us_in() {
    locks_out_and_comes_back(
        &[
            "command: {check: \"! sudo -l -U admin | grep -q NOPASSWD\", expected: no NOPASSWD, risk: lock-out, \
           fix: \"cp -a /etc/sudoers.d $store/$step.d && rm -f /etc/sudoers.d/*\", \
           undo: \"cp -a $store/$step.d/. /etc/sudoers.d/\"}",
        ],
        "ls -l /etc/sudoers.d; cat /etc/sudoers.d/* | sha256sum",
    );
}

#[test]
fn the_account_that_we_log_in_with() {
    locks_out_and_comes_back(
        &["account: {name: admin, shell: /usr/sbin/nologin}"],
        "grep admin /etc/passwd /etc/shadow | sha256sum; ls -l /etc/passwd /etc/shadow",
    );
}

#[test]
fn the_account_that_we_log_in_with_is_locked() {
    // sshd refuses a locked account only where PAM does not decide about accounts.
    let site = Site::of(1);
    site.inside("echo 'UsePAM no' >/etc/ssh/sshd_config.d/00-site.conf; usermod -p '$6$x$y' admin; systemctl restart ssh");
    let playbook = site.playbook(&["account: {name: admin, locked: true}"]);
    let look = "cat /etc/passwd /etc/shadow | sha256sum; ls -l /etc/passwd /etc/shadow";
    let before = site.inside(look);
    let ran = site.treat("apply", &playbook, &["--confirm", "6s"]);
    assert_eq!(ran.code, 1, "{ran}");
    assert_eq!(ran.host(0)["confirm"], "undone", "{ran}");
    assert_eq!(site.inside(look), before);
}

#[test]
fn the_controller_is_killed_in_the_middle() {
    let site = Site::of(1);
    let playbook = site.playbook(&[
        "file: {path: /etc/motd, content: \"killed\\n\"}",
        "command: {check: test -e /etc/slow, expected: slow, fix: \"sleep 2; echo x >/etc/slow\", undo: rm -f /etc/slow}",
    ]);
    let before = site.inside("cat /etc/motd; ls /etc/slow 2>&1");
    let inventory = site.inventory();
    let mut child = site
        .command(&[
            "apply",
            playbook.to_str().expect("a path of ours is text"),
            "-i",
            inventory.to_str().expect("a path of the lab is text"),
            "--confirm",
            "6s",
            "--quiet",
        ])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("the program can be run");
    let until = Instant::now() + Duration::from_secs(30);
    while site.inside("cat /etc/motd") != "killed" {
        assert!(Instant::now() < until, "the change is never begun");
    }
    child.kill().expect("the controller can be killed");
    child.wait().expect("it has ended");
    let until = Instant::now() + Duration::from_secs(90);
    while site.inside("cat /etc/motd; ls /etc/slow 2>&1") != before {
        assert!(Instant::now() < until, "the host does not undo it");
        std::thread::sleep(Duration::from_millis(300));
    }
    // The next run is not in the way of the dead one.
    let check = site.treat("check", &playbook, &[]);
    assert_eq!(check.status("t.r0"), "fail", "{check}");
}

#[test]
fn a_harmless_change_is_kept() {
    let site = Site::of(2);
    let playbook = site.playbook(&["file: {path: /etc/motd, content: \"kept\\n\"}"]);
    let ran = site.treat("apply", &playbook, &["--waves", "1,100%"]);
    assert_eq!(ran.code, 0, "{ran}");
    for index in 0..2 {
        assert_eq!(ran.host(index)["confirm"], "kept", "{ran}");
    }
    assert_eq!(site.inside("cat /etc/motd"), "kept");
}
