//! Which hosts some patterns mean: in `hosts` of playbooks and waivers, and for `--limit`.

use std::collections::BTreeSet;

use regex::Regex;

use super::{Host, Inventory};

/// The hosts that the patterns mean, in the inventory's order.
///
/// A pattern is a host's name, a group's name, a glob over both (`web-*`), or `all`; `!` before
/// it takes away. Several may stand in one text, with commas between. If all of them take away,
/// they take away from `all`. The error lists the patterns that match nothing.
pub fn select<'i>(
    inventory: &'i Inventory,
    patterns: &[String],
) -> Result<Vec<&'i Host>, Vec<String>> {
    let patterns = parts(patterns);
    let all = patterns.iter().all(|pattern| pattern.starts_with('!')) && !patterns.is_empty();
    let mut wanted = vec![all; inventory.hosts.len()];
    let mut unknown = Vec::new();
    // What is taken away stays away, wherever it stands.
    let (less, more): (Vec<&str>, Vec<&str>) = patterns.iter().partition(|p| p.starts_with('!'));
    for pattern in more.into_iter().chain(less) {
        let bare = pattern.strip_prefix('!').unwrap_or(pattern);
        let matcher = Matcher::of(bare);
        let mut matched = bare == "all";
        for (host, wanted) in inventory.hosts.iter().zip(wanted.iter_mut()) {
            if matcher.takes_any(std::iter::once(&host.name).chain(&host.groups)) {
                *wanted = !pattern.starts_with('!');
                matched = true;
            }
        }
        if !matched {
            unknown.push((*pattern).to_owned());
        }
    }
    if !unknown.is_empty() {
        return Err(unknown);
    }
    let hosts = inventory.hosts.iter().zip(wanted);
    Ok(hosts
        .filter(|(_, wanted)| *wanted)
        .map(|(host, _)| host)
        .collect())
}

/// Whether patterns, as [`select`] takes them, mean the host of this name and these groups.
pub fn means(patterns: &[String], names: &BTreeSet<String>) -> bool {
    let patterns = parts(patterns);
    let (less, more): (Vec<&str>, Vec<&str>) = patterns.iter().partition(|p| p.starts_with('!'));
    let takes = |pattern: &&str| Matcher::of(pattern).takes_any(names.iter());
    let wanted = match more.is_empty() {
        true => !less.is_empty(),
        false => more.iter().any(takes),
    };
    wanted
        && !less
            .iter()
            .any(|p| takes(&p.strip_prefix('!').unwrap_or(p)))
}

/// Names and globs (`*`, `?`, `[…]`) of things that are no hosts: packages, units.
#[derive(Clone, Debug, Default)]
pub struct Globs(Vec<Matcher>);

impl Globs {
    pub fn new<T: AsRef<str>>(globs: &[T]) -> Globs {
        Globs(
            globs
                .iter()
                .map(|glob| Matcher::of(glob.as_ref()))
                .collect(),
        )
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of them is the whole of the name.
    pub fn take(&self, name: &str) -> bool {
        self.0.iter().any(|matcher| matcher.takes(name))
    }
}

/// Patterns one by one, without commas.
fn parts(patterns: &[String]) -> Vec<&str> {
    patterns
        .iter()
        .flat_map(|pattern| pattern.split(','))
        .map(str::trim)
        .filter(|pattern| !pattern.is_empty())
        .collect()
}

#[derive(Clone, Debug)]
enum Matcher {
    All,
    Name(String),
    /// One `*`, as most globs have: what stands before it and after it. No expression needs to be
    /// built for it.
    Ends(String, String),
    Glob(Regex),
}

impl Matcher {
    fn of(pattern: &str) -> Self {
        if pattern == "all" || pattern == "*" {
            return Matcher::All;
        }
        if let Some((head, tail)) = pattern.split_once('*')
            && !pattern.contains(['?', '['])
            && !tail.contains('*')
        {
            return Matcher::Ends(head.to_owned(), tail.to_owned());
        }
        match pattern
            .contains(['*', '?', '['])
            .then(|| Regex::new(&regex_of(pattern)))
        {
            Some(Ok(regex)) => Matcher::Glob(regex),
            _ => Matcher::Name(pattern.to_owned()),
        }
    }

    fn takes(&self, name: &str) -> bool {
        match self {
            Matcher::All => true,
            Matcher::Name(wanted) => name == wanted,
            Matcher::Ends(head, tail) => name
                .strip_prefix(head.as_str())
                .is_some_and(|rest| rest.ends_with(tail.as_str())),
            Matcher::Glob(regex) => regex.is_match(name),
        }
    }

