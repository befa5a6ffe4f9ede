//! What `apt-cache policy` says: which archives there are, and which of them has which version.

use std::collections::BTreeMap;

/// What an archive says of itself in its Release file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Release {
    pub origin: String,
    pub label: String,
    pub suite: String,
    pub codename: String,
    pub version: String,
}

impl Release {
    /// As apt writes it beside a version: `Debian-Security:12/stable-security`.
    pub fn words(&self) -> String {
        let label = match self.label.as_str() {
            "" => String::new(),
            label => format!("{label}:"),
        };
        match (self.version.as_str(), self.suite.as_str()) {
            ("", suite) => format!("{label}{suite}"),
            (version, suite) => format!("{label}{version}/{suite}"),
        }
    }

    pub fn is_security(&self) -> bool {
        self.label == "Debian-Security"
            || self.suite.ends_with("-security")
            || self.codename.ends_with("-security")
            || self.origin.starts_with("UbuntuESM")
    }

    /// Whether it is the distribution's own.
    pub fn is_official(&self, os: &str) -> bool {
        matches!(
            self.origin.as_str(),
            "Debian" | "Ubuntu" | "Debian Backports"
        ) || self.origin.starts_with("UbuntuESM")
            || (!os.is_empty() && self.origin.eq_ignore_ascii_case(os))
    }
}

/// Archives by what stands behind their priority, e.g.
/// `http://deb.debian.org/debian bookworm/main amd64 Packages`; and pinned packages.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Archives {
    pub releases: BTreeMap<String, Release>,
    pub pinned: Vec<String>,
}

/// `apt-cache policy` without a name.
pub(super) fn archives(text: &str) -> Archives {
    let mut out = Archives::default();
    let mut current: Option<String> = None;
    let mut in_pins = false;
    for line in text.lines() {
        if let Some(heading) = line.strip_suffix(':').filter(|h| !h.starts_with(' ')) {
            in_pins = heading == "Pinned packages";
            continue;
        }
        if in_pins {
            if let Some((name, _)) = line.trim().split_once(" -> ") {
                out.pinned.push(name.to_owned());
            }
        } else if let Some(rest) = line.trim_start().strip_prefix("release ") {
            if let Some(key) = current.take() {
                out.releases.insert(key, release(rest));
            }
        } else if let Some(key) = source(line) {
            current = Some(key.to_owned());
        }
    }
    out
}

/// ` 500 http://deb.debian.org/debian bookworm/main amd64 Packages`: what stands behind the number.
fn source(line: &str) -> Option<&str> {
    let (priority, key) = line.trim().split_once(' ')?;
    priority.parse::<i64>().ok()?;
    Some(key.trim())
}

/// `v=12,o=Vendor, Inc.,a=main,…`: a value may hold a comma.
fn release(text: &str) -> Release {
    let mut out = Release::default();
    let mut field: Option<&mut String> = None;
    for part in text.split(',') {
        let starts = part.len() >= 2 && part.as_bytes().get(1) == Some(&b'=');
        if starts {
            let value = part.get(2..).unwrap_or_default();
            field = match part.as_bytes().first() {
                Some(b'v') => Some(&mut out.version),
                Some(b'o') => Some(&mut out.origin),
                Some(b'l') => Some(&mut out.label),
                Some(b'a') => Some(&mut out.suite),
                Some(b'n') => Some(&mut out.codename),
                _ => None,
            };
            if let Some(field) = &mut field {
                field.push_str(value);
            }
        } else if let Some(field) = &mut field {
            field.push(',');
            field.push_str(part);
        }
    }
    out
}

/// One version of a package.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Version {
    pub version: String,
    pub installed: bool,
    /// It is given out by and by, and this host has not its turn yet.
    pub phased: bool,
    /// The archives that have it; dpkg's own list is none of them.
    pub sources: Vec<String>,
}

