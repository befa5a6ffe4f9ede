//! `service`: a unit of systemd that runs and will run, or that does neither.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Claim, Judgement, Resource, Unfixable, Verdict};
use crate::document::Words;
use crate::host::intent::{Intent, Risk, ScriptIntent, Stage};
use crate::host::probe::{Queries, packages, units};
use crate::host::snapshot::{Seen, Snapshot, UnitState};
use crate::shell::{NulInText, quote};

/// Units of systemd: enabled and active, or off.
///
/// It is observed by one `systemctl show`. A host without systemd is unknown. `enabled` unmasks,
/// enables and starts the unit; `off` stops, disables and masks it. Undo puts back exactly the
/// links under /etc/systemd (and /etc/rc?.d) that were changed, and starts or stops the unit as it
/// was.
///
/// Traps: a service that a socket or a timer starts comes back unless that unit is off too: name
/// both. `off` of the firewall or of the network could lock everyone out, and is made under
/// confirm.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// One unit or several, each with its suffix, e.g. `cron.service`.
    pub unit: Words,
    /// `enabled`: starts at boot, and runs. `off`: does not start at boot, and does not run.
    pub state: ServiceState,
    /// The package that brings the unit. Where it is not installed, `off` holds, and `enabled` is
    /// not applicable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
}

/// How a unit must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ServiceState {
    /// It starts at boot, and runs. Units that others pull in (`static`) need only run.
    Enabled,
    /// It does not start at boot, and does not run. A unit that does not exist is off.
    Off,
}

impl ServiceState {
    fn describe(self) -> &'static str {
        match self {
            ServiceState::Enabled => "enabled and active",
            ServiceState::Off => "not enabled, not active",
        }
    }

    fn holds(self, unit: Option<&UnitState>) -> bool {
        let Some(unit) = unit else {
            return self == ServiceState::Off;
        };
        let file = unit.file.as_str();
        match self {
            ServiceState::Enabled => {
                matches!(
                    file,
                    "enabled" | "static" | "alias" | "indirect" | "generated"
                ) && unit.active == "active"
            }
            ServiceState::Off => {
                let starts = matches!(
                    file,
                    "enabled"
                        | "enabled-runtime"
                        | "linked"
                        | "linked-runtime"
                        | "alias"
                        | "generated"
                );
                let runs = matches!(
                    unit.active.as_str(),
                    "active" | "activating" | "reloading" | "refreshing" | "deactivating"
                );
                !starts && !runs
            }
        }
    }
}

/// Whether the package is there; `Err`: it was not seen.
fn has_package(snapshot: &Snapshot, name: &str) -> Result<bool, String> {
    match snapshot.packages.get(name) {
        Some(Seen::Yes(package)) => Ok(!matches!(
            package.status.as_str(),
            "config-files" | "not-installed"
        )),
        Some(Seen::Absent) => Ok(false),
        Some(Seen::No(why)) => Err(why.clone()),
        None => Err("was not asked for".into()),
    }
}

fn say(state: Option<&UnitState>) -> String {
    match state {
        None => "no such unit".into(),
        Some(u) if u.file.is_empty() => format!("{}, {}", u.load, u.active),
        Some(u) => format!("{}, {}", u.file, u.active),
    }
}

impl Resource for Service {
    fn target(&self) -> String {
        self.unit.joined(", ")
    }

    fn problems(&self) -> Vec<(&'static str, String)> {
        let mut out: Vec<_> = self
            .unit
            .0
            .iter()
            .filter(|name| !units::is_name(name))
            .map(|name| {
                (
                    "unit",
                    format!("`{name}` is not a unit such as cron.service"),
                )
            })
            .collect();
        if self.unit.0.is_empty() {
            out.push(("unit", "no unit is named".into()));
        }
        if let Some(name) = self.package.as_ref().filter(|n| !packages::is_name(n)) {
            out.push(("package", format!("`{name}` is not a package's name")));
        }
        out
    }

    fn claims(&self) -> Vec<Claim> {
        self.unit
            .0
            .iter()
            .map(|name| Claim {
                key: format!("service {name}"),
                value: format!("{:?}", self.state).to_lowercase(),
            })
            .collect()
    }

    fn ask(&self, queries: &mut Queries) {
        queries.units.extend(self.unit.0.iter().cloned());
        queries.packages.extend(self.package.iter().cloned());
    }

