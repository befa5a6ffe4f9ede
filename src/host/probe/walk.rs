//! One walk over the local file systems, for all rules that need it. Four forks: `find`, `tr`,
//! `head` and the subshell that holds them.
//!
//! It is the dearest probe by far, at about 2.5 µs for each file: `find` must look at the mode of
//! every file. Two things keep it there. Whether an owner exists is asked only for ids that
//! /etc/passwd and /etc/group do not name (`-nouser` alone asks the name service for every file,
//! which takes ten times as long as the walk). And what belongs to no one, or to the network, is
//! left out: remote and virtual file systems, and the stores of containers and snaps.
//!
//! Names come as they are: bytes end in NUL on the way, a newline in a name becomes byte 1. The
//! last starting point is /dev/null, whose record says that the walk came to its end.

use std::collections::BTreeSet;

use super::{Queries, section};
use crate::host::snapshot::{Snapshot, Walk};
use crate::shell::{Frame, NulInText};

const NAME: &str = "walk";

/// How many entries of each list are kept.
const LIST_MAX: usize = 200;

/// The body of the function that observes.
pub fn script(q: &Queries) -> Result<Option<String>, NulInText> {
    Ok(q.walk.then(|| SCRIPT.to_owned()))
}

const SCRIPT: &str = r#"# PID 1 is root's: who owns it may look everywhere.
if [ ! -O /proc/1 ]; then frame section walk 1 'only root can see every file'; return 0; fi
if ! have find; then frame section walk 1 'there is no find'; return 0; fi
_seen=' ' _roots=
set --
set -f
while read -r _ _ _dev _root _at _rest; do
  # What is mounted over a place hides what was there.
  if [ $# -gt 0 ]; then
    for _p in "$@"; do shift; if [ "$_p" != "$_at" ]; then set -- "$@" "$_p"; fi; done
  fi
  _rest=${_rest#*- }
  _type=${_rest%% *}
  case $_type in
  ext[234] | xfs | f2fs | jfs | reiserfs | nilfs2 | bcachefs | tmpfs | overlay) _id=$_dev ;;
  btrfs | zfs) _id=$_dev:$_root ;;
  *) continue ;;
  esac
  case $_at in
  /dev | /proc/* | /sys/* | /run/user/* | /run/credentials/* | /tmp | /var/tmp | /snap/* | /var/snap/*) continue ;;
  */docker/* | */containerd/* | */containers/* | */kubelet/* | */k3s/* | */lxd/* | /run/docker/* | /run/snapd/*) continue ;;
  esac
  case $_seen in *" $_id "*) continue ;; esac
  case $_at in *\\*) _at=$(printf '%b' "$_at") ;; esac
  if [ ! -d "$_at" ] || [ -L "$_at" ]; then continue; fi
  _seen="$_seen$_id "
  set -- "$@" "$_at"
done </proc/self/mountinfo
if [ $# -eq 0 ]; then set +f; frame section walk 1 'no local file system was found'; return 0; fi
_users= _groups=
while IFS=: read -r _n _x _id _rest; do
  case $_id in '' | *[!0-9]*) ;; *) _users="$_users ! -uid $_id" ;; esac
done </etc/passwd
while IFS=: read -r _n _x _id _rest; do
  case $_id in '' | *[!0-9]*) ;; *) _groups="$_groups ! -gid $_id" ;; esac
done </etc/group
_said=$(
  find "$@" /dev/null -xdev \
    \( -type d \( -path /var/lib/docker -o -path /var/lib/containerd -o -path /var/lib/containers -o -path /var/lib/kubelet \
      -o -path /var/lib/rancher -o -path /var/lib/lxd -o -path /var/lib/machines -o -path /snap -o -path /var/lib/seawall \) -prune \) -o \
    \( -type f -o -type d \) \( \
      \( -type f -perm /6002 -printf 'f%m %p\0' -o -type d -perm -0002 ! -perm -1000 -printf 'd%m %p\0' \) , \
      \( $_users -nouser -o $_groups -nogroup \) -printf 'u %p\0' , \
      -type f -perm /0137 -path '/var/log/*' -printf 'l%m %p\0' , -true \
    \) -o -path /dev/null -printf 'e \0' 2>/dev/null | tr '\n\000' '\001\n' | head -c 262144
)
set +f
frame section walk 0 "$_said""#;

/// Reads what was said. Lines: `fMODE PATH` and `dMODE PATH` for a mode that matters, `u PATH` without an owner or
/// a group, `lMODE PATH` for a log that others may use, `e` at the end.
pub fn read(frames: &[Frame], q: &Queries, out: &mut Snapshot) {
    if q.walk {
        out.walk = section::seen(frames, NAME, parse);
    }
}

fn parse(text: &str) -> Result<Walk, String> {
    if text.is_empty() {
        return Err("the host's find cannot walk as it must".into());
    }
    let mut lists: [BTreeSet<String>; 4] = Default::default();
    // A /dev that is a plain folder holds the same device: only the last line is the end.
    let whole = text.lines().next_back() == Some("e ");
    for line in text.lines() {
        let Some((tag, path)) = line.split_once(' ') else {
            continue;
        };
        if !path.starts_with('/') {
            continue;
        }
        let path = path.replace('\u{1}', "\n");
        let Some((kind, mode)) = tag.split_at_checked(1) else {
            continue;
        };
        let mode = u32::from_str_radix(mode, 8).unwrap_or(0);
        let [writable, unowned, set_id, logs] = &mut lists;
        match kind {
            "f" => {
                if mode & 0o6000 != 0 {
                    set_id.insert(path.clone());
                }
                if mode & 0o2 != 0 {
                    writable.insert(path);
                }
            }
            "d" => {
                writable.insert(path);
            }
            "u" => {
                unowned.insert(path);
            }
            "l" if !is_exempt(&path, mode) => {
                logs.insert(path);
            }
            _ => {}
        }
    }
    let mut cut = !whole;
    let [world_writable, unowned, set_id, loose_logs] = lists.map(|list| {
        cut |= list.len() > LIST_MAX;
        list.into_iter().take(LIST_MAX).collect::<Vec<_>>()
    });
    Ok(Walk {
        world_writable,
        unowned,
        set_id,
        loose_logs,
        cut,
    })
}

/// Logs that the system itself keeps looser: who is and was logged in, and what display managers
/// and sssd share with their group.
fn is_exempt(path: &str, mode: u32) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    let base = name.split(['.', '-']).next().unwrap_or_default();
    let allowed = match base {
        "wtmp" | "btmp" | "lastlog" => 0o664,
        _ if ["/var/log/sssd/", "/var/log/gdm", "/var/log/SSSD/"]
            .iter()
            .any(|prefix| path.starts_with(prefix)) =>
        {
            0o660
        }
        _ => return false,
    };
    mode & !allowed == 0
}

#[cfg(test)]
mod tests {
    use super::super::section::testing;
    use super::*;
    use crate::host::snapshot::Seen;
    use proptest::prelude::*;

    fn asked() -> Queries {
        Queries {
            walk: true,
            ..Queries::default()
        }
    }

    #[test]
    fn lists_are_told_apart() {
        let w = parse(
            "f4755 /usr/bin/su\nf666 /srv/a b\nd777 /srv/open\nf6777 /srv/both\nu /srv/orphan\n\
             l644 /var/log/syslog\nl664 /var/log/wtmp\nl664 /var/log/wtmp.1\nl666 /var/log/btmp\n\
             l660 /var/log/sssd/x.log\nf666 /srv/new\u{1}line\ne \n",
        )
        .unwrap();
        assert_eq!(w.set_id, ["/srv/both", "/usr/bin/su"]);
        assert_eq!(
            w.world_writable,
            ["/srv/a b", "/srv/both", "/srv/new\nline", "/srv/open"]
        );
        assert_eq!(w.unowned, ["/srv/orphan"]);
        assert_eq!(w.loose_logs, ["/var/log/btmp", "/var/log/syslog"]);
        assert!(!w.cut);
    }

    #[test]
    fn a_walk_that_did_not_end_is_cut() {
        assert!(parse("f666 /a\n").unwrap().cut);
        assert!(parse("e \nf666 /a\n").unwrap().cut);
        let many: String = (0..300).map(|n| format!("u /a{n}\n")).collect();
        let w = parse(&format!("{many}e \n")).unwrap();
        assert!(w.cut && w.unowned.len() == LIST_MAX);
        assert!(parse("").is_err());
        let mut out = Snapshot::default();
        read(&[], &asked(), &mut out);
        assert!(matches!(out.walk, Seen::No(_)));
        assert_eq!(script(&Queries::default()), Ok(None));
    }

    /// The same walk, but from one folder.
    fn walk_of(shell: &[&str], place: &std::path::Path) -> Vec<Frame> {
        let place = place.display().to_string();
        let table = format!("{place}/mountinfo");
        std::fs::write(
            &table,
            format!(
                "1 1 8:1 / /nfs rw - nfs4 srv:/x rw\n2 1 8:2 / {place}/under rw - ext4 x rw\n\
                 3 1 8:3 / {place}/under rw - nfs srv:/ rw\n4 1 8:4 / {place}/with\\040space rw shared:1 - ext4 x rw\n\
                 5 1 8:4 / {place}/again rw - ext4 x rw\n6 1 0:9 / {place}/tree rw - tmpfs x rw\n"
            ),
        )
        .unwrap();
        let quoted = crate::shell::quote(&table).unwrap();
        let body = SCRIPT
            .replace("/proc/self/mountinfo", &quoted)
            // The test may run as anyone.
            .replace("[ ! -O /proc/1 ]", "false")
            .replace("/var/log/*", &format!("{place}/tree/log/*"));
        testing::frames(shell, &body)
    }

    #[test]
    fn hostile_names_and_hidden_mounts_under_shells_with_gnu_find() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir_in("/var/tmp").unwrap();
        let place = dir.path();
        let make = |name: &str, mode: u32| {
            let path = place.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, "").unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        };
        make("tree/plain", 0o644);
        make("tree/open", 0o646);
        make("tree/two\nf4755 /usr/bin/forged", 0o666);
        make("tree/su", 0o4755);
        make("tree/log/loose", 0o644);
        make("tree/log/tight", 0o640);
        make("with space/open", 0o602);
        make("under/open", 0o666);
        make("again/open", 0o666);
        let at = |name: &str| place.join(name).display().to_string();
        for shell in &testing::SHELLS[..2] {
            let mut out = Snapshot::default();
            read(&walk_of(shell, place), &asked(), &mut out);
            let walk = out
                .walk
                .yes()
                .unwrap_or_else(|| panic!("{shell:?} {:?}", out.walk));
            let mut want = vec![
                at("tree/open"),
                at("tree/two\nf4755 /usr/bin/forged"),
                at("with space/open"),
            ];
            want.sort();
            assert_eq!(walk.world_writable, want, "{shell:?}");
            assert_eq!(walk.set_id, [at("tree/su")], "{shell:?}");
            assert_eq!(walk.loose_logs, [at("tree/log/loose")], "{shell:?}");
            assert!(!walk.cut);
        }
        // busybox's own find lacks what is needed: that is said, and nothing passes.
        let mut out = Snapshot::default();
        read(&walk_of(testing::SHELLS[2], place), &asked(), &mut out);
        assert!(matches!(out.walk, Seen::No(_)), "{:?}", out.walk);
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic(data in "([fdule]?[0-9]{0,5} ?/?.{0,5}\n?){0,8}") {
            let mut out = Snapshot::default();
            read(&[testing::frame(NAME, 0, &data)], &asked(), &mut out);
        }
    }
}
