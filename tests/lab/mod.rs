//! The lab itself: hosts that are real enough, and of which nothing is left.
//!
//! Needs root and what `scripts/install-deps` installs. Without them these tests fail and say so.

pub mod fixture;
mod traces;

use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::Duration;

use seawall::lab::{Lab, LabError, Options};

use fixture::{good, name, seawall, take};
use traces::{Marks, traces};

#[test]
fn two_hosts_come_up_let_us_in_and_leave_nothing() {
    let hosts = take(2);
    for number in [0, 1] {
        assert_eq!(
            good(hosts.ssh(number, "admin", "hostname")),
            hosts.name(number)
        );
        assert_eq!(good(hosts.ssh(number, "admin", "sudo -n id -u")), "0");
        assert_eq!(good(hosts.exec(number, "cat /proc/1/comm")), "systemd");
        assert_eq!(
            good(hosts.exec(number, "cat /run/seawall-lab")),
            hosts.lab.name()
        );
    }
    let marks = Marks::of(&hosts.lab);
    let kinds: BTreeSet<String> = marks
        .traces()
        .iter()
        .filter_map(|t| t.split(' ').next().map(str::to_owned))
        .collect();
    let all = ["cgroup", "folder", "link", "mount", "process"];
    assert_eq!(
        kinds,
        BTreeSet::from(all.map(str::to_owned)),
        "up, all of it is seen"
    );
    drop(hosts);
    assert_eq!(marks.traces(), Vec::<String>::new());
}

#[test]
fn a_boot_ends_well_and_each_host_is_itself() {
    let hosts = take(2);
    let (first, second) = (hosts.lab.hosts()[0].clone(), hosts.lab.hosts()[1].clone());
    let running = "systemctl is-system-running --wait; systemctl --failed --no-legend >&2";
    assert_eq!(good(hosts.exec(0, running)), "running");
    let own = "cat /etc/machine-id /etc/ssh/ssh_host_ed25519_key.pub";
    assert_ne!(good(hosts.exec(0, own)), good(hosts.exec(1, own)));
    good(hosts.exec(0, "echo mine >/etc/mine && nft add table inet mine"));
    assert_eq!(
        good(hosts.exec(1, "ls /etc/mine 2>/dev/null; nft list tables; true")),
        ""
    );
    good(hosts.exec(0, &format!("ping -c 1 -W 5 {}", second.address)));
    good(hosts.exec(1, &format!("ping -c 1 -W 5 {}", first.address)));
    assert!(
        !hosts.exec(0, "ping -c 1 -W 1 192.0.2.1").status.success(),
        "no way out"
    );
}

#[test]
fn a_sysctl_reads_back_and_the_machine_stays_as_it_was() {
    let hosts = take(1);
    for (area, path) in [
        (
            "kernel.randomize_va_space",
            "/proc/sys/kernel/randomize_va_space",
        ),
        ("vm.swappiness", "/proc/sys/vm/swappiness"),
        ("fs.leases-enable", "/proc/sys/fs/leases-enable"),
    ] {
        let ours = std::fs::read_to_string(path)
            .expect("the machine has it")
            .trim()
            .to_owned();
        assert_eq!(good(hosts.exec(0, &format!("sysctl -n {area}"))), ours);
        let other = if ours == "1" { "0" } else { "1" };
        good(hosts.exec(0, &format!("sysctl -q -w {area}={other}")));
        assert_eq!(good(hosts.ssh(0, "admin", &format!("cat {path}"))), other);
        assert_eq!(
            std::fs::read_to_string(path)
                .expect("it is still there")
                .trim(),
            ours
        );
    }
    let redirects = "net.ipv4.conf.all.accept_redirects";
    good(hosts.exec(0, &format!("sysctl -q -w {redirects}=0")));
    assert_eq!(good(hosts.exec(0, &format!("sysctl -n {redirects}"))), "0");
    assert_eq!(
        good(hosts.exec(0, "sysctl -n kernel.hostname")),
        hosts.name(0)
    );
}

