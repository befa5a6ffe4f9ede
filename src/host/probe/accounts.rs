//! Accounts and groups. Two forks: one awk over passwd, shadow and group, and one stat of the
//! homes of accounts that people log in to.
//!
//! awk reduces each password field to a class before anything is said: no hash, and no scrap of
//! one, leaves the host.

use std::collections::BTreeMap;

use super::Queries;
use super::files::{STAT, stat_line};
use super::section;
use crate::host::snapshot::{
    Accounts, FileState, Group, PasswordKind, Seen, Shadow, Snapshot, User,
};
use crate::shell::{Frame, NulInText};

/// The first user id that is a person's (`UID_MIN` of Debian and its kin).
pub const UID_MIN: u32 = 1000;
/// The user id of `nobody`.
pub const NOBODY: u32 = 65534;

/// Whether the shell lets nobody in.
pub fn is_no_login(shell: &str) -> bool {
    matches!(shell.rsplit('/').next(), Some("nologin" | "false"))
}

/// `u:` a user, `s:` its line of shadow, `g:` a group, `h:` a home to look at.
const SCRIPT: &str = r#"_o= _w=0
if [ ! -r /etc/passwd ] || [ ! -r /etc/group ]; then frame section accounts 1 ""; return; fi
if [ -e /etc/shadow ]; then
  if [ -r /etc/shadow ]; then _s=/etc/shadow; else _s= _w=2; fi
