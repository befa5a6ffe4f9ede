//! `mount`: options of a mounted file system, or that a directory is one of its own.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Claim, Judgement, Resource, Unfixable, Verdict};
use crate::document::Words;
use crate::host::edit::Edit;
use crate::host::intent::{FileIntent, Intent, Ownership, Reaction, Risk, ScriptIntent, Stage};
use crate::host::probe::Queries;
use crate::host::probe::mounts::escape;
use crate::host::snapshot::{Mount as Mounted, Seen, Snapshot};
use crate::shell::{NulInText, quote};

const FSTAB: &str = "/etc/fstab";

/// Options that belong to the place where something is mounted, and what takes each away.
const FLAGS: &[(&str, &str)] = &[
    ("nodev", "dev"),
    ("nosuid", "suid"),
    ("noexec", "exec"),
    ("nosymfollow", "symfollow"),
];

/// A mounted file system: options that it must have, or that it is a mount of its own.
///
/// It is observed in the kernel's mount table; of two mounts on one path the last counts. Where
/// the path is not a mount, options are not applicable. Options are changed in /etc/fstab (for a
/// /tmp that systemd's own tmp.mount mounts from /etc, in a drop-in of that unit; for another
/// tmpfs or /proc without a line, a line is added) and by remounting; undo takes them away again.
///
/// Traps: `noexec` on /tmp or /var/tmp breaks programs that unpack scripts there, dpkg's
/// preconfiguration among them. A mount of its own is decided when the host is installed, and
/// never made by `apply`.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mount {
    /// Where it is mounted, e.g. `/tmp`.
    pub path: String,
    /// Options that must be there, e.g. `nodev`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<Words>,
    /// The path must be a mount of its own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub separate: bool,
}

impl Mount {
    fn options(&self) -> Vec<&str> {
        let all = self.options.iter().flat_map(|words| &words.0);
        all.flat_map(|text| text.split([',', ' ']))
            .filter(|o| !o.is_empty())
            .collect()
    }

    fn tmp_unit_files(&self) -> &'static [&'static str] {
        match self.path.as_str() {
            // Only one in /etc hides what fstab says.
            "/tmp" => &["/etc/systemd/system/tmp.mount"],
            _ => &[],
        }
    }

    fn found<'a>(&self, mounts: &'a [Mounted]) -> Option<&'a Mounted> {
        mounts.iter().rev().find(|m| m.path == self.path)
    }

    /// The edit that makes an option last.
    fn persist(
        &self,
        snapshot: &Snapshot,
        mount: &Mounted,
        option: &str,
    ) -> Result<Intent, Unfixable> {
        let text = |path: &str| match snapshot.files.get(path) {
            Some(Seen::Yes(file)) => file.content.yes().map(String::as_str),
            _ => None,
        };
        for unit in self.tmp_unit_files() {
            if let Some(content) = text(unit) {
                return Ok(tmp_drop_in(content, option));
            }
        }
        let fstab = match snapshot.files.get(FSTAB) {
            Some(Seen::Yes(file)) => file
                .content
                .yes()
                .ok_or_else(|| Unfixable::new("the text of /etc/fstab was not seen"))?
                .as_str(),
            Some(Seen::Absent) => "",
            _ => return Err(Unfixable::new("/etc/fstab was not seen")),
        };
        let matches = format!(
            r"^\s*[^#\s]\S*\s+{}/*\s+\S+\s+([^\s#]+)",
            regex::escape(&escape(&self.path))
        );
        let known = super::demand::regex(&matches)
            .is_ok_and(|pattern| fstab.lines().any(|line| pattern.is_match(line)));
        // A virtual file system is made anew at each boot, so a line of ours can say how.
        let virtual_one = matches!(mount.fstype.as_str(), "tmpfs" | "proc");
        if !known && !virtual_one {
            return Err(Unfixable::new(format!(
                "{} ({}) has no line in /etc/fstab: whatever mounts it must say {option}",
                self.path, mount.fstype
            )));
        }
        let otherwise = format!(
            "{} {} {} {} 0 0",
            mount.fstype,
            escape(&self.path),
            mount.fstype,
            lasting(mount)
        );
        Ok(Intent::File(FileIntent {
            path: FSTAB.into(),
            edit: Edit::Words {
                matches,
                add: vec![option.to_owned()],
                remove: against(option),
                otherwise,
            },
            create: Ownership::root(0o644),
            risk: Risk::Safe,
            validate_new: None,
            validate_placed: None,
            reaction: snapshot.facts.systemd.then(daemon_reload),
        }))
    }
}

