//! Which value a sysctl will have after the next boot: the last that wins among the files that
//! systemd-sysctl (or `sysctl --system`) and ufw read. Pure.
//!
//! The rules, as systemd has them: files are read in the order of their base names over all
//! directories; of two with one name, the one in the earlier directory hides the other; a link to
//! /dev/null hides too. A later line wins, but a key that is named wins over a pattern
//! (`net.ipv4.conf.*.rp_filter`) wherever that stands, and `-key` without a value takes a key out
//! of the patterns. systemd reads /etc/sysctl.conf only where a link such as
//! /etc/sysctl.d/99-sysctl.conf names it; without systemd, `sysctl --system` reads it last. An
//! enabled ufw then sets what its own file says, after all of them.

use super::glob;
use crate::host::probe::Queries;
use crate::host::probe::sysctls::path_of;
use crate::host::snapshot::{FileKind, Seen, Snapshot};

/// Earlier ones hide later ones.
const DIRECTORIES: &[&str] = &[
    "/etc/sysctl.d",
    "/run/sysctl.d",
    "/usr/local/lib/sysctl.d",
    "/usr/lib/sysctl.d",
    "/lib/sysctl.d",
];
const PROCPS: &str = "/etc/sysctl.conf";
const UFW_SWITCH: &str = "/etc/ufw/ufw.conf";
const UFW_DEFAULTS: &str = "/etc/default/ufw";
const UFW_SYSCTL: &str = "/etc/ufw/sysctl.conf";
/// The file that `apply` writes. Its name sorts behind all that is usual.
pub(super) const OURS: &str = "/etc/sysctl.d/zz-seawall.conf";

/// Asks for all of these files.
pub(super) fn ask(q: &mut Queries) {
    for directory in DIRECTORIES {
        q.texts(&format!("{directory}/*.conf"));
    }
    for path in [PROCPS, UFW_SWITCH, UFW_DEFAULTS, UFW_SYSCTL, OURS] {
        q.text(path);
    }
}

/// A file that sets values, in the order in which they are read.
#[derive(Debug)]
pub(super) struct Source<'a> {
    pub path: &'a str,
    text: &'a str,
    pub ufw: bool,
}

/// The line that decides a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Setting {
    /// White space between words is one space.
    pub value: String,
    /// Index into the sources.
    pub source: usize,
    /// From 1.
    pub line: usize,
    /// The key as it is written there.
    pub spelled: String,
    /// It is set by a pattern.
    pub by_pattern: bool,
}

/// The files in the order in which they are read. `Err`: one of them was not seen, so that nobody
/// can say what wins.
pub(super) fn sources(snapshot: &Snapshot) -> Result<Vec<Source<'_>>, String> {
    let mut chosen: Vec<(&str, &str)> = Vec::new();
    for directory in DIRECTORIES {
        match snapshot.globs.get(&format!("{directory}/*.conf")) {
            Some(Seen::Yes(paths)) => {
                for path in paths {
                    let name = base_name(path);
                    if !chosen.iter().any(|(n, _)| *n == name) {
                        chosen.push((name, path));
                    }
                }
            }
            Some(Seen::Absent) => {}
            Some(Seen::No(why)) => return Err(format!("{directory} was not seen: {why}")),
            None => return Err(format!("{directory} was not asked for")),
        }
    }
    chosen.sort();
    let mut out = Vec::new();
    for (_, path) in chosen {
        if let Some(text) = text(snapshot, path)? {
            let ufw = false;
            out.push(Source { path, text, ufw });
        }
    }
    if !snapshot.facts.systemd
        && let Some(text) = text(snapshot, PROCPS)?
    {
        let (path, ufw) = (PROCPS, false);
        out.push(Source { path, text, ufw });
    }
    if is_set(text(snapshot, UFW_SWITCH)?, "ENABLED", "yes") {
        // The one path that ufw ships; another one named there was not asked for.
        let defaults = text(snapshot, UFW_DEFAULTS)?;
        if is_set(defaults, "IPT_SYSCTL", UFW_SYSCTL) {
            if let Some(text) = text(snapshot, UFW_SYSCTL)? {
                let (path, ufw) = (UFW_SYSCTL, true);
                out.push(Source { path, text, ufw });
            }
        } else if let Some(other) = value_of(defaults, "IPT_SYSCTL").filter(|v| !v.is_empty()) {
            return Err(format!("ufw reads {other}, which was not seen"));
        }
    }
    Ok(out)
}