/// Package → its versions, newest first: `apt-cache policy NAME…`.
pub(super) fn versions(text: &str) -> BTreeMap<String, Vec<Version>> {
    let mut out: BTreeMap<String, Vec<Version>> = BTreeMap::new();
    let mut package: Option<&mut Vec<Version>> = None;
    for line in text.lines() {
        if !line.starts_with(' ') {
            package = line
                .strip_suffix(':')
                .map(|name| out.entry(name.to_owned()).or_default());
            continue;
        }
        let Some(package) = &mut package else {
            continue;
        };
        // Indented by five (or marked), a version; by eight, one of its archives.
        let head = line
            .strip_prefix("     ")
            .filter(|l| !l.starts_with(' '))
            .map(|l| (false, l))
            .or_else(|| line.strip_prefix(" *** ").map(|l| (true, l)));
        if let Some((installed, rest)) = head {
            let Some(version) = rest.split(' ').next().filter(|v| !v.is_empty()) else {
                continue;
            };
            package.push(Version {
                version: version.to_owned(),
                installed,
                phased: rest.contains(" (phased "),
                sources: Vec::new(),
            });
        } else if line.starts_with("        ")
            && let Some(last) = package.last_mut()
            && let Some(key) = source(line)
            && key != "/var/lib/dpkg/status"
        {
            last.sources.push(key.to_owned());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Of a lab host (apt 2.6.1), one archive's name changed to hold a comma.
    pub(super) const POLICY: &str = "Package files:
 100 /var/lib/dpkg/status
     release a=now
 500 file:/srv/r/third ./ Packages
     release v=12,o=Vendor, Inc.,a=main,n=main,l=Vendor,c=
 500 copy:/srv/r/sec ./ Packages
     release v=12,o=Debian,a=stable-security,n=bookworm-security,l=Debian-Security,c=
 500 copy:/srv/r/repo ./ Packages
     release v=12,o=Debian,a=stable,n=bookworm,l=Debian,c=
Pinned packages:
     pinned -> 1.0-1 with priority 1001
";

    #[test]
    fn archives_say_who_they_are() {
        let all = archives(POLICY);
        assert_eq!(all.pinned, ["pinned"]);
        let security = &all.releases["copy:/srv/r/sec ./ Packages"];
        assert!(security.is_security() && security.is_official("debian"));
        assert_eq!(security.words(), "Debian-Security:12/stable-security");
        let vendor = &all.releases["file:/srv/r/third ./ Packages"];
        assert_eq!(vendor.origin, "Vendor, Inc.");
        assert!(!vendor.is_security() && !vendor.is_official("debian"));
        let ubuntu = release("v=22.04,o=Ubuntu,a=jammy-security,n=jammy,l=Ubuntu,c=main,b=amd64");
        assert!(ubuntu.is_security() && ubuntu.is_official("ubuntu"));
        let raspbian = release("o=Raspbian,a=stable,l=Raspbian");
        assert!(raspbian.is_official("raspbian") && !raspbian.is_official("debian"));
    }

    #[test]
    fn versions_say_who_has_them() {
        let all = versions(
            "phased:
  Installed: 1.0-1
  Candidate: 2.0-1
  Version table:
     2.0-1 500 (phased 0%)
        500 copy:/srv/r/repo ./ Packages
 *** 1.0-1 500
        500 copy:/srv/r/repo ./ Packages
        100 /var/lib/dpkg/status
libc6:i386:
  Installed: 1
  Candidate: 1
  Version table:
 *** 1 100
        100 /var/lib/dpkg/status",
        );
        let phased = &all["phased"];
        assert!(phased[0].phased && !phased[0].installed && phased[1].installed);
        assert_eq!(phased[1].sources, ["copy:/srv/r/repo ./ Packages"]);
        assert_eq!(all["libc6:i386"][0].sources.len(), 0);
    }

    proptest! {
        #[test]
        fn no_text_makes_them_panic(text in "(Package files:|release |[volan]=|,| \\*\\*\\* |     |1\\.0|500|:|\n|.){0,60}") {
            let _ = archives(&text);
            let _ = versions(&text);
        }
    }
}