fn daemon_reload() -> Reaction {
    Reaction {
        name: "systemd.daemon-reload".into(),
        run: "systemctl daemon-reload".into(),
    }
}

/// Options of a virtual file system that a line of ours must keep.
fn lasting(mount: &Mounted) -> String {
    let kept = mount.options.iter().filter(|o| {
        FLAGS.iter().any(|(flag, _)| flag == o)
            || ["size=", "mode=", "uid=", "gid=", "nr_inodes=", "hidepid="]
                .iter()
                .any(|key| o.starts_with(key))
    });
    std::iter::once("defaults")
        .chain(kept.map(String::as_str))
        .collect::<Vec<_>>()
        .join(",")
}

/// `apply` adds an option to tmp.mount's own, which a drop-in must repeat.
fn tmp_drop_in(unit: &str, option: &str) -> Intent {
    let own = unit
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Options="))
        .next_back()
        .unwrap_or("mode=1777,strictatime");
    Intent::File(FileIntent {
        path: "/etc/systemd/system/tmp.mount.d/seawall.conf".into(),
        edit: Edit::Words {
            matches: r"^Options=(\S+)".into(),
            add: vec![option.to_owned()],
            remove: against(option),
            otherwise: format!("[Mount]\nOptions={}", own.trim()),
        },
        create: Ownership::root(0o644),
        risk: Risk::Safe,
        validate_new: None,
        validate_placed: None,
        reaction: Some(daemon_reload()),
    })
}

/// What must go where an option comes.
fn against(option: &str) -> Vec<String> {
    match FLAGS.iter().find(|(flag, _)| *flag == option) {
        Some((_, opposite)) => vec![(*opposite).to_owned()],
        None => HIDEPID
            .iter()
            .flat_map(|(number, word)| [number, word])
            .map(|value| format!("hidepid={value}"))
            .filter(|other| option.starts_with("hidepid=") && other != option)
            .collect(),
    }
}

/// The kernel says the word, whichever was given.
const HIDEPID: &[(&str, &str)] = &[
    ("0", "off"),
    ("1", "noaccess"),
    ("2", "invisible"),
    ("4", "ptraceable"),
];

/// The option as the kernel may show it.
fn is_there(options: &BTreeSet<String>, option: &str) -> bool {
    options.contains(option)
        || option.strip_prefix("hidepid=").is_some_and(|value| {
            HIDEPID
                .iter()
                .filter(|(number, word)| *number == value || *word == value)
                .any(|(number, word)| {
                    options.contains(&format!("hidepid={number}"))
                        || options.contains(&format!("hidepid={word}"))
                })
        })
}

/// The pieces of sh that remount with one option more.
struct Scripts {
    guard: String,
    act: String,
    undo: String,
    unchanged_since: String,
}

