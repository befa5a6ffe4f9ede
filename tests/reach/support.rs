//! A real sshd per test, on a loopback port of its own, and keys for it.

use std::net::{SocketAddr, TcpListener};
use std::ops::ControlFlow;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use seawall::reach::{
    Ask, ConfigSource, Ended, Reach, ReachError, Session, SshOptions, SshReach, Target,
};
use secrecy::SecretString;
use tempfile::TempDir;

const SSHD: &str = "/usr/sbin/sshd";

pub const LONG: Duration = Duration::from_secs(60);

/// Runs a tool and demands that it succeeds.
pub fn tool(program: &str, args: &[&str]) -> String {
    let output = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|e| panic!("{program} cannot be run ({e}): install openssh-client"));
    assert!(
        output.status.success(),
        "{program} {args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Makes a key pair; an empty passphrase means none.
pub fn keygen(path: &Path, kind: &str, passphrase: &str) {
    let path = path.to_str().unwrap();
    tool(
        "ssh-keygen",
        &[
            "-q", "-t", kind, "-N", passphrase, "-C", "test key", "-f", path,
        ],
    );
}

pub fn me() -> String {
    tool("id", &["-un"]).trim().to_owned()
}

/// An sshd that is started anew for each connection to a port of its own.
pub struct Sshd {
    pub folder: TempDir,
    pub address: SocketAddr,
    stop: Arc<AtomicBool>,
    children: Arc<Mutex<Vec<Child>>>,
    listener: Option<JoinHandle<()>>,
}

impl Sshd {
    /// Starts one that lets `client` (a key in its folder) in. `more` is added to its
    /// configuration, with `{}` for its folder.
    pub fn start(more: &str) -> Sshd {
        assert!(
            Path::new(SSHD).exists(),
            "{SSHD} is missing: install openssh-server (make test does)"
        );
        // Only root's sshd wants it, and only to have an empty place to go to.
        if me() == "root" {
            std::fs::create_dir_all("/run/sshd").unwrap();
        }
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        keygen(&at("host_ed25519"), "ed25519", "");
        keygen(&at("client"), "ed25519", "");
        std::fs::copy(at("client.pub"), at("authorized")).unwrap();
        let dir = folder.path().to_str().unwrap();
        // The first value of an option counts, so what a test adds comes first.
        let more = more.replace("{}", dir);
        let config = format!(
            "{more}\nHostKey {dir}/host_ed25519\nAuthorizedKeysFile {dir}/authorized\n\
             StrictModes no\nUsePAM no\nPermitRootLogin yes\nPasswordAuthentication no\n\
             KbdInteractiveAuthentication no\nPidFile none\nLogLevel ERROR\n"
        );
        std::fs::write(at("config"), config).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let children = Arc::new(Mutex::new(Vec::new()));
        let config = at("config");
        let thread = {
            let (stop, children) = (Arc::clone(&stop), Arc::clone(&children));
            std::thread::spawn(move || {
                for stream in listener.incoming() {
                    if stop.load(Ordering::SeqCst) {
                        return;
                    }
                    let stream = OwnedFd::from(stream.unwrap());
                    let child = Command::new(SSHD)
                        .args(["-i", "-e", "-f"])
                        .arg(&config)
                        .stdin(stream.try_clone().unwrap())
                        .stdout(stream)
                        .stderr(Stdio::null())
                        .spawn()
                        .unwrap();
                    children.lock().unwrap().push(child);
                }
            })
        };
        let sshd = Sshd {
            folder,
            address,
            stop,
            children,
            listener: Some(thread),
        };
        let public = std::fs::read_to_string(sshd.path("host_ed25519.pub")).unwrap();
        sshd.know(&public);
        sshd
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The name that known_hosts has for it.
    pub fn name(&self) -> String {
        format!("[127.0.0.1]:{}", self.address.port())
    }

    /// Writes a known_hosts file that has this key, and no other, for it.
    pub fn know(&self, public: &str) {
        let line = format!("{} {public}", self.name());
        std::fs::write(self.path("known_hosts"), line).unwrap();
    }

    pub fn target(&self) -> Target {
        Target {
            name: "box".into(),
            address: Some("127.0.0.1".into()),
            port: Some(self.address.port()),
            user: Some(me()),
            identities: vec![self.path("client")],
            known_hosts: vec![self.path("known_hosts")],
            ..Target::default()
        }
    }

    /// How many connections were made to it.
    pub fn connections(&self) -> usize {
        self.children.lock().unwrap().len()
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // Wakes the thread that waits for connections.
        let _ = std::net::TcpStream::connect(self.address);
        if let Some(thread) = self.listener.take() {
            let _ = thread.join();
        }
        for child in self.children.lock().unwrap().iter_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Options that know nothing of the person who runs the tests.
pub fn options() -> SshOptions {
    SshOptions {
        config: ConfigSource::None,
        agent: Some("/nonexistent".into()),
        ..SshOptions::default()
    }
}

pub fn reach() -> SshReach {
    SshReach::new(options())
}

/// Runs a program, and gives back its output as well.
pub async fn run(
    session: &mut Box<dyn Session>,
    program: &str,
    limit: Duration,
) -> (Result<Ended, ReachError>, String) {
    let mut out = Vec::new();
    let result = session
        .run(program, limit, &mut |bytes| {
            out.extend_from_slice(bytes);
            ControlFlow::Continue(())
        })
        .await;
    (result, String::from_utf8_lossy(&out).into_owned())
}

/// Connects, runs `echo hello`, and demands that it is said. Gives back how we logged in.
pub async fn greets(reach: &SshReach, target: &Target) -> String {
    let mut session = reach
        .connect(target)
        .await
        .unwrap_or_else(|e| panic!("{e} ({:?})", e.hint));
    let (result, out) = run(&mut session, "echo hello\n", LONG).await;
    assert_eq!(result.unwrap().status, Some(0));
    assert_eq!(out, "hello\n");
    let login = session.facts().login.clone().unwrap();
    session.close().await;
    login
}

/// Connects where that must fail.
pub async fn refused(reach: &SshReach, target: &Target) -> ReachError {
    match reach.connect(target).await {
        Ok(session) => panic!("it let us in: {:?}", session.facts()),
        Err(error) => error,
    }
}

/// Answers with what a test says, and counts how often it was asked.
#[derive(Default)]
pub struct Answers {
    pub passphrase: Option<&'static str>,
    pub sudo: Option<&'static str>,
    pub password: Option<&'static str>,
    /// The answers to a server's questions, by what the question contains.
    pub answers: Vec<(&'static str, &'static str)>,
    pub asked: AtomicUsize,
}

impl Answers {
    fn give(&self, text: Option<&str>) -> Option<SecretString> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        text.map(SecretString::from)
    }
}

impl Ask for Answers {
    fn passphrase(&self, _key: &Path) -> Option<SecretString> {
        self.give(self.passphrase)
    }

    fn password(&self, _who: &str) -> Option<SecretString> {
        self.give(self.password)
    }

    fn sudo_password(&self, _host: &str) -> Option<SecretString> {
        self.give(self.sudo)
    }

    fn answer(&self, _host: &str, prompt: &str, _echo: bool) -> Option<SecretString> {
        let known = self.answers.iter().find(|(part, _)| prompt.contains(part));
        self.give(known.map(|(_, answer)| *answer))
    }
}

pub fn asking(answers: &Arc<Answers>) -> SshReach {
    SshReach::new(SshOptions {
        ask: Some(Arc::clone(answers) as Arc<dyn Ask>),
        ..options()
    })
}
