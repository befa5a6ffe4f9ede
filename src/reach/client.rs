//! Our side of one connection: the checks that the SSH library leaves to us, and what was seen.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use russh::Names;
use russh::client::{self, DisconnectReason};
use russh::keys::{HashAlg, PublicKeyOrCertificate};

use super::algorithms::{is_open_to_terrapin, is_post_quantum};
use super::host_key::{Expected, KnownStore};
use super::{ConnectionFacts, Phase, ReachError};
use crate::shell::clean;

/// Makes an error of the SSH library readable, and safe to show.
pub(super) fn describe(error: &russh::Error) -> String {
    match error {
        russh::Error::Version => "what answers there is no SSH server".into(),
        russh::Error::Disconnect | russh::Error::HUP => "the server closed the connection".into(),
        russh::Error::NoCommonAlgo { kind, theirs, .. } => {
            let kind = format!("{kind:?}").to_lowercase();
            let theirs = clean(&theirs.join(", "), 300);
            format!("no {kind} algorithm in common; the server has: {theirs}")
        }
        russh::Error::WrongServerSig => "the server's signature is wrong".into(),
        russh::Error::KeepaliveTimeout => "the server no longer answers".into(),
        russh::Error::ChannelOpenFailure(reason) => match reason {
            russh::ChannelOpenFailure::AdministrativelyProhibited => "it is not allowed".into(),
            russh::ChannelOpenFailure::ConnectFailed => "the connection failed".into(),
            _ => "it refused".into(),
        },
        other => clean(&other.to_string(), 300),
    }
}

pub(super) fn key_exchange_error(error: &russh::Error) -> ReachError {
    let plain = ReachError::new(Phase::KeyExchange, describe(error));
    match error {
        russh::Error::NoCommonAlgo { .. } => {
            plain.hint("mark the host legacy in the inventory if it must stay as old as it is")
        }
        russh::Error::Version => plain.hint("check the port"),
        _ => plain,
    }
}

/// What was seen of a connection, for its facts and for errors.
#[derive(Default)]
pub(super) struct Seen(Mutex<SeenInner>);

#[derive(Default)]
struct SeenInner {
    server: Option<String>,
    key_exchange: Option<String>,
    cipher: Option<String>,
    host_key: Option<String>,
    trusted_by: Option<String>,
    /// Why the connection ended.
    end: Option<String>,
}

impl Seen {
    fn lock(&self) -> MutexGuard<'_, SeenInner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// That the connection was lost, and why if that is known.
    pub(super) fn lost(&self, what: &str) -> String {
        match &self.lock().end {
            Some(why) => format!("{what}: {why}"),
            None => what.to_owned(),
        }
    }

    pub(super) fn facts(&self, peer: String, user: String, login: String) -> ConnectionFacts {
        let seen = self.lock();
        ConnectionFacts {
            via: "ssh".into(),
            peer,
            user,
            server: seen.server.clone(),
            post_quantum: seen.key_exchange.as_deref().map(is_post_quantum),
            key_exchange: seen.key_exchange.clone(),
            cipher: seen.cipher.clone(),
            host_key: seen.host_key.clone(),
            trusted_by: seen.trusted_by.clone(),
            login: Some(login),
            jumps: Vec::new(),
        }
    }
}

/// Why the library's task ended.
#[derive(Debug)]
pub(super) enum Fault {
    Reach(Box<ReachError>),
    Ssh(russh::Error),
}

impl From<russh::Error> for Fault {
    fn from(error: russh::Error) -> Self {
        Fault::Ssh(error)
    }
}

impl From<ReachError> for Fault {
    fn from(error: ReachError) -> Self {
        Fault::Reach(Box::new(error))
    }
}

/// Our side of one connection. Whatever the server wants opened is refused by default.
pub(super) struct Client {
    pub(super) expected: Expected,
    pub(super) store: Arc<KnownStore>,
    pub(super) seen: Arc<Seen>,
    pub(super) legacy: bool,
}

impl client::Handler for Client {
    type Error = Fault;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Fault> {
        let print = shown.public_key().fingerprint(HashAlg::Sha256).to_string();
        self.seen.lock().host_key = Some(print);
        let trusted = self.expected.check(shown, &self.store, SystemTime::now())?;
        self.seen.lock().trusted_by = Some(trusted);
        Ok(true)
    }

    async fn kex_done(
        &mut self,
        _secret: Option<&[u8]>,
        names: &Names,
        session: &mut client::Session,
    ) -> Result<(), Fault> {
        {
            let mut seen = self.seen.lock();
            let server = String::from_utf8_lossy(session.remote_sshid()).into_owned();
            seen.server = Some(clean(&server, 200));
            seen.key_exchange = Some(names.kex.as_ref().to_owned());
            seen.cipher = Some(names.cipher.as_ref().to_owned());
        }
        if !self.legacy && is_open_to_terrapin(names) {
            return Err(ReachError::new(
                Phase::KeyExchange,
                "the server's key exchange can be tampered with (Terrapin, CVE-2023-48795)",
            )
            .hint("update sshd on the host, or mark it legacy in the inventory")
            .into());
        }
        Ok(())
    }

    async fn disconnected(&mut self, reason: DisconnectReason<Fault>) -> Result<(), Fault> {
        let why = match &reason {
            DisconnectReason::ReceivedDisconnect(info) => {
                format!("the server said: {}", clean(&info.message, 200))
            }
            DisconnectReason::Error(Fault::Ssh(error)) => describe(error),
            DisconnectReason::Error(Fault::Reach(error)) => error.reason.clone(),
        };
        self.seen.lock().end = Some(why);
        Ok(())
    }
}
