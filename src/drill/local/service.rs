//! Services on restored data: started in a session of their own, asked until they are healthy.
//! They outlive us: `resume` takes them over, and `sweep` ends them.

use std::fs::OpenOptions;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use super::postgres::tail;
use super::process::{Identity, RUN, TOKEN, Wanted, find, listens};
use super::run::{Limits, Outputs, Program};
use super::scratch::ours;
use super::state::StepState;
use super::world::World;
use super::{Inner, Work, http};
use crate::document::drill::{Health, Start};
use crate::drill::provider::{DrillContext, PhaseDone, StepError};

/// How often a service is asked.
const ASK: Duration = Duration::from_millis(50);
/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(5);
/// A log that grows over this is begun anew, while we live.
pub const LOG: u64 = 8 << 20;

impl Work<'_> {
    fn start_document(&self) -> Result<&Start, StepError> {
        self.step
            .start
            .as_ref()
            .ok_or_else(|| StepError::new("this step starts nothing"))
    }

    /// Starts the step's service and waits until it is healthy.
    pub fn start(&self) -> Result<PhaseDone, StepError> {
        let document = self.start_document()?;
        let mut state = StepState::default();
        for port in &document.ports {
            state.kept.place.ports.insert(port.clone(), free_port()?);
        }
        self.inner
            .state()
            .steps
            .insert(self.step.step.clone(), state);
        let world = self.inner.world(self.drill);
        let program = self.program(document, &world)?;
        let children = self.inner.children(self.drill);
        let path = self.log_path();
        let log = open_log(&path)?;
        self.inner.keep_short(&path);
        let token = self.intend("process", &format!("the service {}", self.step.step))?;
        let program = program.env(TOKEN, token.as_str());
        let mut child = children.start(&program, Outputs { log })?;
        let pid = i32::try_from(child.id()).unwrap_or(0);
        let identity = Identity::of(pid);
        let id = identity
            .as_ref()
            .map_or_else(|| pid.to_string(), ToString::to_string);
        self.made(&token, &id)?;
        self.inner.state().services.extend(identity);
        let healthy = self.until_healthy(document, &world, &mut child, &token);
        self.inner.state().children.push(child);
        healthy.map(|detail| PhaseDone {
            detail: Some(detail),
            ..PhaseDone::default()
        })
    }

    fn program(&self, document: &Start, world: &World) -> Result<Program, StepError> {
        let run = world.fill_all(&document.run)?;
        let Some((program, arguments)) = run.split_first() else {
            return Err(StepError::new("`run` names no program"));
        };
        let mut program = Program::new(program).args(arguments);
        program.directory = Some(self.drill.scratch.clone());
        for (name, value) in &document.environment {
            program = program.env(name, world.fill(value)?);
        }
        self.refuse_lost(&program)?;
        Ok(program)
    }

    /// A lost path among the arguments or settings is found here by name. What a program opens by
    /// itself is masked.
    pub fn refuse_lost(&self, program: &Program) -> Result<(), StepError> {
        let texts = std::iter::once(&program.program)
            .chain(&program.arguments)
            .map(|text| text.to_string_lossy().into_owned())
            .chain(program.environment.iter().map(|(_, value)| value.clone()));
        for text in texts {
            // `--data=/srv/x` and the like.
            let path = match text.split_once('=') {
                Some((_, value)) if value.starts_with('/') => value,
                _ => &text,
            };
            if path.starts_with('/') {
                self.inner.guard.path(Path::new(path), &self.by())?;
            }
        }
        Ok(())
    }

    fn log_path(&self) -> PathBuf {
        ours(&self.drill.scratch).join(format!("{}.log", self.step.step))
    }

    fn until_healthy(
        &self,
        document: &Start,
        world: &World,
        child: &mut Child,
        token: &str,
    ) -> Result<String, StepError> {
        let begun = Instant::now();
        let mut last;
        loop {
            match self.health(&document.health, world) {
                Ok(seen) => return Ok(seen),
                Err(why) => last = why,
            }
            let said = || tail(&self.log_path(), 600);
            if let Ok(Some(status)) = child.try_wait()
                && !left_another(token)
            {
                return Err(StepError::new(format!(
                    "the service ended before it was healthy ({status}); it said: {}",
                    said()
                )));
            }
            if self.progress.is_stopped() {
                return Err(StepError::new(
                    "asked to stop before the service was healthy",
                ));
            }
            if begun.elapsed() > document.within.0 {
                return Err(StepError::new(format!(
                    "the service was not healthy within {:?}: {last}; it said: {}",
                    document.within.0,
                    said()
                )));
            }
            std::thread::sleep(ASK);
        }
    }

    /// Asks once. What was seen, or why it is not healthy.
    pub fn health(&self, health: &Health, world: &World) -> Result<String, String> {
        if let Some(url) = &health.http {
            let url = world.fill(url)?;
            self.inner.is_ours(http::loopback_port(&url)?, self.drill)?;
            let answer = http::get(&url, ANSWER)?;
            self.inner.guard.used(&url, &self.by());
            return match answer.status {
                200..=299 => Ok(format!("{url} answers {}", answer.status)),
                status => Err(format!("{url} answers {status}")),
            };
        }
        if let Some(name) = &health.port {
            let ports = world.steps.get(&self.step.step).map(|p| &p.ports);
            let Some(port) = ports.and_then(|ports| ports.get(name)) else {
                return Err(format!("the step has no port {name}"));
            };
            self.inner.is_ours(*port, self.drill)?;
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, *port));
            TcpStream::connect_timeout(&address, ANSWER)
                .map_err(|e| format!("connecting to {address}: {e}"))?;
            self.inner.guard.used(&address.to_string(), &self.by());
            return Ok(format!("{address} accepts connections"));
        }
        let Some(command) = &health.command else {
            return Err("the step's health is not told".into());
        };
        let command = world.fill_all(command)?;
        let Some((program, arguments)) = command.split_first() else {
            return Err("`command` names no program".into());
        };
        let program = Program::new(program).args(arguments);
        self.refuse_lost(&program).map_err(|e| e.reason)?;
        let stop = || self.progress.is_stopped();
        let limits = Limits {
            time: Duration::from_secs(60),
            output: 4096,
            stop: &stop,
        };
        let ran = self
            .inner
            .children(self.drill)
            .run(&program, b"", &limits)?;
        match ran.well() {
            true => Ok(format!(
                "`{}` ends with 0",
                crate::shell::clean(&command.join(" "), 100)
            )),
            false => Err(format!(
                "the command ends with {}: {}",
                ran.how(),
                ran.said(200)
            )),
        }
    }
}

