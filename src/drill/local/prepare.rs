//! Before the clock: taking the scratch, and looking at what there is.

use std::path::Path;

use super::carry::Opened;
use super::fence::Masking;
use super::process::find_program;
use super::run::{Limits, Program};
use super::{Inner, cache, postgres, scratch};
use crate::document::drill::Restore;
use crate::drill::provider::{DrillContext, Readiness, StepError};
use crate::shell::clean;

const BY: &str = "preflight";
/// A database takes more room than its dump: indexes, and the log of its writing.
const DATABASE: u64 = 3;
/// A bundle lies there beside its clone.
const REPOSITORY: u64 = 2;

impl Inner {
    /// Everything that is to be known before the clock starts.
    pub fn ready(&self, drill: &DrillContext) -> Readiness {
        let mut ready = Readiness::default();
        let again = scratch::mark(&drill.scratch).is_some_and(|m| m.run == drill.run);
        self.look_at_guard(&mut ready);
        if !self.take_scratch(drill, &mut ready) {
            return ready;
        }
        self.look_at_programs(drill, &mut ready);
        self.look_at_backups(drill, again, &mut ready);
        ready
    }

    fn take_scratch(&self, drill: &DrillContext, ready: &mut Readiness) -> bool {
        let path = drill.scratch.display().to_string();
        let name = "the scratch can be taken";
        let lost = match self.guard.lost_path(&drill.scratch) {
            Some(lost) => Some(format!("{path} is in {}, which is lost", lost.display())),
            None => (self.guard.lost_within(&drill.scratch))
                .map(|lost| format!("{} is lost, and lies in {path}", lost.display())),
        };
        if let Some(why) = lost {
            ready.check(name, false, why);
            return false;
        }
        let mark = match self.hold(drill) {
            Ok(mark) => mark,
            Err(error) => {
                ready.check(name, false, error.reason);
                return false;
            }
        };
        ready.check(
            name,
            true,
            format!(
                "{path}, {}",
                if mark.made { "made anew" } else { "was there" }
            ),
        );
        let strict = self.setup.drill.scratch.strict;
        if strict {
            let empty = mark.preexisting.is_empty();
            let detail = match empty {
                true => "it is".into(),
                false => mark.preexisting.join(", "),
            };
            ready.check("the scratch is empty", empty, detail);
        }
        let in_scratch = |text: &String| format!("in the scratch beforehand: {text}");
        ready
            .preexisting
            .extend(mark.preexisting.iter().map(in_scratch));
        for step in &self.setup.drill.steps {
            let Some(restore) = &step.restore else {
                continue;
            };
            let Some(name) = restore.directory.as_ref().or(restore.repository.as_ref()) else {
                continue;
            };
            let target = format!("{name} (");
            if mark
                .preexisting
                .iter()
                .any(|there| there.starts_with(&target))
            {
                let what = format!("{name}, where the step {} restores to, is free", step.step);
                ready.check(
                    &what,
                    false,
                    "something is there already: take it away".into(),
                );
            }
        }
        true
    }

    fn look_at_guard(&self, ready: &mut Readiness) {
        let held = |text: &str| text.to_owned();
        let lost = self.guard.to_mask();
        ready.enforced.push(held(
            "paths, stores and hosts that Seawall itself opens are compared with what is lost, also through links",
        ));
        if lost.is_empty() {
            ready
                .not_enforced
                .push(held("no paths are named as lost, so none are masked"));
        } else {
            match self.masking() {
                Masking::Root => ready.enforced.push(format!(
                    "every program that the drill starts finds {} lost {} masked (a mount namespace; it cannot be undone without CAP_SYS_ADMIN, which is dropped)",
                    lost.len(),
                    if lost.len() == 1 { "path" } else { "paths" },
                )),
                Masking::UserNamespace => ready.enforced.push(format!(
                    "every program that the drill starts finds {} lost {} masked (a user and mount namespace)",
                    lost.len(),
                    if lost.len() == 1 { "path" } else { "paths" },
                )),
                Masking::Not => ready.not_enforced.push(held(
                    "lost paths are not masked for programs that the drill starts: this kernel allows this account no mount namespace; run it as root",
                )),
            }
        }
        ready.not_enforced.push(held(
            "the network of programs that the drill starts is not fenced: one may speak to a lost host by itself",
        ));
        ready.not_enforced.push(held(
            "other names of lost data (hard links, other mounts, the raw disk) are not known",
        ));
        let base = self.drill_base();
        let named = (self.setup.drill.identities.iter()).map(|identity| base.join(identity));
        let documents = [&self.setup.drill_path, &self.setup.policy_path];
        for path in named.chain(documents.into_iter().cloned()) {
            if let Err(error) = self.guard.path(&path, BY) {
                ready.check("keys and documents are not lost", false, error.reason);
            }
        }
    }