    fn takes_any<'n>(&self, mut names: impl Iterator<Item = &'n String>) -> bool {
        matches!(self, Matcher::All) || names.any(|name| self.takes(name))
    }
}

/// A glob as a regular expression over the whole name.
fn regex_of(glob: &str) -> String {
    let mut out = String::from("^");
    let mut rest = glob;
    while let Some(c) = rest.chars().next() {
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
        match (c, rest.split_once(']')) {
            ('*', _) => out.push_str(".*"),
            ('?', _) => out.push('.'),
            ('[', Some((class, after))) if !class.is_empty() && class != "!" => {
                let (not, class) = match class.strip_prefix('!') {
                    Some(class) => ("^", class),
                    None => ("", class),
                };
                let safe: String = class
                    .chars()
                    .flat_map(|c| match c.is_alphanumeric() || c == '-' {
                        true => vec![c],
                        false => vec!['\\', c],
                    })
                    .collect();
                out.push_str(&format!("[{not}{safe}]"));
                rest = after;
            }
            (c, _) => out.push_str(&regex::escape(&c.to_string())),
        }
    }
    out.push('$');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(patterns: &[&str]) -> Result<String, Vec<String>> {
        let host = |name: &str, groups: &[&str]| Host {
            name: name.into(),
            groups: groups.iter().map(|group| (*group).into()).collect(),
            ..Host::default()
        };
        let inventory = Inventory {
            hosts: vec![
                host("web-2", &["web"]),
                host("web-1", &["web", "edge"]),
                host("db-1", &["db"]),
                host("a.b+c", &[]),
            ],
        };
        let patterns: Vec<String> = patterns.iter().map(|p| (*p).to_owned()).collect();
        let hosts = select(&inventory, &patterns)?;
        Ok(hosts
            .iter()
            .map(|host| host.name.as_str())
            .collect::<Vec<_>>()
            .join(" "))
    }

    #[test]
    fn patterns_mean_hosts() {
        let is = |patterns: &[&str], hosts: &str| {
            assert_eq!(names(patterns), Ok(hosts.into()), "{patterns:?}")
        };
        is(&["all"], "web-2 web-1 db-1 a.b+c");
        is(&["web"], "web-2 web-1");
        is(&["db-1", "web-1"], "web-1 db-1");
        is(&["web-?"], "web-2 web-1");
        is(&["w*-[!2]"], "web-1");
        is(&["*-[1-2]", "!edge"], "web-2 db-1");
        is(&["!edge", "web"], "web-2");
        is(&["!web"], "db-1 a.b+c");
        is(&["web,!web-1"], "web-2");
        is(&["a.b+?"], "a.b+c");
        is(&[], "");
    }

    #[test]
    fn one_host_is_meant_as_it_is_selected() {
        let hosts: [(&str, &[&str]); 4] = [
            ("web-2", &["web"]),
            ("web-1", &["web", "edge"]),
            ("db-1", &["db"]),
            ("a.b+c", &[]),
        ];
        let lists: [&[&str]; 9] = [
            &["all"],
            &["web"],
            &["w*-[!2]"],
            &["*-[1-2]", "!edge"],
            &["!edge", "web"],
            &["!web"],
            &["web,!web-1"],
            &["all", "!all"],
            &[],
        ];
        for list in lists {
            let patterns: Vec<String> = list.iter().map(|p| (*p).to_owned()).collect();
            let meant: Vec<&str> = hosts
                .iter()
                .filter(|(name, groups)| {
                    let names = groups.iter().chain([name]).map(|n| (*n).to_owned());
                    means(&patterns, &names.collect())
                })
                .map(|(name, _)| *name)
                .collect();
            assert_eq!(names(list), Ok(meant.join(" ")), "{list:?}");
        }
        let nothing = ["nobody".to_owned()];
        assert!(!means(&nothing, &BTreeSet::from(["web-1".into()])));
    }

    #[test]
    fn globs_are_over_the_whole_name() {
        let globs = Globs::new(&["linux-image-*", "libssl?", "sudo"]);
        for name in ["linux-image-6.1", "libssl3", "sudo"] {
            assert!(globs.take(name), "{name}");
        }
        for name in ["xlinux-image-6.1", "libssl", "sudo-ldap", ""] {
            assert!(!globs.take(name), "{name}");
        }
        assert!(Globs::new::<&str>(&[]).is_empty());
    }

    #[test]
    fn what_matches_nothing_is_told() {
        assert_eq!(
            names(&["web", "cache", "!x", "c*", "w["]),
            Err(vec!["cache".into(), "c*".into(), "w[".into(), "!x".into()])
        );
        assert_eq!(names(&["aab+c"]), Err(vec!["aab+c".into()]));
    }
}
