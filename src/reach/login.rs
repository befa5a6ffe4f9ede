//! Logging in: which proofs are shown, in which order, and what a refusal means.
//!
//! Nothing is asked of the server that is not a proof: no `none` request first.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use russh::client::{AuthResult, Handle, KeyboardInteractiveAuthResponse};
use russh::keys::agent::AgentIdentity;
use russh::keys::signature::Signer as _;
use russh::keys::ssh_encoding::Encode;
use russh::keys::ssh_key::private::KeypairData;
use russh::keys::{Algorithm, Certificate, HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKey};
use russh::{MethodKind, MethodSet};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use super::client::{Client, Seen};
use super::keys::{Proof, Proofs, connect_agent};
use super::{Ask, Phase, ReachError, SshOptions};
use crate::shell::clean;

/// How many rounds of questions a server may ask.
const QUESTION_ROUNDS: usize = 8;
/// How many questions there may be in one round.
const QUESTIONS_MAX: usize = 16;

/// One log-in on one connection.
pub(super) struct Login<'a> {
    pub(super) handle: &'a mut Handle<Client>,
    pub(super) seen: &'a Seen,
    pub(super) options: &'a SshOptions,
    pub(super) user: &'a str,
    /// The host's name, for people.
    pub(super) host: &'a str,
    pub(super) legacy: bool,
    /// How much of the time for the log-in is left. Asking a person uses none of it.
    pub(super) left: Duration,
}

/// What a server said to one proof.
enum Answer {
    In,
    /// Accepted, and more is wanted.
    More(MethodSet),
    No(MethodSet),
}

impl From<AuthResult> for Answer {
    fn from(result: AuthResult) -> Answer {
        match result {
            AuthResult::Success => Answer::In,
            AuthResult::Failure {
                remaining_methods,
                partial_success: true,
            } => Answer::More(remaining_methods),
            AuthResult::Failure {
                remaining_methods, ..
            } => Answer::No(remaining_methods),
        }
    }
}

/// What has been learnt so far.
#[derive(Default)]
struct Progress {
    /// What the server would accept next; unknown before its first answer.
    methods: Option<MethodSet>,
    /// What it has accepted.
    done: Vec<String>,
    /// What it has refused.
    refused: Vec<String>,
}

impl Progress {
    fn allows(&self, kind: MethodKind) -> bool {
        self.methods.as_ref().is_none_or(|m| m.contains(&kind))
    }

    /// Whether we are in.
    fn take(&mut self, answer: Answer, label: String) -> bool {
        match answer {
            Answer::In => {
                self.done.push(label);
                return true;
            }
            Answer::More(methods) => {
                self.done.push(label);
                self.methods = Some(methods);
            }
            Answer::No(methods) => {
                self.refused.push(label);
                self.methods = Some(methods);
            }
        }
        false
    }
}

