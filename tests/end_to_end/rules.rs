//! A host that is broken in many places at once: the rules see each of them, say what is so, and
//! `apply` mends what can be mended.

use super::site::{Ran, Site};

/// What becomes of a failure.
#[derive(Clone, Copy, PartialEq)]
enum After {
    /// `apply` brings it about.
    Mended,
    /// A person has to, and the finding says what.
    Told,
}
use After::{Mended, Told};

/// Rule, how root breaks it, what `actual` must say then, and what becomes of it.
const CASES: &[(&str, &str, &str, After)] = &[
    (
        "ssh.root",
        "sed -i '1iPermitRootLogin no' /etc/ssh/sshd_config
         printf 'Match Address 192.0.2.0/24\\n  PermitRootLogin yes\\n' >>/etc/ssh/sshd_config",
        "no, but yes in a Match block (/etc/ssh/sshd_config:",
        Told,
    ),
    (
        "ssh.emptypw",
        "echo 'PermitEmptyPasswords yes' >/etc/ssh/sshd_config.d/90-site.conf",
        "yes",
        Mended,
    ),
    (
        "ssh.ciphers",
        "echo 'Ciphers +aes128-cbc' >>/etc/ssh/sshd_config.d/90-site.conf",
        "with aes128-cbc",
        Mended,
    ),
    (
        "ssh.perm.pubkey",
        "chmod 0666 /etc/ssh/ssh_host_ed25519_key.pub",
        "ssh_host_ed25519_key.pub root:root 0666",
        Mended,
    ),
    (
        "sysctl.kernel.kptr_restrict",
        "echo 2 >/proc/sys/kernel/kptr_restrict
         echo kernel.kptr_restrict=2 >/etc/sysctl.d/10-site.conf
         echo kernel.kptr_restrict=1 >/etc/sysctl.d/zzz-late.conf",
        "2 now; /etc/sysctl.d/zzz-late.conf line 1 sets 1",
        Told,
    ),
    (
        "sysctl.net.ipv4.ip_forward",
        "echo 1 >/proc/sys/net/ipv4/ip_forward",
        "1 now; no file sets it",
        Mended,
    ),
    (
        "sudo.nopasswd",
        "echo 'deploy ALL=(ALL) NOPASSWD: /usr/bin/id' >/etc/sudoers.d/50-site
         chmod 0440 /etc/sudoers.d/50-site",
        "/etc/sudoers.d/50-site:1",
        Mended,
    ),
    (
        "sudo.noauth",
        "echo 'Defaults:deploy !authenticate' >/etc/sudoers.d/51-site
         chmod 0440 /etc/sudoers.d/51-site",
        "/etc/sudoers.d/51-site:1",
        Mended,
    ),
    (
        "usr.dupuid",
        "echo 'twin:x:1001:1001::/nonexistent:/usr/sbin/nologin' >>/etc/passwd
         echo 'twin:!:19000::::::' >>/etc/shadow",
        "1001: deploy, twin",
        Told,
    ),
    (
        "acc.uid0",
        "echo 'toor:x:0:1001::/root:/usr/sbin/nologin' >>/etc/passwd
         echo 'toor:!:19000::::::' >>/etc/shadow",
        "toor",
        Told,
    ),
    (
        "usr.emptypw",
        "echo 'open:x:1003:1001::/nonexistent:/usr/sbin/nologin' >>/etc/passwd
         echo 'open::19000::::::' >>/etc/shadow",
        "open",
        Mended,
    ),
    (
        "usr.groups",
        "echo 'lost:x:1004:4711::/nonexistent:/usr/sbin/nologin' >>/etc/passwd
         echo 'lost:!:19000::::::' >>/etc/shadow",
        "lost",
        Told,
    ),
    ("usr.dupgroup", "echo 'users:x:4712:' >>/etc/group", "users", Told),
    ("usr.shadowgrp", "sed -i 's/^\\(shadow:.*:\\)$/\\1deploy/' /etc/group", "deploy", Told),
    ("usr.homes", "chmod 0777 /home/deploy", "deploy", Mended),
    ("usr.dotfiles", "echo + >/home/deploy/.rhosts", ".rhosts", Told),
    ("acc.sys.shell", "sed -i '/^games:/s,[^:]*$,/bin/sh,' /etc/passwd", "games", Mended),
    ("acc.shells", "echo /usr/sbin/nologin >>/etc/shells", "/usr/sbin/nologin", Mended),
    (
        "acc.hash",
        "sed -i 's/^ENCRYPT_METHOD.*/ENCRYPT_METHOD MD5/' /etc/login.defs",
        "MD5 (/etc/login.defs:",
        Mended,
    ),
    ("acc.umask", "echo 'umask 000' >/etc/profile.d/site.sh", "/etc/profile.d/site.sh:1: umask 000", Mended),
    ("acc.tmout", "echo 'export TMOUT=86400' >>/etc/profile.d/site.sh", "TMOUT=86400", Mended),
    ("core.limits", "echo '* hard core unlimited' >/etc/security/limits.d/site.conf", "unlimited", Mended),
    ("file.shadow", "chmod 0644 /etc/shadow", "/etc/shadow root:shadow 0644", Mended),
    ("file.worldwritable", "echo >/opt/loose; chmod 0666 /opt/loose", "/opt/loose", Mended),
    ("file.suid", "cp /usr/bin/id /opt/id; chmod 4755 /opt/id", "/opt/id", Told),
    ("file.unowned", "echo >/opt/orphan; chown 4713 /opt/orphan", "/opt/orphan", Told),
    ("cron.d", "chmod 0777 /etc/cron.d", "/etc/cron.d root:root 0777", Mended),
    ("log.perm", "echo >/var/log/site.log; chmod 0666 /var/log/site.log", "/var/log/site.log root:root 0666", Mended),
    (
        "log.jd.storage",
        "mkdir -p /etc/systemd/journald.conf.d
         printf '[Journal]\\nStorage=volatile\\n' >/etc/systemd/journald.conf.d/zzz-late.conf",
        "volatile (/etc/systemd/journald.conf.d/zzz-late.conf:2)",
        Mended,
    ),
    (
        "fs.mnt.dev_shm.nosuid",
        "mount -o remount,bind,suid,nodev tmpfs /dev/shm",
        "without nosuid",
        Mended,
    ),
    (
        "svc.mta.local",
        "systemd-run -q --unit site-mail systemd-socket-activate -l 0.0.0.0:25 /bin/sleep 60
         for _ in 1 2 3 4 5 6 7 8 9 10; do ss -ltn | grep -q ':25 ' && break; sleep 0.2; done",
        "25",
        Told,
    ),
    ("cli.telnet", "package telnet", "telnet", Mended),
    (
        "svc.web",
        "mkdir -p /tmp/p/usr/lib/systemd/system
         printf '[Service]\\nExecStart=/bin/sleep infinity\\n[Install]\\nWantedBy=multi-user.target\\n' \
            >/tmp/p/usr/lib/systemd/system/nginx.service
         package nginx
         systemctl daemon-reload; systemctl -q enable --now nginx.service",
        "nginx.service: enabled, active",
        Mended,
    ),
];

