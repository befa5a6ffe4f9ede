//! Packages, as dpkg knows them. One fork: `dpkg-query` for all names.
//!
//! A virtual package (a name that others provide, such as `mail-transport-agent`) is not one that
//! dpkg knows: it is seen as absent.

use super::{Queries, section};
use crate::host::snapshot::{PackageState, Seen, Snapshot};
use crate::shell::{Frame, NulInText, quote_all};

const NAME: &str = "packages";

/// Whether a text can be a Debian package's name (an architecture may follow a colon).
pub(crate) fn is_name(text: &str) -> bool {
    let (name, architecture) = text.split_once(':').unwrap_or((text, "any"));
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    name.len() >= 2
        && name.len() <= 120
        && name.starts_with(plain)
        && name
            .chars()
            .all(|c| plain(c) || matches!(c, '+' | '-' | '.'))
        && !architecture.is_empty()
        && architecture.chars().all(|c| plain(c) || c == '-')
}

/// The body of the function that observes.
pub fn script(q: &Queries) -> Result<Option<String>, NulInText> {
    let names = q.packages.iter().map(String::as_str).filter(|n| is_name(n));
    let words = quote_all(names)?;
    if words.is_empty() {
        return Ok(None);
    }
    // Status 1 says that some name is unknown to dpkg; only more than that is trouble.
    Ok(Some(format!(
        r#"if ! have dpkg-query; then frame section {NAME} 1 'dpkg does not manage the packages of this host'; return 0; fi
_said=$(dpkg-query -W -f '${{Package}}:${{Architecture}} ${{db:Status-Want}} ${{db:Status-Status}} ${{Version}}\n' -- {words} 2>/dev/null)
_rc=$?
if [ "$_rc" -gt 1 ]; then frame section {NAME} "$_rc" 'dpkg-query failed'; return 0; fi
frame section {NAME} 0 "$_said""#
    )))
}

/// Reads what was said. Lines: `NAME:ARCHITECTURE WANT STATUS VERSION`.
pub fn read(frames: &[Frame], q: &Queries, out: &mut Snapshot) {
    let answer = section::answered(frames, NAME);
    let text = answer.as_ref().map(|f| f.text()).unwrap_or_default();
    for name in &q.packages {
        let seen = match &answer {
            _ if !is_name(name) => Seen::No("this cannot be a package's name".into()),
            Err(why) => Seen::No(why.clone()),
            Ok(_) => text
                .lines()
                .filter_map(|line| parse(line, name))
                // Of several architectures, the one that is installed.
                .max_by_key(|state| state.status == "installed")
                .filter(|state| state.status != "not-installed")
                .map_or(Seen::Absent, Seen::Yes),
        };
        out.packages.insert(name.clone(), seen);
    }
}

fn parse(line: &str, name: &str) -> Option<PackageState> {
    let mut words = line.split(' ');
    let whole = words.next()?;
    if whole != name && whole.split(':').next() != Some(name) {
        return None;
    }
    let (want, status, version) = (words.next()?, words.next()?, words.next()?);
    Some(PackageState {
        version: version.to_owned(),
        status: status.to_owned(),
        hold: want == "hold",
    })
}

#[cfg(test)]
mod tests {
    use super::super::section::testing;
    use super::*;
    use proptest::prelude::*;

    fn asked(names: &[&str]) -> Queries {
        Queries {
            packages: names.iter().map(|n| (*n).to_owned()).collect(),
            ..Queries::default()
        }
    }

    fn seen(data: &str, names: &[&str]) -> Snapshot {
        let mut out = Snapshot::default();
        read(&[testing::frame(NAME, 0, data)], &asked(names), &mut out);
        out
    }

    #[test]
    fn states_are_told_apart() {
        let s = seen(
            "cron:amd64 hold installed 3.0-1\nftp:all deinstall config-files 2\nlibc6:i386 unknown not-installed \nlibc6:amd64 install installed 2.36\n",
            &["cron", "ftp", "telnet", "libc6", "libc6:i386", "Bad"],
        );
        assert!(s.packages["cron"].yes().unwrap().hold);
        assert_eq!(s.packages["ftp"].yes().unwrap().status, "config-files");
        assert_eq!(s.packages["telnet"], Seen::Absent);
        assert_eq!(s.packages["libc6"].yes().unwrap().version, "2.36");
        assert_eq!(s.packages["libc6:i386"], Seen::Absent);
        assert!(matches!(s.packages["Bad"], Seen::No(_)));
    }

    #[test]
    fn it_runs_under_every_shell() {
        let q = asked(&["dash", "no-such-package"]);
        let body = script(&q).unwrap().unwrap();
        for shell in testing::SHELLS {
            let mut out = Snapshot::default();
            read(&testing::frames(shell, &body), &q, &mut out);
            assert_eq!(
                out.packages["dash"].yes().unwrap().status,
                "installed",
                "{shell:?}"
            );
            assert_eq!(out.packages["no-such-package"], Seen::Absent);
        }
        assert_eq!(script(&Queries::default()), Ok(None));
        let mut out = Snapshot::default();
        read(&[], &q, &mut out);
        assert!(matches!(out.packages["dash"], Seen::No(_)));
        assert!(!is_name("a*") && !is_name("-a") && !is_name("a b") && is_name("g++:amd64"));
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic(data in "(cron|:| |\n|installed|.){0,40}") {
            prop_assert_eq!(seen(&data, &["cron"]).packages.len(), 1);
        }
    }
}
