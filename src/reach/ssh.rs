//! SSH: from a target to a session that is logged in, through jump hosts where there are any.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use russh::SshId;
use russh::client::{self, Handle};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{OnceCell, Semaphore};
use tokio::task::JoinSet;

use super::algorithms::preferred;
use super::client::{Client, Fault, Seen, describe, key_exchange_error};
use super::config::{self, HostConfig, Jump, Me, Relevance};
use super::host_key::{Expected, KnownStore};
use super::keys::{KeyStore, Once};
use super::known_hosts::name_of;
use super::login::Login;
use super::session::SshSession;
use super::stream::{Lifeline, Piped, tether};
use super::{ConnectionFacts, Pending, Phase, Reach, ReachError, Session, SshOptions, Target};
use crate::shell::clean;

/// How long another address waits before it is tried beside the one before it.
const NEXT_ADDRESS: Duration = Duration::from_millis(250);
/// How many log-ins may be on their way through jump hosts at once: sshd begins to turn
/// connections away at ten that are not logged in yet (`MaxStartups`).
const JUMPING_MAX: usize = 8;
/// How many machines a connection may go through.
const JUMPS_MAX: usize = 8;

/// Reaches targets over SSH. One value serves a whole run: what is read of keys, known_hosts,
/// agents and configuration is kept, and nothing else; each connection is a new one.
pub struct SshReach {
    shared: Arc<Shared>,
}

type ConfigKey = (String, Option<String>, Option<u16>);

struct Shared {
    options: SshOptions,
    me: Me,
    relevance: OnceCell<Relevance>,
    configs: Once<ConfigKey, Arc<HostConfig>>,
    keys: KeyStore,
    known: Arc<KnownStore>,
    jumping: Semaphore,
}

impl SshReach {
    pub fn new(options: SshOptions) -> SshReach {
        SshReach {
            shared: Arc::new(Shared {
                options,
                me: Me::find(),
                relevance: OnceCell::new(),
                configs: Once::default(),
                keys: KeyStore::default(),
                known: Arc::default(),
                jumping: Semaphore::new(JUMPING_MAX),
            }),
        }
    }
}

impl Reach for SshReach {
    fn connect<'a>(
        &'a self,
        target: &'a Target,
    ) -> Pending<'a, Result<Box<dyn Session>, ReachError>> {
        Box::pin(async move {
            let session = self.shared.connect(target).await?;
            Ok(Box::new(session) as Box<dyn Session>)
        })
    }
}

/// One machine on the way, the last one being the target.
struct Hop {
    config: Arc<HostConfig>,
    user: String,
    port: u16,
    identities: Vec<std::path::PathBuf>,
    known_hosts: Vec<std::path::PathBuf>,
    legacy: bool,
}

impl Hop {
    fn label(&self) -> String {
        format!("{}:{}", self.config.host, self.port)
    }
}

/// An open and logged-in connection to one machine.
pub(super) struct Link {
    pub(super) handle: Handle<Client>,
    pub(super) seen: Arc<Seen>,
    /// Cut when the link is dropped.
    _lifeline: Lifeline,
}

impl Shared {
    async fn connect(&self, target: &Target) -> Result<SshSession, ReachError> {
        let mut hops = self.hops(target).await?;
        let last = hops
            .pop()
            .ok_or_else(|| ReachError::new(Phase::Prepare, "there is nowhere to go"))?;
        // Held until the log-in has ended, one way or the other.
        let _turn = match hops.is_empty() {
            true => None,
            false => self.jumping.acquire().await.ok(),
        };
        let mut links: Vec<Link> = Vec::new();
        let mut jumps = Vec::new();
        for hop in &hops {
            let (link, _) = self.reach_hop(hop, links.last()).await.map_err(|e| {
                let reason = format!("jump host {}: {}", hop.label(), e.reason);
                ReachError { reason, ..e }
            })?;
            links.push(link);
            jumps.push(hop.label());
        }
        let (link, mut facts) = self.reach_hop(&last, links.last()).await?;
        facts.jumps = jumps;
        links.push(link);
        Ok(SshSession {
            name: target.name.clone(),
            become_root: target.become_root,
            options: self.options.clone(),
            links,
            facts,
            has_run: false,
        })
    }

