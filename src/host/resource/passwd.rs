//! Changes of accounts with the system's own tools, and their exact undo. Pure: writes sh.
//!
//! Before the change, the account files (and the `-` copies that the tools leave) are put aside;
//! after it, once more. An undo puts the whole file back where nobody else has changed it since,
//! to the byte, mode and owner; otherwise it puts back the account's own fields in the file as it
//! is now, under the tools' own locks.

use super::Unfixable;
use crate::host::intent::{Intent, Risk, ScriptIntent, Stage};
use crate::shell::quote;

/// The files that the tools write, besides the same names with a `-`.
const FILES: &str = "passwd shadow group gshadow subuid subgid";

/// One change of one account.
#[derive(Debug)]
pub struct Change<'a> {
    /// What is changed, e.g. `account ann shell`.
    pub target: String,
    pub before: String,
    pub after: String,
    pub account: &'a str,
    /// Groups whose lines may change.
    pub groups: Vec<&'a str>,
    /// Which fields (from 1, separated by commas) of which file change; no fields: whole lines
    /// come, go or change.
    pub fields: &'a [(&'static str, &'static str)],
    /// sh: 0 if it is still as `before` says; see [`is_field`].
    pub guard: String,
    /// One sh command.
    pub act: String,
    /// sh that runs before, and after the undo of, everything else. Empty: nothing.
    pub prepare: String,
    pub clear_up: String,
}

impl Change<'_> {
    pub fn intent(self) -> Result<Intent, Unfixable> {
        let mut unchanged = String::new();
        let mut restore = String::new();
        for (file, fields) in self.fields {
            let keys = match *file {
                "group" | "gshadow" => self.groups.join("\n"),
                _ => self.account.to_owned(),
            };
            let (keys, fields) = (quote(&keys)?, quote(fields)?);
            unchanged.push_str(&format!(
                "account_same {file} {keys} {fields} || return 1\n"
            ));
            restore.push_str(&format!(
                "    {file}) account_lines {file} {keys} {fields} || _bad=1;;\n"
            ));
        }
        let undo = UNDO.replace("@RESTORE@", &restore);
        Ok(Intent::Script(ScriptIntent {
            target: self.target,
            before: self.before,
            after: self.after,
            risk: Risk::LockOut,
            stage: Stage::Account,
            guard: self.guard,
            act: ACT
                .replace("@PREPARE@", &self.prepare)
                .replace("@ACT@", &self.act)
                .replace("@FILES@", FILES),
            undo: format!("{LINES}{undo}{}", self.clear_up).replace("@FILES@", FILES),
            unchanged_since: format!("{SAME}{unchanged}"),
            no_way_back: None,
            reaction: None,
        }))
    }
}

const ACT: &str = r#"for _f in @FILES@; do for _g in "$_f" "$_f-"; do
  [ ! -e "/etc/$_g" ] || cp -a "/etc/$_g" "$store/$step.$_g" || return 1
done; done
@PREPARE@
@ACT@ || return 1
for _f in @FILES@; do for _g in "$_f" "$_f-"; do
  [ ! -e "/etc/$_g" ] || cp -a "/etc/$_g" "$store/$step.$_g.after" || return 1
done; done
"#;

/// `account_same FILE KEYS FIELDS`: whether these are still as we left them.
const SAME: &str = r#"account_pick() { keys=$2 fields=$3 awk -F: '
BEGIN { n = split(ENVIRON["keys"], k, "\n"); for (i = 1; i <= n; i++) want[k[i]] = 1; m = split(ENVIRON["fields"], f, ",") }
($1 in want) { if (!m) print; else { printf "%s", $1; for (i = 1; i <= m; i++) printf ":%s", $(f[i] + 0); print "" } }' "$1"; }
account_same() {
  [ -e "$store/$step.$1.after" ] || return 0
  [ "$(account_pick "/etc/$1" "$2" "$3")" = "$(account_pick "$store/$step.$1.after" "$2" "$3")" ]
}
"#;

/// `account_lines FILE KEYS FIELDS`: puts back fields, or whole lines, in the file as it is now.
const LINES: &str = r#"account_lines() {
  cp -a "/etc/$1" "/etc/$1.seawall" || return 1
  keys=$2 fields=$3 awk -F: '
