//! Whether a host must be rebooted. Pure.

use crate::model::patch::{ChangeKind, Manager, PatchSnapshot, RebootNeed, Upgrade};

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

/// Whether a package is a kernel, or what one cannot run without.
pub fn is_part_of_kernel(name: &str) -> bool {
    is_kernel(name)
        || name.starts_with("linux-modules-")
        || name.starts_with("kernel-") && name.contains("-modules")
        || name.starts_with("kernel-modules")
}

/// Whether a way back leaves the package where it is: a new kernel may be the one that runs.
pub fn stays_on_the_way_back(upgrade: &Upgrade) -> bool {
    upgrade.kind == ChangeKind::New && is_part_of_kernel(&upgrade.name)
}

/// What only a reboot brings into use wholly, in words.
fn core(name: &str) -> Option<&'static str> {
    match is_kernel(name) {
        true => Some("a kernel"),
        false => CORE.iter().find(|(core, _)| *core == name).map(|c| c.1),
    }
}

/// Whether only a reboot brings the package into use wholly.
pub fn asks_for_reboot(name: &str) -> bool {
    core(name).is_some()
}

/// Whether the system itself says, once the package is upgraded, that a reboot is due: only that
/// is foretold.
fn is_told(snapshot: &PatchSnapshot, name: &str) -> bool {
    let bus = name.starts_with("dbus");
    // What Ubuntu's packages write down, and what `needs-restarting` goes by.
    let all = snapshot.os.id == "ubuntu" || snapshot.manager == Manager::Dnf;
    is_kernel(name) || bus || all
}

/// Those that a host may be rebooted for, and that nothing on it asks for one after.
pub fn may_ask_for_reboot<'u>(snapshot: &PatchSnapshot, upgrades: &'u [Upgrade]) -> Vec<&'u str> {
    upgrades
        .iter()
        .filter(|u| u.kind != ChangeKind::Remove)
        .map(|u| u.name.as_str())
        .filter(|name| asks_for_reboot(name) && !is_told(snapshot, name))
        .collect()
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
            let what = core(&upgrade.name).filter(|_| is_told(snapshot, &upgrade.name))?;
            Some(format!("{} {}: {what}", upgrade.name, upgrade.to))
        })
        .collect();
    match snapshot.unseen.get("reboot") {
        _ if !reasons.is_empty() => RebootNeed::After { reasons },
        Some(why) => RebootNeed::Unknown { why: why.clone() },
        None => RebootNeed::No,
    }
}
