//! Taking events in, one after the other.

use super::{
    ChangedView, ConffileView, Ending, GateView, HostView, ImageView, JobView, PatchView,
    PhaseView, RebootView, RestartView, Unreachable, WaveView,
};
use crate::journal::{Event, PatchEvent, Record};

impl PatchView {
    /// Folds one record in.
    pub fn take(&mut self, record: &Record) {
        self.lines = record.seq;
        self.last_event.clone_from(&record.time);
        match &record.event {
            Event::RunStarted {
                run,
                verb,
                version,
                playbook,
                playbook_title,
                hosts,
                documents,
                by,
                ..
            } => {
                self.started.clone_from(&record.time);
                self.run.clone_from(run);
                self.verb.clone_from(verb);
                self.version.clone_from(version);
                self.playbook.clone_from(playbook);
                self.title.clone_from(playbook_title);
                self.documents.clone_from(documents);
                self.by.clone_from(by);
                for host in hosts {
                    self.host_mut(host);
                }
            }
            Event::WaveStarted { wave, hosts, .. } => {
                for host in hosts {
                    self.host_mut(host).wave = Some(*wave);
                }
                let known = self.wave(*wave);
                known.hosts.clone_from(hosts);
                known.begun = true;
            }
            Event::HostConnected { host, .. } => {
                let host = self.host_mut(host);
                host.begun = true;
                host.unreachable = None;
            }
            Event::HostUnreachable {
                host,
                phase,
                reason,
                hint,
            } => {
                let host = self.host_mut(host);
                host.begun = true;
                host.unreachable = Some(Unreachable {
                    at: phase.words().to_owned(),
                    reason: reason.clone(),
                    hint: hint.clone(),
                });
            }
            Event::Note {
                host: Some(host),
                text,
            } => self.host_mut(host).notes.push(text.clone()),
            Event::Note { host: None, text } => self.notes.push(text.clone()),
            Event::RunEnded {
                code,
                millis,
                stopped,
            } => {
                self.ended = Some(Ending {
                    time: record.time.clone(),
                    code: *code,
                    millis: *millis,
                    stopped: stopped.clone(),
                });
                for host in &mut self.hosts {
                    host.run_ended = true;
                }
            }
            Event::Patch(event) => self.take_patch(event, &record.time),
            _ => {}
        }
    }

    fn take_patch(&mut self, event: &PatchEvent, time: &str) {
        match event {
            PatchEvent::Declared {
                patch,
                waves,
                policy,
                failure_budget,
                advisories,
            } => {
                self.patch.clone_from(patch);
                self.policy.clone_from(policy);
                self.failure_budget = Some(*failure_budget);
                self.advisories.clone_from(advisories);
                for (at, hosts) in waves.iter().enumerate() {
                    self.wave(at + 1).hosts.clone_from(hosts);
                    for host in hosts {
                        self.host_mut(host).wave = Some(at + 1);
                    }
                }
            }
            PatchEvent::Resumed { by } => {
                self.resumed.push((time.to_owned(), by.clone()));
                // It goes on: what was said of its end holds no more.
                self.ended = None;
                for host in &mut self.hosts {
                    host.run_ended = false;
                }
            }
            PatchEvent::Soaking { wave, seconds } => {
                self.wave(*wave).soak_seconds = Some(*seconds);
            }
            PatchEvent::Notified { whom, well, detail } => {
                self.notified.push((whom.clone(), *well, detail.clone()));
            }
            event => {
                if let Some(host) = event.host() {
                    self.host_mut(host).take(event, time);
                }
            }
        }
    }

    /// The host of that name. One that no event announced is put at the end.
    fn host_mut(&mut self, name: &str) -> &mut HostView {
        let at = match self.by_name.get(name) {
            Some(at) => *at,
            None => {
                let at = self.hosts.len();
                self.by_name.insert(name.to_owned(), at);
                self.hosts.push(HostView {
                    name: name.to_owned(),
                    ..HostView::default()
                });
                at
            }
        };
        &mut self.hosts[at]
    }

    fn wave(&mut self, wave: usize) -> &mut WaveView {
        let at = match self.waves.iter().position(|w| w.wave == wave) {
            Some(at) => at,
            None => {
                let at = self.waves.partition_point(|w| w.wave < wave);
                self.waves.insert(
                    at,
                    WaveView {
                        wave,
                        ..WaveView::default()
                    },
                );
                at
            }
        };
        &mut self.waves[at]
    }
}

