//! What kind of host it is. No fork on a kernel of 6.1 or later; an older one needs `uname` for
//! the machine.
//!
//! Everything else is there as a file that the shell can read or look for itself. (Texts under
//! /proc/sys can be read byte by byte, as dash does; integers cannot.)

use std::collections::BTreeMap;

use super::{Queries, section};
use crate::host::snapshot::{FACTS, Facts, Snapshot};
use crate::shell::{Frame, NulInText};

const NAME: &str = "facts";

/// The body of the function that observes. Facts are asked for always.
pub fn script(_: &Queries) -> Result<Option<String>, NulInText> {
    Ok(Some(SCRIPT.to_owned()))
}

const SCRIPT: &str = r#"_said=
_say() { _said="$_said$1=$2
"; }
# _first KEY FILE: the first line of a file.
_first() {
  _v=
  if [ -r "$2" ]; then IFS= read -r _v <"$2"; fi
  _say "$1" "$_v"
}
# _any FACT PATH…: the first path that is there proves it.
_any() {
  _f=$1
  shift
  for _p in "$@"; do
    if [ -e "$_p" ]; then _say "+$_f" "$_p"; return 0; fi
  done
  return 1
}
for _p in /etc/os-release /usr/lib/os-release; do
  if [ -r "$_p" ]; then
    while IFS='=' read -r _k _v || [ -n "$_k" ]; do
      case $_k in ID | VERSION_ID) _say "os.$_k" "$_v" ;; esac
    done <"$_p"
    break
  fi
done
_first kernel /proc/sys/kernel/osrelease
_first hostname /proc/sys/kernel/hostname
_first boot /proc/sys/kernel/random/boot_id
if [ -r /proc/sys/kernel/arch ]; then _first machine /proc/sys/kernel/arch; else _say machine "$(uname -m)"; fi
_uid=
if [ -r /proc/self/status ]; then
  while read -r _k _r _e _v; do
    if [ "$_k" = Uid: ]; then _uid=$_e; break; fi
  done </proc/self/status
fi
_say uid "${_uid:-$(id -u)}"
_any systemd /run/systemd/system
_any dpkg /var/lib/dpkg/status
_any ipv6 /proc/net/if_inet6
_any snap /usr/lib/snapd/snapd /run/snapd.socket /snap/bin
_any gdm /usr/sbin/gdm3 /usr/sbin/gdm /etc/gdm3
_any lab /run/seawall-lab
if [ -r /run/systemd/container ]; then
  _first container /run/systemd/container
  _any container /run/systemd/container
elif _any container /.dockerenv; then _say container docker
elif _any container /run/.containerenv; then _say container podman
elif [ -e /proc/vz ] && [ ! -e /proc/bc ]; then _say container openvz; _say +container /proc/vz
fi
for _p in dockerd docker containerd podman k3s crio; do
  if have "$_p"; then _say +container-engine "the program $_p"; break; fi
done
_any container-engine /run/docker.sock /run/containerd/containerd.sock /run/podman/podman.sock \
  /usr/lib/systemd/system/docker.service /lib/systemd/system/docker.service /etc/systemd/system/docker.service \
  /usr/lib/systemd/system/containerd.service /lib/systemd/system/containerd.service /usr/lib/systemd/system/podman.socket \
  /snap/bin/docker
if [ -r /sys/class/dmi/id/chassis_asset_tag ]; then
  IFS= read -r _v </sys/class/dmi/id/chassis_asset_tag
  if [ "$_v" = 7783-7084-3265-9085-8269-3286-77 ]; then _say +azure 'the chassis asset tag'; fi
fi
_any azure /usr/sbin/waagent /var/lib/waagent
_any router /usr/lib/frr/zebra /usr/sbin/bird /usr/sbin/bird6 /usr/sbin/zebra /usr/sbin/openvswitch-switch || {
  _n=0
  for _p in /sys/class/net/*; do
    if [ -e "$_p/device" ]; then _n=$((_n + 1)); fi
    if [ -r "$_p/uevent" ]; then
      while read -r _v; do
        if [ "$_v" = DEVTYPE=wireguard ]; then _say +router "the WireGuard interface ${_p##*/}"; fi
      done <"$_p/uevent"
    fi
  done
  _v=0
  if [ -r /proc/sys/net/ipv4/ip_forward ]; then read -r _v </proc/sys/net/ipv4/ip_forward; fi
  if [ "$_v" = 1 ] && [ "$_n" -gt 1 ]; then _say +router "it forwards between $_n network devices"; fi
}
if [ -r /var/lib/seawall/pending ]; then _first pending /var/lib/seawall/pending; fi
frame section facts 0 "$_said""#;

