//! Hosts that are not there: they speak a language of a line for each question, and keep their
//! jobs over lost connections, as real ones do.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use super::super::speech::Speech;
use crate::host::patch::job::{self, Job};
use crate::model::Phase;
use crate::model::patch::{
    ContainerSeen, Health, Installed, Manager, Offer, OfferKind, PatchSnapshot, StaleProcess, Unit,
};
use crate::reach::{Ended, FakeReach, ReachError, Target};
use crate::shell::{Frame, Nonce};

/// One host's state, and what is to go wrong with it.
#[derive(Clone, Debug)]
pub struct FakeHost {
    pub version: &'static str,
    pub offered: Option<&'static str>,
    pub boot: u32,
    /// Job → questions until it ends; `None`: it has ended.
    pub jobs: BTreeMap<String, Option<usize>>,
    pub logs: BTreeMap<String, String>,
    /// Job → how often it was begun.
    pub started: BTreeMap<String, usize>,
    /// How many programs it was sent.
    pub programs: usize,
    /// How often a job is asked about before it ends.
    pub polls: usize,
    pub down: bool,
    /// Its service is down at this version.
    pub sick_at: Option<&'static str>,
    pub check_status: i32,
    /// The upgrade fails, and has changed the package or not.
    pub upgrade_fails: Option<bool>,
    pub back_fails: bool,
    pub reboot_due: bool,
    /// This version makes a reboot due.
    pub reboot_due_at: Option<&'static str>,
    pub stays_down: bool,
    /// This version makes the service stale.
    pub stale_at: Option<&'static str>,
    pub stale: bool,
    /// Connections that are lost while the upgrade is asked about.
    pub cuts: usize,
    pub lists_fail: bool,
    pub repairs: bool,
    /// It runs a container that is behind; how the job of its image ends, and what it says.
    pub image: Option<(&'static str, &'static str)>,
}

impl Default for FakeHost {
    fn default() -> FakeHost {
        FakeHost {
            version: "1",
            offered: Some("2"),
            boot: 1,
            jobs: BTreeMap::new(),
            logs: BTreeMap::new(),
            started: BTreeMap::new(),
            programs: 0,
            polls: 2,
            down: false,
            sick_at: None,
            check_status: 0,
            upgrade_fails: None,
            back_fails: false,
            reboot_due: false,
            reboot_due_at: None,
            stays_down: false,
            stale_at: None,
            stale: false,
            cuts: 0,
            lists_fail: false,
            repairs: false,
            image: None,
        }
    }
}

impl FakeHost {
    fn snapshot(&self, name: &str, whole: bool) -> PatchSnapshot {
        let sick = self.sick_at == Some(self.version);
        let mut snapshot = PatchSnapshot {
            format: 1,
            host: name.into(),
            boot_id: format!("boot-{}", self.boot),
            health: Health {
                system: "running".into(),
                units: vec![Unit {
                    name: "app.service".into(),
                    state: if sick { "failed" } else { "active" }.into(),
                    sub: if sick { "failed" } else { "running" }.into(),
                    enabled: "enabled".into(),
                }],
                listeners: Vec::new(),
            },
            ..PatchSnapshot::default()
        };
        if !whole {
            return snapshot;
        }
        snapshot.manager = Manager::Apt;
        snapshot.installed = vec![Installed {
            name: "app".into(),
            arch: "amd64".into(),
            version: self.version.into(),
            ..Installed::default()
        }];
        if let Some(to) = self.offered.filter(|to| *to != self.version) {
            snapshot.offers = vec![Offer {
                name: "app".into(),
                arch: "amd64".into(),
                kind: OfferKind::Upgrade,
                from: self.version.into(),
                to: to.into(),
                origin: "Debian:12/stable".into(),
                security: Some(false),
                official: Some(true),
                former: "cache".into(),
                ..Offer::default()
            }];
        }
        if self.lists_fail {
            snapshot.refreshed = crate::model::patch::Refreshed::Failed {
                why: "the archive does not answer".into(),
            };
        }
        if self.repairs && !self.started.contains_key("repair") {
            snapshot.broken = vec![crate::model::patch::Broken {
                name: "left".into(),
                state: "half-configured".into(),
            }];
        }
        if self.reboot_due {
            snapshot.reboot_due = vec!["a reboot is asked for".into()];
        }
        snapshot.containers = self.image.map(|_| behind()).into_iter().collect();
        if self.stale {
            snapshot.stale = vec![StaleProcess {
                pid: 7,
                program: "app".into(),
                unit: "app.service".into(),
                files: vec!["/usr/lib/app.so".into()],
            }];
        }
        snapshot
    }

    fn becomes(&mut self, version: &'static str) -> String {
        let line = format!("@seawall package app:amd64 {} {version}\n", self.version);
        self.version = version;
        self.reboot_due |= self.reboot_due_at == Some(version);
        self.stale |= self.stale_at == Some(version);
        line
    }

    /// What a job does, once.
    fn effect(&mut self, job: &str) -> (i32, String) {
        match job {
            "image-0" => (1, self.image.map_or("", |i| i.1).to_owned()),
            "upgrade" => match (self.upgrade_fails, self.offered) {
                (Some(false), _) => (3, "@seawall differs app another\n".into()),
                (Some(true), Some(to)) => (1, self.becomes(to)),
                (None, Some(to)) => (0, self.becomes(to)),
                (_, None) => (1, String::new()),
            },
            "back" if self.back_fails => (1, "it cannot\n".into()),
            "back" => (0, self.becomes("1")),
            "restart" | "restart-back" => {
                self.stale = false;
                (0, "@seawall restarted app.service 0 well\n".into())
            }
            _ => (0, "done\n".into()),
        }
    }
}