#[test]
fn a_reboot_keeps_the_files_and_forgets_the_rest() {
    let hosts = take(1);
    let boot = "cat /proc/sys/kernel/random/boot_id";
    let before = good(hosts.exec(0, boot));
    let swappiness = good(hosts.exec(0, "sysctl -n vm.swappiness"));
    good(hosts.exec(
        0,
        "echo kept >/etc/kept; sysctl -q -w vm.swappiness=3; nft add table inet t",
    ));
    hosts.ssh(0, "admin", "sudo reboot");
    let mut after = String::new();
    for _ in 0..600 {
        // Meanwhile the host has no first process to look into it from.
        if let Ok(output) = hosts.lab.exec(&hosts.name(0), &["sh", "-c", boot]) {
            after = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            if !after.is_empty() && after != before {
                break;
            }
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_ne!(after, before, "it has booted again");
    hosts.lab.wait(&hosts.name(0)).expect("it lets us in again");
    assert_eq!(good(hosts.ssh(0, "admin", "cat /etc/kept")), "kept");
    assert_eq!(good(hosts.exec(0, "sysctl -n vm.swappiness")), swappiness);
    assert_eq!(good(hosts.exec(0, "nft list tables")), "");
}

#[test]
fn what_a_host_changes_is_in_its_upper_folder() {
    let hosts = take(1);
    let upper = hosts.lab.upper(&hosts.name(0)).expect("the host is known");
    assert!(!upper.join("etc/changed").exists());
    good(hosts.ssh(0, "admin", "echo x | sudo tee /etc/changed"));
    assert_eq!(
        std::fs::read_to_string(upper.join("etc/changed"))
            .ok()
            .as_deref(),
        Some("x\n")
    );
}

#[test]
fn a_paused_host_goes_on_and_a_killed_one_does_not() {
    let hosts = take(1);
    let host = hosts.name(0);
    let status = || hosts.lab.status().remove(0);
    assert!(status().answers);
    hosts.lab.pause(&host).expect("it can be paused");
    assert!(!status().answers && status().process.is_some());
    hosts.lab.resume(&host).expect("it can go on");
    assert_eq!(good(hosts.ssh(0, "admin", "echo back")), "back");
    hosts.lab.kill(&host).expect("it can be killed");
    assert!(status().process.is_none());
    let error = hosts
        .lab
        .exec(&host, &["true"])
        .expect_err("nothing is left to look into");
    assert!(matches!(error, LabError::NotRunning { .. }), "{error}");
}

#[test]
fn sudo_with_a_password_is_there_to_be_tested() {
    let hosts = take(1);
    assert!(!hosts.ssh(0, "deploy", "sudo -n true").status.success());
    let asked = "echo seawall-lab | sudo -S -p '' id -u";
    assert_eq!(good(hosts.ssh(0, "deploy", asked)), "0");
}

#[test]
fn a_lab_that_was_killed_while_it_came_up_leaves_nothing_after_down() {
    // The base is there afterwards, so that the kills below hit the hosts' making.
    drop(take(1));
    for milliseconds in [1, 5, 10, 20, 40, 60, 80, 120, 200, 400] {
        let name = name();
        let mut up = seawall()
            .args(["lab", "up", "2", "--name", &name])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("seawall can be run");
        std::thread::sleep(Duration::from_millis(milliseconds));
        up.kill().expect("it can be killed");
        up.wait().expect("it ends");
        Lab::down(&name).expect("whatever there is can be taken down");
        assert_eq!(
            traces(&name),
            Vec::<String>::new(),
            "killed after {milliseconds} ms"
        );
    }
}

#[test]
fn a_name_is_taken_once_and_down_is_done_as_often_as_one_likes() {
    let hosts = take(1);
    let options = Options {
        name: hosts.lab.name().to_owned(),
        ..Options::default()
    };
    let error = Lab::up(1, &options).expect_err("the name is taken");
    assert!(matches!(error, LabError::Exists { .. }), "{error}");
    assert_eq!(good(hosts.ssh(0, "admin", "echo unharmed")), "unharmed");
    Lab::down(hosts.lab.name()).expect("it goes down");
    Lab::down(hosts.lab.name()).expect("it is down");
    let error = Lab::open(hosts.lab.name()).expect_err("it is gone");
    assert!(error.to_string().contains("there is no lab"), "{error}");
}

#[test]
fn the_inventory_is_one_that_seawall_reads() {
    let hosts = take(2);
    let out = seawall()
        .args(["lab", "inventory", "--name", hosts.lab.name()])
        .output()
        .expect("seawall can be run");
    let text = good(out);
    for host in hosts.lab.hosts() {
        assert!(text.contains(&format!("  {}:\n    address: {}", host.name, host.address)));
    }
    let exec = [
        "lab",
        "exec",
        "--name",
        hosts.lab.name(),
        &hosts.name(1),
        "--",
    ];
    let out = seawall()
        .args(exec)
        .args(["sh", "-c", "hostname; exit 7"])
        .output();
    let out = out.expect("seawall can be run");
    assert_eq!(out.status.code(), Some(7));
    assert_eq!(String::from_utf8_lossy(&out.stdout).trim(), hosts.name(1));
}

#[test]
fn a_lab_of_another_version_is_in_nobodys_way() {
    let other = name();
    let dir = std::path::Path::new("/run/seawall/lab").join(&other);
    std::fs::create_dir_all(&dir).expect("a state folder can be made");
    std::fs::write(dir.join("state.json"), "{\"version\": 99}").expect("it can be written");
    let hosts = take(1);
    assert_eq!(good(hosts.ssh(0, "admin", "echo up")), "up");
    let error = Lab::down(&other).expect_err("what it consists of is not known");
    assert!(matches!(error, LabError::State { .. }), "{error}");
    std::fs::remove_dir_all(&dir).expect("it can be removed");
}
