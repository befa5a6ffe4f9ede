//! `kernel_module`: a module that is not to be loaded.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Claim, Judgement, Resource, Unfixable};
use crate::host::edit::Edit;
use crate::host::intent::{FileIntent, Intent, Ownership, Risk, ScriptIntent, Stage};
use crate::host::probe::Queries;
use crate::host::probe::modules::canonical;
use crate::host::snapshot::{Modules, Seen, Snapshot};
use crate::shell::quote;

const OURS: &str = "/etc/modprobe.d/seawall.conf";

/// What modprobe may run instead of loading the module.
const HARMLESS: &[&str] = &["/bin/false", "/bin/true", "/usr/bin/false", "/usr/bin/true"];

/// A kernel module that must not come in: modprobe is told to run `/bin/false` instead of loading
/// it, it is on modprobe's blacklist, and it is not loaded.
///
/// It is observed in the modprobe.d directories, in /proc/modules and in the running kernel's
/// list of what is built in; a module that is built in is not applicable. It is changed by two
/// lines in /etc/modprobe.d/seawall.conf, and unloaded where it is loaded; undo takes the lines
/// out and loads it again.
///
/// Traps: a module that is in use cannot be unloaded; the change then fails and is taken back.
/// An `install` line for the module in another file is not ours to change.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KernelModule {
    /// The module's name, e.g. `usb-storage`. `-` and `_` mean the same.
    pub name: String,
}

impl KernelModule {
    fn key(&self) -> String {
        canonical(&self.name).unwrap_or_else(|| self.name.clone())
    }

    fn is_refused(&self, modules: &Modules) -> bool {
        modules
            .install
            .get(&self.key())
            .is_some_and(|command| HARMLESS.contains(&command.as_str()))
    }
}

impl Resource for KernelModule {
    fn target(&self) -> String {
        self.name.clone()
    }

    fn problems(&self) -> Vec<(&'static str, String)> {
        match canonical(&self.name) {
            Some(_) => Vec::new(),
            None => vec![("name", format!("`{}` is not a module's name", self.name))],
        }
    }

    fn claims(&self) -> Vec<Claim> {
        vec![Claim {
            key: format!("kernel_module {}", self.key()),
            value: "not loadable".into(),
        }]
    }

    fn ask(&self, queries: &mut Queries) {
        queries.modules.insert(self.name.clone());
        queries.text(OURS);
    }

    fn judge(&self, snapshot: &Snapshot) -> Judgement {
        let expected = "not loadable, blacklisted, not loaded";
        let key = self.key();
        let modules = match &snapshot.modules {
            Seen::Yes(modules) => modules,
            Seen::Absent => return Judgement::unknown(expected, "modules were not seen"),
            Seen::No(why) => return Judgement::unknown(expected, why.clone()),
        };
        if modules.builtin.contains(&key) {
            let why = format!("{} is built into the running kernel", self.name);
            return Judgement::not_applicable(expected, why);
        }
        let loaded = modules.loaded.contains(&key);
        let blacklisted = modules.blacklisted.contains(&key);
        let refused = self.is_refused(modules);
        let mut actual = vec![match modules.install.get(&key) {
            Some(command) => format!("modprobe runs `{command}`"),
            None if modules.available.contains(&key) => "loadable".into(),
            None => "loadable if a kernel has it (this one does not)".into(),
        }];
        actual.push(
            if blacklisted {
                "blacklisted"
            } else {
                "not blacklisted"
            }
            .into(),
        );
        actual.push(if loaded { "loaded" } else { "not loaded" }.into());
        Judgement::pass_if(
            refused && blacklisted && !loaded,
            expected,
            actual.join(", "),
        )
    }

    fn fix(&self, snapshot: &Snapshot) -> Result<Vec<Intent>, Unfixable> {
        let key = self.key();
        let modules = snapshot
            .modules
            .yes()
            .ok_or_else(|| Unfixable::new("modules were not seen"))?;
        let name = regex::escape(&key).replace('_', "[-_]");
        let mut out = Vec::new();
        if !self.is_refused(modules) {
            let pattern = format!(r"^\s*install\s+{name}(\s|$)");
            if let Some(command) = modules.install.get(&key)
                && !is_in_ours(snapshot, &pattern)
            {
                return Err(Unfixable::new(format!(
                    "a file of modprobe.d says `install {} {command}` already: change it there",
                    self.name
                )));
            }
            out.push(line(format!("install {} /bin/false", self.name), pattern));
        }
        if !modules.blacklisted.contains(&key) {
            let pattern = format!(r"^\s*blacklist\s+{name}\s*$");
            out.push(line(format!("blacklist {}", self.name), pattern));
        }
        if modules.loaded.contains(&key) {
            let word = quote(&key)?;
            let loaded = format!("grep -q {} /proc/modules", quote(&format!("^{key} "))?);
            out.push(Intent::Script(ScriptIntent {
                target: format!("kernel_module {}", self.name),
                before: format!("{} is loaded", self.name),
                after: format!("{} is not loaded", self.name),
                risk: Risk::Disruptive,
                stage: Stage::Kernel,
                guard: loaded.clone(),
                act: format!("modprobe -r -- {word}"),
                // Past the install line that refuses it.
                undo: format!("modprobe --ignore-install -- {word}"),
                unchanged_since: format!("! {loaded}"),
                no_way_back: None,
                reaction: None,
            }));
        }
        Ok(out)
    }
}

