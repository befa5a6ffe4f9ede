//! What there is to log in with: private key files, certificates, agents. Each file is read and
//! decoded once, whatever the number of hosts, and each passphrase asked for once.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{Certificate, PrivateKey, PublicKey, decode_secret_key, load_public_key};
use secrecy::{ExposeSecret, SecretString};
use tokio::net::UnixStream;
use tokio::sync::OnceCell;

use super::Ask;
use super::config::{Agent, HostConfig};

/// How long an agent may take to list what it holds. Signing may wait for a person's touch.
const AGENT_LIST: Duration = Duration::from_secs(5);
/// How often a person may mistype a passphrase.
const PASSPHRASE_TRIES: usize = 3;

/// A private key file, as far as it can be read without a passphrase.
pub(super) struct KeyFile {
    pub(super) path: PathBuf,
    /// What is beside it, in `-cert.pub`.
    certificate: Option<Certificate>,
    private: Private,
    public: Option<PublicKey>,
    unlocked: OnceCell<Option<Arc<PrivateKey>>>,
}

enum Private {
    Missing,
    Bad(String),
    Open(Arc<PrivateKey>),
    Locked(String),
}

impl KeyFile {
    fn load(path: &Path) -> KeyFile {
        let private = match std::fs::read_to_string(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Private::Missing,
            Err(e) => Private::Bad(e.to_string()),
            Ok(text) if !text.contains("PRIVATE KEY") => {
                Private::Bad("it holds no private key".into())
            }
            Ok(text) => match decode_secret_key(&text, None) {
                Ok(key) if !key.is_encrypted() => Private::Open(Arc::new(key)),
                Ok(_) | Err(russh::keys::Error::KeyIsEncrypted) => Private::Locked(text),
                Err(e) => Private::Bad(e.to_string()),
            },
        };
        let public = match &private {
            Private::Open(key) => Some(key.public_key().clone()),
            Private::Locked(text) => PrivateKey::from_openssh(text.as_bytes())
                .ok()
                .map(|key| key.public_key().clone())
                .or_else(|| load_public_key(with_suffix(path, ".pub")).ok()),
            // `IdentityFile key.pub` names a key that an agent holds.
            Private::Missing | Private::Bad(_) => load_public_key(path)
                .or_else(|_| load_public_key(with_suffix(path, ".pub")))
                .ok(),
        };
        KeyFile {
            path: path.to_owned(),
            certificate: Certificate::read_file(&with_suffix(path, "-cert.pub")).ok(),
            private,
            public,
            unlocked: OnceCell::new(),
        }
    }

    /// The private key, with the passphrase asked for where it needs one.
    pub(super) async fn unlock(&self, ask: Option<&Arc<dyn Ask>>) -> Option<Arc<PrivateKey>> {
        match (&self.private, ask) {
            (Private::Open(key), _) => Some(Arc::clone(key)),
            (Private::Locked(text), Some(ask)) => self
                .unlocked
                .get_or_init(|| unlock(self.path.clone(), text.clone(), Arc::clone(ask)))
                .await
                .clone(),
            _ => None,
        }
    }
}

