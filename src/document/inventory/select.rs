//! Which hosts some patterns mean: in `hosts` of playbooks and waivers, and for `--limit`.

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
    let patterns: Vec<&str> = patterns
        .iter()
        .flat_map(|pattern| pattern.split(','))
        .map(str::trim)
        .filter(|pattern| !pattern.is_empty())
        .collect();
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
            if matcher.takes(host) {
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

enum Matcher<'p> {
    All,
    Name(&'p str),
    Glob(Regex),
}

impl<'p> Matcher<'p> {
    fn of(pattern: &'p str) -> Self {
        if pattern == "all" || pattern == "*" {
            return Matcher::All;
        }
        match pattern
            .contains(['*', '?', '['])
            .then(|| Regex::new(&regex_of(pattern)))
        {
            Some(Ok(regex)) => Matcher::Glob(regex),
            _ => Matcher::Name(pattern),
        }
    }

    fn takes(&self, host: &Host) -> bool {
        match self {
            Matcher::All => true,
            Matcher::Name(name) => host.name == *name || host.groups.contains(*name),
            Matcher::Glob(regex) => {
                regex.is_match(&host.name) || host.groups.iter().any(|g| regex.is_match(g))
            }
        }
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
    fn what_matches_nothing_is_told() {
        assert_eq!(
            names(&["web", "cache", "!x", "c*", "w["]),
            Err(vec!["cache".into(), "c*".into(), "w[".into(), "!x".into()])
        );
        assert_eq!(names(&["aab+c"]), Err(vec!["aab+c".into()]));
    }
}