    /// Every machine on the way to a target, and the target.
    async fn hops(&self, target: &Target) -> Result<Vec<Hop>, ReachError> {
        let host = target.address.as_deref().unwrap_or(&target.name);
        let explicit = target.address.is_some()
            && target.user.is_some()
            && !target.identities.is_empty()
            && !target.known_hosts.is_empty();
        let config = if explicit {
            Arc::new(config::defaults(&self.me, host, false))
        } else {
            self.config(host, target.user.as_deref(), target.port)
                .await?
        };
        let jumps = match target.jump.as_slice() {
            [] => config.jump.clone(),
            [none] if none.eq_ignore_ascii_case("none") => Vec::new(),
            list => list.to_vec(),
        };
        let mut hops = vec![Hop {
            user: target.user.clone().unwrap_or_else(|| config.user.clone()),
            port: target.port.unwrap_or(config.port),
            identities: target.identities.clone(),
            known_hosts: target.known_hosts.clone(),
            legacy: target.legacy,
            config,
        }];
        // From the target towards us: the first jump may itself need one, by its configuration.
        let mut waiting = jumps;
        while let Some(text) = waiting.pop() {
            if hops.len() > JUMPS_MAX {
                return Err(ReachError::new(
                    Phase::Prepare,
                    format!("there are more than {JUMPS_MAX} jump hosts on the way"),
                ));
            }
            let jump = Jump::parse(&text).ok_or_else(|| {
                let text = clean(&text, 80);
                ReachError::new(Phase::Prepare, format!("not a jump host: {text}"))
                    .hint("write it as [user@]host[:port]")
            })?;
            let config = self
                .config(&jump.host, jump.user.as_deref(), jump.port)
                .await?;
            if waiting.is_empty() {
                waiting.clone_from(&config.jump);
            }
            hops.push(Hop {
                user: jump.user.unwrap_or_else(|| config.user.clone()),
                port: jump.port.unwrap_or(config.port),
                // What the inventory names for the target serves on the way there too.
                identities: target.identities.clone(),
                known_hosts: target.known_hosts.clone(),
                legacy: target.legacy,
                config,
            });
        }
        hops.reverse();
        Ok(hops)
    }

    async fn config(
        &self,
        host: &str,
        user: Option<&str>,
        port: Option<u16>,
    ) -> Result<Arc<HostConfig>, ReachError> {
        let options = &self.options;
        let relevance = self
            .relevance
            .get_or_init(|| async { config::relevance(&options.config, &self.me) })
            .await;
        if let Relevance::Defaults { hash_known_hosts } = relevance {
            let config = config::defaults(&self.me, host, *hash_known_hosts);
            return Ok(Arc::new(config));
        }
        let key = (host.to_owned(), user.map(str::to_owned), port);
        self.configs
            .cell(key)
            .get_or_try_init(|| async {
                config::ask(&options.config, &self.me, host, user, port)
                    .await
                    .map(Arc::new)
            })
            .await
            .cloned()
    }

    /// Opens a connection to one machine, directly or through the one before it, and logs in.
    async fn reach_hop(
        &self,
        hop: &Hop,
        before: Option<&Link>,
    ) -> Result<(Link, ConnectionFacts), ReachError> {
        let expected = self.expected(hop)?;
        let (peer, mut link) = match (before, &hop.config.proxy_command) {
            (Some(before), _) => {
                let stream = self.through(before, hop).await?;
                (hop.label(), self.greet(stream, hop, expected).await?)
            }
            (None, Some(command)) => {
                let stream = Piped::start(command).map_err(|e| {
                    ReachError::new(Phase::Connect, format!("ProxyCommand does not start: {e}"))
                })?;
                (hop.label(), self.greet(stream, hop, expected).await?)
            }
            (None, None) => {
                let (stream, address) = dial(hop, self.options.timeouts.connect).await?;
                let link = self.greet(stream, hop, expected).await?;
                (address.to_string(), link)
            }
        };
        let proofs = self
            .keys
            .proofs(&hop.config, &hop.identities, self.options.agent.as_deref())
            .await;
        let login = Login {
            handle: &mut link.handle,
            seen: &link.seen,
            options: &self.options,
            user: &hop.user,
            host: &hop.config.host,
            legacy: hop.legacy,
            left: self.options.timeouts.login,
        }
        .run(&proofs)
        .await?;
        let facts = link.seen.facts(peer, hop.user.clone(), login);
        Ok((link, facts))
    }

    fn expected(&self, hop: &Hop) -> Result<Expected, ReachError> {
        let config = &hop.config;
        let (user_files, global_files): (&[_], &[_]) = if hop.known_hosts.is_empty() {
            (&config.user_known_hosts, &config.global_known_hosts)
        } else {
            (&hop.known_hosts, &[])
        };
        let mut files = self.known.files(user_files)?;
        files.extend(self.known.files(global_files)?);
        let host = config.host_key_alias.as_ref().unwrap_or(&config.host);
        Ok(Expected {
            files,
            // An alias stands for the host and its port.
            name: match &config.host_key_alias {
                Some(alias) => name_of(alias, 22),
                None => name_of(&config.host, hop.port),
            },
            host: host.clone(),
            first_file: user_files.first().cloned(),
            accept_new: self.options.accept_new,
            hashed: config.hash_known_hosts,
            revoked: config.revoked_keys.clone(),
        })
    }