impl Scripts {
    /// `table` is /proc/self/mountinfo, `mount` the program.
    fn new(table: &str, mount: &str, seen: &Mounted, option: &str) -> Result<Self, Unfixable> {
        let place = quote(&seen.path)?;
        // Source and place together: then fstab has no say in it.
        let source = quote(&seen.source)?;
        let flags = Self::flags(table, &seen.path)?;
        let there = |option: &str| -> Result<String, NulInText> {
            Ok(format!(
                "{flags}\ncase ,$_now, in *,{},*) ;; *) return 1 ;; esac",
                quote(option)?
            ))
        };
        if FLAGS.iter().any(|(flag, _)| *flag == option) {
            let word = quote(option)?;
            let is = there(option)?;
            return Ok(Scripts {
                guard: format!(
                    "{flags}\n[ -n \"$_now\" ] || return 1\ncase ,$_now, in *,{word},*) return 1 ;; esac"
                ),
                act: format!(
                    "{flags}\n{mount} -o \"remount,bind,$_now,\"{word} -- {source} {place} || return 1\n{is}"
                ),
                undo: format!(
                    "{flags}\ncase ,$_now, in *,{word},*) ;; *) return 0 ;; esac\n\
                     _now=,$_now,; _now=${{_now%%,{word},*}},${{_now#*,{word},}}\n\
                     _now=${{_now#,}}; _now=${{_now%,}}\n\
                     {mount} -o \"remount,bind,$_now\" -- {source} {place}"
                ),
                unchanged_since: is,
            });
        }
        let Some(value) = option.strip_prefix("hidepid=") else {
            return Err(Unfixable::new(format!(
                "{option} is not an option that `apply` can set on a mounted file system: put it \
                 into /etc/fstab and mount it anew"
            )));
        };
        let before = seen
            .options
            .iter()
            .find(|o| o.starts_with("hidepid="))
            .map_or("hidepid=0", String::as_str);
        let set = |option: &str| -> Result<String, NulInText> {
            // A remount of the file system clears each flag of the mount that it does not name.
            Ok(format!(
                "{flags}\n{mount} -o \"remount,$_now,\"{} -- {source} {place}",
                quote(option)?
            ))
        };
        let mut spelled = HIDEPID.iter().filter(|(n, w)| *n == value || *w == value);
        let (number, word) = spelled
            .next()
            .ok_or_else(|| Unfixable::new(format!("{option} has no meaning")))?;
        let is = format!(
            "{flags}\ncase ,$_all, in *,hidepid={number},*|*,hidepid={word},*) ;; *) return 1 ;; esac"
        );
        Ok(Scripts {
            guard: format!(
                "{flags}\n[ -n \"$_now\" ] || return 1\n\
                 case ,$_all, in *,hidepid={number},*|*,hidepid={word},*) return 1 ;; esac"
            ),
            act: format!("{} || return 1\n{is}", set(option)?),
            undo: set(before)?,
            unchanged_since: is,
        })
    }

    /// sh that puts the flags of the last mount on a path into `$_now`, and those of its file
    /// system into `$_all`.
    fn flags(table: &str, path: &str) -> Result<String, NulInText> {
        Ok(format!(
            "_now= _all=\n\
             while read -r _ _ _ _ _p _o _rest; do\n  \
             [ \"$_p\" != {} ] || {{ _now=$_o; _all=${{_rest##* }}; }}\n\
             done <{}",
            quote(&escape(path))?,
            quote(table)?
        ))
    }
}

impl Resource for Mount {
    fn target(&self) -> String {
        self.path.clone()
    }

    fn problems(&self) -> Vec<(&'static str, String)> {
        let mut out = Vec::new();
        if !self.path.starts_with('/')
            || (self.path.len() > 1 && self.path.ends_with('/'))
            || self.path.split('/').any(|part| matches!(part, "." | ".."))
            || self.path.chars().any(char::is_control)
        {
            out.push(("path", format!("`{}` is not an absolute path", self.path)));
        }
        if self.options().is_empty() != self.separate {
            out.push(("options", "give either options or `separate: true`".into()));
        }
        let odd = |o: &&str| !o.chars().all(|c| c.is_ascii_graphic());
        if let Some(bad) = self.options().into_iter().find(odd) {
            out.push(("options", format!("`{bad}` is not a mount option")));
        }
        out
    }

    fn claims(&self) -> Vec<Claim> {
        self.options()
            .into_iter()
            .map(|option| {
                // `nodev` and `dev` claim the same.
                let (key, value) = option.split_once('=').unwrap_or(
                    match FLAGS.iter().find(|(f, o)| *f == option || *o == option) {
                        Some((flag, _)) => (flag, option),
                        None => (option, option),
                    },
                );
                Claim {
                    key: format!("mount {} {key}", self.path),
                    value: value.to_owned(),
                }
            })
            .collect()
    }