impl Login<'_> {
    /// Logs in, and says how.
    pub(super) async fn run(mut self, proofs: &Proofs) -> Result<String, ReachError> {
        let mut progress = Progress::default();
        for proof in &proofs.list {
            if !progress.allows(MethodKind::PublicKey) {
                break;
            }
            let Some(answer) = self.show(proof).await? else {
                continue;
            };
            if progress.take(answer, proof.label()) {
                return Ok(progress.done.join(", then "));
            }
            self.check_alive().await?;
        }
        if self.options.passwords && self.options.ask.is_some() {
            if progress.allows(MethodKind::KeyboardInteractive) {
                let answer = self.answer_questions().await?;
                if progress.take(answer, "keyboard-interactive".into()) {
                    return Ok(progress.done.join(", then "));
                }
                self.check_alive().await?;
            }
            if progress.allows(MethodKind::Password)
                && let Some(answer) = self.give_password().await?
            {
                if progress.take(answer, "password".into()) {
                    return Ok(progress.done.join(", then "));
                }
                self.check_alive().await?;
            }
        }
        Err(self.failure(&progress, proofs))
    }

    /// Shows a key or a certificate. `None` where it cannot be used after all.
    async fn show(&mut self, proof: &Proof) -> Result<Option<Answer>, ReachError> {
        match proof {
            Proof::File(file, certificate) => {
                let Some(key) = file.unlock(self.options.ask.as_ref()).await else {
                    return Ok(None);
                };
                match certificate {
                    Some(certificate) => self.show_certificate(key, certificate).await,
                    None => self.show_key(key).await,
                }
            }
            Proof::Agent {
                socket,
                identity,
                certificate,
                public,
                ..
            } => {
                self.show_agent(socket, identity, certificate.as_deref(), public)
                    .await
            }
        }
    }

    async fn show_key(&mut self, key: Arc<PrivateKey>) -> Result<Option<Answer>, ReachError> {
        let Some(hash) = self.hash_for(&key.algorithm()).await? else {
            return Ok(None);
        };
        let key = PrivateKeyWithHashAlg::new(key, hash);
        let exchange = self.handle.authenticate_publickey(self.user, key);
        let result = timed(&mut self.left, exchange).await?;
        Ok(result.ok().map(Answer::from))
    }

    async fn show_certificate(
        &mut self,
        key: Arc<PrivateKey>,
        certificate: &Certificate,
    ) -> Result<Option<Answer>, ReachError> {
        let Some(hash) = self.hash_for(&key.algorithm()).await? else {
            return Ok(None);
        };
        let mut signer = FileSigner(key);
        self.certificate_with(certificate, hash, &mut signer).await
    }

    async fn show_agent(
        &mut self,
        socket: &Path,
        identity: &AgentIdentity,
        certificate: Option<&Certificate>,
        public: &PublicKey,
    ) -> Result<Option<Answer>, ReachError> {
        let Some(hash) = self.hash_for(&public.algorithm()).await? else {
            return Ok(None);
        };
        let Ok(mut agent) = connect_agent(socket).await else {
            return Ok(None);
        };
        // Keys that are bound to destinations sign only where the agent knows the destination.
        // An agent that does not know the extension refuses it, which does no harm.
        if let Some(binding) = self.handle.agent_session_binding() {
            let _ = agent.bind_session(binding, false).await;
        }
        let mut signer = AgentSigner {
            agent,
            identity: identity.clone(),
        };
        if let Some(certificate) = certificate {
            return self.certificate_with(certificate, hash, &mut signer).await;
        }
        let exchange =
            self.handle
                .authenticate_publickey_with(self.user, public.clone(), hash, &mut signer);
        let result = timed(&mut self.left, exchange).await?;
        Ok(result.ok().map(Answer::from))
    }

    async fn certificate_with<S>(
        &mut self,
        certificate: &Certificate,
        hash: Option<HashAlg>,
        signer: &mut S,
    ) -> Result<Option<Answer>, ReachError>
    where
        S: russh::Signer<Error = SignFailure>,
    {
        let exchange =
            self.handle
                .authenticate_certificate_with(self.user, certificate.clone(), hash, signer);
        let result = timed(&mut self.left, exchange).await?;
        // A signer that failed leaves the connection usable: the next proof is tried.
        Ok(result.ok().map(Answer::from))
    }

    /// The hash that an RSA key signs with; other keys have none to choose. Asked only for RSA,
    /// because the library waits for the server's list.
    async fn hash_for(
        &mut self,
        algorithm: &Algorithm,
    ) -> Result<Option<Option<HashAlg>>, ReachError> {
        if !matches!(algorithm, Algorithm::Rsa { .. }) {
            return Ok(Some(None));
        }
        let best = self.handle.best_supported_rsa_hash().await;
        Ok(match best {
            Ok(Some(Some(hash))) => Some(Some(hash)),
            // The server takes SHA-1 only.
            Ok(Some(None)) => self.legacy.then_some(None),
            Ok(None) | Err(_) => Some(Some(HashAlg::Sha512)),
        })
    }

    /// Answers what the server asks, for as long as it asks.
    async fn answer_questions(&mut self) -> Result<Answer, ReachError> {
        let exchange = self
            .handle
            .authenticate_keyboard_interactive_start(self.user, None::<String>);
        let mut reply = timed(&mut self.left, exchange).await?;
        for _ in 0..QUESTION_ROUNDS {
            let prompts = match reply {
                Ok(KeyboardInteractiveAuthResponse::Success) => return Ok(Answer::In),
                Ok(KeyboardInteractiveAuthResponse::Failure {
                    remaining_methods,
                    partial_success,
                }) => {
                    return Ok(AuthResult::Failure {
                        remaining_methods,
                        partial_success,
                    }
                    .into());
                }
                Ok(KeyboardInteractiveAuthResponse::InfoRequest { prompts, .. }) => prompts,
                Err(_) => return Err(self.lost().await),
            };
            if prompts.len() > QUESTIONS_MAX {
                break;
            }
            let mut answers = Vec::new();
            for prompt in prompts {
                let text = clean(&prompt.prompt, 200);
                let host = self.host.to_owned();
                let answer = self
                    .ask(move |ask| ask.answer(&host, &text, prompt.echo))
                    .await;
                let Some(answer) = answer else {
                    return Err(ReachError::new(
                        Phase::Login,
                        "the server asks a question, and nobody answers it",
                    ));
                };
                answers.push(answer.expose_secret().to_owned());
            }
            let exchange = self
                .handle
                .authenticate_keyboard_interactive_respond(answers);
            reply = timed(&mut self.left, exchange).await?;
        }
        Err(ReachError::new(
            Phase::Login,
            "the server asks more questions than any log-in needs",
        ))
    }

    async fn give_password(&mut self) -> Result<Option<Answer>, ReachError> {
        let who = format!("{}@{}", self.user, self.host);
        let Some(password) = self.ask(move |ask| ask.password(&who)).await else {
            return Ok(None);
        };
        let exchange = self
            .handle
            .authenticate_password(self.user, password.expose_secret());
        let result = timed(&mut self.left, exchange).await?;
        Ok(result.ok().map(Answer::from))
    }

    /// Asks a person, on a thread that may wait.
    async fn ask<F>(&self, question: F) -> Option<SecretString>
    where
        F: FnOnce(&dyn Ask) -> Option<SecretString> + Send + 'static,
    {
        let ask = Arc::clone(self.options.ask.as_ref()?);
        tokio::task::spawn_blocking(move || question(&*ask))
            .await
            .ok()
            .flatten()
    }

    /// A connection that died looks like a refusal to the library.
    async fn check_alive(&mut self) -> Result<(), ReachError> {
        if self.handle.is_closed() {
            return Err(self.lost().await);
        }
        Ok(())
    }

    async fn lost(&mut self) -> ReachError {
        // The task that runs the connection says why it ended as it ends.
        let _ = tokio::time::timeout(Duration::from_secs(1), &mut *self.handle).await;
        let error = ReachError::new(Phase::Login, self.seen.lost("the connection was lost"));
        if error
            .reason
            .to_ascii_lowercase()
            .contains("too many authentication")
        {
            return error.hint("name the right key for this host: each wrong one counts");
        }
        error
    }

    fn failure(&self, progress: &Progress, proofs: &Proofs) -> ReachError {
        let mut reason = if progress.refused.is_empty() && progress.done.is_empty() {
            format!("there is nothing to log in with as {}", self.user)
        } else if progress.refused.is_empty() {
            format!(
                "{} is not enough for {}",
                progress.done.join(", "),
                self.user
            )
        } else {
            format!(
                "the server does not let {} in with: {}",
                self.user,
                progress.refused.join(", ")
            )
        };
        if !proofs.unusable.is_empty() {
            reason.push_str(&format!(" (not usable: {})", proofs.unusable.join(", ")));
        }
        let wants: Vec<&str> = progress
            .methods
            .iter()
            .flat_map(|m| m.iter())
            .map(Into::into)
            .collect();
        let error = ReachError::new(Phase::Login, clean(&reason, 600));
        if wants.is_empty() {
            error.hint("name a key for this host, or start an agent that holds one")
        } else {
            error.hint(format!("the server takes: {}", wants.join(", ")))
        }
    }
}