BEGIN { OFS = ":"; n = split(ENVIRON["keys"], k, "\n"); for (i = 1; i <= n; i++) want[k[i]] = 1; m = split(ENVIRON["fields"], f, ",") }
FILENAME == ARGV[1] { if ($1 in want) { old[$1] = $0; order[++c] = $1 } next }
($1 in want) {
  if (!($1 in old)) { if (m) print; next }
  done[$1] = 1
  if (!m) { print old[$1]; next }
  split(old[$1], o, ":"); for (i = 1; i <= m; i++) $(f[i] + 0) = o[f[i] + 0]
}
{ print }
END { if (!m) for (i = 1; i <= c; i++) if (!(order[i] in done)) print old[order[i]] }' "$store/$step.$1" "/etc/$1" >"/etc/$1.seawall" &&
  [ -s "/etc/$1.seawall" ] && mv -f "/etc/$1.seawall" "/etc/$1" && return 0
  rm -f "/etc/$1.seawall"
  return 1
}
account_lock() {
  _locks= _n=0
  for _f in passwd shadow group gshadow; do
    until (set -C; printf %s "$$" >"/etc/$_f.lock") 2>/dev/null; do
      slurp "/etc/$_f.lock" && kill -0 "$REPLY" 2>/dev/null || rm -f "/etc/$_f.lock"
      _n=$((_n+1))
      if [ "$_n" -gt 20 ]; then rm -f $_locks; echo "somebody else is changing accounts" >&2; return 1; fi
      sleep 0.5
    done
    _locks="$_locks /etc/$_f.lock"
  done
}
"#;

const UNDO: &str = r#"account_lock || return 1
_bad=0
for _f in @FILES@; do for _g in "$_f" "$_f-"; do
  _s=$store/$step.$_g
  if [ ! -e "$_s" ]; then
    [ ! -e "$_s.after" ] || { cmp -s "$_s.after" "/etc/$_g" && rm -f "/etc/$_g"; }
  elif [ -e "$_s.after" ] && cmp -s "$_s.after" "/etc/$_g"; then
    cp -a "$_s" "/etc/$_g.seawall" && mv -f "/etc/$_g.seawall" "/etc/$_g" || _bad=1
  elif ! cmp -s "$_s" "/etc/$_g"; then case $_g in
@RESTORE@    esac
  fi
done; done
rm -f $_locks
[ "$_bad" = 0 ] || return 1
"#;

/// sh: whether the account's line in `/etc/FILE` meets an awk condition, in which `v` is `value`.
pub fn is_field(
    file: &str,
    account: &str,
    condition: &str,
    value: &str,
) -> Result<String, Unfixable> {
    Ok(format!(
        "n={} v={} awk -F: 'BEGIN {{ v = ENVIRON[\"v\"] }} $1 == ENVIRON[\"n\"] {{ ok = ({condition}) }} END {{ exit !ok }}' /etc/{file}",
        quote(account)?,
        quote(value)?,
    ))
}

