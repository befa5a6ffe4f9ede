//! What a host's packages and system are called in advisories. Pure.

use super::version::Rules;
use crate::model::patch::{Installed, OsRelease, PatchSnapshot, Upgrade};

/// A package as advisories name it.
pub struct Named {
    pub package: String,
    pub from: String,
    /// Empty, where no upgrade is meant.
    pub to: String,
}

/// The key of a system: `debian:12`. `None`: nothing that advisories could be about.
pub fn system_of(os: &OsRelease) -> Option<String> {
    let major = os.version.split('.').next().unwrap_or_default();
    let version = match os.id.as_str() {
        "debian" if major.is_empty() => debian_number(&os.codename)?,
        "ubuntu" => &os.version,
        "debian" | "almalinux" | "rocky" | "rhel" => major,
        _ => return None,
    };
    (!version.is_empty()).then(|| format!("{}:{version}", os.id))
}

/// Debian's number for a release's name.
pub fn debian_number(codename: &str) -> Option<&'static str> {
    Some(match codename {
        "stretch" => "9",
        "buster" => "10",
        "bullseye" => "11",
        "bookworm" => "12",
        "trixie" => "13",
        "forky" => "14",
        "duke" => "15",
        _ => return None,
    })
}

/// The installed packages whose code can run. Not: kernels that are not the running one, where that
/// one is known, and what only comes along with a kernel (headers, documents).
pub fn running(snapshot: &PatchSnapshot) -> impl Iterator<Item = &Installed> {
    let kernel = snapshot.kernel.running.as_str();
    let is_running = move |package: &&Installed| is_running_kernel(package, kernel);
    let known = !kernel.is_empty() && snapshot.installed.iter().any(|p| is_running(&p));
    snapshot.installed.iter().filter(move |package| {
        let other_kernel = known && is_versioned_kernel(package) && !is_running(package);
        !other_kernel && !is_kernel_text(package)
    })
}

/// Whether it is one kernel, rather than a package that stands for the newest one.
fn is_versioned_kernel(package: &Installed) -> bool {
    let debian = package
        .name
        .strip_prefix("linux-image-")
        .is_some_and(|rest| {
            let rest = rest.trim_start_matches("unsigned-");
            rest.starts_with(|c: char| c.is_ascii_digit())
        });
    debian
        || matches!(
            package.name.as_str(),
            "kernel" | "kernel-core" | "kernel-modules"
        )
}

fn is_running_kernel(package: &Installed, running: &str) -> bool {
    match package.name.strip_prefix("linux-image-") {
        Some(rest) => rest.trim_start_matches("unsigned-") == running,
        None => {
            let bare = package.version.rsplit(':').next().unwrap_or_default();
            is_versioned_kernel(package) && !bare.is_empty() && running.starts_with(bare)
        }
    }
}

fn is_kernel_text(package: &Installed) -> bool {
    const TEXTS: [&str; 8] = [
        "linux-libc-dev",
        "linux-headers-",
        "linux-kbuild-",
        "linux-compiler-",
        "linux-config-",
        "linux-doc",
        "linux-source",
        "linux-support-",
    ];
    TEXTS.iter().any(|text| package.name.starts_with(text))
}

/// An installed package, by its source with Debian.
pub fn of_installed(installed: &Installed, rules: Rules) -> Named {
    let (package, from) = match rules {
        Rules::Rpm => (&installed.name, &installed.version),
        Rules::Debian => source_of(installed),
    };
    Named {
        package: unsigned(package).to_owned(),
        from: from.clone(),
        to: String::new(),
    }
}

fn source_of(installed: &Installed) -> (&String, &String) {
    // Signed kernels are packages of their own, made from the kernel's: they bear its version.
    let is_signed = unsigned(&installed.source) != installed.source;
    match (
        installed.source.is_empty(),
        installed.source_version.is_empty(),
    ) {
        (true, _) => (&installed.name, &installed.version),
        (false, true) => (&installed.source, &installed.version),
        (false, false) if is_signed => (&installed.source, &installed.version),
        (false, false) => (&installed.source, &installed.source_version),
    }
}

fn unsigned(source: &str) -> &str {
    match source.starts_with("linux-signed-") {
        true => "linux",
        false => source,
    }
}

/// What an upgrade goes from and to. `None`: its source's new version cannot be told.
pub fn of_upgrade(upgrade: &Upgrade, snapshot: &PatchSnapshot, rules: Rules) -> Option<Named> {
    let installed = snapshot
        .installed
        .iter()
        .find(|p| p.name == upgrade.name && p.arch == upgrade.arch)?;
    let named = of_installed(installed, rules);
    let to = match rules {
        Rules::Rpm => upgrade.to.clone(),
        // The offer bears the binary's version: it is the source's, too, if it was so before.
        Rules::Debian => {
            let own = [named.from.as_str(), rebuilt(&named.from)];
            if !own.contains(&rebuilt(&installed.version)) {
                return None;
            }
            rebuilt(&upgrade.to).to_owned()
        }
    };
    Some(Named { to, ..named })
}

/// A version without the mark of having been built once more (`+b2`).
fn rebuilt(version: &str) -> &str {
    match version.rsplit_once("+b") {
        Some((before, count)) if !count.is_empty() && count.bytes().all(|b| b.is_ascii_digit()) => {
            before
        }
        _ => version,
    }
}
