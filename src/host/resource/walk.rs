//! `walk`: files anywhere on the local disks that must not be as they are.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Judgement, Resource, Unfixable, glob};
use crate::document::Words;
use crate::host::intent::{Intent, Risk, ScriptIntent, Stage};
use crate::host::probe::Queries;
use crate::host::snapshot::{Seen, Snapshot};
use crate::shell::quote_all;

/// Files on the local file systems that must not be as they are.
///
/// It is observed by one walk for all such rules. Remote and virtual file systems, the stores of
/// containers and snaps, and a /tmp and /var/tmp that are mounts of their own are left out. It
/// needs root. Of each list, 200 entries are kept; where it was cut and nothing wrong is among
/// them, the rule is unknown. World-writable files lose the write bit of others, such folders get
/// the sticky bit, and undo gives each its mode again; the other lists are for a person.
///
/// Traps: it is the dearest thing to observe, some seconds on a host with millions of files.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Walk {
    /// What to look for.
    pub find: Find,
    /// Paths that are all right, with `*`, `?`, `[…]`; `*` matches slashes too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow: Option<Words>,
}

/// What the walk looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Find {
    /// Files that anyone may write, and folders so without the sticky bit.
    WorldWritable,
    /// Files and folders whose owner or group does not exist.
    Unowned,
    /// Set-uid and set-gid programs that are not allowed.
    SetId,
    /// Files under /var/log that are looser than 0640 (wtmp, btmp, lastlog: 0664).
    LooseLogs,
}

impl Find {
    fn describe(self) -> &'static str {
        match self {
            Find::WorldWritable => {
                "no file that anyone may write, no such folder without sticky bit"
            }
            Find::Unowned => "no file whose owner or group does not exist",
            Find::SetId => "no set-uid or set-gid program but those allowed",
            Find::LooseLogs => "no file under /var/log looser than 0640",
        }
    }
}

/// How many paths a person is shown.
const SHOWN: usize = 10;

impl Walk {
    /// The paths that are not allowed, and whether there may be more.
    fn wrong<'a>(&self, snapshot: &'a Snapshot) -> Result<(Vec<&'a str>, bool), String> {
        let walk = match &snapshot.walk {
            Seen::Yes(walk) => walk,
            Seen::No(why) => return Err(why.clone()),
            Seen::Absent => return Err("the walk was not made".into()),
        };
        let list = match self.find {
            Find::WorldWritable => &walk.world_writable,
            Find::Unowned => &walk.unowned,
            Find::SetId => &walk.set_id,
            Find::LooseLogs => &walk.loose_logs,
        };
        let allowed = |path: &str| {
            self.allow
                .iter()
                .flat_map(|words| &words.0)
                .any(|pattern| glob::matches(pattern, path, true))
        };
        let wrong = list.iter().map(String::as_str).filter(|p| !allowed(p));
        Ok((wrong.collect(), walk.cut))
    }
}

impl Resource for Walk {
    fn target(&self) -> String {
        self.find.describe().to_owned()
    }

    fn problems(&self) -> Vec<(&'static str, String)> {
        self.allow
            .iter()
            .flat_map(|words| &words.0)
            .filter(|pattern| !pattern.starts_with('/'))
            .map(|pattern| ("allow", format!("`{pattern}` is not an absolute path")))
            .collect()
    }

    fn ask(&self, queries: &mut Queries) {
        queries.walk = true;
    }

    fn judge(&self, snapshot: &Snapshot) -> Judgement {
        let expected = self.find.describe();
        let (wrong, cut) = match self.wrong(snapshot) {
            Ok(found) => found,
            Err(why) => return Judgement::unknown(expected, why),
        };
        if wrong.is_empty() {
            return if cut {
                Judgement::unknown(expected, "the walk found more than could be kept")
            } else {
                Judgement::pass_if(true, expected, "none")
            };
        }
        let mut actual = wrong
            .iter()
            .take(SHOWN)
            .copied()
            .collect::<Vec<_>>()
            .join(", ");
        if wrong.len() > SHOWN || cut {
            let more = wrong.len().saturating_sub(SHOWN);
            let least = if cut { "at least " } else { "" };
            actual.push_str(&format!(", and {least}{more} more"));
        }
        Judgement::pass_if(false, expected, actual)
    }