/// All of them.
#[derive(Clone, Default)]
pub struct Fleet(pub Arc<Mutex<BTreeMap<String, FakeHost>>>);

impl Fleet {
    pub fn of(hosts: Vec<(&str, FakeHost)>) -> Fleet {
        let hosts = hosts.into_iter().map(|(n, h)| (n.to_owned(), h)).collect();
        Fleet(Arc::new(Mutex::new(hosts)))
    }

    pub fn lock(&self) -> MutexGuard<'_, BTreeMap<String, FakeHost>> {
        self.0.lock().unwrap()
    }

    /// The same hosts, that go their own way from here.
    pub fn copy(&self) -> Fleet {
        Fleet(Arc::new(Mutex::new(self.lock().clone())))
    }

    pub fn host(&self, name: &str) -> FakeHost {
        self.lock()[name].clone()
    }

    pub fn reach(&self) -> FakeReach {
        let (asked, refused) = (self.clone(), self.clone());
        FakeReach::scripted(move |target, program| asked.answer(target, program)).refusing(
            move |target| {
                let down = refused.lock()[&target.name].down;
                down.then(|| ReachError::new(Phase::Connect, "no route to it"))
            },
        )
    }

    fn answer(&self, target: &Target, program: &str) -> Result<(Vec<u8>, Ended), ReachError> {
        let mut hosts = self.lock();
        let host = hosts.get_mut(&target.name).unwrap();
        host.programs += 1;
        let (nonce, question) = program.split_once('\n').unwrap();
        let words: Vec<&str> = question.split(' ').collect();
        let mut out = String::new();
        let mut frame = |kind: &str, name: &str, status: i32, data: &str| {
            out.push_str(&format!(
                "\n@{nonce} {kind} {name} {status} {}\n{data}\n",
                data.len()
            ));
        };
        match words.as_slice() {
            ["observe", what] => {
                let snapshot = host.snapshot(&target.name, *what == "whole");
                frame("seen", "all", 0, &serde_json::to_string(&snapshot).unwrap());
            }
            ["start" | "follow", job, offset] => {
                if question.starts_with("start") && !host.jobs.contains_key(*job) {
                    *host.started.entry((*job).into()).or_default() += 1;
                    host.jobs.insert((*job).into(), Some(host.polls));
                }
                if *job == "upgrade" && host.cuts > 0 {
                    host.cuts -= 1;
                    return Err(ReachError::new(Phase::Run, "the connection was lost"));
                }
                match host.jobs.get(*job).copied() {
                    None => frame("end", "job", 0, "absent"),
                    Some(Some(left)) if left > 0 => {
                        host.jobs.insert((*job).into(), Some(left - 1));
                        frame("end", "job", 0, "running");
                    }
                    Some(state) => {
                        if state.is_some() {
                            let (status, log) = host.effect(job);
                            host.jobs.insert((*job).into(), None);
                            let end = match host.image {
                                Some((end, _)) if *job == "image-0" => end.to_owned(),
                                _ => format!("exit {status}"),
                            };
                            host.logs.insert((*job).into(), format!("{log}{end}\n"));
                        }
                        let log = &host.logs[*job];
                        let at: usize = offset.parse().unwrap();
                        frame("log", offset, 0, &log[at..]);
                        let status = log.lines().last().unwrap().to_owned();
                        frame("end", "job", 0, &status);
                    }
                }
            }
            ["checks"] => frame("check", "0", host.check_status, "as asked"),
            ["reboot", boot] => {
                let asked = *boot == format!("boot-{}", host.boot);
                if asked {
                    host.boot += 1;
                    host.reboot_due = false;
                    host.stale = false;
                    host.down = host.stays_down;
                }
                frame("end", "reboot", i32::from(!asked), "");
            }
            ["forget"] => {
                host.jobs.clear();
                frame("end", "forget", 0, "");
            }
            other => panic!("no such question: {other:?}"),
        }
        let ended = Ended {
            status: Some(0),
            ..Ended::default()
        };
        Ok((out.into_bytes(), ended))
    }
}

/// A container whose tag means something newer.
fn behind() -> ContainerSeen {
    let digest = |letter: &str| Some(format!("sha256:{}", letter.repeat(64)));
    ContainerSeen {
        id: "e".repeat(64),
        name: "web".into(),
        image: "r.example/app:1".into(),
        image_id: "1".repeat(64),
        digest: digest("a"),
        registry_digest: digest("b"),
        state: "running".into(),
        inspect: serde_json::json!({
            "HostConfig": {"NetworkMode": "default"},
            "Config": {"Labels": {}},
            "Networks": {"bridge": {}},
            "Own": {"Cmd": 0, "Entrypoint": "same", "Healthcheck": "same"}
        }),
        ..ContainerSeen::default()
    }
}

fn asked(nonce: &Nonce, what: &str) -> String {
    format!("{}\n{what}", nonce.as_str())
}

/// What is spoken with them.
pub const PLAIN: Speech = Speech {
    observe: |ask, nonce| {
        let what = if ask.packages { "whole" } else { "health" };
        Ok(asked(nonce, &format!("observe {what}")))
    },
    seen: |frames: &[Frame], _, _, _| {
        let frame = frames.iter().find(|f| f.kind == "seen")?;
        serde_json::from_slice(&frame.data).ok()
    },
    start: |_, job: &Job, _, nonce| Ok(asked(nonce, &format!("start {} 0", job.name))),
    follow: |_, job, offset, _, nonce| asked(nonce, &format!("follow {job} {offset}")),
    read: job::read,
    said: job::said,
    checks: |_, nonce| Ok(asked(nonce, "checks")),
    reboot: |boot, nonce| Ok(asked(nonce, &format!("reboot {boot}"))),
    forget: |_, nonce| asked(nonce, "forget"),
};
