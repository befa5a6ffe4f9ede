//! Proofs over SSH: what they are worth, and what stays unknown.

use super::*;
use crate::reach::{Ended, FakeReach, Phase, ReachError};

const SSH: &str = "identity: key, host_key: unused";

/// A stage on which the step `files` has its data in this folder.
fn placed(reach: Arc<dyn Reach>, proofs: &str) -> Stage {
    let stage = Stage::new(reach, SSH, "regions: [eu-west-1]", proofs);
    let path = stage.dir.path().join("placed");
    std::fs::create_dir(&path).unwrap();
    let path = path.display().to_string();
    (stage.inner).know("files", |own| own.placed = Some(("app".into(), path)));
    stage
}

fn local() -> Arc<dyn Reach> {
    Arc::new(FakeReach::local_sh(Vec::new()))
}

fn answering(status: u32, out: &'static [u8], stderr: &'static str) -> Arc<dyn Reach> {
    Arc::new(FakeReach::scripted(move |_, _| {
        let ended = Ended {
            status: Some(status),
            signal: None,
            stderr: stderr.as_bytes().to_vec(),
        };
        Ok((out.to_vec(), ended))
    }))
}

#[tokio::test]
async fn an_instance_that_cannot_be_reached_leaves_every_proof_open() {
    let refusing = FakeReach::local_sh(Vec::new())
        .refusing(|_| Some(ReachError::new(Phase::Connect, "connection refused")));
    let stage = placed(
        Arc::new(refusing),
        "{proof: a, files: {at_least: 1}}, {proof: b, command: {run: ['true'], contains: x}}, \
         {proof: c, git: {commits: 1}}, {proof: d, http: {url: 'http://x/', contains: x}}",
    );
    for proof in 0..4 {
        let said = stage.proved(proof).await;
        assert_eq!(said.outcome, ProofOutcome::Unknown, "{said:?}");
        assert!(said.read.contains("connection refused"), "{said:?}");
    }
}

#[tokio::test]
async fn commands_end_well_and_say_what_is_demanded() {
    let stage = placed(
        local(),
        "{proof: a, command: {run: [printf, '%s|', \"it's\", '$HOME', '`x`'], contains: \"it's|$HOME|`x`|\"}}, \
         {proof: b, command: {run: [echo, other], contains: text}}, \
         {proof: c, command: {run: [sh, -c, 'echo text; exit 3'], contains: text}}, \
         {proof: d, command: {run: [no-such-program], contains: text}}, \
         {proof: e, command: {run: [pwd], contains: /placed}}, \
         {proof: f, command: {run: [echo, '{{ steps.files.bucket }}'], contains: x}}",
    );
    let mut outcomes = Vec::new();
    for proof in 0..6 {
        outcomes.push(stage.proved(proof).await.outcome);
    }
    use ProofOutcome::{Fail, Pass, Unknown};
    assert_eq!(outcomes, [Pass, Fail, Fail, Unknown, Pass, Unknown]);
}

#[tokio::test]
async fn on_a_restored_instance_a_program_must_say_something() {
    let stage = Stage::new(local(), SSH, "regions: [eu-west-1]", "");
    let proof: Proof = serde_yaml::from_str("{proof: a, command: {run: ['true']}}").unwrap();
    let context = stage.context("app", 1);
    let said = prove(&stage.inner, &context, &proof).await;
    assert_eq!(said.outcome, ProofOutcome::Unknown);
    assert!(said.read.contains("`contains`"), "{said:?}");
}

#[tokio::test]
async fn files_are_counted_and_hashed_and_links_lead_nowhere() {
    let abc = crate::model::sha256_hex(b"abc");
    let stage = placed(
        local(),
        &format!(
            "{{proof: a, files: {{at_least: 2, bytes: 6}}}}, {{proof: b, files: {{at_least: 3}}}}, \
             {{proof: c, files: {{sha256: {{one: {abc}}}}}}}, {{proof: d, files: {{sha256: {{out: {abc}}}}}}}, \
             {{proof: e, files: {{sha256: {{none: {abc}}}}}}}, {{proof: f, files: {{sha256: {{../aside: {abc}}}}}}}"
        ),
    );
    let path = stage.dir.path().join("placed");
    std::fs::create_dir(path.join("sub")).unwrap();
    std::fs::write(path.join("one"), "abc").unwrap();
    std::fs::write(path.join("sub/two\nlines"), "def").unwrap();
    std::fs::write(stage.dir.path().join("aside"), "abc").unwrap();
    std::os::unix::fs::symlink("../aside", path.join("out")).unwrap();
    let mut outcomes = Vec::new();
    for proof in 0..6 {
        outcomes.push(stage.proved(proof).await.outcome);
    }
    use ProofOutcome::{Fail, Pass};
    assert_eq!(outcomes, [Pass, Fail, Pass, Fail, Fail, Fail]);
}

