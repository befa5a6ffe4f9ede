//! Whether a host must be rebooted. Pure.

use crate::model::patch::{ChangeKind, PatchSnapshot, RebootNeed, Upgrade};

/// What only a reboot brings into use, beside kernels: what every process has mapped, what cannot
/// be restarted, and what the kernel loads at boot.
const CORE: [(&str, &str); 14] = [
    ("libc6", "the C library"),
    ("glibc", "the C library"),
    ("systemd", "the init system"),
    ("systemd-sysv", "the init system"),
    ("dbus", "the message bus"),
    ("dbus-daemon", "the message bus"),
    ("dbus-broker", "the message bus"),
    ("udev", "the device manager"),
    ("systemd-udev", "the device manager"),
    ("intel-microcode", "microcode"),
    ("amd64-microcode", "microcode"),
    ("microcode_ctl", "microcode"),
    ("linux-firmware", "firmware"),
    ("amd-ucode-firmware", "microcode"),
];

/// Whether a package is a kernel.
pub fn is_kernel(name: &str) -> bool {
    let debian = name.starts_with("linux-image-") && !name.ends_with("-dbg");
    let red_hat = ["kernel", "kernel-core", "kernel-rt", "kernel-rt-core"].contains(&name)
        || [
            "kernel-uek",
            "kernel-uek-core",
            "kernel-64k-core",
            "kernel-lt",
            "kernel-ml",
        ]
        .contains(&name);
    debian || red_hat
}

/// Whether one is due, or will be.
pub fn reboot(snapshot: &PatchSnapshot, upgrades: &[Upgrade]) -> RebootNeed {
    if !snapshot.reboot_due.is_empty() {
        let reasons = snapshot.reboot_due.clone();
        return RebootNeed::Now { reasons };
    }
    let comes = upgrades.iter().filter(|u| u.kind != ChangeKind::Remove);
    let reasons: Vec<String> = comes
        .filter_map(|upgrade| {
            let what = match is_kernel(&upgrade.name) {
                true => "a kernel",
                false => CORE.iter().find(|(name, _)| *name == upgrade.name)?.1,
            };
            Some(format!("{} {}: {what}", upgrade.name, upgrade.to))
        })
        .collect();
    match snapshot.unseen.get("reboot") {
        _ if !reasons.is_empty() => RebootNeed::After { reasons },
        Some(why) => RebootNeed::Unknown { why: why.clone() },
        None => RebootNeed::No,
    }
}
