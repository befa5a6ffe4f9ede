//! What negative controls are tried on: the same shapes as the restored things, with nothing in
//! them. A proof that passes here proves nothing.

use std::collections::BTreeMap;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::carry::git;
use super::postgres::{self, Server};
use super::run::Limits;
use super::world::{Place, World};
use super::{Inner, scratch};
use crate::document::drill::{IntoPostgresql, Step};
use crate::drill::provider::{DrillContext, StepError};

/// The stand-ins' folder in the scratch.
pub const FOLDER: &str = ".nothing";
/// That of their PostgreSQL server.
pub const SERVER: &str = ".nothing.pg";
/// How long making one may take.
const LIMIT: Duration = Duration::from_secs(120);

/// Empty stand-ins for all steps of a drill.
pub struct Nothing {
    pub world: World,
    pub server: Option<Server>,
    /// Held, so that nobody else comes to listen there; closed to whoever asks.
    _ports: Vec<OwnedFd>,
}

impl Inner {
    /// The stand-ins, made where they are not there yet.
    pub fn nothing(&self, drill: &DrillContext) -> Result<Arc<Nothing>, StepError> {
        // One after another: the second control waits for what the first one makes.
        let _one = self.making.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(nothing) = &self.state().nothing {
            return Ok(nothing.clone());
        }
        let made = Arc::new(self.make_nothing(drill)?);
        self.state().nothing = Some(made.clone());
        Ok(made)
    }

    fn make_nothing(&self, drill: &DrillContext) -> Result<Nothing, StepError> {
        let folder = drill.scratch.join(FOLDER);
        self.new_directory(drill, None, &folder, None)?;
        let mut ports = Vec::new();
        let mut world = World {
            scratch: folder.clone(),
            steps: BTreeMap::new(),
        };
        let databases: Vec<&IntoPostgresql> = self
            .setup
            .drill
            .steps
            .iter()
            .filter_map(|s| s.restore.as_ref()?.postgresql.as_ref())
            .collect();
        let server = match databases.first() {
            None => None,
            Some(first) => Some(self.empty_server(drill, first, &databases)?),
        };
        for step in &self.setup.drill.steps {
            let place = self.empty_place(drill, step, &folder, server.as_ref(), &mut ports)?;
            world.steps.insert(step.step.clone(), place);
        }
        Ok(Nothing {
            world,
            server,
            _ports: ports,
        })
    }

    fn empty_place(
        &self,
        drill: &DrillContext,
        step: &Step,
        folder: &Path,
        server: Option<&Server>,
        held: &mut Vec<OwnedFd>,
    ) -> Result<Place, StepError> {
        let mut place = Place::default();
        if let Some(restore) = &step.restore {
            if let Some(name) = &restore.directory {
                let path = folder.join(name);
                scratch::directory(&path, folder, None)?;
                place.directory = Some(path);
            } else if let Some(name) = &restore.repository {
                let path = folder.join(name);
                self.empty_repository(drill, &path)?;
                place.directory = Some(path);
            } else if let (Some(database), Some(server)) = (&restore.postgresql, server) {
                place.socket = Some(server.socket.clone());
                place.database = Some(database.database.clone());
            }
        }
        for port in step.start.iter().flat_map(|s| &s.ports) {
            let (fd, number) =
                closed_port().map_err(|e| StepError::new(format!("holding a closed port: {e}")))?;
            held.push(fd);
            place.ports.insert(port.clone(), number);
        }
        Ok(place)
    }

    fn empty_repository(&self, drill: &DrillContext, path: &Path) -> Result<(), StepError> {
        let program = git()
            .args(["init", "--quiet", "--bare", "--template=", "--"])
            .arg(path);
        let ran = self.children(drill).run(&program, b"", &limits())?;
        match ran.well() {
            true => Ok(()),
            false => Err(StepError::new(format!(
                "making an empty repository: {}",
                ran.said(300)
            ))),
        }
    }

    fn empty_server(
        &self,
        drill: &DrillContext,
        first: &IntoPostgresql,
        all: &[&IntoPostgresql],
    ) -> Result<Server, StepError> {
        let wish = first.programs.as_ref().map(|p| self.drill_base().join(p));
        let programs = postgres::programs(wish.as_deref())?;
        let folder: PathBuf = drill.scratch.join(SERVER);
        let server = self.new_server(drill, None, folder, programs, &|| false)?;
        let mut names: Vec<&str> = all.iter().map(|d| d.database.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            server.create_database(name, &self.children(drill), &limits())?;
        }
        Ok(server)
    }
}

fn limits() -> Limits<'static> {
    Limits {
        time: LIMIT,
        output: 4096,
        stop: &|| false,
    }
}

/// A port of 127.0.0.1 that is taken, and on which nobody listens.
fn closed_port() -> std::io::Result<(OwnedFd, u16)> {
    let last = std::io::Error::last_os_error;
    // SAFETY: valid structures of the right length; the descriptor is ours alone.
    unsafe {
        let fd = libc::socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0);
        if fd < 0 {
            return Err(last());
        }
        let fd = OwnedFd::from_raw_fd(fd);
        let mut address: libc::sockaddr_in = std::mem::zeroed();
        address.sin_family = libc::AF_INET as libc::sa_family_t;
        address.sin_addr.s_addr = u32::from_ne_bytes([127, 0, 0, 1]);
        let mut length = std::mem::size_of::<libc::sockaddr_in>() as libc::socklen_t;
        if libc::bind(fd.as_raw_fd(), (&raw const address).cast(), length) != 0 {
            return Err(last());
        }
        if libc::getsockname(fd.as_raw_fd(), (&raw mut address).cast(), &raw mut length) != 0 {
            return Err(last());
        }
        Ok((fd, u16::from_be(address.sin_port)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_port_is_nobodys() {
        let (held, port) = closed_port().unwrap();
        assert!(port > 0);
        assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err());
        assert!(std::net::TcpListener::bind(("127.0.0.1", port)).is_err());
        drop(held);
    }
}