    fn judge(&self, snapshot: &Snapshot) -> Judgement {
        let expected = self.state.describe();
        if let Some(name) = &self.package {
            match (has_package(snapshot, name), self.state) {
                (Ok(true), _) => {}
                (Ok(false), ServiceState::Off) => {
                    let actual = format!("the package {name} is not installed");
                    return Judgement::new(Verdict::Pass, expected, actual);
                }
                (Ok(false), ServiceState::Enabled) => {
                    let why = format!("the package {name} is not installed");
                    return Judgement::not_applicable(expected, why);
                }
                (Err(why), _) => return Judgement::unknown(expected, why),
            }
        }
        let mut ok = true;
        let mut unseen = None;
        let mut actual = Vec::new();
        for name in &self.unit.0 {
            let state = match snapshot.units.get(name) {
                Some(Seen::Yes(state)) => Some(state),
                Some(Seen::Absent) => None,
                Some(Seen::No(why)) => {
                    unseen = Some(why.clone());
                    continue;
                }
                None => {
                    unseen = Some("was not asked for".into());
                    continue;
                }
            };
            ok &= self.state.holds(state);
            actual.push(format!("{name}: {}", say(state)));
        }
        match unseen {
            // What was seen to be wrong is wrong, whatever the others are.
            Some(why) if ok => Judgement::unknown(expected, why),
            _ => Judgement::pass_if(ok, expected, actual.join("; ")),
        }
    }

    fn fix(&self, snapshot: &Snapshot) -> Result<Vec<Intent>, Unfixable> {
        let mut parts = Vec::new();
        let (mut names, mut before) = (Vec::new(), Vec::new());
        let mut worst = Risk::Disruptive;
        for name in &self.unit.0 {
            let state = match snapshot.units.get(name) {
                Some(Seen::Yes(state)) => state,
                Some(Seen::Absent) if self.state == ServiceState::Off => continue,
                Some(Seen::Absent) => {
                    return Err(Unfixable::new(format!(
                        "{name} does not exist: the package that brings it must be installed first"
                    )));
                }
                _ => return Err(Unfixable::new(format!("{name} was not seen"))),
            };
            if self.state.holds(Some(state)) {
                continue;
            }
            parts.push(Scripts::new(ROOTS, name, state, self.state)?);
            names.push(name.as_str());
            before.push(format!("{name}: {}", say(Some(state))));
            worst = worst.max(risk(name));
        }
        if parts.is_empty() {
            return Ok(Vec::new());
        }
        // One change for all of them: a socket that stops takes its service with it, and the
        // service must not seem to have been changed by somebody else.
        let sh = Scripts::together(parts);
        Ok(vec![Intent::Script(ScriptIntent {
            target: format!("service {}", names.join(", ")),
            before: before.join("; "),
            after: format!("{}: {}", names.join(", "), self.state.describe()),
            risk: worst,
            stage: if worst == Risk::LockOut {
                Stage::Access
            } else {
                Stage::Service
            },
            guard: sh.guard,
            act: sh.act,
            undo: sh.undo,
            unchanged_since: sh.unchanged_since,
            no_way_back: None,
            reaction: None,
        })])
    }
}

/// Where `systemctl` makes links.
const ROOTS: &str = "/etc/systemd/system /run/systemd/system /etc/rc?.d";

/// The pieces of sh that change a unit.
struct Scripts {
    guard: String,
    act: String,
    undo: String,
    unchanged_since: String,
}

impl Scripts {
    /// Several units' pieces as one; each keeps its own files in the undo store.
    fn together(mut parts: Vec<Scripts>) -> Scripts {
        if parts.len() == 1 {
            return parts.remove(0);
        }
        let each = |pick: fn(&Scripts) -> &String, join: &str, backwards: bool| {
            let mut pieces: Vec<String> = parts
                .iter()
                .enumerate()
                .map(|(n, part)| format!("(\nstep=$step.u{n}\n{}\n)", pick(part)))
                .collect();
            if backwards {
                pieces.reverse();
            }
            pieces.join(join)
        };
        Scripts {
            guard: each(|p| &p.guard, " && ", false),
            act: each(|p| &p.act, " && ", false),
            // Twice: a service may start only once its socket is unmasked, or the other way round.
            undo: format!(
                "{{ {}; }} 2>/dev/null\n_all=0\n{} || _all=1\nreturn $_all",
                each(|p| &p.undo, "\n", true),
                each(|p| &p.undo, " || _all=1\n", false)
            ),
            unchanged_since: each(|p| &p.unchanged_since, " && ", false),
        }
    }

