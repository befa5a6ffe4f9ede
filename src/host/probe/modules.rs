//! Kernel modules: what is loaded, built in or there as a file, and what modprobe is told.
//!
//! One fork: one `grep` reads /proc/modules, the running kernel's lists and modprobe's
//! configuration, and says only the lines that matter. `modprobe --showconfig` is not asked: it
//! prints every alias that the kernel knows, some megabyte.

use std::collections::{BTreeMap, BTreeSet};

use super::{Queries, section};
use crate::host::snapshot::{Modules, Snapshot};
use crate::shell::{Frame, NulInText, quote, quote_all};

const NAME: &str = "modules";

/// Earlier ones hide files of the same name in later ones.
const DIRECTORIES: &[&str] = &[
    "/etc/modprobe.d",
    "/run/modprobe.d",
    "/usr/local/lib/modprobe.d",
    "/usr/lib/modprobe.d",
    "/lib/modprobe.d",
];

/// A module's name as the kernel has it: `_` for `-`. `None`: it is no name.
pub(crate) fn canonical(name: &str) -> Option<String> {
    let sound = !name.is_empty()
        && name.len() <= 60
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    sound.then(|| name.replace('-', "_"))
}

/// The body of the function that observes.
pub fn script(q: &Queries) -> Result<Option<String>, NulInText> {
    let names: BTreeSet<String> = q.modules.iter().filter_map(|n| canonical(n)).collect();
    if names.is_empty() {
        return Ok(None);
    }
    // File names are written with either sign.
    let files: Vec<String> = names.iter().map(|n| n.replace('_', "[-_]")).collect();
    let pattern = format!(
        "^[A-Za-z0-9_]+ [0-9]+ |^[^: ]*/({})\\.ko[.a-z0-9]*|^[[:space:]]*(install|blacklist)[[:space:]].*",
        files.join("|")
    );
    let globs: Vec<String> = DIRECTORIES.iter().map(|d| format!("{d}/*.conf")).collect();
    Ok(Some(format!(
        r#"if [ ! -d /proc/self ]; then frame section {NAME} 1 '/proc is not mounted'; return 0; fi
if [ -e /proc/modules ] && [ ! -r /proc/modules ]; then frame section {NAME} 1 '/proc/modules may not be read'; return 0; fi
_k=; read -r _k </proc/sys/kernel/osrelease
_dirs=
for _m in {names}; do
  if [ -d "/sys/module/$_m" ]; then _dirs="$_dirs+ $_m
"; fi
done
set --
for _f in {globs}; do
  if [ -e "$_f" ]; then _dirs="${{_dirs}}f $_f
"; set -- "$@" "$_f"; fi
done
_said=$(grep -s -H -o -E {pattern} -- /proc/modules "/lib/modules/$_k/modules.builtin" "/lib/modules/$_k/modules.dep" "$@")
frame section {NAME} 0 "$_dirs$_said""#,
        names = quote_all(names.iter().map(String::as_str))?,
        globs = globs.join(" "),
        pattern = quote(&pattern)?,
    )))
}

/// Reads what was said. Lines: `+ NAME` for a folder under /sys/module, `f PATH` for a file of
/// modprobe's configuration, `FILE:MATCH` for what `grep` found.
pub fn read(frames: &[Frame], q: &Queries, out: &mut Snapshot) {
    if q.modules.is_empty() {
        return;
    }
    out.modules = section::seen(frames, NAME, |text| Ok(parse(text)));
}