impl HostView {
    fn take(&mut self, event: &PatchEvent, time: &str) {
        // A wait for its turn, and an end that comes instead of a turn, begin nothing.
        let begins = !matches!(
            event,
            PatchEvent::Waits { .. } | PatchEvent::HostEnded { .. }
        );
        self.begun |= begins;
        match event {
            PatchEvent::PhaseStarted { phase, .. } => self.phases.push(PhaseView {
                phase: *phase,
                outcome: None,
                detail: None,
                millis: 0,
            }),
            PatchEvent::PhaseEnded {
                phase,
                outcome,
                detail,
                millis,
                ..
            } => {
                let ended = PhaseView {
                    phase: *phase,
                    outcome: Some(*outcome),
                    detail: detail.clone(),
                    millis: *millis,
                };
                let open = |p: &PhaseView| p.phase == *phase && p.outcome.is_none();
                match self.phases.iter().rposition(open) {
                    Some(at) => self.phases[at] = ended,
                    None => self.phases.push(ended),
                }
            }
            PatchEvent::Stands { when, standing, .. } => {
                time.clone_into(&mut self.stood_at);
                match when.as_str() {
                    "before" if self.after.is_none() => self.before = Some(standing.clone()),
                    _ => self.after = Some(standing.clone()),
                }
            }
            PatchEvent::Planned { plan, .. } => self.plan = Some((**plan).clone()),
            PatchEvent::Waits { why, .. } => {
                if self.waits.last() != Some(why) {
                    self.waits.push(why.clone());
                }
            }
            PatchEvent::Changed {
                package,
                from,
                to,
                back,
                ..
            } => {
                let changed = ChangedView {
                    package: package.clone(),
                    from: from.clone(),
                    to: to.clone(),
                };
                if *back {
                    self.back.push(changed);
                } else if !self.changed.contains(&changed) {
                    self.changed.push(changed);
                }
            }
            PatchEvent::HostEnded {
                outcome,
                reason,
                to_do,
                millis,
                ..
            } => {
                self.said = Some(*outcome);
                self.reason.clone_from(reason);
                self.to_do.clone_from(to_do);
                self.millis = *millis;
                time.clone_into(&mut self.ended_at);
            }
            event => self.take_detail(event),
        }
    }

    fn take_detail(&mut self, event: &PatchEvent) {
        match event {
            // A run that was resumed finds the job that was begun before.
            PatchEvent::JobStarting { job, what, .. }
                if !self.jobs.iter().any(|known| known.job == *job) =>
            {
                self.jobs.push(JobView {
                    job: job.clone(),
                    what: what.clone(),
                    outcome: None,
                    detail: String::new(),
                    log: None,
                    sha256: None,
                    millis: 0,
                });
            }
            PatchEvent::JobEnded {
                job,
                outcome,
                detail,
                log,
                sha256,
                millis,
                ..
            } => {
                let at = match self.jobs.iter().rposition(|known| known.job == *job) {
                    Some(at) => at,
                    None => {
                        self.jobs.push(JobView {
                            job: job.clone(),
                            what: job.clone(),
                            outcome: None,
                            detail: String::new(),
                            log: None,
                            sha256: None,
                            millis: 0,
                        });
                        self.jobs.len() - 1
                    }
                };
                let known = &mut self.jobs[at];
                known.outcome = Some(outcome.clone());
                known.detail.clone_from(detail);
                known.log.clone_from(log);
                known.sha256.clone_from(sha256);
                known.millis = *millis;
            }
            PatchEvent::Conffile {
                path, what, other, ..
            } => {
                let seen = ConffileView {
                    path: path.clone(),
                    what: what.clone(),
                    other: other.clone(),
                };
                if !self.conffiles.contains(&seen) {
                    self.conffiles.push(seen);
                }
            }
            PatchEvent::Restarted {
                unit, well, detail, ..
            } => self.restarted.push(RestartView {
                unit: unit.clone(),
                well: *well,
                detail: detail.clone(),
            }),
            PatchEvent::Image {
                engine,
                container,
                image,
                from,
                to,
                outcome,
                detail,
                ..
            } => {
                let seen = ImageView {
                    engine: *engine,
                    container: container.clone(),
                    image: image.clone(),
                    from: from.clone(),
                    to: to.clone(),
                    outcome: outcome.clone(),
                    detail: detail.clone(),
                };
                let same = |i: &ImageView| {
                    (i.engine, &i.container, &i.image) == (*engine, container, image)
                };
                // What is said last of a container counts.
                match self.images.iter().position(same) {
                    Some(at) => self.images[at] = seen,
                    None => self.images.push(seen),
                }
            }
            PatchEvent::Rebooting {
                boot_id, reasons, ..
            } => {
                let same = |r: &RebootView| r.old_boot_id == *boot_id && r.new_boot_id.is_none();
                // A run that was resumed may have to ask for it once more.
                if !self.reboots.iter().any(same) {
                    self.reboots.push(RebootView {
                        reasons: reasons.clone(),
                        old_boot_id: boot_id.clone(),
                        new_boot_id: None,
                        millis: 0,
                    });
                }
            }
            PatchEvent::Rebooted {
                boot_id, millis, ..
            } => {
                let open = self.reboots.iter().rposition(|r| r.new_boot_id.is_none());
                let at = open.unwrap_or_else(|| {
                    self.reboots.push(RebootView {
                        reasons: Vec::new(),
                        old_boot_id: String::new(),
                        new_boot_id: None,
                        millis: 0,
                    });
                    self.reboots.len() - 1
                });
                let reboot = &mut self.reboots[at];
                // A boot id that is the old one proves nothing.
                if reboot.old_boot_id != *boot_id {
                    reboot.new_boot_id = Some(boot_id.clone());
                    reboot.millis = *millis;
                }
            }
            PatchEvent::Gate { when, gate, .. } => self.gates.push(GateView {
                when: when.clone(),
                gate: gate.clone(),
            }),
            _ => {}
        }
    }
}