    fn new(roots: &str, name: &str, seen: &UnitState, to: ServiceState) -> Result<Self, NulInText> {
        let unit = quote(name)?;
        let get = format!(
            "_file=$(systemctl show -p UnitFileState -- {unit}) || return 1\n\
             _active=$(systemctl show -p ActiveState -- {unit}) || return 1\n"
        );
        // GNU find says the targets itself; busybox's cannot.
        let links = |to: &str| {
            format!(
                "{{ if find / -maxdepth 0 -printf '' 2>/dev/null; then\n  \
                 find {roots} -type l -printf '%p\\t%l\\n' 2>/dev/null\n\
                 else\n  \
                 find {roots} -type l 2>/dev/null | while IFS= read -r _p; do printf '%s\\t%s\\n' \"$_p\" \"$(readlink -- \"$_p\")\"; done\n\
                 fi; }} | sort >\"$store/$step.{to}\""
            )
        };
        let steps = match to {
            ServiceState::Enabled => format!(
                "case $_file in *masked*) systemctl unmask -- {unit} || return 1; systemctl unmask --runtime -- {unit} ;; esac\n\
                 systemctl enable -- {unit} && systemctl start -- {unit}"
            ),
            // A unit whose file stands in /etc itself cannot be masked; off it is all the same.
            ServiceState::Off => format!(
                "systemctl stop -- {unit} && systemctl disable -- {unit} && {{ systemctl mask -- {unit} 2>/dev/null || :; }}"
            ),
        };
        let is_new = match to {
            ServiceState::Enabled => {
                "case $_file in *=enabled|*=static|*=alias|*=indirect|*=generated) ;; *) return 1 ;; esac\n\
                 [ \"$_active\" = ActiveState=active ]"
            }
            ServiceState::Off => {
                "case $_file in *=enabled*|*=linked*|*=alias|*=generated) return 1 ;; esac\n\
                 case $_active in *=active|*=activating|*=reloading) return 1 ;; esac"
            }
        };
        let was_active = matches!(seen.active.as_str(), "active" | "activating" | "reloading");
        let back = if was_active { "start" } else { "stop" };
        let unmet = "{ echo \"it is $_file, $_active\" >&2; return 1; }";
        Ok(Scripts {
            guard: format!(
                "{get}[ \"$_file\" = {} ] && [ \"$_active\" = {} ]",
                quote(&format!("UnitFileState={}", seen.file))?,
                quote(&format!("ActiveState={}", seen.active))?
            ),
            // The links before and after: undo takes back what changed, and nothing else.
            act: format!(
                "{get}{}\n_ok=0\n{{ {steps}; }} || _ok=1\n{}\n[ $_ok = 0 ] || return 1\n{get}_is() {{\n{is_new}\n}}\n_is || {unmet}",
                links("before"),
                links("after"),
            ),
            undo: format!(
                "[ -e \"$store/$step.after\" ] || {{ [ -e \"$store/$step.before\" ] || return 0; {}; }}\n\
                 _t=$(printf '\\t')\n_bad=0\n\
                 comm -13 \"$store/$step.before\" \"$store/$step.after\" >\"$store/$step.new\" || return 1\n\
                 comm -23 \"$store/$step.before\" \"$store/$step.after\" >\"$store/$step.gone\" || return 1\n\
                 while IFS=$_t read -r _p _l; do\n  \
                 [ \"$(readlink -- \"$_p\")\" != \"$_l\" ] || rm -f -- \"$_p\" || _bad=1\n  \
                 case $_p in *.wants/*|*.requires/*) rmdir -- \"${{_p%/*}}\" 2>/dev/null ;; esac\n\
                 done <\"$store/$step.new\"\n\
                 while IFS=$_t read -r _p _l; do\n  \
                 [ -L \"$_p\" ] || {{ (umask 022; mkdir -p -- \"${{_p%/*}}\") && ln -s -- \"$_l\" \"$_p\"; }} || _bad=1\n\
                 done <\"$store/$step.gone\"\n\
                 systemctl daemon-reload || _bad=1\n\
                 systemctl {back} -- {unit} || _bad=1\n\
                 return $_bad",
                links("after")
            ),
            unchanged_since: format!("{get}{is_new}"),
        })
    }
}