async fn unlock(path: PathBuf, text: String, ask: Arc<dyn Ask>) -> Option<Arc<PrivateKey>> {
    // Both the question and the key derivation take long.
    tokio::task::spawn_blocking(move || {
        for _ in 0..PASSPHRASE_TRIES {
            let passphrase: SecretString = ask.passphrase(&path)?;
            if let Ok(key) = decode_secret_key(&text, Some(passphrase.expose_secret())) {
                return Some(Arc::new(key));
            }
        }
        None
    })
    .await
    .ok()
    .flatten()
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// One way to prove who we are, with a name for people.
#[derive(Clone)]
pub(super) enum Proof {
    /// A key file, possibly still locked; with a certificate for its key, or bare.
    File(Arc<KeyFile>, Option<Box<Certificate>>),
    /// A key that an agent holds; with a certificate, the agent's own or from a file, or bare.
    Agent {
        socket: PathBuf,
        /// What the agent is told to sign with.
        identity: Box<AgentIdentity>,
        certificate: Option<Box<Certificate>>,
        public: Box<PublicKey>,
        name: String,
    },
}

impl Proof {
    /// As facts and errors name it.
    pub(super) fn label(&self) -> String {
        match self {
            Proof::File(file, None) => format!("publickey {}", file.path.display()),
            Proof::File(file, Some(_)) => format!("certificate {}", file.path.display()),
            Proof::Agent {
                certificate, name, ..
            } => {
                let kind = if certificate.is_some() {
                    "certificate"
                } else {
                    "publickey"
                };
                format!("{kind} {name} (agent)")
            }
        }
    }
}

/// The proofs for one host, in the order in which they are tried.
#[derive(Default)]
pub(super) struct Proofs {
    pub(super) list: Vec<Proof>,
    /// Files that were named and cannot be used, with the reason.
    pub(super) unusable: Vec<String>,
}

impl Proofs {
    fn push(&mut self, proof: Proof) {
        let label = |p: &Proof| match p {
            Proof::File(file, certificate) => (
                file.public.as_ref().map(|k| k.key_data().clone()),
                certificate.is_some(),
            ),
            Proof::Agent {
                public,
                certificate,
                ..
            } => (Some(public.key_data().clone()), certificate.is_some()),
        };
        let new = label(&proof);
        if new.0.is_none() || !self.list.iter().any(|p| label(p) == new) {
            self.list.push(proof);
        }
    }
}

/// Things that are made once and then shared by all who ask for them.
pub(super) struct Once<K, V>(Mutex<HashMap<K, Arc<OnceCell<V>>>>);

impl<K, V> Default for Once<K, V> {
    fn default() -> Self {
        Once(Mutex::default())
    }
}

impl<K: std::hash::Hash + Eq, V> Once<K, V> {
    pub(super) fn cell(&self, key: K) -> Arc<OnceCell<V>> {
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(map.entry(key).or_default())
    }
}

#[derive(Default)]
pub(super) struct KeyStore {
    files: Once<PathBuf, Arc<KeyFile>>,
    agents: Once<PathBuf, Arc<Vec<AgentIdentity>>>,
}

impl KeyStore {
    async fn file(&self, path: &Path) -> Arc<KeyFile> {
        let path = path.to_owned();
        let cell = self.files.cell(path.clone());
        let file = cell.get_or_init(|| async move { Arc::new(KeyFile::load(&path)) });
        Arc::clone(file.await)
    }

    async fn agent(&self, socket: &Path) -> Arc<Vec<AgentIdentity>> {
        let socket = socket.to_owned();
        let cell = self.agents.cell(socket.clone());
        let identities = cell.get_or_init(|| async move {
            let list = async {
                let mut agent = connect_agent(&socket).await.ok()?;
                agent.request_identities().await.ok()
            };
            // An agent that is not there, or does not answer, holds nothing for us.
            let found = tokio::time::timeout(AGENT_LIST, list).await;
            Arc::new(found.ok().flatten().unwrap_or_default())
        });
        Arc::clone(identities.await)
    }

    /// Everything there is for one host. `only` are the files that the inventory names; where
    /// there are any, nothing else is tried (but an agent may hold their keys).
    pub(super) async fn proofs(
        &self,
        config: &HostConfig,
        only: &[PathBuf],
        agent: Option<&Path>,
    ) -> Proofs {
        let socket = match (agent, &config.agent) {
            (Some(path), _) => Some(path.to_owned()),
            (None, Some(Agent::Socket(path))) => Some(path.clone()),
            (None, Some(Agent::None)) => None,
            (None, None) => std::env::var_os("SSH_AUTH_SOCK").map(PathBuf::from),
        };
        let held = match &socket {
            Some(socket) => Held {
                identities: self.agent(socket).await,
                socket: socket.clone(),
            },
            None => Held::default(),
        };
        let mut proofs = Proofs::default();
        let named = !only.is_empty() || !config.default_identities;
        let files = if only.is_empty() {
            &config.identities
        } else {
            only
        };
        if named {
            self.push_files(&mut proofs, files, &held, &config.certificates, true)
                .await;
        }
        if only.is_empty() && !config.identities_only {
            held.push_all(&mut proofs);
        }
        if !named {
            self.push_files(&mut proofs, files, &held, &config.certificates, false)
                .await;
        }
        proofs
    }

    async fn push_files(
        &self,
        proofs: &mut Proofs,
        files: &[PathBuf],
        held: &Held,
        certificates: &[PathBuf],
        named: bool,
    ) {
        let more: Vec<Certificate> = certificates
            .iter()
            .filter_map(|path| Certificate::read_file(path).ok())
            .collect();
        for path in files {
            let file = self.file(path).await;
            let ours = |c: &&Certificate| {
                file.public
                    .as_ref()
                    .is_some_and(|k| k.key_data() == c.public_key())
            };
            let certificates = more.iter().chain(&file.certificate).filter(ours);
            // A locked file whose key the agent holds needs no passphrase.
            let from_agent = match &file.private {
                Private::Open(_) => None,
                _ => file.public.as_ref().and_then(|key| held.find(key)),
            };
            let usable = matches!(file.private, Private::Open(_) | Private::Locked(_));
            for certificate in certificates.cloned().map(Box::new).map(Some).chain([None]) {
                match &from_agent {
                    Some(identity) => proofs.push(held.proof(identity, certificate)),
                    None if usable => proofs.push(Proof::File(Arc::clone(&file), certificate)),
                    None => {}
                }
            }
            if named && from_agent.is_none() {
                match &file.private {
                    Private::Missing => proofs
                        .unusable
                        .push(format!("{}: no such file", path.display())),
                    Private::Bad(why) => {
                        proofs.unusable.push(format!("{}: {why}", path.display()));
                    }
                    Private::Open(_) | Private::Locked(_) => {}
                }
            }
        }
    }
}

/// What an agent holds.
#[derive(Default)]
struct Held {
    socket: PathBuf,
    identities: Arc<Vec<AgentIdentity>>,
}

impl Held {
    fn find(&self, key: &PublicKey) -> Option<AgentIdentity> {
        self.identities
            .iter()
            .find(|i| {
                matches!(i, AgentIdentity::PublicKey { key: k, .. } if k.key_data() == key.key_data())
            })
            .cloned()
    }

    fn proof(&self, identity: &AgentIdentity, certificate: Option<Box<Certificate>>) -> Proof {
        let (public, comment, own) = match identity {
            AgentIdentity::PublicKey { key, comment } => (key.clone(), comment, None),
            AgentIdentity::Certificate {
                certificate,
                comment,
            } => (
                PublicKey::new(certificate.public_key().clone(), ""),
                comment,
                Some(Box::new(certificate.clone())),
            ),
        };
        Proof::Agent {
            socket: self.socket.clone(),
            identity: Box::new(identity.clone()),
            certificate: certificate.or(own),
            public: Box::new(public),
            name: crate::shell::clean(comment, 80),
        }
    }

    fn push_all(&self, proofs: &mut Proofs) {
        let is_certificate = |i: &&AgentIdentity| matches!(i, AgentIdentity::Certificate { .. });
        let (certificates, keys): (Vec<_>, Vec<_>) =
            self.identities.iter().partition(is_certificate);
        for identity in certificates.into_iter().chain(keys) {
            proofs.push(self.proof(identity, None));
        }
    }
}

pub(super) async fn connect_agent(
    socket: &Path,
) -> Result<AgentClient<UnixStream>, russh::keys::Error> {
    AgentClient::connect_uds(socket).await
}