impl Inner {
    /// Whether a program of this drill is who listens on a port: another may, as long as the
    /// drill's own does not.
    pub fn is_ours(&self, port: u16, drill: &DrillContext) -> Result<(), String> {
        let wanted = Wanted {
            variables: vec![(RUN, drill.run.clone())],
            these: self.state().services.clone(),
            ..Wanted::default()
        };
        match listens(port, &wanted) {
            Some(true) => Ok(()),
            Some(false) => Err(format!(
                "what listens on port {port} is no program of this drill: it was not restored"
            )),
            None => Err(format!("nothing listens on port {port}")),
        }
    }

    /// From now on the log is begun anew when it has grown too long.
    fn keep_short(&self, log: &Path) {
        self.state().logs.push(log.to_owned());
    }

    /// Begins logs anew that have grown too long: their writers append.
    pub fn shorten_logs(&self) {
        let logs = self.state().logs.clone();
        for log in logs {
            if std::fs::symlink_metadata(&log).is_ok_and(|m| m.is_file() && m.len() > LOG)
                && let Ok(file) = OpenOptions::new().write(true).open(&log)
            {
                let _ = file.set_len(0);
            }
        }
    }
}

/// A service that puts itself into the background ends, and leaves another.
fn left_another(token: &str) -> bool {
    !find(&Wanted {
        variables: vec![(TOKEN, token.to_owned())],
        ..Wanted::default()
    })
    .is_empty()
}

fn open_log(path: &Path) -> Result<std::fs::File, StepError> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path)
        .map_err(|e| StepError::new(format!("making the service's log: {e}")))
}

/// A port that nobody listens on now.
fn free_port() -> Result<u16, StepError> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|e| StepError::new(format!("looking for a free port: {e}")))
}
