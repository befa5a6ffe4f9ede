//! Against the machine's own OpenSSH.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use seawall::reach::{ConfigSource, Phase, Reach, SshOptions, SshReach};

use super::support::{
    Answers, LONG, Sshd, asking, greets, keygen, me, options, reach, refused, run, tool,
};

#[tokio::test]
async fn a_key_logs_in_and_the_facts_say_how() {
    let sshd = Sshd::start("");
    let reach = reach();
    let mut session = reach.connect(&sshd.target()).await.unwrap();
    let (result, out) = run(&mut session, "echo out; echo err >&2; exit 3\n", LONG).await;
    let ended = result.unwrap();
    assert_eq!(out, "out\n");
    assert_eq!(ended.status, Some(3));
    assert_eq!(ended.stderr, b"err\n");
    let facts = session.facts().clone();
    assert_eq!(facts.via, "ssh");
    assert_eq!(facts.peer, sshd.address.to_string());
    assert!(facts.server.unwrap().starts_with("SSH-2.0-OpenSSH"));
    assert!(facts.key_exchange.is_some() && facts.post_quantum.is_some());
    assert!(facts.trusted_by.unwrap().ends_with("known_hosts:1"));
    assert!(facts.login.unwrap().starts_with("publickey "));
    session.close().await;
}

#[tokio::test]
async fn each_connect_is_a_connection_of_its_own() {
    let sshd = Sshd::start("");
    let reach = reach();
    for _ in 0..3 {
        greets(&reach, &sshd.target()).await;
    }
    assert_eq!(sshd.connections(), 3);
}

#[tokio::test]
async fn every_kind_of_key_logs_in() {
    let sshd = Sshd::start("");
    for kind in ["ecdsa", "rsa"] {
        let key = sshd.path(kind);
        keygen(&key, kind, "");
        std::fs::copy(sshd.path(&format!("{kind}.pub")), sshd.path("authorized")).unwrap();
        let mut target = sshd.target();
        target.identities = vec![key];
        let login = greets(&reach(), &target).await;
        assert!(login.starts_with("publickey "), "{login}");
    }
}