#[tokio::test]
async fn a_repository_is_whole_and_has_its_commits() {
    let stage = placed(
        local(),
        "{proof: a, git: {commits: 1}}, {proof: b, git: {commits: 2}}",
    );
    let path = stage.dir.path().join("placed");
    assert_eq!(stage.proved(0).await.outcome, ProofOutcome::Fail);
    let git = |arguments: &[&str]| {
        let status = std::process::Command::new("git")
            .args(["-c", "user.name=t", "-c", "user.email=t@example.org", "-C"])
            .arg(&path)
            .args(arguments)
            .status();
        assert!(status.unwrap().success());
    };
    git(&["init", "-q"]);
    git(&["commit", "-q", "--allow-empty", "-m", "one"]);
    assert_eq!(stage.proved(0).await.outcome, ProofOutcome::Pass);
    assert_eq!(stage.proved(1).await.outcome, ProofOutcome::Fail);
    std::fs::write(path.join(".git/objects/info/alternates"), "/x\n").unwrap();
    assert_eq!(stage.proved(0).await.outcome, ProofOutcome::Fail);
}

#[tokio::test]
async fn pages_are_judged_by_status_and_text() {
    let proof = "{proof: a, http: {url: 'http://{{ steps.app.address }}/', contains: 15 orders}}";
    let outcome =
        async |out: &'static [u8], stderr| placed(answering(0, out, stderr), proof).proved(0).await;
    let well = outcome(b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n15 orders", "").await;
    assert_eq!(well.outcome, ProofOutcome::Pass);
    assert!(well.at.ends_with("http://127.0.0.1/"), "{well:?}");
    let down = outcome(b"HTTP/1.1 503 No\r\n\r\n15 orders", "").await;
    assert_eq!(down.outcome, ProofOutcome::Fail);
    let gone = outcome(b"", "curl: (7) refused\n").await;
    assert_eq!(gone.outcome, ProofOutcome::Unknown);
    assert!(gone.read.contains("refused"), "{gone:?}");
}

#[tokio::test]
async fn a_query_is_judged_by_its_value_and_a_silent_database_stays_open() {
    let proof = "{proof: a, sql: {query: 'SELECT count(*) FROM orders', at_least: 15}}";
    let asked = async |status, out: &'static [u8], stderr| {
        let stage = placed(answering(status, out, stderr), proof);
        let endpoint = ("db.example".to_owned(), 5432);
        (stage.inner).know("db", |step| step.endpoint = Some(endpoint));
        stage.proved(0).await
    };
    let well = asked(0, b"15\0", "").await;
    assert_eq!(well.outcome, ProofOutcome::Pass);
    assert!(well.at.ends_with("orders at db.example:5432"), "{well:?}");
    assert_eq!(asked(0, b"14\0", "").await.outcome, ProofOutcome::Fail);
    assert_eq!(asked(0, b"", "").await.outcome, ProofOutcome::Fail);
    let missing = "ERROR:  42P01: relation \"orders\" does not exist";
    assert_eq!(asked(3, b"", missing).await.outcome, ProofOutcome::Fail);
    let denied = "ERROR:  42501: permission denied";
    assert_eq!(asked(3, b"", denied).await.outcome, ProofOutcome::Unknown);
    let gone = asked(2, b"", "could not connect").await;
    assert_eq!(gone.outcome, ProofOutcome::Unknown);
    // Without an endpoint there is nothing to ask.
    let none = placed(answering(0, b"15\0", ""), proof).proved(0).await;
    assert_eq!(none.outcome, ProofOutcome::Unknown);
}

#[tokio::test]
async fn before_the_clock_what_needs_an_instance_is_open_and_says_so() {
    let proofs = "{proof: a, manifest: true}";
    let stage = Stage::new(local(), SSH, "regions: [eu-west-1]", proofs);
    let step = stage.step("files");
    let said = control(&stage.inner, &stage.drill, step, &step.proofs[0]).await;
    assert_eq!(said.outcome, ProofOutcome::Unknown);
    assert!(
        said.read.contains("tried again on the instance"),
        "{said:?}"
    );
}
