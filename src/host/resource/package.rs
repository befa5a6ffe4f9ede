//! `package`: Debian packages that are installed, or that are not.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Claim, Judgement, Resource, Unfixable, Verdict};
use crate::document::Words;
use crate::host::intent::{Intent, Risk, ScriptIntent, Stage};
use crate::host::probe::{Queries, packages};
use crate::host::snapshot::{PackageState, Seen, Snapshot};
use crate::shell::quote;

const APT: &str = include_str!("sh/apt.sh");
const INSTALL: &str = include_str!("sh/package_install.sh");
const INSTALL_UNDO: &str = include_str!("sh/package_install_undo.sh");
const REMOVE: &str = include_str!("sh/package_remove.sh");
const REMOVE_UNDO: &str = include_str!("sh/package_remove_undo.sh");

/// Packages that are installed, or that are not.
///
/// It is observed by one `dpkg-query`. Virtual packages (names that others provide) are not seen.
/// `installed` runs `apt-get install` without recommended packages, and refuses where apt would
/// remove anything; undo purges exactly the packages that came with it. `absent` runs `apt-get
/// remove`, refuses where any package goes that the rule does not name, and keeps the package's
/// .deb (from apt's cache, from the archive, or packed anew from the installed files); its
/// configuration and data stay on the host, so that undo, which installs the kept .deb, finds
/// them. Where no copy can be kept, nothing is removed.
///
/// Traps: what apt must bring up to date to install a package stays so. A package that is on hold
/// is not removed.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Package {
    /// One package or several.
    pub name: Words,
    /// `installed` or `absent`: each of them.
    pub state: PackageWanted,
    /// With `installed`: any one of them is enough; the first is installed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub any: bool,
}

/// Whether packages are to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PackageWanted {
    /// Installed and configured.
    Installed,
    /// Not installed. Configuration that a removed package left behind is no matter.
    Absent,
}

/// Whether the package's programs are there; more than `installed` counts for `absent`.
fn is_there(state: &PackageState) -> bool {
    !matches!(state.status.as_str(), "config-files" | "not-installed")
}

impl Package {
    fn holds(&self, state: Option<&PackageState>) -> bool {
        match self.state {
            PackageWanted::Installed => state.is_some_and(|s| s.status == "installed"),
            PackageWanted::Absent => !state.is_some_and(is_there),
        }
    }

    fn describe(&self) -> String {
        let word = match self.state {
            PackageWanted::Installed if self.any => "one of them installed",
            PackageWanted::Installed => "installed",
            PackageWanted::Absent => "not installed",
        };
        format!("{}: {word}", self.name.joined(", "))
    }
}

/// What was seen of one; `Err`: it was not seen.
fn state<'a>(snapshot: &'a Snapshot, name: &str) -> Result<Option<&'a PackageState>, String> {
    match snapshot.packages.get(name) {
        Some(Seen::Yes(state)) => Ok(Some(state)),
        Some(Seen::Absent) => Ok(None),
        Some(Seen::No(why)) => Err(why.clone()),
        None => Err("was not asked for".into()),
    }
}

fn say(name: &str, state: Option<&PackageState>) -> String {
    match state {
        None => format!("{name}: not installed"),
        Some(s) if s.hold => format!("{name} {}: {}, on hold", s.version, s.status),
        Some(s) => format!("{name} {}: {}", s.version, s.status),
    }
}

impl Resource for Package {
    fn target(&self) -> String {
        self.name.joined(", ")
    }

    fn problems(&self) -> Vec<(&'static str, String)> {
        let mut out: Vec<_> = self
            .name
            .0
            .iter()
            .filter(|name| !packages::is_name(name))
            .map(|name| ("name", format!("`{name}` is not a package's name")))
            .collect();
        if self.name.0.is_empty() {
            out.push(("name", "no package is named".into()));
        }
        if self.any && self.state == PackageWanted::Absent {
            out.push(("any", "`any` has a meaning with `installed` only".into()));
        }
        out
    }