/// Whether a text can be the name of an account or a group for the system's tools.
pub fn is_name(text: &str) -> bool {
    let mut chars = text.chars();
    chars
        .next()
        .is_some_and(|c| c.is_ascii_alphanumeric() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
        && text.len() <= 32
}

/// Locks the account's password.
pub fn lock(account: &str, before: &str) -> Result<Intent, Unfixable> {
    Change {
        target: format!("account {account} password"),
        before: before.to_owned(),
        after: "locked".into(),
        account,
        groups: vec![],
        fields: &[("shadow", "2")],
        guard: is_field("shadow", account, "$2 !~ /^[!*]/", "")?,
        act: format!("usermod -L -- {}", quote(account)?),
        prepare: String::new(),
        clear_up: String::new(),
    }
    .intent()
}

/// Gives the account another shell.
pub fn shell(account: &str, before: &str, after: &str) -> Result<Intent, Unfixable> {
    // An empty field is what /bin/sh may stand for.
    let condition = "$7 == v || ($7 == \"\" && v == \"/bin/sh\")";
    Change {
        target: format!("account {account} shell"),
        before: before.to_owned(),
        after: after.to_owned(),
        account,
        groups: vec![],
        fields: &[("passwd", "7")],
        guard: is_field("passwd", account, condition, before)?,
        act: format!("usermod -s {} -- {}", quote(after)?, quote(account)?),
        prepare: String::new(),
        clear_up: String::new(),
    }
    .intent()
}

/// Adds the account to groups that exist.
pub fn join(account: &str, groups: &[&str], before: &str) -> Result<Intent, Unfixable> {
    let list = groups.join(",");
    let member = groups
        .iter()
        .map(|g| is_field("group", g, "index(\",\" $4 \",\", \",\" v \",\")", account))
        .collect::<Result<Vec<_>, _>>()?;
    Change {
        target: format!("account {account} groups"),
        before: before.to_owned(),
        after: format!("{before} {list}").trim().to_owned(),
        account,
        groups: groups.to_vec(),
        fields: &[("group", "4"), ("gshadow", "4")],
        guard: format!("! {{ {}; }}", member.join(" && ")),
        act: format!("usermod -aG {} -- {}", quote(&list)?, quote(account)?),
        prepare: String::new(),
        clear_up: String::new(),
    }
    .intent()
}

/// One of the password's ages: `chage` with `flag`, which is field `field` of shadow.
pub fn age(
    account: &str,
    what: &str,
    (flag, field): (&str, &'static [(&'static str, &'static str)]),
    before: &str,
    after: &str,
) -> Result<Intent, Unfixable> {
    let number = field.first().map_or("5", |(_, n)| n);
    Change {
        target: format!("account {account} {what}"),
        before: before.to_owned(),
        after: after.to_owned(),
        account,
        groups: vec![],
        fields: field,
        guard: is_field("shadow", account, &format!("${number} == v"), before)?,
        act: format!("chage {flag} {} -- {}", quote(after)?, quote(account)?),
        prepare: String::new(),
        clear_up: String::new(),
    }
    .intent()
}

/// Every line of the account.
const WHOLE: &[(&str, &str)] = &[
    ("passwd", ""),
    ("shadow", ""),
    ("group", ""),
    ("gshadow", ""),
    ("subuid", ""),
    ("subgid", ""),
];

/// A new account.
#[derive(Debug)]
pub struct New<'a> {
    pub account: &'a str,
    pub home: &'a str,
    pub shell: &'a str,
    pub system: bool,
    pub groups: Vec<&'a str>,
}

pub fn create(new: New) -> Result<Intent, Unfixable> {
    let (name, home) = (quote(new.account)?, quote(new.home)?);
    let system = if new.system { "-r " } else { "" };
    let mut groups = String::new();
    if !new.groups.is_empty() {
        groups = format!("-G {} ", quote(&new.groups.join(","))?);
    }
    let mut lines = new.groups.clone();
    lines.push(new.account);
    Change {
        target: format!("account {}", new.account),
        before: "no such account".into(),
        after: format!("{} with home {} and shell {}", new.account, new.home, new.shell),
        account: new.account,
        groups: lines,
        fields: WHOLE,
        guard: format!("! {}", is_field("passwd", new.account, "1", "")?),
        act: format!(
            "useradd -m {system}{groups}-d {home} -s {} -- {name} || return 1\n: >\"$store/$step.made\"",
            quote(new.shell)?
        ),
        prepare: format!(
            "[ -e {home} ] || : >\"$store/$step.home\"\n[ -e /var/mail/{0} ] || : >\"$store/$step.mail\"",
            new.account
        ),
        // Skeleton files go with the account; a file that came later stays, and is said.
        clear_up: format!(
            r#"[ ! -e "$store/$step.mail" ] || [ -s /var/mail/{0} ] || rm -f /var/mail/{0}
if [ -e "$store/$step.home" ] && [ -d {home} ]; then
  if [ -e "$store/$step.made" ] && [ -n "$(find {home} -xdev -type f -newer "$store/$step.made" | head -n 1)" ]; then
    echo "the home directory holds new files and was kept" >&2
  else rm -rf {home}; fi
fi
"#,
            new.account
        ),
    }
    .intent()
}

/// Takes the account away; its home stays.
pub fn remove(account: &str, groups: Vec<&str>) -> Result<Intent, Unfixable> {
    Change {
        target: format!("account {account}"),
        before: format!("account {account}"),
        after: "no such account (its home stays)".into(),
        account,
        groups,
        fields: WHOLE,
        guard: is_field("passwd", account, "1", "")?,
        act: format!("userdel -- {}", quote(account)?),
        prepare: String::new(),
        clear_up: String::new(),
    }
    .intent()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::probe::section::testing::{SHELLS, snippet};

    const PASSWD: &str = "root:x:0:0::/root:/bin/bash\nann:x:1000:1000::/home/ann:/bin/bash\nbob:x:1001:1001::/:/bin/sh\n";
    const SHADOW: &str = "root:*:1::::::\nann:$y$hash:19000:0:99999:7:::\nbob:!:1::::::\n";

    /// A host's /etc in a folder of ours, and the store beside it.
    struct Etc {
        dir: tempfile::TempDir,
    }

    impl Etc {
        fn new() -> Etc {
            let dir = tempfile::tempdir().unwrap();
            std::fs::create_dir(dir.path().join("etc")).unwrap();
            std::fs::create_dir(dir.path().join("store")).unwrap();
            let etc = Etc { dir };
            for (name, text) in [
                ("passwd", PASSWD),
                ("passwd-", "older\n"),
                ("shadow", SHADOW),
                ("group", "root:x:0:\nsudo:x:27:bob\nann:x:1000:\n"),
            ] {
                etc.put(name, text);
            }
            etc
        }

        fn path(&self, name: &str) -> std::path::PathBuf {
            self.dir.path().join("etc").join(name)
        }

        fn put(&self, name: &str, text: &str) {
            std::fs::write(self.path(name), text).unwrap();
        }

        fn all(&self) -> Vec<(String, String)> {
            let mut all: Vec<_> = std::fs::read_dir(self.dir.path().join("etc"))
                .unwrap()
                .map(|e| e.unwrap())
                .map(|e| {
                    let text = std::fs::read_to_string(e.path()).unwrap();
                    (e.file_name().into_string().unwrap(), text)
                })
                .collect();
            all.sort();
            all
        }

        /// Runs a piece of an intent over this /etc. `usermod` and its kin are a sed of ours,
        /// which leaves a copy behind, as they do.
        fn run(&self, shell: &[&str], text: &str) -> bool {
            let tools =
                "usermod() { _e; }\nuserdel() { _e; }\nuseradd() { _e; }\nchage() { _e; }\n_e() {
                cp /etc/passwd /etc/passwd-; cp /etc/shadow /etc/shadow-
                sed -i 's,^ann:\\(.*\\):/bin/bash$,ann:\\1:/new,' /etc/passwd
                sed -i 's,^ann:\\$,ann:!$,; s,^\\(ann:.*\\):99999:,\\1:365:,' /etc/shadow
                sed -i '/^root:/!s,:27:bob$,:27:bob\\,ann,' /etc/group
            }\n";
            let etc = format!("{}/etc/", self.dir.path().display());
            let text = format!("{tools}{text}").replace("/etc/", &etc);
            let (ok, said) = snippet(shell, &self.dir.path().join("store"), &text);
            assert!(!said.contains("rror"), "{said}");
            ok
        }
    }

    fn script(intent: Intent) -> ScriptIntent {
        match intent {
            Intent::Script(script) => script,
            Intent::File(file) => panic!("{file:?}"),
        }
    }

    #[test]
    fn an_undo_brings_back_every_byte() {
        for shell in SHELLS {
            let etc = Etc::new();
            let before = etc.all();
            let step = script(super::shell("ann", "/bin/bash", "/new").unwrap());
            assert!(etc.run(shell, &step.guard));
            assert!(etc.run(shell, &step.act), "{shell:?}");
            assert_ne!(etc.all(), before);
            assert!(
                !etc.run(shell, &step.guard),
                "the guard must see the change"
            );
            assert!(etc.run(shell, &step.unchanged_since));
            assert!(etc.run(shell, &step.undo), "{shell:?}");
            assert_eq!(etc.all(), before, "{shell:?}");
        }
    }

    #[test]
    fn an_undo_keeps_what_others_did_since() {
        for shell in SHELLS {
            let etc = Etc::new();
            let step = script(super::shell("ann", "/bin/bash", "/new").unwrap());
            assert!(etc.run(shell, &step.act));
            // Someone adds an account, and gives ann another home.
            let now = std::fs::read_to_string(etc.path("passwd")).unwrap();
            etc.put(
                "passwd",
                &(now.replace("/home/ann", "/srv/ann") + "cy:x:1002:1002::/:/bin/sh\n"),
            );
            assert!(
                etc.run(shell, &step.unchanged_since),
                "the shell is still ours"
            );
            assert!(etc.run(shell, &step.undo));
            let after = std::fs::read_to_string(etc.path("passwd")).unwrap();
            let expected = PASSWD.replace("/home/ann", "/srv/ann") + "cy:x:1002:1002::/:/bin/sh\n";
            assert_eq!(after, expected, "{shell:?}");
            let left: Vec<_> = etc
                .all()
                .into_iter()
                .filter(|(n, _)| n.contains("lock") || n.contains("seawall"))
                .collect();
            assert_eq!(left, []);
        }
    }

    #[test]
    fn a_later_change_of_the_same_field_is_seen() {
        for shell in SHELLS {
            let etc = Etc::new();
            let step = script(
                age(
                    "ann",
                    "max_days",
                    ("-M", &[("shadow", "5")]),
                    "99999",
                    "365",
                )
                .unwrap(),
            );
            assert!(etc.run(shell, &step.guard) && etc.run(shell, &step.act));
            assert!(etc.run(shell, &step.unchanged_since));
            let now = std::fs::read_to_string(etc.path("shadow")).unwrap();
            etc.put("shadow", &now.replace(":365:", ":90:"));
            assert!(!etc.run(shell, &step.unchanged_since));
        }
    }

    #[test]
    fn whole_lines_come_and_go() {
        for shell in SHELLS {
            // A made account goes again, whoever else came meanwhile.
            let etc = Etc::new();
            let new = New {
                account: "dan",
                home: "/nonexistent/dan",
                shell: "/bin/sh",
                system: false,
                groups: vec![],
            };
            let step = script(create(new).unwrap());
            assert!(etc.run(shell, &step.guard));
            assert!(etc.run(shell, &step.act));
            etc.put(
                "passwd",
                &(PASSWD.to_owned() + "dan:x:1003:1003::/:/bin/sh\neve:x:1004:1004::/:\n"),
            );
            assert!(etc.run(shell, &step.undo));
            assert_eq!(
                std::fs::read_to_string(etc.path("passwd")).unwrap(),
                PASSWD.to_owned() + "eve:x:1004:1004::/:\n"
            );
            // One that was taken away comes back.
            let etc = Etc::new();
            let step = script(remove("ann", vec!["ann"]).unwrap());
            assert!(etc.run(shell, &step.guard) && etc.run(shell, &step.act));
            etc.put("passwd", "root:x:0:0::/root:/bin/sh\n");
            assert!(etc.run(shell, &step.undo));
            let after = std::fs::read_to_string(etc.path("passwd")).unwrap();
            assert_eq!(
                after,
                "root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/bash\n"
            );
        }
    }

    #[test]
    fn guards_see_membership_and_locks() {
        for shell in SHELLS {
            let etc = Etc::new();
            let step = script(join("ann", &["sudo"], "ann").unwrap());
            assert!(etc.run(shell, &step.guard));
            assert!(etc.run(shell, &step.act));
            assert!(!etc.run(shell, &step.guard));
            let step = script(lock("bob", "").unwrap());
            assert!(!etc.run(shell, &step.guard), "bob is locked already");
            let step = script(lock("nobody-there", "").unwrap());
            assert!(!etc.run(shell, &step.guard));
        }
    }

    #[test]
    fn hostile_words_stay_words() {
        let step = script(super::shell("ann", "/bin/bash", "/x'; reboot; '").unwrap());
        assert!(
            step.act
                .contains(r"usermod -s '/x'\''; reboot; '\''' -- 'ann'")
        );
        assert!(is_name("www-data") && is_name("_apt"));
        for bad in ["", "-x", "a b", "a:b", "a\nb", "ä", "../x", "$(x)"] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
