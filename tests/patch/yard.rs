//! Hosts with last week's packages on them, an archive that has this week's, and the program.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use seawall::journal::{Event, JournalReader, PatchEvent, Record};
use serde_json::Value;

use super::archive::Archive;
use crate::end_to_end::site::{Ran, Site};

pub struct Yard {
    /// Before the site: its address goes with the lab.
    pub archive: Archive,
    pub site: Site,
}

impl Yard {
    /// So many hosts, each with the first versions of these packages. What they are brought to is
    /// published.
    pub fn of(hosts: usize, packages: &str) -> Yard {
        let site = Site::of(hosts);
        let first = &site.lab.hosts()[0].address;
        let (subnet, _) = first.rsplit_once('.').expect("an IPv4 address");
        let bridge: IpAddr = format!("{subnet}.1").parse().expect("the bridge's address");
        let archive = Archive::serve(bridge);
        let yard = Yard { archive, site };
        let script = format!(
            "cat >/etc/apt/sources.list <<'LISTS'\n{}LISTS\n\
             export DEBIAN_FRONTEND=noninteractive\n\
             {{ apt-get -q update && apt-get -qy install {packages}; }} 2>&1 </dev/null",
            yard.archive.sources()
        );
        let numbers: Vec<usize> = (0..hosts).collect();
        std::thread::scope(|scope| {
            for number in numbers {
                let (yard, script) = (&yard, &script);
                scope.spawn(move || yard.on(number, script));
            }
        });
        yard.archive.publish();
        yard
    }

    pub fn name(&self, number: usize) -> String {
        self.site.lab.hosts()[number].name.clone()
    }

    /// A script on a host, from outside, as root, that must go well; what it printed.
    pub fn on(&self, number: usize, script: &str) -> String {
        let (well, text) = self.try_on(number, script);
        assert!(well, "{script}: {text}");
        text
    }

    pub fn try_on(&self, number: usize, script: &str) -> (bool, String) {
        let out = self
            .site
            .lab
            .exec(&self.name(number), &["sh", "-c", script])
            .unwrap_or_else(|e| panic!("the host can be looked into: {e}"));
        let text = [out.stdout.as_slice(), &out.stderr].concat();
        let text = String::from_utf8_lossy(&text).trim().to_owned();
        (out.status.success(), text)
    }

    /// Package → version of all that is wholly installed and ours.
    pub fn versions(&self, number: usize) -> BTreeMap<String, String> {
        let list =
            "dpkg-query -W -f '${Package} ${Version} ${db:Status-Status}\\n' 'sea-*' libsea1";
        let (_, text) = self.try_on(number, &format!("{list} 2>/dev/null"));
        text.lines()
            .filter_map(|line| {
                let mut words = line.split(' ');
                let (name, version) = (words.next()?, words.next()?);
                (words.next() == Some("installed")).then(|| (name.to_owned(), version.to_owned()))
            })
            .collect()
    }

    pub fn version(&self, number: usize, package: &str) -> String {
        self.versions(number).remove(package).unwrap_or_default()
    }

    /// No package is half-installed, and no job of ours is left.
    pub fn assert_whole(&self, number: usize) {
        let audit = self.on(number, "dpkg --audit; ls /var/lib/dpkg/updates; true");
        assert_eq!(audit, "", "on {}", self.name(number));
        let units = "systemctl list-units --all --plain --no-legend 'seawall-*'";
        assert_eq!(self.on(number, units), "", "on {}", self.name(number));
    }

    pub fn boot_id(&self, number: usize) -> String {
        self.on(number, "cat /proc/sys/kernel/random/boot_id")
    }