fn is_in_ours(snapshot: &Snapshot, pattern: &str) -> bool {
    let text = snapshot
        .files
        .get(OURS)
        .and_then(Seen::yes)
        .and_then(|file| file.content.yes());
    match (text, super::demand::regex(pattern)) {
        (Some(text), Ok(pattern)) => text.lines().any(|line| pattern.is_match(line)),
        _ => false,
    }
}

fn line(line: String, replaces: String) -> Intent {
    Intent::File(FileIntent {
        path: OURS.into(),
        edit: Edit::Line {
            line,
            replaces: Some(replaces),
            first: false,
        },
        create: Ownership::root(0o644),
        risk: Risk::Safe,
        validate_new: None,
        validate_placed: None,
        reaction: None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;
    use crate::host::probe::section::testing::{SHELLS, snippet};

    fn rule() -> KernelModule {
        serde_yaml::from_str("{name: usb-storage}").unwrap()
    }

    fn host(change: impl Fn(&mut Modules)) -> Snapshot {
        let mut modules = Modules::default();
        change(&mut modules);
        Snapshot {
            modules: Seen::Yes(modules),
            ..Snapshot::default()
        }
    }

    fn refused(m: &mut Modules) {
        m.install.insert("usb_storage".into(), "/bin/false".into());
        m.blacklisted.insert("usb_storage".into());
    }

    #[test]
    fn all_three_are_demanded() {
        let verdict = |s: &Snapshot| rule().judge(s).verdict;
        assert_eq!(verdict(&host(refused)), Verdict::Pass);
        assert_eq!(verdict(&host(|_| ())), Verdict::Fail);
        let loaded = host(|m| {
            refused(m);
            m.loaded.insert("usb_storage".into());
        });
        assert_eq!(verdict(&loaded), Verdict::Fail);
        let listed = host(|m| {
            refused(m);
            m.blacklisted.clear();
        });
        assert_eq!(verdict(&listed), Verdict::Fail);
        let other = host(|m| {
            refused(m);
            m.install
                .insert("usb_storage".into(), "/bin/falsehood".into());
        });
        assert_eq!(verdict(&other), Verdict::Fail);
        let built_in = host(|m| {
            m.builtin.insert("usb_storage".into());
        });
        assert_eq!(verdict(&built_in), Verdict::NotApplicable);
        assert_eq!(verdict(&Snapshot::default()), Verdict::Unknown);
    }

    #[test]
    fn only_what_is_missing_is_changed() {
        let out = rule().fix(&host(|_| ())).unwrap();
        let lines: Vec<_> = out
            .iter()
            .map(|i| match i {
                Intent::File(FileIntent {
                    edit: Edit::Line { line, replaces, .. },
                    ..
                }) => (line.clone(), replaces.clone().unwrap()),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(lines[0].0, "install usb-storage /bin/false");
        assert_eq!(lines[1].0, "blacklist usb-storage");
        for (line, replaces) in &lines {
            assert!(
                super::super::demand::regex(replaces)
                    .unwrap()
                    .is_match(line)
            );
        }
        let loaded = host(|m| {
            refused(m);
            m.loaded.insert("usb_storage".into());
        });
        let out = rule().fix(&loaded).unwrap();
        let [Intent::Script(script)] = out.as_slice() else {
            panic!("{out:?}");
        };
        assert_eq!(script.act, "modprobe -r -- 'usb_storage'");
        for shell in SHELLS {
            // Not loaded on the machine that tests: stale, and as an act would leave it.
            let dir = std::env::temp_dir();
            assert!(!snippet(shell, &dir, &script.guard).0);
        }
    }

    #[test]
    fn another_files_install_line_is_left_alone() {
        let other = host(|m| {
            m.install.insert("usb_storage".into(), "/sbin/x".into());
        });
        assert!(rule().fix(&other).unwrap_err().0.contains("/sbin/x"));
    }

    #[test]
    fn mistakes_are_told() {
        assert!(rule().problems().is_empty());
        assert_eq!(KernelModule { name: "a b".into() }.problems()[0].0, "name");
        let underscored = KernelModule {
            name: "usb_storage".into(),
        };
        assert_eq!(rule().claims(), underscored.claims());
    }
}