else _s=; fi
_o=$(awk -F: '
/^[ \t]*(#|$)/ || /^[+-]/ { next }
FILENAME == "/etc/passwd" {
  if (NF != 7) print "bad:passwd:" FNR
  p = ($2 == "x")
  print "u:" $1 ":" p ":" $3 ":" $4 ":" $6 ":" $7
  if (($3 >= 1000 && $3 != 65534 || $3 == 0) && $7 !~ /(nologin|false)$/ && $6 ~ /^\//) print "h:" $6
  next
}
FILENAME == "/etc/group" {
  if (NF != 4) print "bad:group:" FNR
  print "g:" $1 ":" $3 ":" $4
  next
}
{
  h = $2; k = "none"; locked = 0
  if (h == "") k = "empty"
  else {
    while (h ~ /^!/) { h = substr(h, 2); locked = 1 }
    if (h ~ /^\$[a-z0-9]+\$/) { split(h, part, "$"); k = "set-" substr(part[2], 1, 8) }
    else if (length(h) >= 13 && h ~ /^[._\/0-9A-Za-z]+$/) k = "set-des"
    if (locked && k != "none") k = "locked"
  }
  print "s:" $1 ":" k ":" $3 ":" $4 ":" $5 ":" $6 ":" $7 ":" $8
}' /etc/passwd /etc/group $_s 2>/dev/null) || { frame section accounts 3 ""; return; }
frame section accounts "$_w" "$_o"
_h=
IFS='
'; set -f
for _l in $_o; do case $_l in h:*) _h="$_h${_l#h:}
";; esac; done
if [ -n "$_h" ]; then
  _o=$(/usr/bin/stat -c '@STAT@' -- $_h 2>/dev/null)
  frame section accounts.homes 0 "$_o"
fi
set +f; IFS=' 	
'
"#;

pub fn script(q: &Queries) -> Result<Option<String>, NulInText> {
    Ok(q.accounts.then(|| SCRIPT.replace("@STAT@", STAT)))
}

pub fn read(frames: &[Frame], q: &Queries, out: &mut Snapshot) {
    if !q.accounts {
        return;
    }
    let Some(main) = section::find(frames, "accounts") else {
        out.accounts = Seen::No("the host did not answer".into());
        return;
    };
    let homes = section::find(frames, "accounts.homes").map(|f| f.text());
    let homes = homes.as_deref().unwrap_or_default();
    let homes: BTreeMap<&str, FileState> = homes.lines().filter_map(stat_line).collect();
    out.accounts = match main.status {
        0 => match accounts(&main.text(), &homes) {
            Ok(accounts) => Seen::Yes(accounts),
            Err(why) => Seen::No(why),
        },
        1 => Seen::No("/etc/passwd or /etc/group cannot be read".into()),
        2 => Seen::No("/etc/shadow cannot be read by this account".into()),
        _ => Seen::No("awk failed on /etc/passwd, /etc/group and /etc/shadow".into()),
    };
    // A home that is to be changed is a file like others. Only those that were looked for count.
    if out.accounts.yes().is_some() {
        let text = main.text();
        for home in text.lines().filter_map(|l| l.strip_prefix("h:")) {
            let state = homes.get(home).cloned().map_or(Seen::Absent, Seen::Yes);
            out.files.entry(home.to_owned()).or_insert(state);
        }
    }
}

/// A line that cannot be read could hide an account, so it makes the whole unseen.
fn accounts(text: &str, homes: &BTreeMap<&str, FileState>) -> Result<Accounts, String> {
    let mut out = Accounts::default();
    let mut shadows = BTreeMap::new();
    for line in text.lines() {
        let (kind, rest) = line.split_once(':').unwrap_or((line, ""));
        match kind {
            "u" => out.users.push(
                user(rest, homes)
                    .ok_or_else(|| "a line of /etc/passwd cannot be read".to_owned())?,
            ),
            "g" => out
                .groups
                .push(group(rest).ok_or("a line of /etc/group cannot be read")?),
            "s" => {
                let (name, shadow) = shadow(rest).ok_or("a line of /etc/shadow cannot be read")?;
                shadows.entry(name).or_insert(shadow);
            }
            "h" => {}
            "bad" => {
                let (file, line) = rest.split_once(':').unwrap_or((rest, "?"));
                return Err(format!("line {line} of /etc/{file} is malformed"));
            }
            _ => return Err("the host's answer cannot be read".into()),
        }
    }
    for user in &mut out.users {
        user.shadow = shadows.get(user.name.as_str()).cloned();
    }
    if out.users.is_empty() {
        return Err("the host named no account".into());
    }
    Ok(out)
}

/// The names of users and of groups by their number, as far as they were said; of several names
/// the first counts, as it does for everybody. They are said even where shadow cannot be read.
pub(super) fn names(frames: &[Frame]) -> (BTreeMap<u32, String>, BTreeMap<u32, String>) {
    let (mut users, mut groups) = (BTreeMap::new(), BTreeMap::new());
    let Some(frame) = section::find(frames, "accounts") else {
        return (users, groups);
    };
    for line in frame.text().lines() {
        let (kind, rest) = line.split_once(':').unwrap_or((line, ""));
        if let ("u", Some(user)) = (kind, user(rest, &BTreeMap::new())) {
            users.entry(user.uid).or_insert(user.name);
        } else if let ("g", Some(group)) = (kind, group(rest)) {
            groups.entry(group.gid).or_insert(group.name);
        }
    }
    (users, groups)
}

fn user(line: &str, homes: &BTreeMap<&str, FileState>) -> Option<User> {
    let mut words = line.splitn(6, ':');
    let mut word = || words.next();
    let (name, shadowed) = (word()?, word()? == "1");
    let (uid, gid) = (word()?.parse().ok()?, word()?.parse().ok()?);
    let (home, shell) = (word()?, word()?);
    Some(User {
        name: name.to_owned(),
        shadowed,
        uid,
        gid,
        home: home.to_owned(),
        // An empty field means /bin/sh.
        shell: if shell.is_empty() { "/bin/sh" } else { shell }.to_owned(),
        shadow: None,
        home_state: homes.get(home).cloned(),
    })
}

fn group(line: &str) -> Option<Group> {
    let mut words = line.splitn(3, ':');
    let mut word = || words.next();
    let (name, gid, members) = (word()?, word()?.parse().ok()?, word()?);
    let members = members.split(',').map(str::trim).filter(|m| !m.is_empty());
    Some(Group {
        name: name.to_owned(),
        gid,
        members: members.map(str::to_owned).collect(),
    })
}

fn shadow(line: &str) -> Option<(&str, Shadow)> {
    let mut words = line.splitn(8, ':');
    let name = words.next()?;
    let password = match words.next()? {
        "empty" => PasswordKind::Empty,
        "none" => PasswordKind::None,
        "locked" => PasswordKind::Locked,
        other => PasswordKind::Set(other.strip_prefix("set-")?.to_owned()),
    };
    let mut number = || match words.next().unwrap_or_default().trim() {
        "" => Some(None),
        text => text.parse::<i64>().ok().map(Some),
    };
    let shadow = Shadow {
        password,
        changed: number()?,
        min: number()?,
        max: number()?,
        warn: number()?,
        inactive: number()?,
        expires: number()?,
    };
    Some((name, shadow))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::probe::section::testing::{SHELLS, frames};
    use proptest::prelude::*;

    fn seen(status: i32, data: &str) -> Seen<Accounts> {
        let frame = Frame {
            kind: "section".into(),
            name: "accounts".into(),
            status,
            data: data.into(),
        };
        take(&[frame])
    }

    fn take(frames: &[Frame]) -> Seen<Accounts> {
        whole(frames).accounts
    }

    #[test]
    fn homes_that_were_looked_for_are_files_like_others() {
        let text = "u:ann:1:1000:1000:/:/bin/sh\nh:/\nu:bob:1:1001:1000:/gone:/bin/sh\nh:/gone\nu:bin:1:2:2:/bin:/usr/sbin/nologin\n";
        let frame = |name: &str, data: &str| Frame {
            kind: "section".into(),
            name: name.into(),
            status: 0,
            data: data.into(),
        };
        let stat = std::process::Command::new("stat")
            .args(["-c", STAT, "--", "/"])
            .output()
            .unwrap();
        let stat = String::from_utf8(stat.stdout).unwrap();
        let seen = whole(&[frame("accounts", text), frame("accounts.homes", &stat)]);
        assert!(matches!(seen.files["/"], Seen::Yes(_)), "{seen:?}");
        assert_eq!(seen.files["/gone"], Seen::Absent);
        assert!(!seen.files.contains_key("/bin"));
    }

    fn whole(frames: &[Frame]) -> Snapshot {
        let q = Queries {
            accounts: true,
            ..Queries::default()
        };
        let mut out = Snapshot::default();
        read(frames, &q, &mut out);
        out
    }

    /// The same program over files of our own.
    fn observe(
        shell: &[&str],
        passwd: &str,
        group: &str,
        shadow: &str,
    ) -> (Seen<Accounts>, String) {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in [("passwd", passwd), ("group", group), ("shadow", shadow)] {
            std::fs::write(dir.path().join(name), text).unwrap();
        }
        let etc = format!("{}/", dir.path().display());
        let body = SCRIPT.replace("@STAT@", STAT).replace("/etc/", &etc);
        let frames = frames(shell, &body);
        let all: String = frames.iter().map(|f| f.text().into_owned()).collect();
        (take(&frames), all)
    }

    #[test]
    fn hashes_become_classes_on_the_host() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\n# comment\nann:HASHINPASSWD:1000:1000:,,,:/:\n\
            bin:x:2:2:bin:/bin:/usr/sbin/nologin\nyes:x:1001:1:::/bin/sh\nold:x:1002:1:::/bin/sh\nno:x:1003:1:::/bin/sh\nlk:x:1004:1:::/bin/sh\n";
        let shadow = "root:$y$j9T$SECRET$SECRET:19000:0:99999:7:::\nann::19000:1:365:7:30:20000:\n\
            bin:*:19000:0:99999:7:::\nyes:!$6$SECRET$SECRET:19000::::::\nold:SECRETdes1234:1::::::\nno:!*:::::::\nlk:!:::::::\n";
        for shell in SHELLS {
            let (seen, all) = observe(shell, passwd, "root:x:0:\nadm:x:4:ann, bin\n", shadow);
            assert!(!all.contains("SECRET") && !all.contains("HASH"), "{all}");
            let accounts = seen.yes().unwrap_or_else(|| panic!("{shell:?} {seen:?}"));
            let by = |name: &str| accounts.users.iter().find(|u| u.name == name).unwrap();
            let kind = |name: &str| by(name).shadow.clone().unwrap().password;
            assert_eq!(kind("root"), PasswordKind::Set("y".into()));
            assert_eq!(kind("ann"), PasswordKind::Empty);
            assert_eq!(kind("bin"), PasswordKind::None);
            assert_eq!(kind("yes"), PasswordKind::Locked);
            assert_eq!(kind("old"), PasswordKind::Set("des".into()));
            assert_eq!(kind("no"), PasswordKind::None);
            assert_eq!(kind("lk"), PasswordKind::None);
            assert!(!by("ann").shadowed && by("root").shadowed);
            assert_eq!(by("ann").shell, "/bin/sh");
            assert!(by("ann").home_state.is_some() && by("bin").home_state.is_none());
            let ann = by("ann").shadow.clone().unwrap();
            assert_eq!(
                (ann.max, ann.inactive, ann.expires),
                (Some(365), Some(30), Some(20000))
            );
            assert_eq!(accounts.groups[1].members, ["ann", "bin"]);
        }
    }

    #[test]
    fn a_line_that_cannot_be_read_hides_nobody() {
        for passwd in [
            "root:x:0:0:root:/root\n",
            "root:x:zero:0::/root:/bin/sh\n",
            "\n",
        ] {
            let (seen, _) = observe(SHELLS[0], passwd, "root:x:0:\n", "");
            assert!(matches!(seen, Seen::No(_)), "{passwd} {seen:?}");
        }
        assert!(matches!(seen(2, ""), Seen::No(_)));
        assert!(matches!(take(&[]), Seen::No(_)));
        assert!(matches!(
            seen(0, "u:a:1:0:0:/:\ns:a:SECRET:1:::::"),
            Seen::No(_)
        ));
    }

    proptest! {
        #[test]
        fn hostile_text_does_no_harm(text in "([ugshb]:[a-z0:]{0,12}\n|\\PC){0,8}") {
            seen(0, &text);
        }
    }
}