    fn look_at_programs(&self, drill: &DrillContext, ready: &mut Readiness) {
        let steps = || self.setup.drill.steps.iter();
        let databases = || steps().filter_map(|s| s.restore.as_ref()?.postgresql.as_ref());
        for database in databases() {
            let wish = database
                .programs
                .as_ref()
                .map(|p| self.drill_base().join(p));
            let name = "PostgreSQL's programs are here";
            match postgres::programs(wish.as_deref()) {
                Ok(dir) => ready.check(name, true, dir.display().to_string()),
                Err(why) => ready.check(name, false, why),
            }
        }
        if databases().next().is_some() {
            let name = "PostgreSQL's account can get into the scratch";
            match self.can_pass(drill) {
                Ok(detail) => ready.check(name, true, detail),
                Err(error) => ready.check(name, false, error.reason),
            }
        }
        if steps().any(|s| s.restore.as_ref().is_some_and(|r| r.repository.is_some())) {
            match find_program("git") {
                Some(path) => ready.check("git is here", true, path.display().to_string()),
                None => ready.check("git is here", false, "install the package git".into()),
            }
        }
    }

    /// Whether the account that the server runs as reaches a folder of its own in the scratch.
    fn can_pass(&self, drill: &DrillContext) -> Result<String, StepError> {
        let account = self.account()?;
        let Some(account) = account else {
            return Ok("it is our own".into());
        };
        let folder = drill.scratch.join(".pass");
        // One that a killed preflight has left.
        self.drop_directory(drill, &folder)?;
        self.new_directory(drill, None, &folder, Some(&account))?;
        let mut program = Program::new("test")
            .args(["-w"])
            .arg(&folder)
            .account(Some(&account));
        program.directory = Some("/".into());
        let limits = Limits {
            time: std::time::Duration::from_secs(30),
            output: 1000,
            stop: &|| false,
        };
        let ran = self.children(drill).run(&program, b"", &limits);
        self.drop_directory(drill, &folder)?;
        match ran? {
            ran if ran.well() => Ok(format!("it is {}", account.name)),
            _ => Err(StepError::new(format!(
                "{} cannot: every directory above {} must let it pass (chmod o+x), or choose a \
                 scratch elsewhere, e.g. below /var/tmp",
                account.name,
                drill.scratch.display()
            ))),
        }
    }

    fn look_at_backups(&self, drill: &DrillContext, again: bool, ready: &mut Readiness) {
        let mut wanted = 0_u64;
        for step in &self.setup.drill.steps {
            let Some(restore) = &step.restore else {
                continue;
            };
            let by = format!("step {}", step.step);
            let opened = match self.open_store(restore, &by) {
                Ok(opened) => opened,
                Err(error) => {
                    let name = format!("the store of the step {} is there", step.step);
                    ready.check(&name, false, error.reason);
                    continue;
                }
            };
            ready.endpoints.push(opened.store.endpoint());
            // That there is no backup is the drill's own to find: it has failed then.
            let Ok((_, point)) = self.choose(restore, drill.disaster, &by) else {
                continue;
            };
            let times = match restore {
                Restore {
                    postgresql: Some(_),
                    ..
                } => DATABASE,
                Restore {
                    repository: Some(_),
                    ..
                } => REPOSITORY,
                _ => 1,
            };
            let bytes = point.bytes.unwrap_or(point.size);
            wanted = wanted.saturating_add(bytes.saturating_mul(times));
            // What is taken at random is taken anew when the clock runs.
            if restore.pick != "random" {
                self.look_at_cache(restore, &opened, &point.name, ready);
            }
        }
        ready.endpoints.sort();
        ready.endpoints.dedup();
        // A drill that is resumed has already taken its share.
        self.look_at_room(&drill.scratch, if again { 0 } else { wanted }, again, ready);
    }

    fn look_at_cache(&self, restore: &Restore, opened: &Opened, name: &str, ready: &mut Readiness) {
        let document = self.setup.policy.stores.get(&opened.name);
        let Some(directory) = document.and_then(|d| d.directory.as_ref()) else {
            let text = format!(
                "whether {} holds {} in a cache is not known",
                opened.name,
                clean(name, 120)
            );
            ready.preexisting.push(text);
            return;
        };
        let path = self.policy_base().join(directory).join(name);
        match cache::put_out(&path) {
            Some(0) => {}
            Some(share) => ready.preexisting.push(format!(
                "{share} % of the backup of {} stays in memory (page cache): it is read faster than from a disk",
                restore.source
            )),
            None => ready.preexisting.push(format!(
                "whether the backup of {} is in memory (page cache) is not known",
                restore.source
            )),
        }
    }

    fn look_at_room(&self, scratch: &Path, wanted: u64, again: bool, ready: &mut Readiness) {
        let Some((free, memory)) = scratch::room(scratch) else {
            ready.check("room in the scratch", false, "it cannot be seen".into());
            return;
        };
        if memory {
            let text =
                "the scratch is in memory (tmpfs): faster than a disk, and lost with the power";
            ready.preexisting.push(text.into());
        }
        let demanded = match (again, self.setup.drill.scratch.free) {
            (false, Some(free)) => free.0,
            _ => 0,
        };
        let needed = demanded.max(wanted);
        let mib = |bytes: u64| bytes.div_ceil(1 << 20);
        ready.check(
            "room in the scratch",
            free >= needed,
            format!(
                "{} MiB free; the drill demands {} MiB, and the backups ask for about {} MiB",
                free >> 20,
                mib(demanded),
                mib(wanted)
            ),
        );
    }
}

impl Readiness {
    fn check(&mut self, name: &str, met: bool, detail: String) {
        let check = (name.to_owned(), met, clean(&detail, 600));
        if !self.checks.contains(&check) {
            self.checks.push(check);
        }
    }
}
