//! `sysctl`: a kernel parameter, now and after the next boot.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::sysctl_files::{self, OURS, Setting, Source};
use super::{Claim, Judgement, Resource, Unfixable, Verdict};
use crate::document::Demand;
use crate::host::edit::{Edit, Separator};
use crate::host::intent::{FileIntent, Intent, Ownership, Risk, ScriptIntent, Stage};
use crate::host::probe::Queries;
use crate::host::probe::sysctls::path_of;
use crate::host::snapshot::{Seen, Snapshot};
use crate::shell::{NulInText, quote};

/// A kernel parameter: its running value, and the value that the files of sysctl.d (and an
/// enabled ufw) give it at the next boot, must both be as demanded.
///
/// A key that the running kernel lacks is not applicable. It is changed by a line in
/// /etc/sysctl.d/zz-seawall.conf and by writing the running value; where ufw's own file says
/// otherwise, that file is changed. Undo takes the line out again and writes the former value
/// back, also those of single interfaces that the kernel changed along with it.
///
/// Traps: a file that sorts behind zz-seawall.conf wins over it; it is named, and not touched. A
/// few keys (`kernel.modules_disabled`, `kernel.kexec_load_disabled`,
/// `kernel.unprivileged_bpf_disabled`, `kernel.yama.ptrace_scope` 3) cannot be taken back before
/// a reboot.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sysctl {
    /// The key, e.g. `net.ipv4.ip_forward`. A dot in an interface's name is written as a slash:
    /// `net.ipv4.conf.eth0/1.rp_filter`.
    pub key: String,
    /// What the value must be. White space between words counts as one space; several words of
    /// `set` are joined by a space.
    pub value: Demand,
}

impl Sysctl {
    fn to_set(&self) -> Option<String> {
        match &self.value.set {
            Some(words) => Some(words.joined(" ")),
            None => self.value.equals.clone(),
        }
        .map(|text| normal(&text))
    }

    /// What the file is to say: the running value where that is as demanded already, so that a
    /// host which is stricter than asked stays so.
    fn to_persist(&self, running: &str) -> Option<String> {
        let plain = !running.is_empty()
            && running
                .chars()
                .all(|c| c.is_ascii_digit() || matches!(c, ' ' | '-'));
        if plain && self.value.judge(running) {
            Some(running.to_owned())
        } else {
            self.to_set()
        }
    }

    fn persisted<'a>(
        &self,
        snapshot: &'a Snapshot,
    ) -> Result<(Vec<Source<'a>>, Option<Setting>), String> {
        let sources = sysctl_files::sources(snapshot)?;
        let setting = sysctl_files::decides(&sources, &self.key);
        Ok((sources, setting))
    }

    fn persist(&self, snapshot: &Snapshot, value: String) -> Result<Intent, Unfixable> {
        let (sources, setting) = self.persisted(snapshot).map_err(Unfixable)?;
        let mut path = OURS.to_owned();
        let mut key = self.key.clone();
        let mut separator = Separator::Equals;
        if let Some((setting, source)) = setting
            .filter(|s| !s.by_pattern)
            .and_then(|s| sources.get(s.source).map(|source| (s, source)))
        {
            let name = source.path.rsplit('/').next().unwrap_or_default();
            if source.ufw {
                path = source.path.to_owned();
                key = setting.spelled;
                separator = Separator::TightEquals;
            } else if source.path == "/etc/sysctl.conf"
                || name > "zz-seawall.conf"
                || !source.path.starts_with("/etc/")
                    && source.path != OURS
                    && name == "zz-seawall.conf"
            {
                return Err(Unfixable::new(format!(
                    "{} line {} sets {} to {} and is read after {OURS}: change it there",
                    source.path, setting.line, self.key, setting.value
                )));
            }
        }
        Ok(Intent::File(FileIntent {
            path,
            edit: Edit::SetKey {
                section: None,
                key,
                value,
                separator,
                fold: false,
            },
            create: Ownership::root(0o644),
            // The file alone changes nothing before the next boot.
            risk: Risk::Safe,
            validate_new: None,
            validate_placed: None,
            reaction: None,
        }))
    }
}