fn parse(text: &str) -> Modules {
    let mut out = Modules::default();
    let mut there = BTreeSet::new();
    // By base name, which is the order in which modprobe reads; the first directory wins.
    let mut files: BTreeMap<&str, (&str, Vec<&str>)> = BTreeMap::new();
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("+ ") {
            there.insert(name.to_owned());
        } else if let Some(path) = line.strip_prefix("f ") {
            let base = path.rsplit('/').next().unwrap_or(path);
            files.entry(base).or_insert((path, Vec::new()));
        } else if let Some((file, found)) = line.split_once(':') {
            if file == "/proc/modules" {
                let name = found.split(' ').next().unwrap_or_default();
                out.loaded.insert(name.replace('-', "_"));
            } else if file.ends_with("/modules.builtin") {
                out.builtin.extend(module_of(found));
            } else if file.ends_with("/modules.dep") {
                out.available.extend(module_of(found));
            } else if let Some((_, lines)) = files
                .get_mut(file.rsplit('/').next().unwrap_or(file))
                .filter(|(path, _)| *path == file)
            {
                lines.push(found);
            }
        }
    }
    for (_, lines) in files.into_values() {
        for line in lines {
            let mut words = line.split_whitespace();
            match (words.next(), words.next()) {
                (Some("install"), Some(name)) => {
                    let command: Vec<&str> = words.collect();
                    // Of several, modprobe takes the first.
                    out.install
                        .entry(name.replace('-', "_"))
                        .or_insert_with(|| command.join(" "));
                }
                (Some("blacklist"), Some(name)) => {
                    out.blacklisted.insert(name.replace('-', "_"));
                }
                _ => {}
            }
        }
    }
    // What is there and was not loaded was there from the start.
    out.builtin
        .extend(there.difference(&out.loaded).cloned().collect::<Vec<_>>());
    out
}

/// `kernel/fs/udf/udf.ko.xz` → `udf`.
fn module_of(path: &str) -> Option<String> {
    let name = path.rsplit('/').next()?;
    Some(name.split('.').next()?.replace('-', "_"))
}

#[cfg(test)]
mod tests {
    use super::super::section::testing;
    use super::*;
    use crate::host::snapshot::Seen;
    use proptest::prelude::*;

    fn asked(names: &[&str]) -> Queries {
        Queries {
            modules: names.iter().map(|n| (*n).to_owned()).collect(),
            ..Queries::default()
        }
    }

    #[test]
    fn the_answer_is_read_as_modprobe_would() {
        let said = "+ loop\n+ udf\nf /etc/modprobe.d/b.conf\nf /lib/modprobe.d/a.conf\nf /lib/modprobe.d/b.conf\n\
            /proc/modules:usb_storage 90112 \n/proc/modules:loop 40960 \n\
            /lib/modules/6.1/modules.builtin:kernel/fs/squashfs/squashfs.ko\n\
            /lib/modules/6.1/modules.dep:kernel/drivers/usb/storage/usb-storage.ko.xz\n\
            /etc/modprobe.d/b.conf:install cramfs /bin/false\n\
            /etc/modprobe.d/b.conf: blacklist usb-storage\n\
            /lib/modprobe.d/a.conf:install  cramfs   /sbin/x -y\n\
            /lib/modprobe.d/b.conf:blacklist hidden\n";
        let m = parse(said);
        assert!(m.loaded.contains("usb_storage") && m.loaded.contains("loop"));
        assert_eq!(m.builtin, ["squashfs", "udf"].map(String::from).into());
        assert_eq!(m.available, ["usb_storage".to_string()].into());
        assert_eq!(m.install["cramfs"], "/sbin/x -y");
        assert_eq!(m.blacklisted, ["usb_storage".to_string()].into());
    }

    #[test]
    fn it_runs_under_every_shell() {
        let q = asked(&["cramfs", "usb-storage", "no_such_module", "bad name"]);
        let body = script(&q).unwrap().unwrap();
        for shell in testing::SHELLS {
            let mut out = Snapshot::default();
            read(&testing::frames(shell, &body), &q, &mut out);
            let seen = out.modules.yes().expect("modules are seen");
            assert!(!seen.builtin.contains("no_such_module"), "{shell:?}");
        }
        assert_eq!(script(&Queries::default()), Ok(None));
    }

    #[test]
    fn what_was_not_answered_is_not_seen() {
        let mut out = Snapshot::default();
        read(&[], &asked(&["x"]), &mut out);
        assert_eq!(out.modules, Seen::No("the host did not answer".into()));
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic(data in "[-+f/:.a-z\n ]{0,80}|(install|blacklist| |\n|.){0,40}") {
            let mut out = Snapshot::default();
            read(&[testing::frame(NAME, 0, &data)], &asked(&["x"]), &mut out);
            prop_assert!(out.modules.yes().is_some());
        }
    }
}
