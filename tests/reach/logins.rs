//! Log-ins and key exchanges that an sshd without PAM cannot be brought to.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use russh::keys::ssh_key::PublicKey;
use russh::keys::{Algorithm, PrivateKey};
use russh::server::{Auth, Config, Handler, Response};
use russh::{MethodKind, MethodSet, Preferred, cipher, kex, mac};
use seawall::reach::{Ask, Phase, Reach, SshOptions, SshReach, Target};
use tempfile::TempDir;
use tokio::net::TcpListener;

use super::support::{Answers, keygen, options, reach, refused};

/// What the server lets in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lets {
    Keys,
    Password,
    Questions,
    KeyThenQuestions,
    QuestionsForEver,
}

struct Door(Lets);

fn methods(kinds: &[MethodKind]) -> MethodSet {
    MethodSet::from(kinds)
}

fn no(kinds: &[MethodKind], partial_success: bool) -> Auth {
    Auth::Reject {
        proceed_with_methods: Some(methods(kinds)),
        partial_success,
    }
}

impl Door {
    fn kinds(&self) -> &'static [MethodKind] {
        match self.0 {
            Lets::Keys | Lets::KeyThenQuestions => &[MethodKind::PublicKey],
            Lets::Password => &[MethodKind::Password],
            Lets::Questions | Lets::QuestionsForEver => &[MethodKind::KeyboardInteractive],
        }
    }
}

impl Handler for Door {
    type Error = russh::Error;

    async fn auth_publickey_offered(
        &mut self,
        _user: &str,
        _offer: russh::server::PublicKeyOffer<'_>,
    ) -> Result<Auth, russh::Error> {
        Ok(match self.0 {
            Lets::Keys | Lets::KeyThenQuestions => Auth::Accept,
            _ => no(self.kinds(), false),
        })
    }

    async fn auth_publickey(
        &mut self,
        _user: &str,
        _key: russh::server::VerifiedPublicKey<'_>,
    ) -> Result<Auth, russh::Error> {
        Ok(if self.0 == Lets::KeyThenQuestions {
            no(&[MethodKind::KeyboardInteractive], true)
        } else {
            Auth::Accept
        })
    }

    async fn auth_password(&mut self, _user: &str, password: &str) -> Result<Auth, russh::Error> {
        let right = self.0 == Lets::Password && password == "right";
        Ok(if right {
            Auth::Accept
        } else {
            no(self.kinds(), false)
        })
    }

    async fn auth_keyboard_interactive<'a>(
        &'a mut self,
        _user: &str,
        _submethods: &str,
        response: Option<Response<'a>>,
    ) -> Result<Auth, russh::Error> {
        let ask = |prompt: &'static str| Auth::Partial {
            name: "".into(),
            instructions: "".into(),
            prompts: vec![(prompt.into(), false)].into(),
        };
        let answer = response.and_then(|mut r| r.next());
        Ok(match answer.as_deref() {
            _ if self.0 == Lets::QuestionsForEver => ask("again? "),
            None => ask("\u{1b}[2JCode: "),
            Some(b"123456") => ask("Colour: "),
            Some(b"blue") => Auth::Accept,
            Some(_) => no(self.kinds(), false),
        })
    }
}

struct Server {
    folder: TempDir,
    target: Target,
}

async fn serve(lets: Lets, keys: &[Algorithm], known: usize, preferred: Preferred) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let keys: Vec<PrivateKey> = keys
        .iter()
        .map(|a| PrivateKey::random(&mut russh::keys::key::safe_rng(), a.clone()).unwrap())
        .collect();
    let public: PublicKey = keys[known].public_key().clone();
    let config = Arc::new(Config {
        keys,
        preferred,
        auth_rejection_time: Duration::ZERO,
        ..Config::default()
    });
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let config = Arc::clone(&config);
            tokio::spawn(async move {
                if let Ok(session) = russh::server::run_stream(config, stream, Door(lets)).await {
                    let _ = session.await;
                }
            });
        }
    });
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| -> PathBuf { folder.path().join(name) };
    keygen(&at("client"), "ed25519", "");
    let line = format!("[127.0.0.1]:{port} {}\n", public.to_openssh().unwrap());
    std::fs::write(at("known_hosts"), line).unwrap();
    let target = Target {
        name: "box".into(),
        address: Some("127.0.0.1".into()),
        port: Some(port),
        user: Some("me".into()),
        identities: vec![at("client")],
        known_hosts: vec![at("known_hosts")],
        ..Target::default()
    };
    Server { folder, target }
}

async fn door(lets: Lets) -> Server {
    serve(lets, &[Algorithm::Ed25519], 0, Preferred::default()).await
}

fn answering(answers: Answers) -> SshReach {
    SshReach::new(SshOptions {
        ask: Some(Arc::new(answers) as Arc<dyn Ask>),
        passwords: true,
        ..options()
    })
}

