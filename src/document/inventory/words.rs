//! The small languages inside inventories: host ranges, `user@host:port`, paths, ssh options.

use std::path::{Path, PathBuf};

/// How many hosts one pattern, and one inventory, may stand for.
pub(super) const MAX_HOSTS: usize = 10_000;

/// `web[01:03]` → `web01`, `web02`, `web03`; `db-[a:c]`; `[1:9:2]` takes every second one.
pub(super) fn expand(pattern: &str) -> Result<Vec<String>, String> {
    let Some((before, rest)) = pattern.split_once('[') else {
        return Ok(vec![pattern.to_owned()]);
    };
    let Some((range, after)) = rest.split_once(']') else {
        return Err(format!("`{pattern}` has a `[` without a `]`"));
    };
    let heads = span_of(range)
        .ok_or_else(|| format!("`[{range}]` is not a range such as [1:5], [01:10] or [a:f]"))?;
    let tails = expand(after)?;
    if heads.len().saturating_mul(tails.len()) > MAX_HOSTS {
        return Err(format!(
            "`{pattern}` stands for more than {MAX_HOSTS} hosts"
        ));
    }
    let pairs = heads.iter().flat_map(|head| {
        let tails = tails.iter();
        tails.map(move |tail| format!("{before}{head}{tail}"))
    });
    Ok(pairs.collect())
}

fn span_of(range: &str) -> Option<Vec<String>> {
    let mut parts = range.split(':');
    let (first, last) = (parts.next()?, parts.next()?);
    let step: usize = match parts.next() {
        Some(step) => step.parse().ok().filter(|step| *step > 0)?,
        None => 1,
    };
    if parts.next().is_some() || last.is_empty() {
        return None;
    }
    if let (Some(a), Some(b)) = (letter(first), letter(last)) {
        return (a <= b).then(|| (a..=b).step_by(step).map(String::from).collect());
    }
    let number = |text: &str| match text.bytes().all(|b| b.is_ascii_digit()) {
        true => text.parse::<u32>().ok(),
        false => None,
    };
    let first = if first.is_empty() { "0" } else { first };
    let (a, b) = (number(first)?, number(last)?);
    // `[01:10]` keeps its leading zeros.
    let width = if first.starts_with('0') {
        first.len()
    } else {
        0
    };
    let numbers = (a..=b).step_by(step).take(MAX_HOSTS + 1);
    (a <= b).then(|| numbers.map(|n| format!("{n:0width$}")).collect())
}

fn letter(text: &str) -> Option<char> {
    let mut chars = text.chars();
    chars
        .next()
        .filter(|c| c.is_ascii_alphabetic() && chars.next().is_none())
}

/// What `[user@]host[:port]` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Target {
    pub user: Option<String>,
    pub host: String,
    pub port: Option<u16>,
}

/// `[user@]host[:port]`, `[v6]:port`, or a bare IPv6 address.
pub(super) fn target(text: &str) -> Result<Target, String> {
    let (user, rest) = match text.rsplit_once('@') {
        Some((user, rest)) => (Some(user), rest),
        None => (None, text),
    };
    let port = |text: &str| {
        let port = text.parse::<u16>().ok().filter(|port| *port != 0);
        port.ok_or_else(|| format!("`{text}` is not a port: it must be from 1 to 65535"))
    };
    let (host, port) = if let Some(v6) = rest.strip_prefix('[') {
        let (host, after) = v6.split_once(']').ok_or("a `[` without a `]`")?;
        if host.parse::<std::net::Ipv6Addr>().is_err() {
            return Err(format!("`{host}` is not an IPv6 address"));
        }
        match after.strip_prefix(':') {
            Some(text) => (host, Some(port(text)?)),
            None if after.is_empty() => (host, None),
            None => return Err(format!("`{after}` after the address is not a port")),
        }
    } else {
        match rest.split_once(':') {
            Some((host, text)) if !text.contains(':') => (host, Some(port(text)?)),
            _ => (rest, None),
        }
    };
    check_host(host)?;
    user.map_or(Ok(()), check_user)?;
    Ok(Target {
        user: user.map(str::to_owned),
        host: host.to_owned(),
        port,
    })
}

/// A host name or address, and nothing that a program could take for an option or for more.
pub(super) fn check_host(text: &str) -> Result<(), String> {
    let good = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%');
    if text.is_empty() {
        return Err("a host has no name".into());
    }
    if text.starts_with('-') || text.len() > 253 || !text.chars().all(good) {
        return Err(format!("`{text}` cannot be a host's name or address"));
    }
    Ok(())
}

