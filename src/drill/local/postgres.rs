//! Throwaway PostgreSQL servers: made in the scratch, on a socket and no port, for one database.
//!
//! Everything is at PostgreSQL's own defaults that has to do with time: fsync is on, so what is
//! measured is of durable data.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use super::fence::Account;
use super::process::{Identity, Wanted, end, find_program, is_executable};
use super::run::{Children, Limits, Outputs, Program, Ran, clean_bytes};

/// The server's superuser, whoever we are.
pub const USER: &str = "postgres";
/// Part of the socket's name.
pub const PORT: u16 = 5432;
/// Where Debian and its kin keep a version's programs.
const DEBIAN: &str = "/usr/lib/postgresql";
/// Longest path of a socket, in bytes, without the NUL.
const SOCKET: usize = 107;
/// How long a new server may take until it answers.
const READY: Duration = Duration::from_secs(120);
const LOG: &str = "log";

/// A server, as far as its clients need to know.
#[derive(Clone, Debug)]
pub struct Server {
    /// Holds its data and its log.
    pub folder: PathBuf,
    /// The directory of its socket.
    pub socket: PathBuf,
    /// The directory with its programs.
    pub programs: PathBuf,
    /// `None`: it runs as we do.
    pub account: Option<Account>,
}

/// Where initdb, postgres, psql and pg_restore are: as the document says, else Debian's newest,
/// else those in `PATH`.
pub fn programs(wish: Option<&Path>) -> Result<PathBuf, String> {
    const NEEDED: [&str; 4] = ["initdb", "postgres", "psql", "pg_restore"];
    let missing = |dir: &Path| {
        NEEDED
            .iter()
            .find(|name| !is_executable(&dir.join(name)))
            .copied()
    };
    if let Some(dir) = wish {
        return match missing(dir) {
            None => Ok(dir.to_owned()),
            Some(name) => Err(format!("{} has no {name}", dir.display())),
        };
    }
    let version =
        |dir: &PathBuf| -> Option<u32> { dir.parent()?.file_name()?.to_str()?.parse().ok() };
    let newest = std::fs::read_dir(DEBIAN)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join("bin"))
        .filter(|dir| missing(dir).is_none())
        .max_by_key(version);
    newest
        .or_else(|| {
            let initdb = find_program("initdb")?;
            let dir = std::fs::canonicalize(initdb).ok()?.parent()?.to_owned();
            missing(&dir).is_none().then_some(dir)
        })
        .ok_or_else(|| {
            "there is no PostgreSQL server here (initdb, postgres, psql, pg_restore): install the \
             package postgresql, or name the directory in `programs`"
                .into()
        })
}

/// Whether a socket in this directory has a path that is short enough.
pub fn is_short_enough(directory: &Path) -> bool {
    directory.as_os_str().len() + format!("/.s.PGSQL.{PORT}").len() <= SOCKET
}

impl Server {
    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn program(&self, name: &str) -> Program {
        let mut program = Program::new(self.programs.join(name)).account(self.account.as_ref());
        program.directory = Some(self.folder.clone());
        let folder = self.folder.to_string_lossy();
        program
            .env("HOME", folder.as_ref())
            .env("TMPDIR", folder.as_ref())
    }

    /// A client, told where the server is.
    pub fn client(&self, name: &str) -> Program {
        self.program(name)
            .env("PGHOST", self.socket.to_string_lossy())
            .env("PGPORT", PORT.to_string())
            .env("PGUSER", USER)
            .env("PGCONNECT_TIMEOUT", "10")
            .env("PGTZ", "UTC")
    }

    /// Makes the server's files.
    pub fn init(&self, children: &Children, limits: &Limits) -> Result<(), String> {
        let program = self
            .program("initdb")
            .args(["-U", USER, "--auth-local=trust", "--auth-host=reject"])
            .args(["-E", "UTF8", "--locale=C.UTF-8", "--no-instructions", "-D"])
            .arg(self.data());
        let ran = children.run(&program, b"", limits)?;
        match ran.well() {
            true => Ok(()),
            false => Err(format!("initdb: {}: {}", ran.how(), ran.said(400))),
        }
    }