/// Units whose change could keep everyone out.
fn risk(name: &str) -> Risk {
    let stem = name.split(['.', '@']).next().unwrap_or(name);
    let access = [
        "ssh",
        "sshd",
        "networking",
        "NetworkManager",
        "systemd-networkd",
        "systemd-resolved",
        "systemd-logind",
        "nftables",
        "iptables",
        "netfilter-persistent",
        "ufw",
        "firewalld",
        "sssd",
        "winbind",
        "wg-quick",
        "tailscaled",
        "openvpn",
    ];
    if access.contains(&stem) {
        Risk::LockOut
    } else {
        Risk::Disruptive
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::probe::section::testing::{SHELLS, snippet};
    use crate::host::snapshot::PackageState;

    fn rule(yaml: &str) -> Service {
        serde_yaml::from_str(yaml).unwrap()
    }

    fn unit(load: &str, file: &str, active: &str) -> Seen<UnitState> {
        Seen::Yes(UnitState {
            load: load.into(),
            active: active.into(),
            file: file.into(),
        })
    }

    fn host(units: &[(&str, Seen<UnitState>)]) -> Snapshot {
        Snapshot {
            units: units
                .iter()
                .map(|(n, s)| ((*n).to_owned(), s.clone()))
                .collect(),
            ..Snapshot::default()
        }
    }

    fn verdict(yaml: &str, state: Seen<UnitState>) -> Verdict {
        rule(yaml).judge(&host(&[("a.service", state)])).verdict
    }

    #[test]
    fn states_are_judged() {
        let on = "{unit: a.service, state: enabled}";
        let off = "{unit: a.service, state: off}";
        for (state, is_on, is_off) in [
            (unit("loaded", "enabled", "active"), true, false),
            (unit("loaded", "enabled", "inactive"), false, false),
            (unit("loaded", "disabled", "active"), false, false),
            (unit("loaded", "disabled", "inactive"), false, true),
            (unit("loaded", "disabled", "failed"), false, true),
            (unit("loaded", "static", "active"), true, false),
            (unit("loaded", "static", "inactive"), false, true),
            (unit("masked", "masked", "inactive"), false, true),
            (unit("masked", "masked", "active"), false, false),
            (unit("loaded", "generated", "inactive"), false, false),
            (unit("loaded", "enabled-runtime", "active"), false, false),
            (Seen::Absent, false, true),
        ] {
            let as_verdict = |ok| if ok { Verdict::Pass } else { Verdict::Fail };
            assert_eq!(verdict(on, state.clone()), as_verdict(is_on), "{state:?}");
            assert_eq!(verdict(off, state.clone()), as_verdict(is_off), "{state:?}");
        }
        assert_eq!(verdict(off, Seen::No("x".into())), Verdict::Unknown);
        assert_eq!(
            rule(off).judge(&Snapshot::default()).verdict,
            Verdict::Unknown
        );
    }

    #[test]
    fn all_units_count_and_a_seen_fault_beats_an_unseen_unit() {
        let two = rule("{unit: [a.service, a.socket], state: off}");
        let s = host(&[
            ("a.service", Seen::Absent),
            ("a.socket", unit("loaded", "enabled", "active")),
        ]);
        assert_eq!(two.judge(&s).verdict, Verdict::Fail);
        assert_eq!(two.fix(&s).unwrap().len(), 1);
        let mut s = s;
        s.units.insert("a.service".into(), Seen::No("x".into()));
        assert_eq!(two.judge(&s).verdict, Verdict::Fail);
        s.units.insert("a.socket".into(), Seen::Absent);
        assert_eq!(two.judge(&s).verdict, Verdict::Unknown);
    }

    #[test]
    fn the_package_decides_first() {
        let on = rule("{unit: a.service, state: enabled, package: aa}");
        let off = rule("{unit: a.service, state: off, package: aa}");
        let mut s = host(&[("a.service", Seen::Absent)]);
        assert_eq!(on.judge(&s).verdict, Verdict::Unknown);
        s.packages.insert("aa".into(), Seen::Absent);
        assert_eq!(on.judge(&s).verdict, Verdict::NotApplicable);
        assert_eq!(off.judge(&s).verdict, Verdict::Pass);
        let installed = PackageState {
            version: "1".into(),
            status: "installed".into(),
            hold: false,
        };
        s.packages.insert("aa".into(), Seen::Yes(installed));
        assert_eq!(on.judge(&s).verdict, Verdict::Fail);
        assert!(on.fix(&s).unwrap_err().0.contains("does not exist"));
    }

    #[test]
    fn what_could_lock_out_is_told() {
        let risk_of = |name: &str| risk(name);
        assert_eq!(risk_of("nftables.service"), Risk::LockOut);
        assert_eq!(risk_of("wg-quick@wg0.service"), Risk::LockOut);
        assert_eq!(risk_of("cups.service"), Risk::Disruptive);
        assert_eq!(rule("{unit: cron, state: off}").problems()[0].0, "unit");
        assert!(serde_yaml::from_str::<Service>("{unit: a.service, state: on}").is_err());
    }

    /// As much of systemctl as the scripts use, over links in a folder and a file that says
    /// whether the unit runs.
    const FAKE: &str = r#"systemctl() {
  [ "$1" != daemon-reload ] || return 0
  _v=$1; shift; _prop=
  while [ "$1" != -- ]; do [ "$1" = -p ] && { _prop=$2; shift; }; shift; [ $# -gt 0 ] || { return 0; }; done
  shift
  case $_v:$_prop in
  show:UnitFileState)
    if [ "$(readlink "$R/etc/$1")" = /dev/null ]; then echo UnitFileState=masked
    elif [ -L "$R/etc/m.wants/$1" ]; then echo UnitFileState=enabled
    else echo UnitFileState=disabled; fi ;;
  show:ActiveState) echo "ActiveState=$(cat "$R/active")" ;;
  enable:) mkdir -p "$R/etc/m.wants"; ln -sf "/lib/$1" "$R/etc/m.wants/$1" ;;
  disable:) rm -f "$R/etc/m.wants/$1" "$R/etc/other.wants/$1"; rmdir "$R/etc/m.wants" 2>/dev/null; return 0 ;;
  mask:) ln -sf /dev/null "$R/etc/$1" ;;
  unmask:) [ "$(readlink "$R/etc/$1")" != /dev/null ] || rm -f "$R/etc/$1" ;;
  start:) echo active >"$R/active" ;;
  stop:) echo inactive >"$R/active" ;;
  *) return 9 ;;
  esac
}
"#;

    fn tree(root: &std::path::Path) -> Vec<String> {
        let out = std::process::Command::new("find")
            .arg(root.join("etc"))
            .arg(root.join("active"))
            .args([
                "(", "-type", "l", "-o", "-type", "f", ")", "-printf", "%p %l\n",
            ])
            .output()
            .unwrap();
        let mut lines: Vec<String> = String::from_utf8(out.stdout)
            .unwrap()
            .lines()
            .map(str::to_owned)
            .collect();
        lines.sort();
        lines.push(std::fs::read_to_string(root.join("active")).unwrap());
        lines
    }

    #[test]
    fn scripts_change_and_bring_back_under_every_shell() {
        use std::os::unix::fs::symlink;
        for shell in SHELLS {
            for (to, file, active) in [
                (ServiceState::Off, "enabled", "active"),
                (ServiceState::Off, "enabled", "inactive"),
                (ServiceState::Enabled, "disabled", "inactive"),
                (ServiceState::Enabled, "masked", "inactive"),
            ] {
                let dir = tempfile::tempdir().unwrap();
                let (root, store) = (dir.path().join("r"), dir.path().join("s"));
                std::fs::create_dir_all(root.join("etc/m.wants")).unwrap();
                std::fs::create_dir_all(root.join("etc/other.wants")).unwrap();
                std::fs::create_dir(&store).unwrap();
                std::fs::write(root.join("active"), format!("{active}\n")).unwrap();
                symlink("/lib/b.service", root.join("etc/m.wants/b.service")).unwrap();
                match file {
                    // One that `systemctl enable` would not make again.
                    "enabled" => {
                        symlink("/lib/a.service", root.join("etc/m.wants/a.service")).unwrap();
                        symlink("/srv/a.service", root.join("etc/other.wants/a.service")).unwrap();
                    }
                    "masked" => symlink("/dev/null", root.join("etc/a.service")).unwrap(),
                    _ => {}
                }
                let place = quote(&root.display().to_string()).unwrap();
                let Seen::Yes(seen) = unit("loaded", file, active) else {
                    unreachable!()
                };
                let sh = Scripts::new(&format!("{place}/etc"), "a.service", &seen, to).unwrap();
                let run = |text: &str| snippet(shell, &store, &format!("R={place}\n{FAKE}{text}"));
                let before = tree(&root);
                let case = format!("{shell:?} {to:?} {file} {active}");
                assert!(run(&sh.guard).0, "{case}");
                assert!(!run(&sh.unchanged_since).0, "{case}");
                assert_eq!(run(&sh.act), (true, String::new()), "{case}");
                assert_ne!(tree(&root), before, "{case}");
                assert!(!run(&sh.guard).0, "{case}");
                assert!(run(&sh.unchanged_since).0, "{case}");
                // Another rule's link, made in between, is none of ours.
                symlink("/lib/c.service", root.join("etc/other.wants/c.service")).unwrap();
                assert_eq!(run(&sh.undo), (true, String::new()), "{case}");
                std::fs::remove_file(root.join("etc/other.wants/c.service")).unwrap();
                assert_eq!(tree(&root), before, "{case}");
                assert!(run(&sh.guard).0, "{case}");
            }
        }
    }
}