    fn fix(&self, snapshot: &Snapshot) -> Result<Vec<Intent>, Unfixable> {
        if self.find != Find::WorldWritable {
            return Err(Unfixable::new(match self.find {
                Find::Unowned => "who should own these files is for a person to say",
                Find::SetId => "whether these programs need their rights is for a person to say",
                _ => {
                    "the programs that write these logs must be told the mode (rsyslog's FileCreateMode, logrotate's create)"
                }
            }));
        }
        let (wrong, _) = self.wrong(snapshot).map_err(Unfixable)?;
        // A name that came through changed would not be the same file.
        let (plain, strange): (Vec<&str>, Vec<&str>) = wrong
            .into_iter()
            .partition(|path| !path.chars().any(|c| c.is_control() || c == '\u{fffd}'));
        if plain.is_empty() {
            return Err(Unfixable::new(format!(
                "the names of these {} files hold characters that cannot be passed on safely",
                strange.len()
            )));
        }
        let paths = quote_all(plain.iter().copied())?;
        let open = format!(
            "find {paths} -maxdepth 0 \\( -type f -perm -0002 -o -type d -perm -0002 ! -perm -1000 \\) 2>/dev/null"
        );
        let closed = format!("[ -z \"$({open})\" ]");
        Ok(vec![Intent::Script(ScriptIntent {
            target: "walk world_writable".into(),
            before: format!("anyone may write: {}", plain.join(", ")),
            after: "files without the write bit of others, folders with the sticky bit".into(),
            risk: Risk::Disruptive,
            stage: Stage::File,
            guard: format!("! {closed}"),
            act: format!(
                "{ACT}for _p in {paths}; do\n  _tighten \"$_p\" || return 1\ndone\n{closed}"
            ),
            undo: UNDO.into(),
            unchanged_since: UNCHANGED.into(),
            no_way_back: None,
            reaction: None,
        })])
    }
}

/// The file is opened, and then it is that file, whatever its name comes to mean meanwhile: others
/// may write the folder that it stands in.
///
/// What another step has closed meanwhile is not this step's to change, nor to bring back.
const ACT: &str = r#"_opened() {
  _s=$(stat -L -c '%d:%i %a' /proc/self/fd/9) || return 1
  case ${_s##* } in *[2367]) ;; *) return 0 ;; esac
  printf '%s %s\n' "$_s" "$1" >>"$store/$step.modes" || return 1
  if [ -d /proc/self/fd/9 ]; then chmod +t /proc/self/fd/9; else chmod o-w /proc/self/fd/9; fi
}
_tighten() {
  if [ -L "$1" ]; then return 0; fi
  if [ -f "$1" ] || [ -d "$1" ]; then _opened "$1" 9<"$1"; fi
}
"#;

/// Each file is as this step left it, or is back already: another step's undo may have been first.
const UNCHANGED: &str = r#"[ -e "$store/$step.modes" ] || return 0
_bad=0
_opened() {
  [ "$(stat -L -c '%d:%i' /proc/self/fd/9)" = "$1" ] || return 0
  if [ -d /proc/self/fd/9 ]; then _new=$((0$2 | 01000)); else _new=$((0$2 & ~2)); fi
  case $(stat -L -c '%a' /proc/self/fd/9) in "$2" | "$(printf %o "$_new")") ;; *) return 1 ;; esac
}
while read -r _id _mode _p; do
  if [ -L "$_p" ]; then continue; fi
  if [ -f "$_p" ] || [ -d "$_p" ]; then _opened "$_id" "$_mode" 9<"$_p" || _bad=1; fi
done <"$store/$step.modes"
return $_bad"#;

const UNDO: &str = r#"[ -e "$store/$step.modes" ] || return 0
_bad=0
_opened() {
  [ "$(stat -L -c '%d:%i' /proc/self/fd/9)" = "$1" ] || return 0
  chmod "$2" /proc/self/fd/9
}
while read -r _id _mode _p; do
  if [ -L "$_p" ]; then continue; fi
  if [ -f "$_p" ] || [ -d "$_p" ]; then _opened "$_id" "$_mode" 9<"$_p" || _bad=1; fi