    fn ask(&self, queries: &mut Queries) {
        queries.mounts = true;
        if !self.separate {
            queries.text(FSTAB);
            for path in self.tmp_unit_files() {
                queries.text(path);
                queries.text("/etc/systemd/system/tmp.mount.d/seawall.conf");
            }
        }
    }

    fn judge(&self, snapshot: &Snapshot) -> Judgement {
        let expected = if self.separate {
            "a mount of its own".to_owned()
        } else {
            format!("mounted with {}", self.options().join(", "))
        };
        let mounts = match &snapshot.mounts {
            Seen::Yes(mounts) => mounts,
            Seen::No(why) => return Judgement::unknown(expected, why.clone()),
            Seen::Absent => return Judgement::unknown(expected, "the mount table was not seen"),
        };
        let mount = self.found(mounts);
        if self.separate {
            return match mount {
                Some(m) => Judgement::new(Verdict::Pass, expected, format!("{} mount", m.fstype)),
                None => Judgement::new(Verdict::Fail, expected, "a directory of another mount"),
            };
        }
        let Some(mount) = mount else {
            let why = format!("{} is not a mount of its own", self.path);
            return Judgement::not_applicable(expected, why);
        };
        let options: Vec<&str> = mount.options.iter().map(String::as_str).collect();
        let wanted = self.options();
        let missing = |o: &&str| !is_there(&mount.options, o);
        let missing: Vec<&str> = wanted.iter().map(|o| &**o).filter(missing).collect();
        let all = options.join(",");
        match missing.is_empty() {
            true => Judgement::new(Verdict::Pass, expected, all),
            false => {
                let actual = format!("without {} ({all})", missing.join(", "));
                Judgement::new(Verdict::Fail, expected, actual)
            }
        }
    }