/// `package NAME` makes and installs a package of that name out of /tmp/p.
const PACKAGE: &str = r"
package() {
    mkdir -p /tmp/p/DEBIAN
    printf 'Package: %s\nVersion: 1\nArchitecture: all\nMaintainer: t <t@example.org>\nDescription: t\n' \
        $1 >/tmp/p/DEBIAN/control
    dpkg-deb -b /tmp/p /tmp/p.deb >/dev/null && dpkg -i /tmp/p.deb >/dev/null
    rm -rf /tmp/p /tmp/p.deb
}
";

fn break_all(site: &Site) {
    for (rule, how, _, _) in CASES {
        let said = site.inside(&format!("{PACKAGE}\nset -e\n{how}\necho broken"));
        assert!(
            said.ends_with("broken"),
            "{rule} could not be broken: {said}"
        );
    }
}

fn said(ran: &Ran, rule: &str, field: &str) -> String {
    ran.finding(rule)[field].as_str().unwrap_or_default().into()
}

#[test]
fn what_is_broken_by_hand_is_seen_and_mended_or_told() {
    let site = Site::of(1);
    let playbook = std::path::Path::new("playbooks/level-2.yaml");
    break_all(&site);
    let check = site.treat("check", playbook, &[]);
    assert_eq!(check.with_status("unknown"), Vec::<String>::new());
    let mut wrong = Vec::new();
    for (rule, _, fragment, _) in CASES {
        let (status, actual) = (check.status(rule), said(&check, rule, "actual"));
        if status != "fail" || !actual.contains(fragment) {
            wrong.push(format!("{rule}: {status}, {actual}; want: {fragment}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));

    let applied = site.treat("apply", playbook, &[]);
    assert_eq!(applied.host(0)["confirm"], "kept", "{applied}");
    for (rule, _, _, after) in CASES {
        let (status, reason) = (applied.status(rule), said(&applied, rule, "reason"));
        let right = match after {
            Mended => status == "changed",
            Told => status == "fail" && !reason.is_empty(),
        };
        if !right {
            wrong.push(format!(
                "{rule}: {status}, {reason}, {}",
                said(&applied, rule, "actual")
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));

    // And all of it comes back as it was broken.
    let back = site.rollback(applied.run_id(), &[]);
    let last = site.treat("check", playbook, &[]);
    assert_eq!(back.code, 0, "{back}");
    for (rule, ..) in CASES {
        let (was, is) = (check.finding(rule), last.finding(rule));
        if was["status"] != is["status"] || was["actual"] != is["actual"] {
            wrong.push(format!(
                "{rule}: {} {}, was {}",
                is["status"], is["actual"], was["actual"]
            ));
        }
    }
    assert!(wrong.is_empty(), "{}\n{back}", wrong.join("\n"));
}
