//! Ways to a host: through another one, with a sudo password.

use std::path::PathBuf;

use super::site::{Ran, Site};

/// `check` of one harmless rule with an inventory of our own making.
fn check(site: &Site, name: &str, inventory: &str) -> Ran {
    let playbook = site.playbook(&["sysctl: {key: net.ipv4.ip_forward, value: \"0\"}"]);
    let path: PathBuf = site.dir.path().join(name);
    std::fs::write(&path, inventory).expect("an inventory is written");
    site.run(&[
        "check",
        playbook.to_str().expect("a path of ours is text"),
        "-i",
        path.to_str().expect("a path of ours is text"),
        "--json",
    ])
}

fn keys(site: &Site) -> (String, String) {
    (
        site.lab.identity().display().to_string(),
        site.lab.known_hosts().display().to_string(),
    )
}

#[test]
fn through_a_jump_host() {
    let site = Site::of(2);
    let hosts = site.lab.hosts();
    let (identity, known_hosts) = keys(&site);
    // The target takes connections from the jump host alone.
    site.lab
        .exec(
            &hosts[1].name,
            &[
                "nft",
                &format!(
                    "add table inet t; add chain inet t i {{ type filter hook input priority 0; }}; \
                     add rule inet t i tcp dport 22 ip saddr != {} drop",
                    hosts[0].address
                ),
            ],
        )
        .expect("the host can be looked into");
    let inventory = format!(
        "inventory: t\ndefaults: {{user: admin, identity: {identity}, known_hosts: {known_hosts}, sudo: true}}\n\
         hosts:\n  target: {{address: {}, jump: [admin@{}]}}\n",
        hosts[1].address, hosts[0].address
    );
    let ran = check(&site, "jump.yaml", &inventory);
    assert_eq!(ran.host(0)["outcome"], "findings", "{ran}");
    let jumps = ran.host(0)["connection"]["jumps"].to_string();
    assert!(jumps.contains(&hosts[0].address), "{ran}");
}

#[test]
fn a_sudo_password_that_nobody_can_be_asked_for_is_said_plainly() {
    let site = Site::of(1);
    let (identity, known_hosts) = keys(&site);
    let inventory = format!(
        "inventory: t\ndefaults: {{user: deploy, identity: {identity}, known_hosts: {known_hosts}, sudo: password}}\n\
         hosts:\n  target: {{address: {}}}\n",
        site.lab.hosts()[0].address
    );
    let ran = check(&site, "password.yaml", &inventory);
    assert_eq!(ran.code, 3, "{ran}");
    assert_eq!(ran.host(0)["unreachable"]["phase"], "sudo", "{ran}");
}