pub(super) fn check_user(text: &str) -> Result<(), String> {
    let bad = |c: char| {
        c.is_whitespace() || c.is_control() || matches!(c, '\'' | '"' | '`' | '$' | ';' | '|' | '&')
    };
    match text.is_empty() || text.starts_with('-') || text.chars().any(bad) {
        true => Err(format!("`{text}` cannot be a user's name")),
        false => Ok(()),
    }
}

/// A path of an inventory: `~` is the home directory, relative ones start at the inventory.
pub(super) fn path(text: &str, directory: &Path, home: Option<&Path>) -> PathBuf {
    match (text, text.strip_prefix("~/"), home) {
        ("~", _, Some(home)) => home.to_owned(),
        (_, Some(rest), Some(home)) => home.join(rest),
        _ if text.starts_with('~') => PathBuf::from(text),
        _ => directory.join(text),
    }
}

/// Words with quotes taken off, as a shell would see them: `a "b c" d='e f'`. Each with the
/// byte offset at which it starts.
pub(super) fn shell_words(text: &str) -> Vec<(usize, String)> {
    let mut out: Vec<(usize, String)> = Vec::new();
    let mut word: Option<(usize, String)> = None;
    let mut quote = None;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match quote {
            Some(open) if c == open => quote = None,
            None if c.is_whitespace() => out.extend(word.take()),
            None if c == '#' && word.is_none() => return out,
            None if c == '\'' || c == '"' => {
                quote = Some(c);
                word.get_or_insert_with(|| (at, String::new()));
            }
            _ => {
                let (_, text) = word.get_or_insert_with(|| (at, String::new()));
                match (c, quote) {
                    ('\\', None | Some('"')) => text.extend(chars.next().map(|(_, c)| c)),
                    _ => text.push(c),
                }
            }
        }
    }
    out.extend(word);
    out
}

/// What matters to us in ssh's arguments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SshArguments {
    pub jump: Vec<String>,
    pub known_hosts: Vec<String>,
    pub identities: Vec<String>,
    pub port: Option<u16>,
    pub user: Option<String>,
}

/// Reads `-J`, `-i`, `-p`, `-l` and the same as `-o Option=value`; `ProxyCommand ssh -W` is a
/// jump. All others are for OpenSSH itself, and what would weaken host key checks is not taken.
pub(super) fn ssh_arguments(text: &str) -> SshArguments {
    let words: Vec<String> = shell_words(text)
        .into_iter()
        .map(|(_, word)| word)
        .collect();
    let mut out = SshArguments::default();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let Some((flag, glued)) = word
            .strip_prefix('-')
            .and_then(|rest| rest.chars().next().map(|c| (c, &rest[c.len_utf8()..])))
        else {
            continue;
        };
        if !"JoiplF".contains(flag) {
            continue;
        }
        let value = match glued {
            "" => words.next().map_or("", String::as_str),
            glued => glued,
        };
        match flag {
            'J' => out.jump = jumps(value),
            'i' => out.identities.push(value.to_owned()),
            'p' => out.port = value.parse().ok(),
            'l' => out.user = Some(value.to_owned()),
            'o' => option(value, &mut out),
            _ => {}
        }
    }
    out
}

fn jumps(list: &str) -> Vec<String> {
    let jumps = list.split(',').map(str::trim);
    jumps
        .filter(|jump| !jump.is_empty() && *jump != "none")
        .map(str::to_owned)
        .collect()
}

fn option(text: &str, out: &mut SshArguments) {
    let cut = text.find(|c: char| c == '=' || c.is_whitespace());
    let Some((name, value)) = cut.and_then(|cut| Some((text.get(..cut)?, text.get(cut + 1..)?)))
    else {
        return;
    };
    let value = value.trim().trim_start_matches('=').trim();
    match name.to_ascii_lowercase().as_str() {
        "proxyjump" => out.jump = jumps(value),
        "proxycommand" => out.jump = proxy_command(value).into_iter().collect(),
        "userknownhostsfile" if value != "/dev/null" => out.known_hosts.push(value.to_owned()),
        "identityfile" => out.identities.push(value.to_owned()),
        "port" => out.port = value.parse().ok(),
        "user" => out.user = Some(value.to_owned()),
        _ => {}
    }
}