    fn claims(&self) -> Vec<Claim> {
        // Of several that would do, none is claimed.
        if self.any && self.name.0.len() > 1 {
            return Vec::new();
        }
        self.name
            .0
            .iter()
            .map(|name| Claim {
                key: format!("package {name}"),
                value: format!("{:?}", self.state).to_lowercase(),
            })
            .collect()
    }

    fn ask(&self, queries: &mut Queries) {
        queries.packages.extend(self.name.0.iter().cloned());
    }

    fn judge(&self, snapshot: &Snapshot) -> Judgement {
        let expected = self.describe();
        let mut unseen = None;
        let (mut right, mut wrong) = (0, 0);
        let mut actual = Vec::new();
        for name in &self.name.0 {
            match state(snapshot, name) {
                Ok(state) => {
                    if self.holds(state) {
                        right += 1;
                    } else {
                        wrong += 1;
                    }
                    // Of a long list that must be absent, only what is there is worth a word.
                    if state.is_some() || self.state == PackageWanted::Installed {
                        actual.push(say(name, state));
                    }
                }
                Err(why) => unseen = Some(why),
            }
        }
        if actual.is_empty() {
            actual.push("not installed".into());
        }
        let verdict = match (self.any, unseen) {
            (true, _) if right > 0 => Verdict::Pass,
            (false, _) if wrong > 0 => Verdict::Fail,
            (_, Some(why)) => return Judgement::unknown(expected, why),
            (true, None) => Verdict::Fail,
            (false, None) => Verdict::Pass,
        };
        Judgement::new(verdict, expected, actual.join("; "))
    }

