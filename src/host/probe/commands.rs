//! A resource's own checks. One fork each, and what it runs itself.
//!
//! Each check is evaluated in a subshell: a syntax error in one, or an `exit`, ends that one
//! only. It gets ten seconds of processor time, and 8 KiB of what it says are kept.

use super::{Queries, section};
use crate::host::snapshot::{CommandOutcome, Seen, Snapshot};
use crate::shell::{Frame, NulInText, quote};

const OUTPUT_MAX: usize = 8 * 1024;
const SECONDS: u32 = 10;

/// Whether an id may stand in a frame's name.
pub(crate) fn is_id(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 180
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b':' | b'-'))
}

/// The body of the function that observes.
pub fn script(q: &Queries) -> Result<Option<String>, NulInText> {
    let mut calls = String::new();
    for (id, check) in q.commands.iter().filter(|(id, _)| is_id(id)) {
        calls.push_str(&format!("_check {id} {}\n", quote(check)?));
    }
    if calls.is_empty() {
        return Ok(None);
    }
    Ok(Some(format!(
        r#"_check() {{
  _said=$(ulimit -t {SECONDS} 2>/dev/null; eval "$2" 2>&1)
  _rc=$?
  if [ ${{#_said}} -gt {OUTPUT_MAX} ]; then _said=$(printf '%.{OUTPUT_MAX}s' "$_said"); fi
  frame section "command:$1" "$_rc" "$_said"
}}
{calls}"#
    )))
}

/// Reads what was said: a frame `command:ID` for each, whose status is the check's.
pub fn read(frames: &[Frame], q: &Queries, out: &mut Snapshot) {
    for id in q.commands.keys() {
        let seen = match section::find(frames, &format!("command:{id}")) {
            _ if !is_id(id) => Seen::No("the check's id cannot be asked for".into()),
            None => Seen::No("the host did not answer".into()),
            Some(frame) => {
                let bytes = frame.data.get(..OUTPUT_MAX).unwrap_or(&frame.data);
                Seen::Yes(CommandOutcome {
                    status: frame.status,
                    output: String::from_utf8_lossy(bytes).into_owned(),
                })
            }
        };
        out.commands.insert(id.clone(), seen);
    }
}

#[cfg(test)]
mod tests {
    use super::super::section::testing;
    use super::*;
    use proptest::prelude::*;

    fn asked(checks: &[(&str, &str)]) -> Queries {
        Queries {
            commands: checks
                .iter()
                .map(|(id, sh)| ((*id).to_owned(), (*sh).to_owned()))
                .collect(),
            ..Queries::default()
        }
    }

    #[test]
    fn one_check_never_spoils_another() {
        let q = asked(&[
            ("a.exit", "echo out; echo err >&2; exit 100"),
            ("b.syntax", "if then ' } ("),
            ("c.unset", "echo \"$no_such_variable\""),
            (
                "d.large",
                "i=0; while [ $i -lt 3000 ]; do echo 12345678; i=$((i+1)); done",
            ),
            ("e.quotes", "printf '%s' \"it's\" '$HOME' \"\\\\\""),
            ("f.stdin", "cat; true"),
            ("bad id", "true"),
        ]);
        let body = script(&q).unwrap().unwrap();
        for shell in testing::SHELLS {
            let mut out = Snapshot::default();
            read(&testing::frames(shell, &body), &q, &mut out);
            let of = |id: &str| {
                out.commands[id]
                    .yes()
                    .unwrap_or_else(|| panic!("{shell:?} {id}"))
            };
            assert_eq!(
                (of("a.exit").status, of("a.exit").output.as_str()),
                (100, "out\nerr")
            );
            assert_ne!(of("b.syntax").status, 0, "{shell:?}");
            assert_ne!(of("c.unset").status, 0, "{shell:?}");
            assert_eq!(of("d.large").output.len(), OUTPUT_MAX, "{shell:?}");
            assert_eq!(of("e.quotes").output, "it's$HOME\\", "{shell:?}");
            assert_eq!(
                (of("f.stdin").status, of("f.stdin").output.as_str()),
                (0, "")
            );
            assert!(matches!(out.commands["bad id"], Seen::No(_)));
        }
        assert_eq!(script(&Queries::default()), Ok(None));
        assert_eq!(script(&asked(&[("x", "a\0b")])), Err(NulInText));
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic(data in ".{0,80}", status in any::<i32>()) {
            let mut out = Snapshot::default();
            let frames = [testing::frame("command:x", status, &data)];
            read(&frames, &asked(&[("x", "true"), ("y", "true")]), &mut out);
            prop_assert!(out.commands["x"].yes().is_some());
            prop_assert!(out.commands["y"].yes().is_none());
        }
    }
}