/// `ssh -W %h:%p [-q] [-p 2222] user@bastion` → `user@bastion:2222`.
fn proxy_command(text: &str) -> Option<String> {
    let words = shell_words(text);
    let mut words = words.iter().map(|(_, word)| word.as_str());
    let program = words.next()?;
    if program != "ssh" && !program.ends_with("/ssh") {
        return None;
    }
    let (mut to, mut port, mut user) = (None, None, None);
    while let Some(word) = words.next() {
        match word {
            "-p" => port = words.next(),
            "-l" => user = words.next(),
            "-W" | "-o" | "-i" | "-F" => drop(words.next()),
            word if word.starts_with('-') => {}
            word => to = to.or(Some(word)),
        }
    }
    let mut out = to?.to_owned();
    if let (Some(user), false) = (user, out.contains('@')) {
        out = format!("{user}@{out}");
    }
    Some(match port {
        Some(port) => format!("{out}:{port}"),
        None => out,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_stand_for_many() {
        let is = |pattern: &str, names: &str| {
            assert_eq!(
                expand(pattern).map(|n| n.join(" ")),
                Ok(names.into()),
                "{pattern}"
            );
        };
        is("web", "web");
        is("web[1:3]", "web1 web2 web3");
        is("web[08:10].x", "web08.x web09.x web10.x");
        is("db-[a:c]", "db-a db-b db-c");
        is("[1:7:3]", "1 4 7");
        is("a[1:2]b[x:y]", "a1bx a1by a2bx a2by");
        for wrong in [
            "a[",
            "a[1]",
            "a[2:1]",
            "a[1:]",
            "a[1:2:0]",
            "a[1:2:3:4]",
            "a[a:3]",
            "a[ä:b]",
            "a[1:99999999]",
            "a[1:5000]b[1:5000]",
            "a[+1:2]",
        ] {
            assert!(expand(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn targets() {
        let is = |text: &str, user: Option<&str>, host: &str, port: Option<u16>| {
            let wanted = Target {
                user: user.map(str::to_owned),
                host: host.into(),
                port,
            };
            assert_eq!(target(text), Ok(wanted), "{text}");
        };
        is("web", None, "web", None);
        is("me@web:2222", Some("me"), "web", Some(2222));
        is("me@corp@web", Some("me@corp"), "web", None);
        is("[::1]:22", None, "::1", Some(22));
        is("me@[fe80::1]", Some("me"), "fe80::1", None);
        is("2001:db8::1", None, "2001:db8::1", None);
        for wrong in [
            "",
            "-x",
            "me@",
            "@web",
            "web:0",
            "web:x",
            "web:70000",
            "[::1",
            "[x]:1",
            "[::1]x",
            "a b",
            "-l@web",
            "a;b",
            "we\u{1b}b",
            "$(x)@web",
        ] {
            assert!(target(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn arguments_of_ssh() {
        let said = ssh_arguments(
            "-q -J me@a:22,b -o 'UserKnownHostsFile ~/kh' -o StrictHostKeyChecking=no -i key -p2222 -l you",
        );
        assert_eq!(said.jump, ["me@a:22", "b"]);
        assert_eq!(
            (said.known_hosts, said.identities),
            (vec!["~/kh".into()], vec!["key".into()])
        );
        assert_eq!((said.port, said.user.as_deref()), (Some(2222), Some("you")));
        let command = ssh_arguments(r#"-o ProxyCommand="ssh -W %h:%p -q -p 2022 me@bastion""#);
        assert_eq!(command.jump, ["me@bastion:2022"]);
        assert_eq!(ssh_arguments("-o ProxyCommand='nc %h %p'").jump, [""; 0]);
        assert_eq!(
            ssh_arguments("-oUserKnownHostsFile=/dev/null -o ProxyJump=none"),
            SshArguments::default()
        );
    }

    #[test]
    fn words_of_a_shell() {
        let words =
            |text: &str| -> Vec<String> { shell_words(text).into_iter().map(|(_, w)| w).collect() };
        assert_eq!(words(r#"a "b c" d='e f'g  # h"#), ["a", "b c", "d=e fg"]);
        assert_eq!(words(r#"a\ b "c\"d" e#f "#), ["a b", "c\"d", "e#f"]);
        assert_eq!(words("''"), [""]);
    }

    #[test]
    fn paths_start_at_the_inventory() {
        let home = Some(Path::new("/home/me"));
        let is = |text: &str, home| path(text, Path::new("inv"), home).display().to_string();
        assert_eq!(is("~/.ssh/id", home), "/home/me/.ssh/id");
        assert_eq!(is("keys/id", home), "inv/keys/id");
        assert_eq!(is("/abs", home), "/abs");
        assert_eq!(is("~/x", None), "~/x");
    }
}