    fn fix(&self, snapshot: &Snapshot) -> Result<Vec<Intent>, Unfixable> {
        let mut names = Vec::new();
        let mut before = Vec::new();
        for name in &self.name.0 {
            let state = state(snapshot, name).map_err(Unfixable)?;
            if self.holds(state) {
                continue;
            }
            if self.state == PackageWanted::Absent && state.is_some_and(|s| s.hold) {
                return Err(Unfixable::new(format!(
                    "{name} is on hold: release it with `apt-mark unhold {name}` first"
                )));
            }
            // Names go unquoted into lists of words below.
            if !packages::is_name(name) {
                return Err(Unfixable::new(format!("`{name}` is not a package's name")));
            }
            names.push(name.as_str());
            before.push(say(name, state));
            if self.any {
                break;
            }
        }
        let list = names.join(" ");
        let head = format!("{APT}names={}\n", quote(&list)?);
        let each = |test: &str| format!("{head}for _n in $names; do\n  {test} || return 1\ndone");
        let (there, gone) = ("_is_installed \"$_n\"", "! _is_installed \"$_n\"");
        let (act, undo, verb) = match self.state {
            PackageWanted::Installed => (INSTALL, INSTALL_UNDO, "installed"),
            PackageWanted::Absent => (REMOVE, REMOVE_UNDO, "removed"),
        };
        let (guard, after) = match self.state {
            PackageWanted::Installed => (each(gone), each(there)),
            PackageWanted::Absent => (each(there), each(gone)),
        };
        Ok(vec![Intent::Script(ScriptIntent {
            target: format!("package {list}"),
            before: before.join("; "),
            after: format!("{list}: {verb}"),
            risk: Risk::Disruptive,
            stage: Stage::Package,
            guard,
            act: format!("{head}{act}"),
            undo: format!("{head}{undo}"),
            unchanged_since: after,
            no_way_back: (self.state == PackageWanted::Installed).then(|| {
                "other packages that apt must bring up to date for it stay up to date".into()
            }),
            reaction: None,
        })])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::probe::section::testing::{SHELLS, snippet};

    fn rule(yaml: &str) -> Package {
        serde_yaml::from_str(yaml).unwrap()
    }

    fn installed(status: &str, hold: bool) -> Seen<PackageState> {
        Seen::Yes(PackageState {
            version: "1.0".into(),
            status: status.into(),
            hold,
        })
    }

    fn host(packages: &[(&str, Seen<PackageState>)]) -> Snapshot {
        Snapshot {
            packages: packages
                .iter()
                .map(|(n, s)| ((*n).to_owned(), s.clone()))
                .collect(),
            ..Snapshot::default()
        }
    }

    #[test]
    fn states_are_judged() {
        let on = rule("{name: aa, state: installed}");
        let off = rule("{name: aa, state: absent}");
        let both = |s: Seen<PackageState>| {
            let h = host(&[("aa", s)]);
            (on.judge(&h).verdict, off.judge(&h).verdict)
        };
        use Verdict::*;
        assert_eq!(both(installed("installed", false)), (Pass, Fail));
        assert_eq!(both(installed("config-files", false)), (Fail, Pass));
        assert_eq!(both(installed("half-configured", false)), (Fail, Fail));
        assert_eq!(both(Seen::Absent), (Fail, Pass));
        assert_eq!(both(Seen::No("x".into())), (Unknown, Unknown));
        assert_eq!(on.judge(&Snapshot::default()).verdict, Unknown);
    }

    #[test]
    fn any_one_is_enough() {
        let any = rule("{name: [aa, bb], state: installed, any: true}");
        let s = host(&[
            ("aa", Seen::No("x".into())),
            ("bb", installed("installed", false)),
        ]);
        assert_eq!(any.judge(&s).verdict, Verdict::Pass);
        let s = host(&[("aa", Seen::Absent), ("bb", Seen::Absent)]);
        assert_eq!(any.judge(&s).verdict, Verdict::Fail);
        let Intent::Script(script) = any.fix(&s).unwrap().remove(0) else {
            panic!()
        };
        assert_eq!(script.target, "package aa");
        let all = rule("{name: [aa, bb], state: absent}");
        let s = host(&[
            ("aa", Seen::No("x".into())),
            ("bb", installed("installed", false)),
        ]);
        assert_eq!(all.judge(&s).verdict, Verdict::Fail);
    }

    #[test]
    fn a_package_on_hold_stays() {
        let off = rule("{name: aa, state: absent}");
        let held = host(&[("aa", installed("installed", true))]);
        assert!(off.fix(&held).unwrap_err().0.contains("apt-mark unhold"));
        assert_eq!(rule("{name: 'a b', state: absent}").problems()[0].0, "name");
        assert_eq!(
            rule("{name: aa, state: absent, any: true}").problems()[0].0,
            "any"
        );
    }

    /// As much of dpkg and apt as the scripts use, over a file of `NAME STATUS` lines. Removing
    /// `base` drags `user` along; installing `tool` brings `helper`.
    const FAKE: &str = r#"
_set() { grep -v "^$1 " "$R/db" >"$R/db2"; [ "$2" = gone ] || echo "$1 $2" >>"$R/db2"; sort "$R/db2" >"$R/db"; }
dpkg_query() {
  case $3 in
  '${binary:Package} ${db:Status-Status}\n') cat "$R/db" ;;
  '${db:Status-Status}') for _q; do :; done; sed -n "s/^$_q //p" "$R/db" ;;
  '${Architecture}') echo all ;;
  '${Version}') echo 1:2 ;;
  esac
}
apt_mark() { case $1 in showauto) echo tool ;; auto) echo "$2" >"$R/auto" ;; esac; }
dpkg_deb() { [ "$1" = -f ] && basename "$2" | sed 's/_.*//'; }
dpkg() { for _q; do case $_q in *.deb) _set "$(basename "$_q" | sed 's/_.*//')" installed ;; esac; done; }
apt_get() {
  _sim= _verb= _do=
  while [ $# -gt 0 ]; do
    case $1 in
    -o) shift ;; -s) _sim=1 ;; -*) ;;
    install|remove|purge|update|download) _verb=$1 ;;
    *) _do="$_do $1" ;;
    esac
    shift
  done
  case $_verb in
  download) return 1 ;;
  install) case $_do in *tool*) _do="helper $_do" ;; esac ;;
  remove|purge) case $_do in *base*) grep -q '^user installed' "$R/db" && _do="$_do user" ;; esac ;;
  esac
  for _q in $_do; do
    case $_verb:$_sim in
    install:1) echo "Inst $_q (1.0)" ;; install:) _set "$_q" installed ;;
    remove:1) echo "Remv $_q [1.0]" ;; remove:) _set "$_q" config-files ;;
    purge:1) echo "Purg $_q [1.0]" ;; purge:) _set "$_q" gone ;;
    esac
  done
}
"#;

    /// A snippet with the programs' names turned into those of functions, which no shell but
    /// bash lets hold a hyphen.
    fn faked(place: &str, text: &str) -> String {
        let text = text
            .replace("dpkg-query", "dpkg_query")
            .replace("dpkg-deb", "dpkg_deb")
            .replace("apt-mark", "apt_mark")
            .replace("apt-get", "apt_get")
            .replace("/var/cache/apt/archives", "$R/cache");
        format!("R={place}\n{FAKE}{text}")
    }

    fn script(yaml: &str, names: &[&str], state: &Seen<PackageState>) -> ScriptIntent {
        let seen: Vec<_> = names.iter().map(|n| (*n, state.clone())).collect();
        match rule(yaml).fix(&host(&seen)).unwrap().remove(0) {
            Intent::Script(script) => script,
            Intent::File(_) => panic!("a file"),
        }
    }

    #[test]
    fn scripts_change_and_bring_back_under_every_shell() {
        for shell in SHELLS {
            let dir = tempfile::tempdir().unwrap();
            let db = dir.path().join("db");
            let place = quote(&dir.path().display().to_string()).unwrap();
            let run = |text: &str| snippet(shell, dir.path(), &faked(&place, text)).0;
            let read = || std::fs::read_to_string(&db).unwrap();
            let start = "base installed\nold config-files\nuser installed\n";
            std::fs::write(&db, start).unwrap();

            let on = script(
                "{name: [tool, old], state: installed}",
                &["tool", "old"],
                &Seen::Absent,
            );
            assert!(run(&on.guard), "{shell:?}");
            assert!(!run(&on.unchanged_since));
            assert!(run(&on.act), "{shell:?}");
            let all =
                "base installed\nhelper installed\nold installed\ntool installed\nuser installed\n";
            assert_eq!(read(), all, "{shell:?}");
            assert!(run(&on.unchanged_since) && !run(&on.guard));
            // What came later is none of ours.
            std::fs::write(&db, format!("{all}zlater installed\n")).unwrap();
            assert!(run(&on.undo), "{shell:?}");
            assert_eq!(read(), format!("{start}zlater installed\n"), "{shell:?}");

            let there = installed("installed", false);
            std::fs::write(&db, start).unwrap();
            let off = script("{name: base, state: absent}", &["base"], &there);
            let (ok, why) = snippet(shell, dir.path(), &faked(&place, &off.act));
            assert!(!ok && why.contains("also change: user"), "{shell:?} {why}");
            assert_eq!(read(), start);
            assert!(
                run(&off.undo),
                "an act that was refused has nothing to undo"
            );

            let off = script(
                "{name: [base, user], state: absent}",
                &["base", "user"],
                &there,
            );
            std::fs::create_dir(dir.path().join("cache")).unwrap();
            assert!(!run(&off.act), "without a copy nothing goes");
            assert_eq!(read(), start);
            for name in ["base", "user"] {
                let deb = format!("cache/{name}_1%3a2_all.deb");
                std::fs::write(dir.path().join(deb), "").unwrap();
            }
            assert!(run(&off.guard) && run(&off.act), "{shell:?}");
            assert_eq!(
                read(),
                "base config-files\nold config-files\nuser config-files\n"
            );
            assert!(run(&off.unchanged_since));
            assert!(run(&off.undo), "{shell:?}");
            assert_eq!(read(), start, "{shell:?}");
        }
    }
}