/// Runs one exchange with the server within the time that is left.
async fn timed<F: Future>(left: &mut Duration, exchange: F) -> Result<F::Output, ReachError> {
    let start = Instant::now();
    let result = tokio::time::timeout(*left, exchange).await;
    *left = left.saturating_sub(start.elapsed());
    result.map_err(|_| {
        ReachError::new(Phase::Login, "the server did not answer in time")
            .hint("the host may be overloaded, or its log-in may wait for something (DNS, PAM)")
    })
}

/// Nothing could be signed.
pub(super) struct SignFailure;

impl From<russh::SendError> for SignFailure {
    fn from(_: russh::SendError) -> Self {
        SignFailure
    }
}

/// Signs for a certificate with the key in a file.
struct FileSigner(Arc<PrivateKey>);

impl russh::Signer for FileSigner {
    type Error = SignFailure;

    async fn auth_sign(
        &mut self,
        _key: &AgentIdentity,
        hash: Option<HashAlg>,
        mut to_sign: Vec<u8>,
    ) -> Result<Vec<u8>, SignFailure> {
        let signature = match self.0.key_data() {
            KeypairData::Rsa(pair) => (pair, hash).try_sign(&to_sign),
            other => other.try_sign(&to_sign),
        }
        .map_err(|_| SignFailure)?;
        signature
            .encode_prefixed(&mut to_sign)
            .map_err(|_| SignFailure)?;
        Ok(to_sign)
    }
}

/// Signs with a key that an agent holds. A certificate from a file is proved with the bare key,
/// which is all that the agent knows.
struct AgentSigner {
    agent: russh::keys::agent::client::AgentClient<tokio::net::UnixStream>,
    identity: AgentIdentity,
}

impl russh::Signer for AgentSigner {
    type Error = SignFailure;

    async fn auth_sign(
        &mut self,
        _key: &AgentIdentity,
        hash: Option<HashAlg>,
        to_sign: Vec<u8>,
    ) -> Result<Vec<u8>, SignFailure> {
        self.agent
            .sign_request(&self.identity, hash, to_sign)
            .await
            .map_err(|_| SignFailure)
    }
}
