//! Where this machine gets its Debian packages from, so that a lab's base comes from the same
//! place, through the same proxy.

/// The keys that Debian signs with, as its keyring package installs them.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// The lines of a `sources.list` for `suite`, from the texts of this machine's own source files.
/// None for a machine without Debian sources (an Ubuntu one): then mmdebstrap knows a mirror.
pub(super) fn sources(texts: &[String], suite: &str, has_keyring: bool) -> Vec<String> {
    let entries: Vec<Entry> = texts.iter().flat_map(|t| parse(t)).collect();
    let of = |folder: &str| {
        entries
            .iter()
            .find(|e| e.uri.trim_end_matches('/').ends_with(folder) && e.main)
            .map(|e| e.uri.as_str())
    };
    let Some(archive) = of("/debian") else {
        return Vec::new();
    };
    // A mirror of one's own may hold no security archive: then there is none to use.
    let security = of("/debian-security");
    let options = match has_keyring {
        true => format!("[signed-by={KEYRING}] "),
        false => String::new(),
    };
    let mut lines = vec![
        format!("deb {options}{archive} {suite} main"),
        format!("deb {options}{archive} {suite}-updates main"),
    ];
    if let Some(security) = security {
        lines.push(format!("deb {options}{security} {suite}-security main"));
    }
    lines
}

/// Those of apt's settings that say how to get at a mirror, from the text of `apt-config dump`.
pub(super) fn settings(dump: &str) -> Vec<String> {
    let wanted = [
        "Acquire::http::Proxy",
        "Acquire::https::Proxy",
        "Acquire::Check-Valid-Until",
        "Acquire::Check-Date",
        "Acquire::Retries",
    ];
    dump.lines()
        .filter(|line| {
            wanted.iter().any(|name| {
                line.strip_prefix(name)
                    .is_some_and(|rest| rest.starts_with(' ') || rest.starts_with("::"))
            })
        })
        .map(|line| line.trim_end_matches(';').to_owned())
        .collect()
}

pub(super) fn keyring_exists() -> bool {
    std::path::Path::new(KEYRING).exists()
}

struct Entry {
    uri: String,
    main: bool,
}

/// Both of apt's formats: one line for each source, or paragraphs of fields.
fn parse(text: &str) -> Vec<Entry> {
    let mut entries = Vec::new();
    let (mut uris, mut binary, mut main) = (Vec::new(), false, false);
    for line in text.lines().chain([""]) {
        if line.starts_with('#') {
            continue;
        }
        if line.trim().is_empty() {
            if binary {
                entries.extend(uris.drain(..).map(|uri| Entry { uri, main }));
            }
            (uris, binary, main) = (Vec::new(), false, false);
        } else if let Some(rest) = line.strip_prefix("deb ") {
            entries.extend(one_line(rest));
        } else if let Some((field, value)) = line.split_once(':') {
            let mut words = value.split_whitespace();
            match field.to_ascii_lowercase().as_str() {
                "uris" => uris = words.map(str::to_owned).collect(),
                "types" => binary = words.any(|w| w == "deb"),
                "components" => main = words.any(|w| w == "main"),
                _ => {}
            }
        }
    }
    entries
}

fn one_line(rest: &str) -> Option<Entry> {
    let rest = rest.trim_start();
    let rest = match rest.strip_prefix('[') {
        Some(options) => options.split_once(']')?.1,
        None => rest,
    };
    let mut words = rest.split_whitespace();
    let uri = words.next()?.to_owned();
    let main = words.skip(1).any(|w| w == "main");
    Some(Entry { uri, main })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_mirror_from_either_format() {
        let fields = "Types: deb\n# a note\nURIs: http://mirror.example/debian\nSuites: trixie\n\
            Components: main\n\nTypes: deb\nURIs: http://mirror.example/debian-security/\n\
            Suites: trixie-security\nComponents: main contrib\n";
        let lines = "# old\ndeb [arch=amd64] http://mirror.example/debian trixie main\n\
            deb http://mirror.example/debian-security/ trixie-security main\n";
        let expected = [
            "deb http://mirror.example/debian bookworm main",
            "deb http://mirror.example/debian bookworm-updates main",
            "deb http://mirror.example/debian-security/ bookworm-security main",
        ];
        for text in [fields, lines] {
            assert_eq!(sources(&[text.to_owned()], "bookworm", false), expected);
        }
    }

    #[test]
    fn other_archives_are_not_taken_for_debian() {
        let text = "deb http://mirror.example/ubuntu noble main universe\n\
            deb-src http://mirror.example/debian bookworm main\n\
            deb https://packages.example/apt stable main\n";
        assert!(sources(&[text.to_owned()], "bookworm", true).is_empty());
    }

    #[test]
    fn keeps_the_proxy_and_nothing_that_is_not_about_the_way() {
        let dump = "APT::Architecture \"amd64\";\nAcquire::http::Proxy \"http://proxy:3128\";\n\
            Acquire::http::Proxy::mirror.example \"DIRECT\";\nAcquire::http::ProxyAutoDetect \"x\";\n\
            Acquire::Check-Date \"false\";\nDPkg::Post-Invoke:: \"true\";\n";
        assert_eq!(
            settings(dump),
            [
                "Acquire::http::Proxy \"http://proxy:3128\"",
                "Acquire::http::Proxy::mirror.example \"DIRECT\"",
                "Acquire::Check-Date \"false\"",
            ]
        );
    }
}