/// The text of a file that counts; `None` where there is none.
fn text<'a>(snapshot: &'a Snapshot, path: &str) -> Result<Option<&'a str>, String> {
    let unseen = |why: &str| format!("{path} was not seen: {why}");
    let file = match snapshot.files.get(path) {
        Some(Seen::Yes(file)) => file,
        Some(Seen::Absent) => return Ok(None),
        Some(Seen::No(why)) => return Err(unseen(why)),
        None => return Err(unseen("it was not asked for")),
    };
    if let (FileKind::Link, Some(link)) = (file.kind, &file.link) {
        let target = resolve(path, link);
        if target == "/dev/null" {
            return Ok(None);
        }
        if let (Some(Seen::Yes(file)), true) = (snapshot.files.get(&target), target != path)
            && let Seen::Yes(text) = &file.content
        {
            return Ok(Some(text));
        }
        if let Some(Seen::Absent) = snapshot.files.get(&target) {
            return Ok(None);
        }
    }
    match &file.content {
        Seen::Yes(text) => Ok(Some(text)),
        Seen::Absent => Ok(None),
        Seen::No(why) => Err(unseen(why)),
    }
}

/// Where a link points, without looking at the host: `..` takes one part away.
fn resolve(path: &str, link: &str) -> String {
    let directory = path.rsplit_once('/').map_or("", |(d, _)| d);
    let whole = if link.starts_with('/') {
        link.to_owned()
    } else {
        format!("{directory}/{link}")
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in whole.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

fn base_name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

/// The value of `KEY=value` in a file that sh reads.
fn value_of<'a>(text: Option<&'a str>, key: &str) -> Option<&'a str> {
    text?
        .lines()
        .filter_map(|line| line.trim().strip_prefix(key)?.strip_prefix('='))
        .next_back()
        .map(|value| value.trim().trim_matches(['"', '\'']))
}

fn is_set(text: Option<&str>, key: &str, value: &str) -> bool {
    value_of(text, key).is_some_and(|v| v.eq_ignore_ascii_case(value))
}

/// One line: the key's path (or pattern), the key as written, and its value; `None` for a value
/// takes the key out of the patterns.
fn parse(line: &str) -> Option<(String, &str, Option<String>)> {
    let line = line.trim();
    if line.is_empty() || line.starts_with(['#', ';']) {
        return None;
    }
    let (key, value) = match line.split_once('=') {
        Some((key, value)) => {
            let words: Vec<&str> = value.split_whitespace().collect();
            (key.trim(), Some(words.join(" ")))
        }
        None => (line, None),
    };
    let bare = key.strip_prefix('-');
    if value.is_none() && bare.is_none() {
        return None;
    }
    let key = bare.unwrap_or(key).trim();
    // Patterns are no keys; let their characters pass as letters while separators are turned.
    let turned = if key.find(['.', '/']).map(|at| key.as_bytes().get(at)) == Some(Some(&b'.')) {
        key.chars()
            .map(|c| match c {
                '.' => '/',
                '/' => '.',
                other => other,
            })
            .collect()
    } else {
        key.to_owned()
    };
    Some((turned, key, value))
}