/// Reads what was said: `KEY=VALUE` lines; `+FACT=HOW` for what was found.
pub fn read(frames: &[Frame], _: &Queries, out: &mut Snapshot) {
    if let Ok(frame) = section::answered(frames, NAME) {
        out.facts = parse(&frame.text());
    } else {
        // Nobody is known not to be root by saying nothing.
        out.facts.uid = u32::MAX;
    }
}

fn parse(text: &str) -> Facts {
    let mut facts = Facts {
        uid: u32::MAX,
        ..Facts::default()
    };
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    for (key, value) in text.lines().filter_map(|line| line.split_once('=')) {
        let value = crate::shell::clean(value, 200);
        let plain = || value.trim_matches(['"', '\'']).to_owned();
        match key {
            "os.ID" => facts.os_id = plain().to_lowercase(),
            "os.VERSION_ID" => facts.os_version = plain(),
            "kernel" => facts.kernel = value,
            "hostname" => facts.hostname = value,
            "boot" => facts.boot_id = value,
            "machine" => facts.machine = value,
            "uid" => facts.uid = value.parse().unwrap_or(u32::MAX),
            "container" => facts.container = value,
            "pending" => facts.pending_run = is_run(&value).then_some(value),
            _ => {
                let known = key
                    .strip_prefix('+')
                    .and_then(|name| FACTS.iter().find(|(n, _)| *n == name));
                if let Some((name, _)) = known {
                    found.entry((*name).to_owned()).or_insert(value);
                }
            }
        }
    }
    facts.systemd = found.contains_key("systemd");
    facts.found = found;
    facts
}

/// Whether a text can be a run's id.
fn is_run(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::super::section::testing;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_shell_says_the_same_of_this_machine() {
        let body = script(&Queries::default()).unwrap().unwrap();
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
        let mut all = Vec::new();
        for shell in testing::SHELLS {
            let mut out = Snapshot::default();
            read(
                &testing::frames(shell, &body),
                &Queries::default(),
                &mut out,
            );
            assert_eq!(out.facts.kernel, release.trim(), "{shell:?}");
            assert_eq!(out.facts.boot_id.len(), 36, "{shell:?}");
            assert!(!out.facts.os_id.is_empty() && !out.facts.machine.is_empty());
            assert_ne!(out.facts.uid, u32::MAX, "{shell:?}");
            all.push(out.facts);
        }
        assert!(all.iter().all(|facts| *facts == all[0]), "{all:?}");
    }

    #[test]
    fn facts_are_read_and_strange_ones_dropped() {
        let f = parse(
            "os.ID=Debian\nos.VERSION_ID=\"12\"\nuid=0\n+systemd=/run/systemd/system\n+evil=x\n\
             +router=the \u{1b}[31mone\npending=01-ab\n",
        );
        assert_eq!(
            (f.os_id.as_str(), f.os_version.as_str(), f.uid),
            ("debian", "12", 0)
        );
        assert!(f.systemd && !f.found.contains_key("evil"));
        assert!(!f.found["router"].contains('\u{1b}'));
        assert_eq!(f.pending_run.as_deref(), Some("01-ab"));
        assert_eq!(parse("pending=../x\n").pending_run, None);
    }

    #[test]
    fn silence_is_not_root() {
        let mut out = Snapshot::default();
        read(&[], &Queries::default(), &mut out);
        assert_ne!(out.facts.uid, 0);
        read(
            &[testing::frame(NAME, 0, "kernel=6\n")],
            &Queries::default(),
            &mut out,
        );
        assert_ne!(out.facts.uid, 0);
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic(data in "([+a-z.]{0,8}=?.{0,10}\n?){0,8}") {
            parse(&data);
        }
    }
}
