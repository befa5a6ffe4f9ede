//! Running values of sysctls.
//!
//! One fork: `grep` reads all that exist. The shell's own `read` will not do: dash reads byte by
//! byte, and the kernel ends an integer under /proc/sys after the first byte that is read, so
//! that 32768 would be seen as 3.

use std::collections::{BTreeMap, BTreeSet};

use super::{Queries, section};
use crate::host::snapshot::{Seen, Snapshot};
use crate::shell::{Frame, NulInText, quote_all};

const NAME: &str = "sysctls";

/// The longest value that is kept, in characters.
const VALUE_MAX: usize = 4096;

/// Where a key is, below `/proc/sys/`. As `sysctl` and systemd read keys: if the first separator
/// is a dot, then dots become slashes and slashes become dots (`net.ipv4.conf.eth0/1.rp_filter`);
/// if it is a slash, the key is a path already. `None`: not a key.
pub(crate) fn path_of(key: &str) -> Option<String> {
    let dotted = key.find(['.', '/']).map(|at| key.as_bytes().get(at)) == Some(Some(&b'.'));
    let path: String = key
        .chars()
        .map(|c| match c {
            '.' if dotted => '/',
            '/' if dotted => '.',
            other => other,
        })
        .collect();
    let sound = path.contains('/')
        && path.len() <= 200
        && path
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-' | '@' | '/'))
        && path.split('/').all(|part| !matches!(part, "" | "." | ".."));
    sound.then_some(path)
}

/// The body of the function that observes.
pub fn script(q: &Queries) -> Result<Option<String>, NulInText> {
    let paths: BTreeSet<String> = q.sysctls.iter().filter_map(|k| path_of(k)).collect();
    if paths.is_empty() {
        return Ok(None);
    }
    let words = quote_all(paths.iter().map(String::as_str))?;
    Ok(Some(format!(
        r#"if [ ! -d /proc/sys/kernel ]; then frame section {NAME} 1 '/proc/sys is not mounted'; return 0; fi
_gone=
set --
for _p in {words}; do
  if [ -e "/proc/sys/$_p" ]; then set -- "$@" "/proc/sys/$_p"; else _gone="$_gone- $_p
"; fi
done
_said=
if [ $# -gt 0 ]; then _said=$(grep -s -H '' -- "$@"); fi
frame section {NAME} 0 "$_gone$_said""#
    )))
}

/// Reads what was said. Lines: `- PATH` for a key that the kernel lacks, `/proc/sys/PATH:VALUE`
/// for each line of a value.
pub fn read(frames: &[Frame], q: &Queries, out: &mut Snapshot) {
    let mut values: BTreeMap<String, Seen<String>> = BTreeMap::new();
    let answer = section::answered(frames, NAME);
    if let Ok(frame) = &answer {
        for line in frame.text().lines() {
            if let Some(path) = line.strip_prefix("- ") {
                values.insert(path.to_owned(), Seen::Absent);
            } else if let Some((path, value)) = line
                .strip_prefix("/proc/sys/")
                .and_then(|rest| rest.split_once(':'))
            {
                let entry = values
                    .entry(path.to_owned())
                    .or_insert_with(|| Seen::Yes(String::new()));
                if let Seen::Yes(text) = entry {
                    for word in value.split_whitespace() {
                        if text.len() + word.len() < VALUE_MAX {
                            if !text.is_empty() {
                                text.push(' ');
                            }
                            text.push_str(word);
                        }
                    }
                }
            }
        }
    }
    for key in &q.sysctls {
        let seen = match (path_of(key), &answer) {
            (None, _) => Seen::No("the key is not one of the kernel's".into()),
            (_, Err(why)) => Seen::No(why.clone()),
            (Some(path), Ok(_)) => values
                .get(&path)
                .cloned()
                .unwrap_or_else(|| Seen::No("the value could not be read".into())),
        };
        out.sysctls.insert(key.clone(), seen);
    }
}

#[cfg(test)]
mod tests {
    use super::super::section::testing;
    use super::*;
    use proptest::prelude::*;

    fn asked(keys: &[&str]) -> Queries {
        Queries {
            sysctls: keys.iter().map(|k| (*k).to_owned()).collect(),
            ..Queries::default()
        }
    }

    #[test]
    fn keys_become_paths_and_never_leave_proc_sys() {
        assert_eq!(
            path_of("net.ipv4.ip_forward").as_deref(),
            Some("net/ipv4/ip_forward")
        );
        assert_eq!(
            path_of("net.ipv4.conf.eth0/1.rp_filter").as_deref(),
            Some("net/ipv4/conf/eth0.1/rp_filter")
        );
        assert_eq!(
            path_of("net/ipv4/conf/eth0.1/rp_filter").as_deref(),
            Some("net/ipv4/conf/eth0.1/rp_filter")
        );
        for bad in [
            "",
            "kernel",
            "a..b",
            "../etc/passwd",
            "a.//.b",
            "/etc/passwd",
            "a.b c",
            "a.$(x)",
        ] {
            assert_eq!(path_of(bad), None, "{bad}");
        }
    }

    #[test]
    fn whole_values_are_seen_under_every_shell() {
        let keys = [
            "kernel.pid_max",
            "kernel.no_such_key",
            "net.ipv4.ip_local_port_range",
            "bad key",
        ];
        let q = asked(&keys);
        let body = script(&q).unwrap().unwrap();
        // What one large read gives, which is what `sysctl` does.
        let truth = std::fs::read_to_string("/proc/sys/kernel/pid_max").unwrap();
        for shell in testing::SHELLS {
            let mut out = Snapshot::default();
            read(&testing::frames(shell, &body), &q, &mut out);
            assert_eq!(
                out.sysctls["kernel.pid_max"],
                Seen::Yes(truth.trim().into()),
                "{shell:?}"
            );
            assert_eq!(out.sysctls["kernel.no_such_key"], Seen::Absent);
            let range = out.sysctls["net.ipv4.ip_local_port_range"].yes().unwrap();
            assert_eq!(range.split(' ').count(), 2, "{range:?}");
            assert!(matches!(out.sysctls["bad key"], Seen::No(_)));
        }
    }

    #[test]
    fn what_was_not_answered_is_not_seen() {
        let q = asked(&["kernel.pid_max"]);
        let mut out = Snapshot::default();
        read(&[], &q, &mut out);
        assert_eq!(
            out.sysctls["kernel.pid_max"],
            Seen::No("the host did not answer".into())
        );
        read(&[testing::frame(NAME, 0, "")], &q, &mut out);
        assert!(matches!(out.sysctls["kernel.pid_max"], Seen::No(_)));
        read(
            &[testing::frame(NAME, 1, "/proc/sys is not mounted")],
            &q,
            &mut out,
        );
        assert_eq!(
            out.sysctls["kernel.pid_max"],
            Seen::No("/proc/sys is not mounted".into())
        );
        assert_eq!(script(&Queries::default()), Ok(None));
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic(data in "[-/:a-z\n ]{0,80}|.{0,80}", status in 0..2) {
            let q = asked(&["a.b", "kernel.pid_max"]);
            let mut out = Snapshot::default();
            read(&[testing::frame(NAME, status, &data)], &q, &mut out);
            prop_assert_eq!(out.sysctls.len(), 2);
        }
    }
}
