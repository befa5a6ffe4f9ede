//! Programs on the machine's own OpenSSH: large ones, endless ones, noisy shells, sudo.

use std::ops::ControlFlow;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use seawall::reach::{Become, Ended, Phase, Reach, ReachError, Session, SshOptions, SshReach};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use super::support::{Answers, LONG, Sshd, asking, greets, options, reach, run, tool};

#[tokio::test]
async fn a_large_program_and_large_output_pass_each_other() {
    let sshd = Sshd::start("");
    let mut session = reach().connect(&sshd.target()).await.unwrap();
    let line = format!("echo {}\n", "x".repeat(95));
    let program = line.repeat(60_000);
    let mut seen = 0;
    let result = session
        .run(&program, LONG, &mut |bytes| {
            seen += bytes.len();
            ControlFlow::Continue(())
        })
        .await;
    assert_eq!(result.unwrap().status, Some(0));
    assert_eq!(seen, 96 * 60_000);
    session.close().await;
}

/// Runs a program as soon as sshd has a channel free: it counts one until its program has ended.
/// A channel that we did not close would never become free.
async fn run_when_free(session: &mut Box<dyn Session>) {
    for _ in 0..30 {
        let (result, out) = run(session, "echo free\n", LONG).await;
        match result {
            Ok(ended) => {
                assert_eq!((ended.status, out.as_str()), (Some(0), "free\n"));
                return;
            }
            Err(error) => assert!(error.reason.contains("does not open a channel"), "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("no channel became free");
}

/// Ends when nobody takes its output any more.
const FOREVER: &str = "while :; do echo y; sleep 0.05; done\n";

#[tokio::test]
async fn output_that_is_no_longer_wanted_ends_the_channel_and_not_the_connection() {
    let sshd = Sshd::start("MaxSessions 1");
    let mut session = reach().connect(&sshd.target()).await.unwrap();
    for _ in 0..3 {
        let mut seen = 0;
        let result = session
            .run("while :; do echo y; done\n", LONG, &mut |bytes| {
                seen += bytes.len();
                if seen > 100_000 {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            })
            .await;
        assert_eq!(result.unwrap().status, None);
        run_when_free(&mut session).await;
    }
    session.close().await;
}

#[tokio::test]
async fn a_program_that_does_not_end_is_left_and_its_channel_closed() {
    let sshd = Sshd::start("MaxSessions 1");
    let mut session = reach().connect(&sshd.target()).await.unwrap();
    let (result, _) = run(&mut session, FOREVER, Duration::from_millis(700)).await;
    let error = result.unwrap_err();
    assert_eq!(error.phase, Phase::Run, "{error}");
    run_when_free(&mut session).await;
    // A caller that gives up (its future is dropped) leaves no channel either.
    let limit = Duration::from_millis(700);
    let given_up = tokio::time::timeout(limit, run(&mut session, FOREVER, LONG)).await;
    assert!(given_up.is_err());
    run_when_free(&mut session).await;
    session.close().await;
}

#[tokio::test]
async fn a_background_process_that_holds_the_output_does_not_hold_us() {
    let sshd = Sshd::start("");
    let mut options = options();
    options.timeouts.linger = Duration::from_millis(300);
    let reach = SshReach::new(options);
    let mut session = reach.connect(&sshd.target()).await.unwrap();
    let program = "sleep 20 & echo $!; echo done\nexit 4\n";
    let (result, out) = run(&mut session, program, Duration::from_secs(15)).await;
    assert_eq!(result.unwrap().status, Some(4));
    let (pid, rest) = out.split_once('\n').unwrap();
    assert_eq!(rest, "done\n");
    session.close().await;
    tool("kill", &[pid]);
}

#[tokio::test]
async fn a_killed_program_and_a_lost_connection_are_told_apart() {
    let sshd = Sshd::start("");
    let mut session = reach().connect(&sshd.target()).await.unwrap();
    let (result, _) = run(&mut session, "kill -KILL $$\n", LONG).await;
    assert_eq!(result.unwrap().signal.as_deref(), Some("KILL"));
    // The parent of our sh is this connection's own sshd.
    let (result, out) = run(
        &mut session,
        "echo x; sleep 0.5; kill -KILL $PPID; sleep 5\n",
        LONG,
    )
    .await;
    let error = result.unwrap_err();
    assert_eq!(error.phase, Phase::Run);
    assert!(error.reason.contains("connection was lost"), "{error}");
    assert_eq!(out, "x\n");
    session.close().await;
}

/// A login shell that is full of noise, and has our own `sudo` first on its path.
pub fn shell(sshd: &Sshd, noise: &str, sudo: &str) {
    let write = |name: &str, text: String| {
        let path = sshd.path(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    std::fs::create_dir_all(sshd.path("bin")).unwrap();
    if !sudo.is_empty() {
        write("bin/sudo", format!("#!/bin/sh\n{sudo}\n"));
    }
    let dir = sshd.folder.path().display();
    write(
        "shell",
        format!(
            "#!/bin/sh\n{noise}\nPATH={dir}/bin:$PATH\nexport PATH\nexec sh -c \"$SSH_ORIGINAL_COMMAND\"\n"
        ),
    );
}

#[tokio::test]
async fn a_noisy_login_shell_is_not_taken_for_the_program() {
    let sshd = Sshd::start("ForceCommand {}/shell");
    shell(
        &sshd,
        "echo Welcome; printf 'no newline'; echo grumble >&2",
        "",
    );
    greets(&reach(), &sshd.target()).await;
}

#[tokio::test]
async fn an_account_that_may_not_run_commands_is_a_failed_start() {
    let sshd = Sshd::start("ForceCommand echo This account is not available >&2; exit 1");
    let mut session = reach().connect(&sshd.target()).await.unwrap();
    let (result, out) = run(&mut session, "echo hello\n", LONG).await;
    let error = result.unwrap_err();
    assert_eq!(error.phase, Phase::Start);
    assert!(error.reason.contains("This account is not available"));
    assert_eq!(out, "");
    session.close().await;
}

/// Behaves as sudo does with -S: prompts on standard error, reads a line, tries three times.
pub const SUDO: &str = r#"
echo "$@" >>"$(dirname "$0")/argv"
[ "$1" = -n ] && { echo 'sudo: a password is required' >&2; exit 1; }
prompt=$4; shift 5
for try in 1 2 3; do
  printf %s "$prompt" >&2
  IFS= read -r line || { echo 'sudo: no password was provided' >&2; exit 1; }
  echo "$line" >>"$(dirname "$0")/tries"
  [ "$line" = 'pa ss$w"ord' ] && exec "$@"
  echo 'Sorry, try again.' >&2
done
echo 'sudo: 3 incorrect password attempts' >&2; exit 1
"#;

const SUDO_NEVER_ASKS: &str = r#"
if [ "$1" = -n ]; then shift 2; else shift 5; fi
exec "$@"
"#;

async fn sudo_run(
    sshd: &Sshd,
    how: Become,
    password: Option<&'static str>,
    program: &str,
) -> (Result<Ended, ReachError>, String) {
    let answers = Arc::new(Answers {
        sudo: password,
        ..Answers::default()
    });
    let mut target = sshd.target();
    target.become_root = how;
    let mut session = asking(&answers).connect(&target).await.unwrap();
    let result = run(&mut session, program, LONG).await;
    session.close().await;
    result
}

#[tokio::test]
async fn sudo_takes_its_password_and_nothing_else() {
    let sshd = Sshd::start("ForceCommand {}/shell");
    shell(&sshd, "echo noise", SUDO);
    let program = "echo begin\necho end\n";
    let (result, out) = sudo_run(
        &sshd,
        Become::SudoWithPassword,
        Some("pa ss$w\"ord"),
        program,
    )
    .await;
    assert_eq!(result.unwrap().status, Some(0));
    assert_eq!(out, "begin\nend\n");
    let argv = std::fs::read_to_string(sshd.path("bin/argv")).unwrap();
    assert!(!argv.contains("pa ss"), "{argv}");
    let tries = std::fs::read_to_string(sshd.path("bin/tries")).unwrap();
    assert_eq!(tries, "pa ss$w\"ord\n");
}

#[tokio::test]
async fn a_wrong_sudo_password_is_tried_once_and_the_program_is_kept_back() {
    let sshd = Sshd::start("ForceCommand {}/shell");
    shell(&sshd, "", SUDO);
    let (result, out) = sudo_run(
        &sshd,
        Become::SudoWithPassword,
        Some("wrong"),
        "echo secret\n",
    )
    .await;
    let error = result.unwrap_err();
    assert_eq!(error.phase, Phase::Sudo);
    assert!(error.reason.contains("did not accept"), "{error}");
    assert_eq!(out, "");
    let tries = std::fs::read_to_string(sshd.path("bin/tries")).unwrap();
    assert_eq!(tries.lines().next(), Some("wrong"));
    assert!(!tries.contains("secret"), "{tries}");
}

#[tokio::test]
async fn a_sudo_that_does_not_ask_gets_the_program_and_not_the_password() {
    let sshd = Sshd::start("ForceCommand {}/shell");
    shell(&sshd, "", SUDO_NEVER_ASKS);
    // A password that would be seen if it ever ran as a command.
    let password = Some("echo leaked");
    let (result, out) = sudo_run(&sshd, Become::SudoWithPassword, password, "echo ran\n").await;
    assert_eq!((result.unwrap().status, out.as_str()), (Some(0), "ran\n"));
    let (result, out) = sudo_run(&sshd, Become::Sudo, None, "echo ran\n").await;
    assert_eq!((result.unwrap().status, out.as_str()), (Some(0), "ran\n"));
}

#[tokio::test]
async fn a_sudo_that_refuses_says_why() {
    let sshd = Sshd::start("ForceCommand {}/shell");
    for (script, expected) in [
        (SUDO, "asks for a password"),
        (
            "echo 'x is not in the sudoers file.' >&2; exit 1",
            "does not allow",
        ),
        (
            "echo 'sudo: sorry, you must have a tty' >&2; exit 1",
            "terminal",
        ),
        ("exec no-such-program-at-all", "not installed"),
    ] {
        shell(&sshd, "echo noise", script);
        let (result, out) = sudo_run(&sshd, Become::Sudo, None, "echo ran\n").await;
        let error = result.unwrap_err();
        assert_eq!(error.phase, Phase::Sudo);
        assert!(error.reason.contains(expected), "{error}");
        assert_eq!(out, "");
    }
    let (result, _) = sudo_run(&sshd, Become::SudoWithPassword, None, "echo ran\n").await;
    assert!(result.unwrap_err().reason.contains("no password"));
}

/// Carries bytes between a client and a server until it is told to hold them back.
async fn carrier(to: std::net::SocketAddr) -> (u16, Arc<AtomicBool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let silent = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&silent);
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let far = TcpStream::connect(to).await.unwrap();
            let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
            tokio::spawn(carry(near_in, far_out, Arc::clone(&flag)));
            tokio::spawn(carry(far_in, near_out, Arc::clone(&flag)));
        }
    });
    (port, silent)
}

async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, silent: Arc<AtomicBool>) {
    let mut bytes = [0; 16 << 10];
    while let Ok(n) = from.read(&mut bytes).await {
        if silent.load(Ordering::SeqCst) {
            // The connection stays open, as it does when a host loses its power.
            std::future::pending::<()>().await;
        }
        if n == 0 || to.write_all(&bytes[..n]).await.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn a_host_that_falls_silent_is_given_up_long_before_the_program_has_to_end() {
    let sshd = Sshd::start("");
    let (port, silent) = carrier(sshd.address).await;
    let mut target = sshd.target();
    target.port = Some(port);
    let known = std::fs::read_to_string(sshd.path("known_hosts")).unwrap();
    let known = known.replace(&sshd.address.port().to_string(), &port.to_string());
    std::fs::write(sshd.path("known_hosts"), known).unwrap();
    let reach = SshReach::new(SshOptions {
        keepalive: Duration::from_millis(200),
        keepalive_max: 3,
        ..options()
    });
    let mut session = reach.connect(&target).await.unwrap();
    let mut out = Vec::new();
    let result = session
        .run(
            "echo begun; sleep 30\n",
            Duration::from_secs(3600),
            &mut |bytes| {
                out.extend_from_slice(bytes);
                silent.store(true, Ordering::SeqCst);
                ControlFlow::Continue(())
            },
        )
        .await;
    let error = result.unwrap_err();
    assert_eq!(error.phase, Phase::Run);
    assert!(error.reason.contains("no longer answers"), "{error}");
    assert_eq!(out, b"begun\n");
    session.close().await;
}