#[tokio::test]
async fn an_encrypted_key_asks_for_its_passphrase_once() {
    let sshd = Sshd::start("");
    let key = sshd.path("locked");
    keygen(&key, "ed25519", "open sesame");
    std::fs::copy(sshd.path("locked.pub"), sshd.path("authorized")).unwrap();
    let mut target = sshd.target();
    target.identities = vec![key];
    let answers = Arc::new(Answers {
        passphrase: Some("open sesame"),
        ..Answers::default()
    });
    let reach = asking(&answers);
    tokio::join!(greets(&reach, &target), greets(&reach, &target));
    greets(&reach, &target).await;
    assert_eq!(answers.asked.load(Ordering::SeqCst), 1);
    // Nobody to ask, or a wrong answer: an error, no hang.
    let error = refused(&super::support::reach(), &target).await;
    assert_eq!(error.phase, Phase::Login);
    let wrong = Arc::new(Answers {
        passphrase: Some("wrong"),
        ..Answers::default()
    });
    assert_eq!(refused(&asking(&wrong), &target).await.phase, Phase::Login);
    assert_eq!(wrong.asked.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_key_that_is_not_wanted_or_not_there_is_named() {
    let sshd = Sshd::start("");
    keygen(&sshd.path("other"), "ed25519", "");
    let mut target = sshd.target();
    target.identities = vec![sshd.path("other"), sshd.path("missing")];
    let error = refused(&reach(), &target).await;
    assert_eq!(error.phase, Phase::Login);
    assert!(error.reason.contains("/other"), "{}", error.reason);
    assert!(error.reason.contains("missing: no such file"));
    assert_eq!(error.hint.as_deref(), Some("the server takes: publickey"));
    // The right one among wrong ones is found.
    target.identities.push(sshd.path("client"));
    assert!(greets(&reach(), &target).await.ends_with("/client"));
}

#[tokio::test]
async fn a_server_that_has_seen_too_many_keys_is_a_lost_connection() {
    let sshd = Sshd::start("MaxAuthTries 1");
    let mut target = sshd.target();
    for name in ["a", "b", "c"] {
        keygen(&sshd.path(name), "ed25519", "");
        target.identities.insert(0, sshd.path(name));
    }
    let error = refused(&reach(), &target).await;
    assert_eq!(error.phase, Phase::Login);
    assert!(
        error.reason.contains("connection was lost"),
        "{}",
        error.reason
    );
    assert!(error.hint.is_some());
}

#[tokio::test]
async fn two_keys_are_given_where_two_are_wanted() {
    let sshd = Sshd::start("AuthenticationMethods publickey,publickey");
    keygen(&sshd.path("second"), "rsa", "");
    let both = ["client.pub", "second.pub"]
        .map(|f| std::fs::read_to_string(sshd.path(f)).unwrap())
        .concat();
    std::fs::write(sshd.path("authorized"), both).unwrap();
    let mut target = sshd.target();
    let error = refused(&reach(), &target).await;
    assert!(error.reason.contains("is not enough"), "{}", error.reason);
    target.identities.push(sshd.path("second"));
    let login = greets(&reach(), &target).await;
    assert!(login.contains(", then "), "{login}");
}

/// Signs `name`.pub with `ca`; the certificate lies beside the key.
fn sign(sshd: &Sshd, ca: &str, name: &str, more: &[&str]) {
    let ca = sshd.path(ca);
    let public = sshd.path(&format!("{name}.pub"));
    let mut args = vec!["-q", "-s", ca.to_str().unwrap(), "-I", "test id"];
    args.extend_from_slice(more);
    args.push(public.to_str().unwrap());
    tool("ssh-keygen", &args);
}

#[tokio::test]
async fn a_user_certificate_logs_in_whatever_its_kind() {
    let sshd = Sshd::start("TrustedUserCAKeys {}/ca.pub");
    keygen(&sshd.path("ca"), "ed25519", "");
    std::fs::write(sshd.path("authorized"), "").unwrap();
    for kind in ["ed25519", "ecdsa", "rsa"] {
        keygen(&sshd.path(kind), kind, "");
        sign(&sshd, "ca", kind, &["-n", &me()]);
        let mut target = sshd.target();
        target.identities = vec![sshd.path(kind)];
        let login = greets(&reach(), &target).await;
        assert!(login.starts_with("certificate "), "{login}");
    }
}

/// An agent that ends with the test.
struct SshAgent(Child);

impl SshAgent {
    fn start(socket: &Path) -> SshAgent {
        let child = Command::new("ssh-agent")
            .args(["-D", "-a"])
            .arg(socket)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        for _ in 0..1000 {
            if socket.exists() {
                break;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        SshAgent(child)
    }

    fn add(socket: &Path, key: &Path) {
        let status = Command::new("ssh-add")
            .arg("-q")
            .arg(key)
            .env("SSH_AUTH_SOCK", socket)
            .stdin(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success());
    }
}

impl Drop for SshAgent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn an_agent_signs_with_keys_and_certificates_of_its_own() {
    let sshd = Sshd::start("TrustedUserCAKeys {}/ca.pub");
    keygen(&sshd.path("ca"), "ed25519", "");
    let socket = sshd.path("agent.sock");
    let _agent = SshAgent::start(&socket);
    let with_agent = || {
        SshReach::new(SshOptions {
            agent: Some(socket.clone()),
            ..options()
        })
    };
    // A key that the configuration does not name, from the agent alone.
    SshAgent::add(&socket, &sshd.path("client"));
    let mut target = sshd.target();
    target.identities.clear();
    let login = greets(&with_agent(), &target).await;
    assert_eq!(login, "publickey test key (agent)");
    // A public key file names a key that the agent holds.
    std::fs::remove_file(sshd.path("client")).unwrap();
    target.identities = vec![sshd.path("client.pub")];
    assert_eq!(
        greets(&with_agent(), &target).await,
        "publickey test key (agent)"
    );
    // A certificate that the agent holds; the key alone would not do.
    std::fs::write(sshd.path("authorized"), "").unwrap();
    keygen(&sshd.path("signed"), "rsa", "");
    sign(&sshd, "ca", "signed", &["-n", &me()]);
    SshAgent::add(&socket, &sshd.path("signed"));
    target.identities.clear();
    let login = greets(&with_agent(), &target).await;
    assert!(
        login.starts_with("certificate ") && login.ends_with("(agent)"),
        "{login}"
    );
    // A certificate file for a key that only the agent can open.
    std::fs::remove_file(sshd.path("signed")).unwrap();
    target.identities = vec![sshd.path("signed")];
    let login = greets(&with_agent(), &target).await;
    assert!(
        login.starts_with("certificate ") && login.ends_with("(agent)"),
        "{login}"
    );
}

#[tokio::test]
async fn a_host_certificate_is_trusted_by_its_authority_alone() {
    let sshd = Sshd::start("HostCertificate {}/host_ed25519-cert.pub");
    keygen(&sshd.path("ca"), "ed25519", "");
    sign(
        &sshd,
        "ca",
        "host_ed25519",
        &["-h", "-n", "127.0.0.1,other"],
    );
    let ca = std::fs::read_to_string(sshd.path("ca.pub")).unwrap();
    let known = sshd.path("known_hosts");
    std::fs::write(&known, format!("@cert-authority {} {ca}", sshd.name())).unwrap();
    let session = reach().connect(&sshd.target()).await.unwrap();
    let trusted = session.facts().trusted_by.clone().unwrap();
    assert!(trusted.starts_with("certificate test id by "), "{trusted}");
    session.close().await;
    // OpenSSH takes a pattern for a name there.
    sign(&sshd, "ca", "host_ed25519", &["-h", "-n", "127.0.0.?"]);
    greets(&reach(), &sshd.target()).await;
    // Signed for another name.
    sign(&sshd, "ca", "host_ed25519", &["-h", "-n", "elsewhere"]);
    let error = refused(&reach(), &sshd.target()).await;
    assert_eq!(error.phase, Phase::HostKey);
    assert!(
        error.reason.contains("not for the name"),
        "{}",
        error.reason
    );
    // Out of its time.
    sign(
        &sshd,
        "ca",
        "host_ed25519",
        &["-h", "-n", "127.0.0.1", "-V", "20000101:20010101"],
    );
    let error = refused(&reach(), &sshd.target()).await;
    assert!(error.reason.contains("expired"), "{}", error.reason);
    // A certificate for a user.
    sign(&sshd, "ca", "host_ed25519", &["-n", "127.0.0.1"]);
    assert_eq!(
        refused(&reach(), &sshd.target()).await.phase,
        Phase::HostKey
    );
    // The authority was revoked.
    sign(&sshd, "ca", "host_ed25519", &["-h", "-n", "127.0.0.1"]);
    greets(&reach(), &sshd.target()).await;
    let name = sshd.name();
    std::fs::write(
        &known,
        format!("@cert-authority {name} {ca}@revoked * {ca}"),
    )
    .unwrap();
    let error = refused(&reach(), &sshd.target()).await;
    assert!(error.reason.contains("revoked"), "{}", error.reason);
}

#[tokio::test]
async fn a_new_host_is_refused_unless_it_may_be_added() {
    let sshd = Sshd::start("");
    let known = sshd.path("new/known_hosts");
    let mut target = sshd.target();
    target.known_hosts = vec![known.clone()];
    let error = refused(&reach(), &target).await;
    assert_eq!(error.phase, Phase::HostKey);
    assert!(error.reason.contains("not known"), "{}", error.reason);
    let accepting = SshReach::new(SshOptions {
        accept_new: true,
        ..options()
    });
    greets(&accepting, &target).await;
    let mode = std::fs::metadata(&known).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // OpenSSH finds it there, and so do we, strictly.
    let found = tool(
        "ssh-keygen",
        &["-F", &sshd.name(), "-f", known.to_str().unwrap()],
    );
    assert!(found.contains("ssh-ed25519"));
    greets(&reach(), &target).await;
    // A key that differs from the known one is refused all the same.
    keygen(&sshd.path("impostor"), "ed25519", "");
    sshd.know(&std::fs::read_to_string(sshd.path("impostor.pub")).unwrap());
    let error = refused(&accepting, &sshd.target()).await;
    assert_eq!(error.phase, Phase::HostKey);
    assert!(error.reason.contains("known_hosts:1"), "{}", error.reason);
    assert!(error.hint.unwrap().contains("ssh-keygen -R '[127.0.0.1]:"));
}

#[tokio::test]
async fn the_users_own_configuration_counts() {
    let sshd = Sshd::start("");
    let port = sshd.address.port();
    let config = sshd.path("ssh_config");
    let dir = sshd.folder.path().display().to_string();
    std::fs::write(
        &config,
        format!(
            "Host alias\n HostName 127.0.0.1\n Port {port}\n IdentityFile {dir}/client\n\
             UserKnownHostsFile {dir}/known_hosts\n\
             Host byproxy\n HostName 127.0.0.1\n Port {port}\n IdentityFile {dir}/client\n\
             UserKnownHostsFile {dir}/known_hosts\n\
             ProxyCommand /usr/sbin/sshd -i -f {dir}/config\n"
        ),
    )
    .unwrap();
    let reach = SshReach::new(SshOptions {
        config: ConfigSource::File(config),
        ..options()
    });
    for name in ["alias", "byproxy"] {
        let target = seawall::reach::Target {
            name: name.into(),
            ..Default::default()
        };
        let login = greets(&reach, &target).await;
        assert!(login.ends_with("/client"), "{login}");
    }
    assert_eq!(sshd.connections(), 1, "the other went through the command");
}

#[tokio::test]
async fn a_list_of_revoked_keys_in_the_configuration_counts() {
    let sshd = Sshd::start("");
    let list = sshd.path("revoked");
    let (port, dir) = (sshd.address.port(), sshd.folder.path().display());
    let config = sshd.path("ssh_config");
    let text = format!(
        "Host alias\n HostName 127.0.0.1\n Port {port}\n IdentityFile {dir}/client\n \
         UserKnownHostsFile {dir}/known_hosts\n RevokedHostKeys {dir}/revoked\n"
    );
    std::fs::write(&config, text).unwrap();
    let reach = SshReach::new(SshOptions {
        config: ConfigSource::File(config),
        ..options()
    });
    let target = seawall::reach::Target {
        name: "alias".into(),
        ..Default::default()
    };
    let host = sshd.path("host_ed25519.pub");
    let other = sshd.path("client.pub");
    let krl = |of: &Path| {
        let (list, of) = (list.to_str().unwrap(), of.to_str().unwrap());
        tool("ssh-keygen", &["-q", "-k", "-f", list, of]);
    };
    std::fs::copy(&other, &list).unwrap();
    greets(&reach, &target).await;
    krl(&other);
    greets(&reach, &target).await;
    for step in ["text", "binary", "missing"] {
        match step {
            "text" => drop(std::fs::copy(&host, &list).unwrap()),
            "binary" => krl(&host),
            _ => std::fs::remove_file(&list).unwrap(),
        }
        let error = refused(&reach, &target).await;
        assert_eq!(error.phase, Phase::HostKey, "{step}");
        assert!(error.reason.contains("revoked"), "{step}: {error}");
    }
}

#[tokio::test]
async fn a_jump_host_is_gone_through_and_checked_like_any_other() {
    let sshd = Sshd::start("");
    let jump = Sshd::start("");
    let mut target = sshd.target();
    target.jump = vec![format!("{}@127.0.0.1:{}", me(), jump.address.port())];
    let both = |sshds: [&Sshd; 2]| {
        sshds
            .map(|s| std::fs::read_to_string(s.path("known_hosts")).unwrap())
            .concat()
    };
    std::fs::copy(sshd.path("authorized"), jump.path("authorized")).unwrap();
    // The jump host's key is not known: refused, whatever is known of the target.
    let error = refused(&reach(), &target).await;
    assert_eq!(error.phase, Phase::HostKey);
    assert!(
        error.reason.starts_with("jump host 127.0.0.1:"),
        "{}",
        error.reason
    );
    let known = both([&sshd, &jump]);
    std::fs::write(sshd.path("known_hosts"), &known).unwrap();
    let mut session = reach().connect(&target).await.unwrap();
    let label = format!("127.0.0.1:{}", jump.address.port());
    assert_eq!(session.facts().jumps, [label]);
    let (result, out) = run(&mut session, "echo through\n", LONG).await;
    assert_eq!(
        (result.unwrap().status, out.as_str()),
        (Some(0), "through\n")
    );
    session.close().await;
    // The target's key is checked through the jump host too.
    std::fs::copy(jump.path("known_hosts"), sshd.path("known_hosts")).unwrap();
    let error = refused(&reach(), &target).await;
    assert_eq!(error.phase, Phase::HostKey);
    // A target that the jump host cannot reach.
    std::fs::write(sshd.path("known_hosts"), &known).unwrap();
    target.port = Some(1);
    let error = refused(&reach(), &target).await;
    assert_eq!(error.phase, Phase::Connect);
}

#[tokio::test]
async fn nobody_listens_there() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let sshd = Sshd::start("");
    let mut target = sshd.target();
    target.port = Some(port);
    let error = refused(&reach(), &target).await;
    assert_eq!(error.phase, Phase::Connect);
    assert!(error.reason.contains("refused"), "{error}");
    target.address = Some("no-such-host.invalid".into());
    assert_eq!(refused(&reach(), &target).await.phase, Phase::Resolve);
}
