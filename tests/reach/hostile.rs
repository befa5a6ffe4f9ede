//! A server that wishes us ill: it stalls, floods, lies and vanishes, at every step of the way.
//!
//! Whatever it does, we come back with the right phase, in bounded time and memory.

use std::future::pending;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use russh::keys::ssh_key::PublicKey;
use russh::keys::{Algorithm, PrivateKey};
use russh::server::{Auth, ChannelOpenHandle, Config, Handle, Handler, Msg, Session};
use russh::{Channel, ChannelId, Disconnect, Sig, SshId};
use seawall::reach::{Phase, Reach, SshReach, Target, Timeouts};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::support::{LONG, keygen, options, reach, refused, run};

/// What the server does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trick {
    None,
    StallInLogin,
    LoginDisconnects,
    BannerOfAMegabyte,
    ChannelNeverOpened,
    ChannelRefused,
    ExecNeverAnswered,
    ExecRefused,
    NoiseForever,
    OutputForever,
    ErrorsForever,
    ErrorsThenExit,
    OutputStalls,
    VanishesInTheMiddle,
    DisconnectsInTheMiddle,
    ForgedReady,
    ExitSignal,
    OpensChannels,
    ClosesAtOnce,
}

/// A server, what a client knows of it, and what it saw of the client.
struct Evil {
    folder: TempDir,
    address: SocketAddr,
    /// How many proofs, programs and channels it was sent.
    received: Arc<AtomicUsize>,
    /// Becomes 1 when a connection has ended.
    ended: Arc<AtomicUsize>,
    key: PublicKey,
}

impl Evil {
    /// One that follows the protocol but for its trick.
    async fn start(trick: Trick) -> Evil {
        Evil::named(trick, "SSH-2.0-evil").await
    }