/// The line that decides a key, if any does.
pub(super) fn decides(sources: &[Source], key: &str) -> Option<Setting> {
    let path = path_of(key)?;
    let mut named: Option<Option<Setting>> = None;
    let mut pattern: Option<Setting> = None;
    for (source, file) in sources.iter().enumerate() {
        for (at, line) in file.text.lines().enumerate() {
            let Some((at_path, spelled, value)) = parse(line) else {
                continue;
            };
            let by_pattern = glob::is_pattern(&at_path);
            let setting = value.map(|value| Setting {
                value,
                source,
                line: at + 1,
                spelled: spelled.to_owned(),
                by_pattern,
            });
            if at_path == path {
                named = Some(setting);
            } else if by_pattern && setting.is_some() && glob::matches(&at_path, &path, false) {
                pattern = setting;
            }
        }
    }
    named.unwrap_or(pattern)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::host::snapshot::FileState;
    use proptest::prelude::*;

    fn file(kind: FileKind, link: Option<&str>, content: Seen<String>) -> Seen<FileState> {
        Seen::Yes(FileState {
            kind,
            mode: 0o644,
            uid: 0,
            gid: 0,
            owner: "root".into(),
            group: "root".into(),
            size: 0,
            link: link.map(str::to_owned),
            content,
        })
    }

    /// A host with these files and no others. A text that begins with `->` is a link.
    pub fn host(files: &[(&str, &str)]) -> Snapshot {
        let mut q = Queries::default();
        ask(&mut q);
        let mut s = Snapshot::default();
        s.facts.systemd = true;
        for path in q.files.keys() {
            s.files.insert(path.clone(), Seen::Absent);
        }
        for (path, text) in files {
            let state = match text.strip_prefix("->") {
                Some(link) => file(FileKind::Link, Some(link), Seen::No("a link".into())),
                None => file(FileKind::File, None, Seen::Yes((*text).to_owned())),
            };
            s.files.insert((*path).to_owned(), state);
        }
        for directory in DIRECTORIES {
            let prefix = format!("{directory}/");
            let found = files
                .iter()
                .filter(|(path, _)| path.starts_with(&prefix))
                .map(|(path, _)| (*path).to_owned())
                .collect();
            s.globs
                .insert(format!("{directory}/*.conf"), Seen::Yes(found));
        }
        s
    }

    fn value(files: &[(&str, &str)], key: &str) -> Option<String> {
        let host = host(files);
        decides(&sources(&host).unwrap(), key).map(|s| s.value)
    }

    const KEY: &str = "net.ipv4.conf.all.rp_filter";

    #[test]
    fn the_last_name_wins_over_all_directories() {
        let files = [
            (
                "/etc/sysctl.d/10-a.conf",
                "net.ipv4.conf.all.rp_filter = 0\n",
            ),
            (
                "/usr/lib/sysctl.d/50-b.conf",
                "net/ipv4/conf/all/rp_filter=2\n",
            ),
        ];
        assert_eq!(value(&files, KEY).as_deref(), Some("2"));
        assert_eq!(value(&[], KEY), None);
        let twice = [(
            "/etc/sysctl.d/a.conf",
            "a.b=1\n# a.b=9\n;a.b=9\na.b =  4 \t 5 \n",
        )];
        assert_eq!(value(&twice, "a.b").as_deref(), Some("4 5"));
    }

    #[test]
    fn one_name_hides_the_same_name_in_a_later_directory() {
        let files = [
            ("/etc/sysctl.d/50-b.conf", ""),
            (
                "/usr/lib/sysctl.d/50-b.conf",
                "net.ipv4.conf.all.rp_filter=2\n",
            ),
        ];
        assert_eq!(value(&files, KEY), None);
        let files = [
            ("/run/sysctl.d/50-b.conf", "->/dev/null"),
            (
                "/usr/lib/sysctl.d/50-b.conf",
                "net.ipv4.conf.all.rp_filter=2\n",
            ),
        ];
        assert_eq!(value(&files, KEY), None);
    }

    #[test]
    fn a_named_key_wins_over_a_pattern() {
        let files = [
            (
                "/etc/sysctl.d/10-a.conf",
                "net.ipv4.conf.all.rp_filter = 1\n",
            ),
            (
                "/usr/lib/sysctl.d/50-default.conf",
                "net.ipv4.conf.default.rp_filter = 2\nnet.ipv4.conf.*.rp_filter = 2\n-net.ipv4.conf.lo.rp_filter\n",
            ),
        ];
        assert_eq!(value(&files, KEY).as_deref(), Some("1"));
        assert_eq!(
            value(&files, "net.ipv4.conf.eth0.rp_filter").as_deref(),
            Some("2")
        );
        assert_eq!(value(&files, "net.ipv4.conf.lo.rp_filter"), None);
        let ignored = [("/etc/sysctl.d/a.conf", "-a.b = 3\n")];
        assert_eq!(value(&ignored, "a.b").as_deref(), Some("3"));
    }

    #[test]
    fn sysctl_conf_counts_where_a_link_names_it_or_there_is_no_systemd() {
        let conf = ("/etc/sysctl.conf", "a.b = 7\n");
        assert_eq!(value(&[conf], "a.b"), None);
        let linked = [conf, ("/etc/sysctl.d/99-sysctl.conf", "->../sysctl.conf")];
        assert_eq!(value(&linked, "a.b").as_deref(), Some("7"));
        let mut without = host(&[conf, (OURS, "a.b = 1\n")]);
        without.facts.systemd = false;
        let sources = sources(&without).unwrap();
        let setting = decides(&sources, "a.b").unwrap();
        assert_eq!((setting.value.as_str(), setting.line), ("7", 1));
        assert_eq!(sources[setting.source].path, PROCPS);
    }

    #[test]
    fn an_enabled_ufw_has_the_last_word() {
        let mut files = vec![
            (OURS, "net.ipv4.conf.all.log_martians = 1\n"),
            (UFW_SYSCTL, "net/ipv4/conf/all/log_martians=0\n"),
            (UFW_DEFAULTS, "IPT_SYSCTL=/etc/ufw/sysctl.conf\n"),
            (UFW_SWITCH, "ENABLED=no\n"),
        ];
        let key = "net.ipv4.conf.all.log_martians";
        assert_eq!(value(&files, key).as_deref(), Some("1"));
        files[3].1 = "ENABLED=yes\n";
        assert_eq!(value(&files, key).as_deref(), Some("0"));
        files[2].1 = "IPT_SYSCTL=/srv/other\n";
        assert!(sources(&host(&files)).unwrap_err().contains("/srv/other"));
    }

    #[test]
    fn a_file_that_was_not_seen_leaves_it_open() {
        let mut s = host(&[("/etc/sysctl.d/a.conf", "a.b=1\n")]);
        s.files.insert(
            "/etc/sysctl.d/a.conf".into(),
            Seen::No("permission denied".into()),
        );
        assert!(sources(&s).unwrap_err().contains("permission denied"));
        let s = host(&[("/etc/sysctl.d/a.conf", "->/srv/elsewhere")]);
        assert!(sources(&s).is_err());
        assert!(sources(&Snapshot::default()).is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[-a-c.*?\\[\\]/=#; \n0-9]{0,80}|.{0,80}") {
            value(&[("/etc/sysctl.d/a.conf", &text)], "a.b.c");
        }
    }
}