    /// A stream to a machine through the one before it.
    async fn through(
        &self,
        before: &Link,
        hop: &Hop,
    ) -> Result<impl AsyncRead + AsyncWrite + Unpin + Send + use<>, ReachError> {
        let opening = before.handle.channel_open_direct_tcpip(
            hop.config.host.clone(),
            hop.port.into(),
            "127.0.0.1",
            0,
        );
        let limit = self.options.timeouts.connect;
        let channel = within(
            limit,
            Phase::Connect,
            "the jump host did not answer",
            opening,
        )
        .await?
        .map_err(|e| {
            let why = describe(&e);
            ReachError::new(
                Phase::Connect,
                format!("the jump host did not connect to {}: {why}", hop.label()),
            )
        })?;
        Ok(channel.into_stream())
    }

    /// The server's first line, the key exchange, and its key.
    async fn greet<S>(&self, stream: S, hop: &Hop, expected: Expected) -> Result<Link, ReachError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (stream, lifeline) = tether(stream);
        let seen = Arc::new(Seen::default());
        let question = expected.question();
        let config = client::Config {
            client_id: SshId::Standard(
                concat!("SSH-2.0-seawall_", env!("CARGO_PKG_VERSION")).into(),
            ),
            // Programs say little; smaller windows and queues bound what a host can make us hold.
            window_size: 512 << 10,
            channel_buffer_size: 16,
            preferred: preferred(
                &question.known_types(),
                question.has_authority(),
                hop.legacy,
            ),
            inactivity_timeout: None,
            keepalive_interval: Some(self.options.keepalive),
            keepalive_max: self.options.keepalive_max,
            gex: client::GexParams::new(if hop.legacy { 2048 } else { 3072 }, 3072, 8192)
                .map_err(|e| ReachError::new(Phase::Prepare, e.to_string()))?,
            nodelay: true,
            ..client::Config::default()
        };
        let client = Client {
            expected,
            store: Arc::clone(&self.known),
            seen: Arc::clone(&seen),
            legacy: hop.legacy,
        };
        let connecting = client::connect_stream(Arc::new(config), stream, client);
        // Where this is given up, the lifeline is dropped, and with it the task and the socket.
        let handle = within(
            self.options.timeouts.key_exchange,
            Phase::KeyExchange,
            "the server did not finish in time",
            connecting,
        )
        .await?
        .map_err(|fault| match fault {
            Fault::Reach(error) => *error,
            Fault::Ssh(error) => key_exchange_error(&error),
        })?;
        Ok(Link {
            handle,
            seen,
            _lifeline: lifeline,
        })
    }
}

/// Opens a TCP connection: each address in its turn, the next one beside a slow one.
async fn dial(hop: &Hop, limit: Duration) -> Result<(TcpStream, SocketAddr), ReachError> {
    let host = hop.config.host.as_str();
    let lookup = tokio::net::lookup_host((host, hop.port));
    let addresses: Vec<SocketAddr> = within(
        limit,
        Phase::Resolve,
        "the name server did not answer",
        lookup,
    )
    .await?
    .map_err(|e| {
        ReachError::new(Phase::Resolve, format!("{}: {e}", clean(host, 100)))
            .hint("check the host's address in the inventory")
    })?
    .collect();
    let mut attempts = JoinSet::new();
    for (i, address) in addresses.into_iter().enumerate() {
        let wait = NEXT_ADDRESS.saturating_mul(u32::try_from(i).unwrap_or(u32::MAX));
        attempts.spawn(async move {
            tokio::time::sleep(wait).await;
            (address, TcpStream::connect(address).await)
        });
    }
    let race = async {
        let mut last = None;
        while let Some(attempt) = attempts.join_next().await {
            match attempt {
                Ok((address, Ok(stream))) => return Ok((stream, address)),
                Ok((address, Err(e))) => last = Some(format!("{address}: {e}")),
                Err(_) => {}
            }
        }
        let why = last.unwrap_or_else(|| format!("{}: the name has no address", clean(host, 100)));
        Err(ReachError::new(Phase::Connect, why))
    };
    let label = format!("{} did not answer", hop.label());
    let (stream, address) = within(limit, Phase::Connect, &label, race).await??;
    let _ = stream.set_nodelay(true);
    Ok((stream, address))
}

/// Bounds one part of the way.
pub(super) async fn within<F: Future>(
    limit: Duration,
    phase: Phase,
    what: &str,
    part: F,
) -> Result<F::Output, ReachError> {
    tokio::time::timeout(limit, part).await.map_err(|_| {
        let seconds = limit.as_secs_f32();
        ReachError::new(phase, format!("{what} (waited {seconds} s)"))
    })
}