    async fn named(trick: Trick, id: &'static str) -> Evil {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let key =
            PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519).unwrap();
        let evil = Evil::around(&listener, key.public_key().clone());
        let config = Arc::new(Config {
            server_id: SshId::Standard(id.into()),
            keys: vec![key],
            auth_rejection_time: Duration::ZERO,
            ..Config::default()
        });
        let (received, ended) = (Arc::clone(&evil.received), Arc::clone(&evil.ended));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let client = Served {
                    trick,
                    received: Arc::clone(&received),
                    ended: Arc::clone(&ended),
                };
                let config = Arc::clone(&config);
                tokio::spawn(async move {
                    if let Ok(session) = russh::server::run_stream(config, stream, client).await {
                        let _ = session.await;
                    }
                });
            }
        });
        evil
    }

    /// One that does as it likes with the bare connection.
    async fn raw<F, T>(serve: F) -> Evil
    where
        F: Fn(TcpStream) -> T + Send + 'static,
        T: Future<Output = TcpStream> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let key =
            PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519).unwrap();
        let evil = Evil::around(&listener, key.public_key().clone());
        let ended = Arc::clone(&evil.ended);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let serving = serve(stream);
                let ended = Arc::clone(&ended);
                tokio::spawn(async move {
                    let mut stream = serving.await;
                    // Until the client hangs up.
                    let mut bytes = [0; 1024];
                    while stream.read(&mut bytes).await.is_ok_and(|n| n > 0) {}
                    ended.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        evil
    }

    fn around(listener: &TcpListener, key: PublicKey) -> Evil {
        let evil = Evil {
            folder: tempfile::tempdir().unwrap(),
            address: listener.local_addr().unwrap(),
            received: Arc::default(),
            ended: Arc::default(),
            key,
        };
        keygen(&evil.path("client"), "ed25519", "");
        evil.know(&evil.key.to_openssh().unwrap());
        evil
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn know(&self, public: &str) {
        let name = format!("[127.0.0.1]:{}", self.address.port());
        std::fs::write(self.path("known_hosts"), format!("{name} {public}\n")).unwrap();
    }

    fn target(&self) -> Target {
        Target {
            name: "evil".into(),
            address: Some("127.0.0.1".into()),
            port: Some(self.address.port()),
            user: Some("me".into()),
            identities: vec![self.path("client")],
            known_hosts: vec![self.path("known_hosts")],
            ..Target::default()
        }
    }

    /// Waits until the client has let go of its connection.
    async fn is_let_go(&self) {
        for _ in 0..3000 {
            if self.ended.load(Ordering::SeqCst) > 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the connection was never let go");
    }

    fn received(&self) -> usize {
        self.received.load(Ordering::SeqCst)
    }
}

const SHORT: Duration = Duration::from_millis(1200);

/// Cuts short the one phase in which the server is expected to stall, and no other: a busy
/// machine must not be taken for a hostile one.
fn hurried(shorten: impl Fn(&mut Timeouts)) -> SshReach {
    let mut options = options();
    shorten(&mut options.timeouts);
    SshReach::new(options)
}

struct Served {
    trick: Trick,
    received: Arc<AtomicUsize>,
    ended: Arc<AtomicUsize>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.ended.fetch_add(1, Ordering::SeqCst);
    }
}

impl Handler for Served {
    type Error = russh::Error;

    async fn auth_publickey_offered(
        &mut self,
        _user: &str,
        _offer: russh::server::PublicKeyOffer<'_>,
    ) -> Result<Auth, russh::Error> {
        self.received.fetch_add(1, Ordering::SeqCst);
        match self.trick {
            Trick::StallInLogin => pending().await,
            Trick::LoginDisconnects => Err(russh::Error::Disconnect),
            _ => Ok(Auth::Accept),
        }
    }

    async fn auth_publickey(
        &mut self,
        _user: &str,
        _key: russh::server::VerifiedPublicKey<'_>,
    ) -> Result<Auth, russh::Error> {
        Ok(Auth::Accept)
    }

    async fn authentication_banner(&mut self) -> Result<Option<String>, russh::Error> {
        Ok((self.trick == Trick::BannerOfAMegabyte).then(|| "\u{1b}[2Jwelcome ".repeat(10_000)))
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        self.received.fetch_add(1, Ordering::SeqCst);
        match self.trick {
            Trick::ChannelNeverOpened => std::mem::forget(reply),
            Trick::ChannelRefused => {
                reply
                    .reject(russh::ChannelOpenFailure::ResourceShortage)
                    .await
            }
            Trick::OpensChannels => {
                for _ in 0..200 {
                    session.channel_open_agent()?;
                    session.channel_open_x11("evil", 1)?;
                }
                reply.accept().await;
            }
            _ => reply.accept().await,
        }
        // Kept open on this side whatever happens.
        std::mem::forget(channel);
        Ok(())
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        _command: &[u8],
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        self.received.fetch_add(1, Ordering::SeqCst);
        match self.trick {
            Trick::ExecNeverAnswered => return Ok(()),
            Trick::ExecRefused => return session.channel_failure(channel),
            Trick::ClosesAtOnce => {
                session.channel_success(channel)?;
                return session.close(channel);
            }
            _ => session.channel_success(channel)?,
        }
        if self.trick == Trick::NoiseForever {
            let handle = session.handle();
            tokio::spawn(
                async move { while handle.data(channel, vec![b'n'; 30_000]).await.is_ok() {} },
            );
        }
        Ok(())
    }

    async fn data(
        &mut self,
        channel: ChannelId,
        data: &[u8],
        session: &mut Session,
    ) -> Result<(), russh::Error> {
        if matches!(
            self.trick,
            Trick::ExecNeverAnswered | Trick::NoiseForever | Trick::ClosesAtOnce
        ) {
            return Ok(());
        }
        // A host can always say the ready line: it sees the program.
        let text = String::from_utf8_lossy(data).into_owned();
        let Some(line) = text.lines().find_map(|l| l.strip_prefix("echo READY-")) else {
            return Ok(());
        };
        let ready = format!("READY-{line}\n");
        let (handle, trick) = (session.handle(), self.trick);
        tokio::spawn(async move {
            play(&handle, channel, trick, &ready).await;
        });
        Ok(())
    }
}

/// What comes in the place of a program's output.
async fn play(handle: &Handle, channel: ChannelId, trick: Trick, ready: &str) -> Option<()> {
    let say = |text: Vec<u8>| async { handle.data(channel, text).await.ok() };
    say(ready.into()).await?;
    match trick {
        Trick::OutputForever => loop {
            say(vec![b'o'; 30_000]).await?;
        },
        Trick::ErrorsForever => loop {
            let errors = handle.extended_data(channel, 1, vec![b'e'; 30_000]);
            errors.await.ok()?;
        },
        Trick::ErrorsThenExit => {
            for _ in 0..100 {
                let errors = handle.extended_data(channel, 1, vec![b'e'; 30_000]);
                errors.await.ok()?;
            }
            handle.exit_status_request(channel, 5).await.ok()?;
            handle.close(channel).await.ok()
        }
        Trick::OutputStalls => say(b"half a fra".to_vec()).await,
        Trick::VanishesInTheMiddle => {
            say(b"half".to_vec()).await?;
            let reason = Disconnect::ByApplication;
            handle
                .disconnect(reason, String::new(), String::new())
                .await
                .ok()
        }
        Trick::DisconnectsInTheMiddle => {
            say(b"half".to_vec()).await?;
            let text = format!("\u{1b}]0;evil\u{7}{}", "bye ".repeat(5000));
            let reason = Disconnect::ByApplication;
            handle.disconnect(reason, text, String::new()).await.ok()
        }
        Trick::ForgedReady => {
            say(format!("{ready}{ready}out\n").into_bytes()).await?;
            handle.exit_status_request(channel, 0).await.ok()?;
            handle.close(channel).await.ok()
        }
        Trick::ExitSignal => {
            let signal = Sig::Custom("\u{1b}[31mEVIL".into());
            let said = handle.exit_signal_request(channel, signal, false, "no".into(), "en".into());
            said.await.ok()?;
            handle.close(channel).await.ok()
        }
        _ => {
            say(b"well\n".to_vec()).await?;
            handle.exit_status_request(channel, 0).await.ok()?;
            handle.close(channel).await.ok()
        }
    }
}

#[tokio::test]
async fn a_server_without_a_trick_serves() {
    // The tests below mean something only if this server can be used at all.
    let evil = Evil::start(Trick::None).await;
    let mut session = reach().connect(&evil.target()).await.unwrap();
    let (result, out) = run(&mut session, "x\n", LONG).await;
    assert_eq!((result.unwrap().status, out.as_str()), (Some(0), "well\n"));
    let kex = session.facts().key_exchange.clone().unwrap();
    assert_eq!(kex, "mlkem768x25519-sha256");
    assert_eq!(session.facts().post_quantum, Some(true));
    session.close().await;
    evil.is_let_go().await;
}

#[tokio::test]
async fn a_server_that_says_nothing_or_nonsense_before_the_key_exchange() {
    async fn send(mut stream: TcpStream, text: Vec<u8>) -> TcpStream {
        let _ = stream.write_all(&text).await;
        stream
    }
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("silence", Vec::new()),
        ("a line without an end", vec![b'a'; 1 << 20]),
        (
            "a megabyte of lines",
            b"a line of no use\r\n".repeat(60_000),
        ),
        ("an old protocol", b"SSH-1.5-old\r\n".to_vec()),
        (
            "another protocol",
            b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
        ),
        ("silence after the first line", b"SSH-2.0-x\r\n".to_vec()),
        (
            "zeros",
            [b"SSH-2.0-x\r\n".to_vec(), vec![0; 100_000]].concat(),
        ),
        (
            "a packet of 4 GB",
            [b"SSH-2.0-x\r\n".to_vec(), vec![0xff; 5000]].concat(),
        ),
        (
            "an empty key exchange",
            b"SSH-2.0-x\r\n\0\0\0\x0c\x0a\x14\0\0\0\0\0\0\0\0\0\0".to_vec(),
        ),
        (
            "endless packets to be ignored",
            [
                b"SSH-2.0-x\r\n".to_vec(),
                b"\0\0\0\x0c\x06\x02\0\0\0\x00\0\0\0\0\0\0".repeat(50_000),
            ]
            .concat(),
        ),
    ];
    for (what, text) in cases {
        let evil = Evil::raw(move |stream| send(stream, text.clone())).await;
        let in_a_hurry = hurried(|t| t.key_exchange = SHORT);
        let error = refused(&in_a_hurry, &evil.target()).await;
        assert_eq!(error.phase, Phase::KeyExchange, "{what}: {error}");
        // Given up means given up: the socket is closed, not left to a task nobody waits for.
        evil.is_let_go().await;
    }
}