/// White space at the ends goes, between words it is one space.
fn normal(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

impl Resource for Sysctl {
    fn target(&self) -> String {
        self.key.clone()
    }

    fn problems(&self) -> Vec<(&'static str, String)> {
        let mut out: Vec<_> = self
            .value
            .problems_to_write()
            .into_iter()
            .map(|message| ("value", message))
            .collect();
        if path_of(&self.key).is_none() {
            out.push((
                "key",
                format!("`{}` is not a key such as net.ipv4.ip_forward", self.key),
            ));
        }
        if self
            .to_set()
            .is_some_and(|v| v.is_empty() || v.chars().any(char::is_control))
        {
            out.push((
                "value",
                "the value must be one line that is not empty".into(),
            ));
        }
        out
    }

    fn claims(&self) -> Vec<Claim> {
        let key = path_of(&self.key).unwrap_or_else(|| self.key.clone());
        vec![Claim {
            key: format!("sysctl {key}"),
            value: self.value.to_claim(),
        }]
    }

    fn ask(&self, queries: &mut Queries) {
        queries.sysctls.insert(self.key.clone());
        sysctl_files::ask(queries);
    }

    fn judge(&self, snapshot: &Snapshot) -> Judgement {
        let expected = format!("{} now and at boot", self.value.describe());
        let running = match snapshot.sysctls.get(&self.key) {
            Some(Seen::Yes(value)) => value,
            Some(Seen::Absent) => {
                return Judgement::not_applicable(
                    expected,
                    format!("the running kernel has no {}", self.key),
                );
            }
            Some(Seen::No(why)) => return Judgement::unknown(expected, why.clone()),
            None => return Judgement::unknown(expected, "was not asked for"),
        };
        let runs = self.value.judge(running);
        let (persists, file) = match self.persisted(snapshot) {
            // What runs is wrong, whatever the files say.
            Err(why) if runs => return Judgement::unknown(expected, why),
            Err(why) => (false, format!("after a reboot unknown ({why})")),
            Ok((_, None)) => (false, "no file sets it".into()),
            Ok((sources, Some(setting))) => (
                self.value.judge(&setting.value),
                format!(
                    "{} line {} sets {}",
                    sources.get(setting.source).map_or("", |s| s.path),
                    setting.line,
                    setting.value
                ),
            ),
        };
        let actual = format!("{running} now; {file}");
        let judgement = Judgement::pass_if(runs && persists, expected, actual);
        match (judgement.verdict, runs) {
            (Verdict::Fail, true) => judgement.because("a boot may change it"),
            _ => judgement,
        }
    }

    fn fix(&self, snapshot: &Snapshot) -> Result<Vec<Intent>, Unfixable> {
        let running = snapshot
            .sysctls
            .get(&self.key)
            .and_then(Seen::yes)
            .ok_or_else(|| Unfixable::new("the running value was not seen"))?;
        let missing = || Unfixable::new("the rule does not say what to set");
        let mut out = Vec::new();
        let (_, setting) = self.persisted(snapshot).map_err(Unfixable)?;
        if !setting.is_some_and(|s| self.value.judge(&s.value)) {
            let value = self.to_persist(running).ok_or_else(missing)?;
            out.push(self.persist(snapshot, value)?);
        }
        if !self.value.judge(running) {
            let path = path_of(&self.key).ok_or_else(missing)?;
            let new = self.to_set().ok_or_else(missing)?;
            let risk = risk(&path);
            let sh = Scripts::new("/proc/sys", &path, running, &new)?;
            out.push(Intent::Script(ScriptIntent {
                target: format!("sysctl {}", self.key),
                before: format!("{} = {running}", self.key),
                after: format!("{} = {new}", self.key),
                risk,
                stage: if risk == Risk::LockOut {
                    Stage::Access
                } else {
                    Stage::Kernel
                },
                guard: sh.guard,
                act: sh.act,
                undo: sh.undo,
                unchanged_since: sh.unchanged_since,
                no_way_back: no_way_back(&path, &new),
                reaction: None,
            }));
        }
        Ok(out)
    }
}

/// The pieces of sh that change a running value.
struct Scripts {
    guard: String,
    act: String,
    undo: String,
    unchanged_since: String,
}

impl Scripts {
    /// `root` is /proc/sys. Values are read by `cat`: see the probe for why not by `read`.
    fn new(root: &str, path: &str, seen: &str, new: &str) -> Result<Self, NulInText> {
        let file = quote(&format!("{root}/{path}"))?;
        let (old, new) = (quote(seen)?, quote(new)?);
        let is =
            |value: &str| format!("set -f; set -- $(cat {file}); set +f\n[ \"$*\" = {value} ]");
        let mut act = String::new();
        let mut undo = format!("printf '%s\\n' {old} >{file} || _bad=1\n");
        if one_way(path) {
            undo = format!("printf '%s\\n' {old} 2>/dev/null >{file} || return 0\n");
        }
        let kin = kin(root, path)?;
        if !kin.is_empty() {
            act = format!("grep -s -H '' {kin} | sort >\"$store/$step.kin\"\n");
            // Only what this very write moved goes back: the others may have been changed on
            // purpose, by another rule for instance.
            undo.push_str(
                "[ -e \"$store/$step.moved\" ] || printf '' >\"$store/$step.moved\"\n\
                 [ ! -e \"$store/$step.kin\" ] || comm -23 \"$store/$step.kin\" \"$store/$step.moved\" >\"$store/$step.back\"\n\
                 [ ! -e \"$store/$step.back\" ] || while IFS= read -r _l; do\n  \
                 _p=${_l%:*}; _v=${_l##*:}\n  \
                 [ ! -e \"$_p\" ] || [ \"$(cat \"$_p\")\" = \"$_v\" ] || printf '%s\\n' \"$_v\" >\"$_p\" || _bad=1\n\
                 done <\"$store/$step.back\"\n",
            );
        }
        act.push_str(&format!(
            "printf '%s\\n' {new} >{file} || return 1\n{}{}",
            if kin.is_empty() {
                String::new()
            } else {
                format!("grep -s -H '' {kin} | sort >\"$store/$step.moved\"\n")
            },
            is(&new)
        ));
        act.push_str(" || { echo \"the kernel kept $*\" >&2; return 1; }");
        Ok(Scripts {
            guard: is(&old),
            act,
            undo: format!("_bad=0\n{undo}return $_bad"),
            unchanged_since: is(&new),
        })
    }
}

/// The values that the kernel changes along with this one, as words with a star: those of the
/// single interfaces, and what forwarding drags with it.
fn kin(root: &str, path: &str) -> Result<String, NulInText> {
    let parts: Vec<&str> = path.split('/').collect();
    let (family, leaves) = match parts.as_slice() {
        ["net", "ipv4", "ip_forward"]
        | ["net", "ipv4", "conf", "all" | "default", "forwarding"] => {
            ("ipv4", vec!["forwarding", "accept_redirects"])
        }
        [
            "net",
            family @ ("ipv4" | "ipv6"),
            "conf",
            "all" | "default",
            leaf,
        ] => (*family, vec![*leaf]),
        _ => return Ok(String::new()),
    };
    let mut out = Vec::new();
    for leaf in leaves {
        let base = quote(&format!("{root}/net/{family}/conf"))?;
        out.push(format!("{base}/*/{}", quote(leaf)?));
    }
    Ok(out.join(" "))
}

/// Whether the kernel takes no other value until a reboot.
fn one_way(path: &str) -> bool {
    matches!(
        path,
        "kernel/modules_disabled"
            | "kernel/kexec_load_disabled"
            | "kernel/unprivileged_bpf_disabled"
            | "kernel/yama/ptrace_scope"
    )
}

fn no_way_back(path: &str, new: &str) -> Option<String> {
    let stuck = match path {
        "kernel/unprivileged_bpf_disabled" => new == "1",
        "kernel/yama/ptrace_scope" => new == "3",
        other => one_way(other),
    };
    if stuck {
        return Some("the kernel keeps this value until a reboot".into());
    }
    path.ends_with("/disable_ipv6").then(|| {
        "IPv6 addresses and routes that are dropped come back only when the network is set up anew"
            .into()
    })
}

/// What may cut the host off the network is made under confirm.
fn risk(path: &str) -> Risk {
    let leaf = path.rsplit('/').next().unwrap_or_default();
    let network = path.starts_with("net/")
        && (matches!(
            leaf,
            "ip_forward"
                | "forwarding"
                | "rp_filter"
                | "disable_ipv6"
                | "autoconf"
                | "arp_ignore"
                | "arp_announce"
                | "arp_filter"
                | "accept_local"
                | "route_localnet"
                | "proxy_arp"
        ) || leaf.starts_with("accept_ra"));
    if network {
        Risk::LockOut
    } else if matches!(path, "kernel/modules_disabled" | "user/max_user_namespaces") {
        Risk::Disruptive
    } else {
        Risk::Safe
    }
}

#[cfg(test)]
mod tests {
    use super::super::sysctl_files::tests::host;
    use super::*;
    use crate::host::probe::section::testing::{SHELLS, snippet};

    fn rule(yaml: &str) -> Sysctl {
        serde_yaml::from_str(yaml).unwrap()
    }

    fn forward() -> Sysctl {
        rule("{key: net.ipv4.ip_forward, value: \"0\"}")
    }

    fn with(running: Seen<String>, files: &[(&str, &str)]) -> Snapshot {
        let mut s = host(files);
        s.sysctls.insert("net.ipv4.ip_forward".into(), running);
        s
    }

    fn yes(text: &str) -> Seen<String> {
        Seen::Yes(text.into())
    }

    const GOOD: &[(&str, &str)] = &[(OURS, "net.ipv4.ip_forward = 0\n")];

    #[test]
    fn both_values_count() {
        let verdict = |s: &Snapshot| forward().judge(s).verdict;
        assert_eq!(verdict(&with(yes("0"), GOOD)), Verdict::Pass);
        assert_eq!(verdict(&with(yes("1"), GOOD)), Verdict::Fail);
        assert_eq!(verdict(&with(yes("0"), &[])), Verdict::Fail);
        assert_eq!(verdict(&with(Seen::Absent, GOOD)), Verdict::NotApplicable);
        assert_eq!(verdict(&with(Seen::No("x".into()), GOOD)), Verdict::Unknown);
        assert_eq!(verdict(&Snapshot::default()), Verdict::Unknown);
        let mut unseen = with(yes("0"), GOOD);
        unseen.globs.clear();
        assert_eq!(verdict(&unseen), Verdict::Unknown);
        let j = forward().judge(&with(yes("0"), &[]));
        assert_eq!(j.actual, "0 now; no file sets it");
        assert_eq!(j.reason.as_deref(), Some("a boot may change it"));
    }

    #[test]
    fn only_what_is_wrong_is_changed() {
        let fix = |s: &Snapshot| forward().fix(s).unwrap();
        let both = fix(&with(yes("1"), &[]));
        assert!(matches!(
            both.as_slice(),
            [Intent::File(_), Intent::Script(_)]
        ));
        assert!(matches!(
            fix(&with(yes("0"), &[])).as_slice(),
            [Intent::File(_)]
        ));
        let running = fix(&with(yes("1"), GOOD));
        let [Intent::Script(script)] = running.as_slice() else {
            panic!("{running:?}");
        };
        assert_eq!(script.target, "sysctl net.ipv4.ip_forward");
        assert_eq!((script.risk, script.stage), (Risk::LockOut, Stage::Access));
    }

    #[test]
    fn a_stricter_host_stays_so() {
        let rule = rule("{key: net.ipv4.ip_forward, value: {at_least: 1, set: 1}}");
        let out = rule.fix(&with(yes("3"), &[])).unwrap();
        let [Intent::File(file)] = out.as_slice() else {
            panic!("{out:?}");
        };
        assert!(matches!(&file.edit, Edit::SetKey { value, .. } if value == "3"));
    }

    #[test]
    fn a_later_file_is_named_and_ufw_is_mended_in_its_own() {
        let late = [("/etc/sysctl.d/zzz.conf", "# x\nnet.ipv4.ip_forward=1\n")];
        let why = forward().fix(&with(yes("1"), &late)).unwrap_err().0;
        assert!(why.contains("/etc/sysctl.d/zzz.conf line 2"), "{why}");
        let early = [("/etc/sysctl.d/99.conf", "net.ipv4.ip_forward=1\n")];
        assert!(forward().fix(&with(yes("0"), &early)).is_ok());
        let ufw = [
            ("/etc/ufw/sysctl.conf", "net/ipv4/ip_forward=1\n"),
            ("/etc/default/ufw", "IPT_SYSCTL=/etc/ufw/sysctl.conf\n"),
            ("/etc/ufw/ufw.conf", "ENABLED=yes\n"),
        ];
        let out = forward().fix(&with(yes("0"), &ufw)).unwrap();
        let [Intent::File(file)] = out.as_slice() else {
            panic!("{out:?}");
        };
        assert_eq!(file.path, "/etc/ufw/sysctl.conf");
        assert!(matches!(&file.edit, Edit::SetKey { key, .. } if key == "net/ipv4/ip_forward"));
    }

    #[test]
    fn mistakes_are_told_and_claims_meet() {
        assert!(forward().problems().is_empty());
        assert_eq!(rule("{key: 'x y', value: 0}").problems()[0].0, "key");
        assert_eq!(
            rule("{key: a.b, value: {at_least: 1}}").problems()[0].0,
            "value"
        );
        assert!(serde_yaml::from_str::<Sysctl>("{key: a.b, value: 1, more: 2}").is_err());
        assert_eq!(
            rule("{key: net/ipv4/ip_forward, value: 0}").claims(),
            forward().claims()
        );
    }

    #[test]
    fn scripts_change_and_bring_back_under_every_shell() {
        let root = tempfile::tempdir().unwrap();
        let conf = root.path().join("net/ipv4/conf");
        for name in ["all", "default", "eth0"] {
            std::fs::create_dir_all(conf.join(name)).unwrap();
        }
        let at = |name: &str| conf.join(name).join("rp_filter");
        let read = |name: &str| std::fs::read_to_string(at(name)).unwrap();
        let place = root.path().display().to_string();
        let sh = Scripts::new(&place, "net/ipv4/conf/all/rp_filter", "0 12", "1").unwrap();
        for shell in SHELLS {
            std::fs::write(at("all"), "0\t12\n").unwrap();
            std::fs::write(at("eth0"), "2\n").unwrap();
            let run = |text: &str| snippet(shell, root.path(), text);
            assert!(run(&sh.guard).0);
            assert!(!run(&sh.unchanged_since).0);
            assert_eq!(run(&sh.act), (true, String::new()), "{shell:?}");
            assert_eq!(read("all"), "1\n");
            assert!(!run(&sh.guard).0, "what was changed is stale");
            assert!(run(&sh.unchanged_since).0);
            // What somebody else has set since stays: the write itself did not move it.
            std::fs::write(at("eth0"), "1\n").unwrap();
            assert_eq!(run(&sh.undo), (true, String::new()), "{shell:?}");
            assert_eq!(read("eth0"), "1\n");
            // As the kernel does with the values of single interfaces, within the write.
            let kin = kin(&place, "net/ipv4/conf/all/rp_filter").unwrap();
            let moved = format!("grep -s -H '' {kin} | sort >\"$store/$step.moved\"");
            std::fs::write(at("eth0"), "2\n").unwrap();
            std::fs::write(at("all"), "0\t12\n").unwrap();
            assert!(run(&sh.act).0);
            std::fs::write(at("eth0"), "1\n").unwrap();
            assert!(run(&moved).0);
            assert_eq!(run(&sh.undo), (true, String::new()), "{shell:?}");
            assert_eq!(read("eth0"), "2\n");
            assert_eq!(read("all").trim(), "0\t12");
            std::fs::remove_file(at("all")).unwrap();
            std::fs::create_dir(at("all")).unwrap();
            assert!(!run(&sh.act).0 && !run(&sh.undo).0);
            std::fs::remove_dir(at("all")).unwrap();
        }
    }
}
