//! Check, apply, check, apply, rollback with the shipped baselines.

use std::path::Path;

use super::site::Site;

#[test]
fn check_writes_nothing_on_the_host() {
    let site = Site::of(1);
    let playbook = Path::new("playbooks/new-host.yaml");
    // One log-in first: what a log-in writes is not what we ask about.
    site.treat("check", playbook, &[]);
    let before = site.upper();
    let ran = site.treat("check", playbook, &["--level", "2"]);
    assert_eq!(ran.code, 1, "{ran}");
    assert_eq!(site.upper(), before);
}

/// Check, apply, apply, rollback, check: what is left says why, the second apply does nothing, and
/// the host is as it was.
fn full_circle(site: &Site, playbook: &Path, more: &[&str]) {
    let first = site.treat("check", playbook, more);
    assert_eq!(first.code, 1, "{first}");
    assert!(first.with_status("fail").len() > 50, "{first}");
    assert_eq!(first.with_status("unknown"), Vec::<String>::new());

    let applied = site.treat("apply", playbook, more);
    assert_eq!(applied.host(0)["confirm"], "kept", "{applied}");
    assert!(applied.with_status("changed").len() > 50, "{applied}");
    assert_eq!(applied.with_status("unknown"), Vec::<String>::new());
    for change in applied.json["changes"].as_array().into_iter().flatten() {
        assert_eq!(change["outcome"], "done", "{change:#}");
    }
    // What is left cannot be brought about, and says why.
    for finding in applied.json["findings"].as_array().into_iter().flatten() {
        if finding["status"] == "fail" {
            assert!(finding["reason"].is_string(), "{finding:#}");
            assert_eq!(finding["fixable"], false, "{finding:#}");
        }
    }

    // A second time there is nothing to do, and nothing is written.
    let before = site.upper();
    let again = site.treat("apply", playbook, more);
    assert_eq!(
        again.json["changes"].as_array().map(Vec::len),
        Some(0),
        "{again}"
    );
    assert_eq!(again.with_status("changed"), Vec::<String>::new());
    assert_eq!(site.upper(), before);

    let back = site.rollback(applied.run_id(), &[]);
    assert_eq!(back.code, 0, "{back}");
    let notes = back.host(0)["notes"].to_string();
    assert!(notes.contains("as it was before the run"), "{notes}");
    let last = site.treat("check", playbook, more);
    assert_eq!(last.with_status("fail"), first.with_status("fail"));
}

#[test]
fn a_bare_host_becomes_a_hardened_one_and_can_be_brought_back() {
    full_circle(&Site::of(1), Path::new("playbooks/new-host.yaml"), &[]);
}

#[test]
fn level_2_can_be_brought_back_with_either_keeper_of_the_logs() {
    let site = Site::of(1);
    let playbook = Path::new("playbooks/level-2.yaml");
    full_circle(&site, playbook, &[]);
    full_circle(&site, playbook, &["--set", "log_route=rsyslog"]);
}

/// The opt-in rules that a rollback takes back. Not among them: kernel.modules_disabled and
/// kernel.kexec_load_disabled, which only a reboot does.
const OPT_IN: &[&str] = &[
    "fs.mnt.proc.hidepid",
    "ssh.x.kbdint",
    "ssh.x.password",
    "ssh.x.persource",
    "svc.listening",
    "sysctl.kernel.io_uring_disabled",
    "sysctl.kernel.panic_on_oops",
    "sysctl.net.ipv4.conf.all.drop_gratuitous_arp",
    "sysctl.net.ipv6.conf.all.router_solicitations",
    "sysctl.net.ipv6.conf.default.accept_ra_defrtr",
    "sysctl.net.ipv6.conf.default.accept_ra_pinfo",
    "sysctl.net.ipv6.conf.default.accept_ra_rtr_pref",
    "sysctl.net.ipv6.conf.default.autoconf",
    "sysctl.net.ipv6.conf.default.max_addresses",
    "sysctl.net.ipv6.conf.default.router_solicitations",
    "sysctl.optin.userns",
];

#[test]
fn opt_in_rules_and_other_choices_can_be_brought_back() {
    let site = Site::of(1);
    let root = env!("CARGO_MANIFEST_DIR");
    let text = format!(
        "playbook: t\ntitle: t\nhosts: [all]\nlevel: 2\n\
         baselines: ['{root}/baselines/debian-12.yaml', '{root}/baselines/ssh.yaml']\n\
         variables:\n  sudo_nopasswd_accounts: [admin]\n  ssh_allow_groups: [sudo, admin]\n  \
         su_group: wheelers\n  banner_text: Keep out.\n  umask: '077'\n  tmout: 600\n  \
         serves_web: true\n  ssh_jump_host: true\nopt_in: [{}]\n",
        OPT_IN.join(", ")
    );
    let playbook = site.dir.path().join("choices.yaml");
    std::fs::write(&playbook, text).expect("a playbook is written");
    full_circle(&site, &playbook, &[]);
}

#[test]
fn one_rule_can_be_taken_back_alone_out_of_a_file_that_others_share() {
    let site = Site::of(1);
    let playbook = site.playbook(&[
        "sysctl: {key: net.ipv4.conf.all.log_martians, value: \"1\"}",
        "sysctl: {key: net.ipv4.conf.default.log_martians, value: \"1\"}",
        "file: {path: /etc/issue, mode: \"0600\"}",
    ]);
    let applied = site.treat("apply", &playbook, &[]);
    assert_eq!(applied.code, 0, "{applied}");
    let back = site.rollback(applied.run_id(), &["--rule", "t.r0"]);
    assert_eq!(back.code, 0, "{back}");
    let now = site.treat("check", &playbook, &[]);
    assert_eq!(now.status("t.r0"), "fail", "{now}");
    assert_eq!(now.status("t.r1"), "pass", "{now}");
    assert_eq!(now.status("t.r2"), "pass", "{now}");
}

#[test]
fn a_snapshot_that_was_kept_is_judged_without_its_host() {
    let site = Site::of(1);
    let playbook = Path::new("playbooks/new-host.yaml");
    let live = site.treat("check", playbook, &[]);
    let run = site.dir.path().join("state/runs").join(live.run_id());
    let snapshot = std::fs::read_dir(run)
        .expect("the run's folder can be listed")
        .flatten()
        .map(|e| e.path())
        .find(|p| p.to_string_lossy().contains("snapshot-"))
        .expect("the run kept a snapshot");
    let saved = site.run(&[
        "check",
        "playbooks/new-host.yaml",
        "--snapshot",
        snapshot.to_str().expect("a path of ours is text"),
        "--json",
    ]);
    assert_eq!(saved.code, 1, "{saved}");
    assert_eq!(saved.json["findings"], live.json["findings"]);
}

#[test]
fn the_journal_says_how_each_connection_was_made() {
    let site = Site::of(1);
    let live = site.treat(
        "check",
        Path::new("playbooks/new-host.yaml"),
        &["--level", "2"],
    );
    let facts = live.json["hosts"][0]["connection"].clone();
    assert!(facts["key_exchange"].is_string(), "{facts:#}");
    assert!(facts["post_quantum"].is_boolean(), "{facts:#}");
}