    /// Starts it; the ledger's token is in its environment. It is not ready yet.
    pub fn start(&self, children: &Children, token: &str) -> Result<Child, String> {
        let log = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW)
            .open(self.folder.join(LOG))
            .map_err(|e| format!("making the server's log: {e}"))?;
        let setting = |name: &str, value: &str| ["-c".to_owned(), format!("{name}={value}")];
        // Shared memory in files of its own: one that is killed leaves none behind.
        let program = self
            .program("postgres")
            .arg("-D")
            .arg(self.data())
            .args(setting("listen_addresses", ""))
            .args(setting("port", &PORT.to_string()))
            .args(["-k".into(), self.socket.clone().into_os_string()])
            .args(setting("unix_socket_permissions", "0700"))
            .args(setting("dynamic_shared_memory_type", "mmap"))
            .args(setting("logging_collector", "off"))
            .env(super::process::TOKEN, token);
        children.start(&program, Outputs { log })
    }

    /// Waits until it takes connections.
    pub fn wait_ready(
        &self,
        child: &mut Child,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<(), String> {
        let begun = Instant::now();
        loop {
            if self.says_ready() {
                return Ok(());
            }
            if let Ok(Some(status)) = child.try_wait() {
                return Err(format!(
                    "PostgreSQL ended at once ({status}): {}",
                    self.log_tail()
                ));
            }
            if stop() {
                return Err("asked to stop while PostgreSQL started".into());
            }
            if begun.elapsed() > READY {
                return Err(format!(
                    "PostgreSQL was not ready after {READY:?}: {}",
                    self.log_tail()
                ));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The eighth line of its own file is what `pg_ctl -w` waits for.
    fn says_ready(&self) -> bool {
        std::fs::read_to_string(self.data().join("postmaster.pid"))
            .is_ok_and(|text| text.lines().nth(7).is_some_and(|l| l.trim() == "ready"))
    }

    /// Its last words.
    pub fn log_tail(&self) -> String {
        tail(&self.folder.join(LOG), 600)
    }

    pub fn create_database(
        &self,
        name: &str,
        children: &Children,
        limits: &Limits,
    ) -> Result<(), String> {
        if name == "postgres" {
            return Ok(());
        }
        let script = format!("CREATE DATABASE {} TEMPLATE template0;\n", quote(name));
        let ran = self.psql("postgres", &script, children, limits)?;
        match ran.well() {
            true => Ok(()),
            false => Err(format!("making the database {name}: {}", ran.said(300))),
        }
    }

    /// Runs a script of our own. Fields and rows end with NUL.
    pub fn psql(
        &self,
        database: &str,
        script: &str,
        children: &Children,
        limits: &Limits,
    ) -> Result<Ran, String> {
        let program = self
            .client("psql")
            .args(crate::drill::proof::sql::ARGUMENTS)
            .env("PGDATABASE", database);
        children.run(&program, script.as_bytes(), limits)
    }
}

/// Stops the server whose folder this is, and takes away what it may have left outside of it.
pub fn stop(folder: &Path, token: &str, itself: Option<Identity>) -> Result<(), String> {
    let segment = shared_memory(&folder.join("data"));
    let wanted = Wanted {
        variables: vec![(super::process::TOKEN, token.to_owned())],
        standing_in: vec![folder.to_owned()],
        these: itself.into_iter().collect(),
    };
    // SIGQUIT: PostgreSQL's immediate shutdown. Nobody needs this data again.
    end(&wanted, libc::SIGQUIT)?;
    if let Some(segment) = segment {
        remove_shared_memory(segment);
    }
    Ok(())
}

/// The System V segment that its seventh line names. One that is killed leaves it behind.
fn shared_memory(data: &Path) -> Option<(i32, i32)> {
    let text = std::fs::read_to_string(data.join("postmaster.pid")).ok()?;
    let mut fields = text.lines().nth(6)?.split_whitespace();
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

/// Removes it if it is still the one with that key, and nobody is attached.
fn remove_shared_memory((key, id): (i32, i32)) {
    // SAFETY: `info` is valid for the call, which fills it; zeroes are a valid value.
    unsafe {
        let mut info: libc::shmid_ds = std::mem::zeroed();
        if libc::shmctl(id, libc::IPC_STAT, &raw mut info) == 0
            && info.shm_perm.__key == key
            && info.shm_nattch == 0
        {
            libc::shmctl(id, libc::IPC_RMID, std::ptr::null_mut());
        }
    }
}

/// An identifier in SQL.
pub fn quote(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The end of a log, cleaned.
pub fn tail(path: &Path, max: usize) -> String {
    use std::io::{Read, Seek, SeekFrom};
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
            .open(path)?;
        let size = file.metadata()?.len();
        let most = u64::try_from(max).unwrap_or(0);
        file.seek(SeekFrom::Start(size.saturating_sub(most)))?;
        let mut bytes = Vec::new();
        file.take(most).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    match read() {
        Ok(bytes) if !bytes.is_empty() => clean_bytes(&bytes, max),
        _ => "it said nothing".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_are_quoted_and_sockets_have_short_names() {
        assert_eq!(quote("a\"; DROP"), "\"a\"\"; DROP\"");
        assert!(is_short_enough(Path::new("/srv/scratch/.pg-db")));
        assert!(!is_short_enough(&Path::new("/").join("x".repeat(93))));
        assert!(is_short_enough(&Path::new("/").join("x".repeat(92))));
    }

    #[test]
    fn programs_are_where_the_document_says() {
        let dir = tempfile::tempdir().unwrap();
        let error = programs(Some(dir.path())).unwrap_err();
        assert!(error.contains("has no initdb"), "{error}");
        programs(None).expect("PostgreSQL is installed: scripts/install-deps");
    }
}