#[tokio::test]
async fn a_server_that_drips() {
    let evil = Evil::raw(|mut stream| async move {
        for byte in b"SSH-2.0-slow".iter().cycle() {
            if stream.write_all(&[*byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        stream
    })
    .await;
    let in_a_hurry = hurried(|t| t.key_exchange = SHORT);
    let error = refused(&in_a_hurry, &evil.target()).await;
    assert_eq!(error.phase, Phase::KeyExchange);
    assert!(error.reason.contains("in time"), "{error}");
    evil.is_let_go().await;
}

#[tokio::test]
async fn escapes_in_a_servers_name_are_defused() {
    let evil = Evil::named(Trick::None, "SSH-2.0-\u{1b}]0;evil\u{7}\u{1b}[2J").await;
    let session = reach().connect(&evil.target()).await.unwrap();
    let server = session.facts().server.clone().unwrap();
    assert!(!server.contains('\u{1b}'), "{server:?}");
    assert!(server.starts_with("SSH-2.0-·"), "{server:?}");
    session.close().await;
}

#[tokio::test]
async fn a_wrong_key_is_refused_and_nothing_is_sent() {
    for (line, expected) in [
        ("other", "another key"),
        ("revoked", "revoked"),
        ("none", "not known"),
    ] {
        let evil = Evil::start(Trick::None).await;
        let own = evil.key.to_openssh().unwrap();
        keygen(&evil.path("other"), "ed25519", "");
        match line {
            "other" => evil.know(&std::fs::read_to_string(evil.path("other.pub")).unwrap()),
            // A line that trusts it does not help against one that revokes it.
            "revoked" => {
                evil.know(&own);
                let trusted = std::fs::read_to_string(evil.path("known_hosts")).unwrap();
                let all = format!("{trusted}@revoked * {own}\n");
                std::fs::write(evil.path("known_hosts"), all).unwrap();
            }
            _ => std::fs::write(evil.path("known_hosts"), "").unwrap(),
        }
        let error = refused(&reach(), &evil.target()).await;
        assert_eq!(error.phase, Phase::HostKey, "{error}");
        assert!(error.reason.contains(expected), "{error}");
        assert!(error.hint.is_some());
        evil.is_let_go().await;
        assert_eq!(evil.received(), 0, "{line}: something was sent");
    }
}

#[tokio::test]
async fn trouble_in_the_log_in() {
    let evil = Evil::start(Trick::StallInLogin).await;
    let error = refused(&hurried(|t| t.login = SHORT), &evil.target()).await;
    assert_eq!(error.phase, Phase::Login);
    assert!(error.reason.contains("in time"), "{error}");
    let evil = Evil::start(Trick::LoginDisconnects).await;
    let error = refused(&reach(), &evil.target()).await;
    assert_eq!(error.phase, Phase::Login);
    assert!(
        error.reason.contains("lost"),
        "a refusal would be another thing: {error}"
    );
    let evil = Evil::start(Trick::BannerOfAMegabyte).await;
    let session = reach().connect(&evil.target()).await.unwrap();
    session.close().await;
}

/// Connects, runs, and gives back how that failed.
async fn run_fails(trick: Trick, limit: Duration) -> (seawall::reach::ReachError, usize) {
    let evil = Evil::start(trick).await;
    let stalls = matches!(trick, Trick::ChannelNeverOpened | Trick::ExecNeverAnswered);
    let reach = hurried(|t| {
        if stalls {
            t.channel_open = SHORT;
        }
    });
    let mut session = reach.connect(&evil.target()).await.unwrap();
    let mut seen = 0;
    let result = session
        .run("x\n", limit, &mut |bytes| {
            seen += bytes.len();
            ControlFlow::Continue(())
        })
        .await;
    let error = result.expect_err(&format!("{trick:?} should have failed"));
    session.close().await;
    evil.is_let_go().await;
    (error, seen)
}

#[tokio::test]
async fn trouble_before_the_program_begins() {
    for (trick, expected) in [
        (Trick::ChannelNeverOpened, "did not open a channel"),
        (Trick::ChannelRefused, "does not open a channel"),
        (Trick::ExecNeverAnswered, "did not answer"),
        (Trick::ExecRefused, "refuses to run"),
        (Trick::NoiseForever, "before sh began"),
        (Trick::ClosesAtOnce, "sh did not start"),
    ] {
        let (error, seen) = run_fails(trick, LONG).await;
        assert_eq!(error.phase, Phase::Start, "{trick:?}: {error}");
        assert!(error.reason.contains(expected), "{trick:?}: {error}");
        assert_eq!(seen, 0);
    }
}

#[tokio::test]
async fn trouble_while_the_program_runs() {
    let short = Duration::from_millis(1500);
    for (trick, expected) in [
        (Trick::OutputStalls, "within its time"),
        (Trick::OutputForever, "within its time"),
        (Trick::ErrorsForever, "within its time"),
        (Trick::VanishesInTheMiddle, "lost"),
        (
            Trick::DisconnectsInTheMiddle,
            "lost: the server said: ·]0;evil·bye",
        ),
    ] {
        let (error, _) = run_fails(trick, short).await;
        assert_eq!(error.phase, Phase::Run, "{trick:?}: {error}");
        assert!(error.reason.contains(expected), "{trick:?}: {error}");
        assert!(error.reason.len() < 400, "{}", error.reason.len());
    }
}

#[tokio::test]
async fn endless_output_ends_when_it_is_no_longer_wanted() {
    let evil = Evil::start(Trick::OutputForever).await;
    let mut session = reach().connect(&evil.target()).await.unwrap();
    let mut seen = 0;
    let result = session
        .run("x\n", LONG, &mut |bytes| {
            seen += bytes.len();
            if seen > 5_000_000 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })
        .await;
    assert_eq!(result.unwrap().status, None);
    assert!(seen < 6_000_000);
    session.close().await;
    evil.is_let_go().await;
}

#[tokio::test]
async fn standard_error_is_kept_up_to_its_bound_and_read_to_its_end() {
    let evil = Evil::start(Trick::ErrorsThenExit).await;
    let mut session = reach().connect(&evil.target()).await.unwrap();
    let (result, out) = run(&mut session, "x\n", LONG).await;
    let ended = result.unwrap();
    assert_eq!(ended.status, Some(5));
    assert_eq!(ended.stderr.len(), 16 << 10);
    assert_eq!(out, "");
    session.close().await;
}

#[tokio::test]
async fn a_repeated_ready_line_is_output_like_any_other() {
    let evil = Evil::start(Trick::ForgedReady).await;
    let mut session = reach().connect(&evil.target()).await.unwrap();
    let (result, out) = run(&mut session, "x\n", LONG).await;
    assert_eq!(result.unwrap().status, Some(0));
    assert!(out.starts_with("READY-") && out.ends_with("out\n"), "{out}");
    session.close().await;
}

#[tokio::test]
async fn a_signals_name_is_defused() {
    let evil = Evil::start(Trick::ExitSignal).await;
    let mut session = reach().connect(&evil.target()).await.unwrap();
    let (result, _) = run(&mut session, "x\n", LONG).await;
    assert_eq!(result.unwrap().signal.as_deref(), Some("·[31mEVIL"));
    session.close().await;
}

#[tokio::test]
async fn channels_that_the_server_opens_are_refused() {
    let evil = Evil::start(Trick::OpensChannels).await;
    let mut session = reach().connect(&evil.target()).await.unwrap();
    let (result, out) = run(&mut session, "x\n", LONG).await;
    assert_eq!((result.unwrap().status, out.as_str()), (Some(0), "well\n"));
    session.close().await;
}

#[tokio::test]
async fn a_connection_that_is_dropped_without_a_word_is_let_go() {
    let evil = Evil::start(Trick::OutputStalls).await;
    let session = reach().connect(&evil.target()).await.unwrap();
    drop(session);
    evil.is_let_go().await;
}
