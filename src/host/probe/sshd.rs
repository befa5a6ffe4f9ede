//! sshd's effective configuration: `sshd -T`, once. One fork; two where it fails (the second
//! for the reason), and two more where /run/sshd is missing: sshd refuses to say anything
//! without it, so it is made for that moment and taken away again.

use std::collections::BTreeMap;

use super::{Queries, section};
use crate::host::snapshot::{Seen, Snapshot};
use crate::shell::{Frame, NulInText, clean};

const SCRIPT: &str = r#"if [ -x /usr/sbin/sshd ]; then
  _made=
  if [ ! -d /run/sshd ]; then mkdir -m 0755 /run/sshd 2>/dev/null && _made=1; fi
  if _o=$(/usr/sbin/sshd -T 2>/dev/null); then frame section sshd 0 "$_o"
  else
    _o=$(/usr/sbin/sshd -T 2>&1 >/dev/null | head -c 2000)
    frame section sshd 1 "$_o"
  fi
  [ -z "$_made" ] || rmdir /run/sshd 2>/dev/null
else
  frame section sshd 2 ""
fi
"#;

/// How many lines of configuration are believed; a real one has some 120.
const LINES: usize = 5000;

pub fn script(q: &Queries) -> Result<Option<String>, NulInText> {
    Ok(q.sshd.then(|| SCRIPT.to_owned()))
}

pub fn read(frames: &[Frame], q: &Queries, out: &mut Snapshot) {
    if !q.sshd {
        return;
    }
    let said = section::find(frames, "sshd");
    out.sshd = match said {
        None => Seen::No("the host did not answer".into()),
        Some(frame) => match frame.status {
            0 => options(&frame.text()),
            2 => Seen::Absent,
            _ => Seen::No(format!(
                "sshd -T failed: {}",
                clean(frame.text().trim(), 300)
            )),
        },
    };
}

fn options(text: &str) -> Seen<BTreeMap<String, Vec<String>>> {
    let mut options: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in text.lines().take(LINES) {
        let line = line.trim();
        let (key, value) = line.split_once(' ').unwrap_or((line, ""));
        if !key.is_empty() {
            let values = options.entry(key.to_ascii_lowercase()).or_default();
            values.push(value.trim().to_owned());
        }
    }
    if options.contains_key("port") {
        Seen::Yes(options)
    } else {
        Seen::No("what sshd -T said cannot be read".into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn seen(status: i32, data: &str) -> Seen<BTreeMap<String, Vec<String>>> {
        let q = Queries {
            sshd: true,
            ..Queries::default()
        };
        let frame = Frame {
            kind: "section".into(),
            name: "sshd".into(),
            status,
            data: data.into(),
        };
        let mut out = Snapshot::default();
        read(&[frame], &q, &mut out);
        out.sshd
    }

    #[test]
    fn options_are_read_with_their_repeats() {
        let said = seen(0, "port 22\nAllowUsers ann\nallowusers bob\nbanner none\n");
        let options = said.yes().unwrap();
        assert_eq!(options["allowusers"], ["ann", "bob"]);
        assert_eq!(options["banner"], ["none"]);
    }

    #[test]
    fn what_is_not_an_answer_is_not_seen() {
        assert_eq!(seen(2, ""), Seen::Absent);
        assert_eq!(
            seen(1, "sshd: no hostkeys \u{1b}[2J\n"),
            Seen::No("sshd -T failed: sshd: no hostkeys ·[2J".into())
        );
        assert!(matches!(seen(0, ""), Seen::No(_)));
        let q = Queries {
            sshd: true,
            ..Queries::default()
        };
        let mut out = Snapshot::default();
        read(&[], &q, &mut out);
        assert!(matches!(out.sshd, Seen::No(_)));
        assert_eq!(script(&Queries::default()), Ok(None));
    }

    proptest! {
        #[test]
        fn hostile_text_does_no_harm(text in "\\PC*", status in any::<i32>()) {
            seen(status, &text);
        }
    }
}