done <"$store/$step.modes"
return $_bad"#;

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;
    use crate::host::probe::section::testing::{SHELLS, snippet};
    use crate::host::snapshot::Walk as Walked;

    fn rule(yaml: &str) -> Walk {
        serde_yaml::from_str(yaml).unwrap()
    }

    fn host(paths: &[&str], cut: bool) -> Snapshot {
        let list: Vec<String> = paths.iter().map(|p| (*p).to_owned()).collect();
        Snapshot {
            walk: Seen::Yes(Walked {
                world_writable: list.clone(),
                set_id: list,
                cut,
                ..Walked::default()
            }),
            ..Snapshot::default()
        }
    }

    #[test]
    fn what_is_allowed_is_all_right() {
        let rule = rule("{find: set_id, allow: [/usr/bin/su, '/opt/*']}");
        let verdict = |s: &Snapshot| rule.judge(s).verdict;
        assert_eq!(
            verdict(&host(&["/usr/bin/su", "/opt/a/b"], false)),
            Verdict::Pass
        );
        assert_eq!(verdict(&host(&["/usr/bin/sudo"], false)), Verdict::Fail);
        assert_eq!(verdict(&host(&["/usr/bin/su"], true)), Verdict::Unknown);
        assert_eq!(verdict(&host(&["/x"], true)), Verdict::Fail);
        assert_eq!(verdict(&Snapshot::default()), Verdict::Unknown);
        assert!(rule.fix(&host(&["/x"], false)).is_err());
        let many: Vec<String> = (0..12).map(|n| format!("/{n}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let actual = rule.judge(&host(&many, false)).actual;
        assert!(actual.ends_with("/9, and 2 more"), "{actual}");
    }

    #[test]
    fn mistakes_are_told() {
        assert_eq!(rule("{find: unowned, allow: x}").problems()[0].0, "allow");
        assert!(serde_yaml::from_str::<Walk>("{find: all}").is_err());
        let strange = host(&["/a\nb"], false);
        let why = rule("{find: world_writable}").fix(&strange).unwrap_err();
        assert!(why.0.contains("safely"), "{why}");
    }

    #[test]
    fn modes_change_and_come_back_and_a_swapped_name_is_left() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        for shell in SHELLS {
            let dir = tempfile::tempdir().unwrap();
            let at = |name: &str| dir.path().join(name);
            let mode =
                |name: &str| std::fs::metadata(at(name)).unwrap().permissions().mode() & 0o7777;
            let set = |name: &str, mode: u32| {
                std::fs::set_permissions(at(name), std::fs::Permissions::from_mode(mode)).unwrap();
            };
            for (name, mode) in [("it's", 0o4666), ("swap", 0o666), ("secret", 0o600)] {
                std::fs::write(at(name), "").unwrap();
                set(name, mode);
            }
            std::fs::create_dir(at("open dir")).unwrap();
            set("open dir", 0o777);
            std::fs::create_dir(at("shut")).unwrap();
            set("shut", 0o700);
            let paths: Vec<String> = ["it's", "swap", "open dir", "shut", "gone"]
                .map(|name| at(name).display().to_string())
                .into();
            let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
            let rule = rule("{find: world_writable}");
            let Intent::Script(sh) = rule.fix(&host(&paths, false)).unwrap().remove(0) else {
                panic!()
            };
            let run = |text: &str| snippet(shell, dir.path(), text);
            assert!(run(&sh.guard).0, "{shell:?}");
            assert_eq!(run(&sh.act), (true, String::new()), "{shell:?}");
            assert_eq!(
                (mode("it's"), mode("swap"), mode("open dir")),
                (0o4664, 0o664, 0o1777)
            );
            assert!(!run(&sh.guard).0 && run(&sh.unchanged_since).0);
            // What is back already is no reason to leave the rest; what somebody closed since is.
            set("it's", 0o4666);
            assert!(run(&sh.unchanged_since).0, "{shell:?}");
            set("open dir", 0o750);
            assert!(!run(&sh.unchanged_since).0, "{shell:?}");
            set("it's", 0o4664);
            set("open dir", 0o1777);
            // A step of another rule closes one of them first.
            assert!(mode("shut") == 0o700, "{shell:?}");
            // Whoever may write the folder puts something else in its place.
            std::fs::remove_file(at("swap")).unwrap();
            symlink(at("secret"), at("swap")).unwrap();
            assert_eq!(run(&sh.undo), (true, String::new()), "{shell:?}");
            assert_eq!((mode("it's"), mode("open dir")), (0o4666, 0o777));
            assert_eq!(mode("secret"), 0o600);
            std::fs::remove_file(at("swap")).unwrap();
            std::fs::hard_link(at("secret"), at("swap")).unwrap();
            assert!(run(&sh.undo).0);
            assert_eq!(mode("secret"), 0o600);
        }
    }
}
