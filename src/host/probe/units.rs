//! systemd's units. One fork: `systemctl show` for all of them that there are.

use super::{Queries, section};
use crate::host::snapshot::{Seen, Snapshot, UnitState};
use crate::shell::{Frame, NulInText, quote_all};

const NAME: &str = "units";

const SUFFIXES: &[&str] = &[
    "service",
    "socket",
    "timer",
    "path",
    "mount",
    "automount",
    "target",
    "swap",
    "slice",
    "scope",
    "device",
];

/// Whether a text is the name of one unit, with its suffix. (A template without its instance is
/// none, and would make `systemctl show` stop.)
pub(crate) fn is_name(text: &str) -> bool {
    let Some((stem, suffix)) = text.rsplit_once('.') else {
        return false;
    };
    SUFFIXES.contains(&suffix)
        && !stem.is_empty()
        && text.len() <= 200
        && !stem.starts_with('-')
        && !stem.ends_with('@')
        && stem
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, ':' | '_' | '.' | '\\' | '@' | '-'))
}

/// The body of the function that observes.
pub fn script(q: &Queries) -> Result<Option<String>, NulInText> {
    let names = q.units.iter().map(String::as_str).filter(|n| is_name(n));
    let words = quote_all(names)?;
    if words.is_empty() {
        return Ok(None);
    }
    // systemd searches all its folders, in PID 1, for each unit that it does not know: dozens of
    // services that a server does not have would cost more than all other probes. So what has
    // neither a file nor a cgroup is not asked for.
    Ok(Some(format!(
        r#"if [ ! -d /run/systemd/system ]; then frame section {NAME} 1 'systemd does not run on this host'; return 0; fi
_none=
set --
for _u in {words}; do
  _t=$_u
  case $_u in
  *@*) _t=${{_u%%@*}}@.${{_u##*.}} ;;
  *.device | *.scope | *.slice | *.swap | *.mount) set -- "$@" "$_u"; continue ;;
  esac
  for _d in {FOLDERS}; do
    if [ -e "$_d/$_u" ] || [ -L "$_d/$_u" ] || [ -e "$_d/$_t" ]; then set -- "$@" "$_u"; continue 2; fi
  done
  _none="$_none

Names=$_u
LoadState=not-found"
done
_said= _rc=0
if [ $# -gt 0 ]; then _said=$(systemctl show -p Names,LoadState,ActiveState,UnitFileState -- "$@" 2>&1) || _rc=$?; fi
frame section {NAME} "$_rc" "$_said$_none""#
    )))
}

/// Where a unit has its file (systemd.unit(5)), or, while it is active, its cgroup.
const FOLDERS: &str = "/usr/lib/systemd/system /lib/systemd/system /etc/systemd/system \
    /run/systemd/system /run/systemd/generator.late /run/systemd/generator /run/systemd/generator.early \
    /run/systemd/transient /usr/local/lib/systemd/system /etc/systemd/system.control \
    /run/systemd/system.control /sys/fs/cgroup/system.slice /sys/fs/cgroup/systemd/system.slice \
    /sys/fs/cgroup/unified/system.slice";

/// Reads what was said: a block of `KEY=VALUE` lines for each unit, empty lines between them. A
/// unit is known by any of its names.
pub fn read(frames: &[Frame], q: &Queries, out: &mut Snapshot) {
    let answer = section::answered(frames, NAME);
    let text = answer.as_ref().map(|f| f.text()).unwrap_or_default();
    let blocks: Vec<(Vec<&str>, UnitState)> = text.split("\n\n").map(block).collect();
    for name in &q.units {
        let seen = match &answer {
            _ if !is_name(name) => Seen::No("this cannot be a unit's name".into()),
            Err(why) => Seen::No(why.clone()),
            Ok(_) => match blocks
                .iter()
                .find(|(names, _)| names.contains(&name.as_str()))
            {
                None => Seen::No("systemd did not tell its state".into()),
                Some((_, state)) if state.load == "not-found" => Seen::Absent,
                Some((_, state)) if state.load.is_empty() || state.active.is_empty() => {
                    Seen::No("systemd did not tell its state".into())
                }
                Some((_, state)) => Seen::Yes(state.clone()),
            },
        };
        out.units.insert(name.clone(), seen);
    }
}

fn block(text: &str) -> (Vec<&str>, UnitState) {
    let value = |key: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
            .unwrap_or_default()
    };
    let state = UnitState {
        load: value("LoadState").to_owned(),
        active: value("ActiveState").to_owned(),
        file: value("UnitFileState").to_owned(),
    };
    (value("Names").split(' ').collect(), state)
}

#[cfg(test)]
mod tests {
    use super::super::section::testing;
    use super::*;
    use proptest::prelude::*;

    fn asked(names: &[&str]) -> Queries {
        Queries {
            units: names.iter().map(|n| (*n).to_owned()).collect(),
            ..Queries::default()
        }
    }

    fn seen(data: &str, names: &[&str]) -> Snapshot {
        let mut out = Snapshot::default();
        read(&[testing::frame(NAME, 0, data)], &asked(names), &mut out);
        out
    }

    #[test]
    fn blocks_are_found_by_any_name() {
        let s = seen(
            "Names=ssh.service sshd.service\nLoadState=loaded\nActiveState=active\nUnitFileState=enabled\n\n\
             Names=cups.service\nLoadState=not-found\nActiveState=inactive\nUnitFileState=\n\n\
             Names=x.service\nLoadState=masked\nActiveState=inactive\nUnitFileState=masked",
            &[
                "sshd.service",
                "cups.service",
                "x.service",
                "y.service",
                "bad",
            ],
        );
        assert_eq!(s.units["sshd.service"].yes().unwrap().file, "enabled");
        assert_eq!(s.units["cups.service"], Seen::Absent);
        assert_eq!(s.units["x.service"].yes().unwrap().load, "masked");
        assert!(matches!(s.units["y.service"], Seen::No(_)));
        assert!(matches!(s.units["bad"], Seen::No(_)));
    }

    #[test]
    fn names_are_checked() {
        assert!(
            is_name("cron.service") && is_name("getty@tty1.service") && is_name("a\\x2db.mount")
        );
        for bad in [
            "cron",
            "getty@.service",
            ".service",
            "-a.service",
            "a b.service",
            "a.conf",
        ] {
            assert!(!is_name(bad), "{bad}");
        }
    }

    #[test]
    fn every_shell_can_run_it_and_silence_is_no_answer() {
        let q = asked(&["cron.service"]);
        let body = script(&q).unwrap().unwrap();
        for shell in testing::SHELLS {
            let frames = testing::frames(shell, &body);
            assert_eq!(frames.len(), 1, "{shell:?}");
        }
        assert_eq!(script(&Queries::default()), Ok(None));
        let mut out = Snapshot::default();
        read(&[testing::frame(NAME, 1, "no bus")], &q, &mut out);
        assert_eq!(out.units["cron.service"], Seen::No("no bus".into()));
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic(data in "(Names=|cron.service|LoadState=|\n|=| |.){0,40}") {
            prop_assert_eq!(seen(&data, &["cron.service"]).units.len(), 1);
        }
    }
}
