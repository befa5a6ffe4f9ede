//! Against the machine's own OpenSSH.

use std::ops::ControlFlow;

use seawall::reach::{Phase, Reach};

use super::support::{LONG, Sshd, greets, reach, run};

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
    // The same session takes another program.
    let (result, out) = run(&mut session, "echo again\n", LONG).await;
    assert_eq!((result.unwrap().status, out.as_str()), (Some(0), "again\n"));
    session.close().await;
}