    /// Waits for a script on the host to go well.
    pub fn until(&self, number: usize, script: &str) {
        let begun = Instant::now();
        while !self.try_on(number, script).0 {
            let waited = begun.elapsed();
            assert!(waited < Duration::from_secs(60), "{script} was waited for");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The link on this machine that the host hangs on.
    pub fn link(&self, number: usize) -> String {
        let place = format!("/run/seawall/lab/{}/state.json", self.site.lab.name());
        let state = std::fs::read(place).expect("a lab has a state file");
        let state: Value = serde_json::from_slice(&state).expect("it is JSON");
        let link = state["hosts"][number]["link"].as_str();
        link.expect("a host has a link").to_owned()
    }

    /// A patch playbook for all hosts, with these lines in it.
    pub fn playbook(&self, lines: &str) -> PathBuf {
        let path = self.site.dir.path().join("patch.yaml");
        let text = format!("patch: t\ntitle: t\nhosts: [all]\n{lines}\n");
        std::fs::write(&path, text).expect("a playbook is written");
        path
    }

    fn arguments(&self, verb: &str, what: &str, more: &[&str]) -> Vec<String> {
        let inventory = self.site.inventory().display().to_string();
        let mut args = vec!["patch", verb, what, "-i", &inventory, "--json"];
        if verb == "run" {
            args.push("--yes");
        }
        args.extend(more);
        args.into_iter().map(str::to_owned).collect()
    }

    /// `patch VERB` of a playbook of these lines.
    pub fn patch(&self, verb: &str, lines: &str, more: &[&str]) -> Ran {
        let playbook = self.playbook(lines).display().to_string();
        let args = self.arguments(verb, &playbook, more);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        self.site.run(&args)
    }

    /// `patch run` of a playbook of these lines, begun and not waited for.
    pub fn start(&self, lines: &str) -> Child {
        let playbook = self.playbook(lines).display().to_string();
        self.spawn("run", &playbook)
    }

    /// `patch VERB WHAT`, begun and not waited for.
    pub fn spawn(&self, verb: &str, what: &str) -> Child {
        let args = self.arguments(verb, what, &[]);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        self.site
            .command(&args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program can be run")
    }

    /// The newest run's id, if there is any.
    pub fn newest(&self) -> Option<String> {
        let runs = std::fs::read_dir(self.site.dir.path().join("state/runs")).ok()?;
        let names = runs.flatten().map(|e| e.file_name());
        names.filter_map(|n| n.into_string().ok()).max()
    }

    pub fn journal(&self, run: &str) -> Vec<Record> {
        let dir = self.site.dir.path().join("state/runs").join(run);
        let reader = JournalReader::open(&dir).expect("the run has a journal");
        let records: Result<Vec<Record>, _> = reader.collect();
        records.expect("the journal's chain is whole")
    }

    pub fn events(&self, run: &str) -> Vec<PatchEvent> {
        let records = self.journal(run).into_iter();
        records
            .filter_map(|r| match r.event {
                Event::Patch(event) => Some(event),
                _ => None,
            })
            .collect()
    }
}

/// What a run's document says of one host.
pub fn host<'a>(ran: &'a Ran, name: &str) -> &'a Value {
    let hosts = ran.json["hosts"].as_array();
    let found = hosts.and_then(|all| all.iter().find(|h| h["host"] == name));
    found.unwrap_or_else(|| panic!("{name} is in: {ran}"))
}

pub fn outcome<'a>(ran: &'a Ran, name: &str) -> &'a str {
    host(ran, name)["outcome"].as_str().unwrap_or("none")
}

/// One entry of a list by its `name` (or `package`).
pub fn named<'a>(list: &'a Value, name: &str) -> &'a Value {
    let of = |entry: &Value| {
        let word = entry["name"].as_str().or(entry["package"].as_str());
        word.and_then(|w| w.split(':').next()) == Some(name)
    };
    let found = list.as_array().and_then(|all| all.iter().find(|e| of(e)));
    found.unwrap_or(&Value::Null)
}

pub fn names(list: &Value) -> Vec<&str> {
    let all = list.as_array().into_iter().flatten();
    let words = all.filter_map(|e| e["name"].as_str().or(e["package"].as_str()));
    let mut names: Vec<&str> = words.filter_map(|w| w.split(':').next()).collect();
    names.sort_unstable();
    names
}