    fn fix(&self, snapshot: &Snapshot) -> Result<Vec<Intent>, Unfixable> {
        if self.separate {
            return Err(Unfixable::new(
                "a mount of its own is decided when the host is installed: it needs a partition \
                 or a volume",
            ));
        }
        let mounts = snapshot.mounts.yes().map(Vec::as_slice).unwrap_or_default();
        let mount = self
            .found(mounts)
            .ok_or_else(|| Unfixable::new("the mount was not seen"))?;
        let mut out = Vec::new();
        for option in self.options() {
            if is_there(&mount.options, option) {
                continue;
            }
            let sh = Scripts::new("/proc/self/mountinfo", "mount", mount, option)?;
            out.push(self.persist(snapshot, mount, option)?);
            out.push(Intent::Script(ScriptIntent {
                target: format!("mount {} {option}", self.path),
                before: format!("{} without {option}", self.path),
                after: format!("{} with {option}", self.path),
                risk: Risk::Safe,
                stage: Stage::Kernel,
                guard: sh.guard,
                act: sh.act,
                undo: sh.undo,
                unchanged_since: sh.unchanged_since,
                no_way_back: None,
                reaction: None,
            }));
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::edit;
    use crate::host::probe::section::testing::{SHELLS, snippet};
    use crate::host::snapshot::{FileKind, FileState};

    fn rule(yaml: &str) -> Mount {
        serde_yaml::from_str(yaml).unwrap()
    }

    fn mounted(path: &str, fstype: &str, options: &[&str]) -> Mounted {
        Mounted {
            path: path.into(),
            source: "/dev/vda1".into(),
            fstype: fstype.into(),
            options: options.iter().map(|o| (*o).to_owned()).collect(),
        }
    }

    fn host(mounts: Vec<Mounted>, fstab: &str) -> Snapshot {
        let mut s = Snapshot {
            mounts: Seen::Yes(mounts),
            ..Snapshot::default()
        };
        s.facts.systemd = true;
        with_file(&mut s, FSTAB, fstab);
        s
    }

    fn with_file(s: &mut Snapshot, path: &str, text: &str) {
        let state = FileState {
            kind: FileKind::File,
            mode: 0o644,
            uid: 0,
            gid: 0,
            owner: "root".into(),
            group: "root".into(),
            size: 0,
            link: None,
            content: Seen::Yes(text.into()),
        };
        s.files.insert(path.into(), Seen::Yes(state));
    }

    #[test]
    fn options_of_the_last_mount_count() {
        let rule = rule("{path: /home, options: [nodev, nosuid]}");
        let under = mounted("/home", "ext4", &["rw", "nodev", "nosuid"]);
        let over = mounted("/home", "ext4", &["rw", "nodev"]);
        let verdict = |m: Vec<Mounted>| rule.judge(&host(m, "")).verdict;
        assert_eq!(verdict(vec![under.clone()]), Verdict::Pass);
        assert_eq!(verdict(vec![under, over]), Verdict::Fail);
        assert_eq!(verdict(vec![]), Verdict::NotApplicable);
        assert_eq!(rule.judge(&Snapshot::default()).verdict, Verdict::Unknown);
    }

    #[test]
    fn a_mount_of_its_own_is_never_made() {
        let rule = rule("{path: /home, separate: true}");
        let s = host(vec![mounted("/", "ext4", &["rw"])], "");
        assert_eq!(rule.judge(&s).verdict, Verdict::Fail);
        assert!(rule.fix(&s).is_err());
        let s = host(vec![mounted("/home", "ext4", &["rw"])], "");
        assert_eq!(rule.judge(&s).verdict, Verdict::Pass);
    }

    #[test]
    fn hidepid_has_two_spellings() {
        let s = host(
            vec![mounted("/proc", "proc", &["rw", "hidepid=invisible"])],
            "",
        );
        assert_eq!(
            rule("{path: /proc, options: hidepid=2}").judge(&s).verdict,
            Verdict::Pass
        );
        assert_eq!(
            rule("{path: /proc, options: hidepid=1}").judge(&s).verdict,
            Verdict::Fail
        );
    }

    fn fstab_after(s: &Snapshot, rules: &[&str]) -> String {
        let mut text = s.files[FSTAB].yes().unwrap().content.yes().unwrap().clone();
        for yaml in rules {
            for intent in rule(yaml).fix(s).unwrap() {
                if let Intent::File(file) = intent {
                    assert_eq!(file.path, FSTAB);
                    text = edit::apply(&file.edit, Some(&text)).unwrap();
                }
            }
        }
        text
    }

    #[test]
    fn rules_on_one_mount_add_up_in_fstab() {
        let fstab = "UUID=1 / ext4 defaults 0 1\nUUID=2 /home ext4 defaults,dev 0 2\n";
        let s = host(vec![mounted("/home", "ext4", &["rw", "relatime"])], fstab);
        let rules = [
            "{path: /home, options: nodev}",
            "{path: /home, options: nosuid}",
        ];
        assert_eq!(
            fstab_after(&s, &rules),
            "UUID=1 / ext4 defaults 0 1\nUUID=2 /home ext4 defaults,nodev,nosuid 0 2\n"
        );
        let shm = host(
            vec![mounted("/dev/shm", "tmpfs", &["rw", "nosuid", "size=8k"])],
            "",
        );
        let rules = ["{path: /dev/shm, options: [nodev, noexec]}"];
        assert_eq!(
            fstab_after(&shm, &rules),
            "tmpfs /dev/shm tmpfs defaults,nosuid,size=8k,nodev,noexec 0 0\n"
        );
        let unknown = host(vec![mounted("/srv", "ext4", &["rw"])], "");
        let why = rule("{path: /srv, options: nodev}")
            .fix(&unknown)
            .unwrap_err();
        assert!(why.0.contains("no line in /etc/fstab"), "{why}");
    }

    #[test]
    fn a_tmp_mount_of_etc_gets_a_drop_in() {
        let mut s = host(vec![mounted("/tmp", "tmpfs", &["rw"])], "");
        let unit = "[Mount]\nWhat=tmpfs\nOptions=mode=1777,strictatime,size=50%%\n";
        with_file(&mut s, "/etc/systemd/system/tmp.mount", unit);
        let mut text: Option<String> = None;
        for intent in rule("{path: /tmp, options: [nodev, noexec]}")
            .fix(&s)
            .unwrap()
        {
            if let Intent::File(file) = intent {
                text = edit::apply(&file.edit, text.as_deref());
            }
        }
        assert_eq!(
            text.unwrap(),
            "[Mount]\nOptions=mode=1777,strictatime,size=50%%,nodev,noexec\n"
        );
    }

    /// A mount program that writes what it was told into a table, as the kernel would.
    const FAKE: &str = r#"#!/bin/sh
[ "$1 $3" = "-o --" ] || exit 9
o=${2#remount,}; all=rw
case $o in
bind,*) o=${o#bind,} ;;
*) _list=$o; o=
    IFS=,
    for _word in $_list; do
        case $_word in hidepid=*) all=$all,$_word ;; *) o=$o${o:+,}$_word ;; esac
    done ;;
esac
printf '1 2 0:3 / %s %s shared:1 - ext4 %s %s\n' "$5" "$o" "$4" "$all" >"$TABLE"
"#;