async fn login(reach: &SshReach, target: &Target) -> String {
    let session = reach
        .connect(target)
        .await
        .unwrap_or_else(|e| panic!("{e} ({:?})", e.hint));
    let login = session.facts().login.clone().unwrap();
    session.close().await;
    login
}

#[tokio::test]
async fn a_password_is_given_where_that_is_allowed() {
    let server = door(Lets::Password).await;
    let give = |password| {
        answering(Answers {
            password: Some(password),
            ..Answers::default()
        })
    };
    assert_eq!(login(&give("right"), &server.target).await, "password");
    let error = refused(&give("wrong"), &server.target).await;
    assert_eq!(error.phase, Phase::Login);
    assert!(error.reason.contains("password"), "{error}");
    // Somebody could be asked, but passwords were not asked for.
    let reach = SshReach::new(SshOptions {
        ask: Some(Arc::new(Answers {
            password: Some("right"),
            ..Answers::default()
        })),
        ..options()
    });
    assert_eq!(refused(&reach, &server.target).await.phase, Phase::Login);
}

fn right_answers() -> Answers {
    Answers {
        answers: vec![("·[2JCode", "123456"), ("Colour", "blue"), ("again", "yes")],
        ..Answers::default()
    }
}

#[tokio::test]
async fn a_servers_questions_are_answered_round_after_round() {
    let server = door(Lets::Questions).await;
    let reach = answering(right_answers());
    assert_eq!(login(&reach, &server.target).await, "keyboard-interactive");
    // Nobody knows the answer.
    let error = refused(&answering(Answers::default()), &server.target).await;
    assert!(error.reason.contains("nobody answers"), "{error}");
}

#[tokio::test]
async fn a_key_and_then_questions() {
    let server = door(Lets::KeyThenQuestions).await;
    let reach = answering(right_answers());
    let how = login(&reach, &server.target).await;
    assert!(
        how.starts_with("publickey ") && how.ends_with(", then keyboard-interactive"),
        "{how}"
    );
    let error = refused(&super::support::reach(), &server.target).await;
    assert!(error.reason.contains("is not enough"), "{error}");
    assert_eq!(
        error.hint.unwrap(),
        "the server takes: keyboard-interactive"
    );
}

#[tokio::test]
async fn questions_without_an_end_are_not_answered_without_an_end() {
    let server = door(Lets::QuestionsForEver).await;
    let error = refused(&answering(right_answers()), &server.target).await;
    assert_eq!(error.phase, Phase::Login);
    assert!(error.reason.contains("more questions"), "{error}");
}

#[tokio::test]
async fn the_type_of_key_that_is_known_is_the_one_that_is_asked_for() {
    let kinds = [
        Algorithm::Ed25519,
        Algorithm::Ecdsa {
            curve: russh::keys::EcdsaCurve::NistP384,
        },
    ];
    for known in 0..kinds.len() {
        let server = serve(Lets::Keys, &kinds, known, Preferred::default()).await;
        login(&reach(), &server.target).await;
    }
}

#[tokio::test]
async fn a_key_exchange_that_can_be_tampered_with_is_refused_unless_the_host_is_legacy() {
    let weak = |cipher, mac| Preferred {
        // No strict key exchange.
        kex: vec![kex::CURVE25519].into(),
        cipher: vec![cipher].into(),
        mac: vec![mac].into(),
        ..Preferred::default()
    };
    for (cipher, mac, open) in [
        (cipher::CHACHA20_POLY1305, mac::HMAC_SHA256, true),
        (cipher::AES_256_CTR, mac::HMAC_SHA256_ETM, true),
        (cipher::AES_256_CTR, mac::HMAC_SHA256, false),
        (cipher::AES_256_GCM, mac::HMAC_SHA256_ETM, false),
    ] {
        let keys = [Algorithm::Ed25519];
        let mut server = serve(Lets::Keys, &keys, 0, weak(cipher, mac)).await;
        if open {
            let error = refused(&reach(), &server.target).await;
            assert_eq!(error.phase, Phase::KeyExchange);
            assert!(error.reason.contains("Terrapin"), "{error}");
            server.target.legacy = true;
        }
        login(&reach(), &server.target).await;
    }
}

#[tokio::test]
async fn old_algorithms_are_taken_from_legacy_hosts_only() {
    let old = Preferred {
        kex: vec![kex::DH_G14_SHA1].into(),
        ..Preferred::default()
    };
    let mut server = serve(Lets::Keys, &[Algorithm::Ed25519], 0, old).await;
    let error = refused(&reach(), &server.target).await;
    assert_eq!(error.phase, Phase::KeyExchange);
    assert!(
        error.reason.contains("diffie-hellman-group14-sha1"),
        "{error}"
    );
    assert!(error.hint.unwrap().contains("legacy"));
    server.target.legacy = true;
    let session = reach().connect(&server.target).await.unwrap();
    assert_eq!(session.facts().post_quantum, Some(false));
    session.close().await;
    assert!(server.folder.path().exists());
}