    #[test]
    fn scripts_change_and_bring_back_under_every_shell() {
        let dir = tempfile::tempdir().unwrap();
        let table = dir.path().join("table");
        let fake = dir.path().join("mount");
        let place = quote(&table.display().to_string()).unwrap();
        std::fs::write(&fake, FAKE.replace("\"$TABLE\"", &place)).unwrap();
        let mount = format!("sh {}", quote(&fake.display().to_string()).unwrap());
        let line = |flags: &str, all: &str| {
            format!(
                "1 2 0:3 / /a rw - ext4 x rw\n1 2 0:3 / /b {flags} shared:1 - ext4 /dev/vda1 {all}\n"
            )
        };
        let flags = || {
            let text = std::fs::read_to_string(&table).unwrap();
            let last = text.lines().last().unwrap().to_owned();
            let words: Vec<&str> = last.split(' ').collect();
            (words[5].to_owned(), words[words.len() - 1].to_owned())
        };
        let file = table.display().to_string();
        let seen = mounted("/b", "ext4", &["rw"]);
        let nodev = Scripts::new(&file, &mount, &seen, "nodev").unwrap();
        let hidepid = Scripts::new(&file, &mount, &seen, "hidepid=2").unwrap();
        for shell in SHELLS {
            let run = |text: &str| snippet(shell, dir.path(), text);
            std::fs::write(&table, line("rw,nosuid,relatime", "rw")).unwrap();
            assert!(run(&nodev.guard).0);
            assert!(!run(&nodev.unchanged_since).0);
            assert_eq!(run(&nodev.act), (true, String::new()), "{shell:?}");
            assert_eq!(flags().0, "rw,nosuid,relatime,nodev");
            assert!(!run(&nodev.guard).0);
            assert!(run(&nodev.unchanged_since).0);
            assert_eq!(run(&nodev.undo), (true, String::new()), "{shell:?}");
            assert_eq!(flags().0, "rw,nosuid,relatime");
            assert!(run(&hidepid.guard).0);
            assert_eq!(run(&hidepid.act), (true, String::new()), "{shell:?}");
            assert_eq!(
                flags(),
                ("rw,nosuid,relatime".into(), "rw,hidepid=2".into())
            );
            assert_eq!(run(&hidepid.undo), (true, String::new()), "{shell:?}");
            assert_eq!(
                flags(),
                ("rw,nosuid,relatime".into(), "rw,hidepid=0".into())
            );
            std::fs::write(&table, "").unwrap();
            assert!(!run(&nodev.guard).0, "what is no longer mounted is stale");
        }
    }

    #[test]
    fn mistakes_are_told() {
        assert!(rule("{path: /tmp, options: nodev}").problems().is_empty());
        assert_eq!(rule("{path: tmp, options: nodev}").problems()[0].0, "path");
        assert_eq!(rule("{path: /tmp}").problems()[0].0, "options");
        assert_eq!(
            rule("{path: /tmp, separate: true, options: a}").problems()[0].0,
            "options"
        );
        let (no, yes) = (
            rule("{path: /tmp, options: nodev}").claims(),
            rule("{path: /tmp, options: dev}").claims(),
        );
        assert_eq!(no[0].key, yes[0].key);
        assert_ne!(no[0].value, yes[0].value);
    }
}
