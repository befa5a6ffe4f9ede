//! moto's EC2 in the place of ours: another reading of what EC2 says and takes. What else a drill
//! asks of AWS comes from our double.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use seawall::journal::DrillEvent;
use seawall::model::drill::{Milestone, VerdictWord};
use serde_json::Value;

use super::stage::{HOST_KEY, LOST, Left, SCRATCH, Stage, head};
use crate::fake_aws::seed;
use crate::fake_aws::server::Options;

/// moto's server in a process of its own, which ends with its test.
struct Moto {
    child: Child,
    asked: Option<ChildStdin>,
    said: BufReader<ChildStdout>,
    port: u64,
    /// There from the beginning, of the account's own.
    snapshot: String,
    image: String,
}

impl Moto {
    fn start() -> Moto {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut child = Command::new("python3")
            .arg(root.join("tests/cloud/moto.py"))
            .arg(root.join("target/tools/python"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("python3 can be run");
        let asked = child.stdin.take();
        let said = BufReader::new(child.stdout.take().expect("its output"));
        let mut moto = Moto {
            child,
            asked,
            said,
            port: 0,
            snapshot: String::new(),
            image: String::new(),
        };
        let first = moto.hear();
        moto.port = first["port"].as_u64().expect("a port");
        moto.snapshot = first["snapshot"].as_str().expect("a snapshot").to_owned();
        moto.image = first["image"].as_str().expect("an image").to_owned();
        moto
    }

    fn hear(&mut self) -> Value {
        let mut line = String::new();
        self.said.read_line(&mut line).expect("moto says something");
        serde_json::from_str(&line)
            .unwrap_or_else(|e| panic!("moto (is it in target/tools/python?): {e}: {line:?}"))
    }

    fn ask(&mut self, what: &str) -> Value {
        let asked = self.asked.as_mut().expect("it is there");
        writeln!(asked, "{what}").expect("moto listens");
        self.hear()
    }

    /// What was not there at the beginning.
    fn left(&mut self) -> Value {
        self.ask("left")
    }

    fn log(&mut self) -> Vec<Asked> {
        let log = self.ask("log");
        let entries = log.as_array().expect("a log").iter();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        entries
            .map(|entry| Asked {
                operation: text(&entry["params"]["Action"]),
                dry: entry["params"]["DryRun"] == "true",
                token: text(&entry["params"]["ClientToken"]),
                region: text(&entry["region"]),
                status: entry["status"].as_u64().unwrap_or(0),
                code: text(&entry["code"]),
            })
            .collect()
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        drop(self.asked.take());
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A request that came to moto.
#[derive(Clone, Debug)]
struct Asked {
    operation: String,
    dry: bool,
    token: String,
    region: String,
    status: u64,
    code: String,
}

impl Asked {
    /// Taken, or refused for a reason that is EC2's too.
    fn is_sound(&self) -> bool {
        let gone = self.code.ends_with(".NotFound") && !self.operation.starts_with("Create");
        let hangs = self.code == "DependencyViolation" && self.operation.starts_with("Delete");
        self.status == 200
            || (self.dry && self.code == "DryRunOperation")
            // Asked whether it has gone, and it has.
            || gone
            || hangs
            // moto has no such operation; the drill says that it is not known.
            || (self.operation == "DescribeVolumeStatus" && self.status >= 500)
    }
}

/// Our double knows the recovery point, and moto the snapshot that it is.
fn stage(moto: &Moto) -> Stage {
    let mut seed = seed::example();
    let vaults = &mut seed["accounts"]["111122223333"]["regions"][SCRATCH]["vaults"];
    let points = vaults[0]["points"].as_array_mut().expect("points");
    let newest = points.iter_mut().find(|point| point["resource"] == VOLUME);
    newest.expect("a point of the volume")["snapshot"] = moto.snapshot.as_str().into();
    let mut stage = Stage::with(Options {
        speed: 60.0,
        seed: Some(seed),
        ..Options::default()
    });
    stage.ec2 = Some(format!("http://127.0.0.1:{}", moto.port));
    stage
}

const VOLUME: &str = "arn:aws:ec2:eu-west-1:111122223333:volume/vol-0000000000000d002";

/// A machine and a volume on it. moto's instances print no host keys.
fn document(moto: &Moto) -> String {
    format!(
        "{}  - step: jump
    aws:
      fresh:
        image: {}
        type: t3.micro
        ssh: {{user: root, host_key: {HOST_KEY}}}
    proofs:
      - {{proof: it answers, command: {{run: [echo, hello], contains: hello}}}}
  - step: disk
    needs: [jump]
    aws:
      resource: {VOLUME}
      volume: {{by: ec2, initialisation_rate: 200, attach: {{to: jump, device: /dev/sdf}}}}
    proofs:
      - {{proof: it is seen, on: jump, command: {{run: [echo, \"{{{{ steps.disk.volume }}}}\"], contains: vol-}}}}
",
        head(""),
        moto.image
    )
}

fn nothing() -> Value {
    Value::Array(Vec::new())
}

#[test]
fn a_drill_on_another_reading_of_ec2_goes_well_and_leaves_nothing() {
    let mut moto = Moto::start();
    let stage = stage(&moto);
    let plan = stage.plan(&document(&moto));
    let (id, left) = stage.run(&plan, None);
    let end = left.end();
    let events = stage.events(&id);
    let log = moto.log();
    let told = || {
        let lines: Vec<String> = (events.iter())
            .map(|event| serde_json::to_string(event).unwrap_or_default())
            .collect();
        format!("{:?}\n{}", end.verdict.reasons, lines.join("\n"))
    };
    let unsound: Vec<&Asked> = log.iter().filter(|one| !one.is_sound()).collect();
    assert!(unsound.is_empty(), "{unsound:#?}\n{}", told());
    assert_eq!(end.verdict.word, VerdictWord::Met, "{}", told());
    assert_eq!(end.left, Vec::<String>::new(), "{}", told());
    assert_eq!(moto.left(), nothing());
    assert_eq!(stage.aws.left(), Vec::<String>::new());
    assert_eq!(stage.left_here(), Vec::<String>::new());
    assert_eq!(stage.requests_to(LOST), 0);
    assert!(log.iter().all(|one| one.region == SCRATCH));
    // moto takes no notice of tokens: that nothing was made twice is our own doing.
    for (operation, has_token) in [
        ("CreateVpc", false),
        ("CreateSubnet", false),
        ("CreateSecurityGroup", false),
        ("CreateInternetGateway", false),
        ("CreateRouteTable", true),
        ("ImportKeyPair", false),
        ("RunInstances", true),
        ("CreateVolume", true),
    ] {
        let sent: Vec<&Asked> = (log.iter())
            .filter(|one| one.operation == operation && !one.dry)
            .collect();
        assert_eq!(sent.len(), 1, "{operation}: {sent:#?}");
        assert_eq!(!sent[0].token.is_empty(), has_token, "{operation}");
    }
    // What moto cannot say is not taken for well.
    assert!(
        events.iter().any(|event| matches!(event,
            DrillEvent::Reached { step, milestone: Milestone::Cold, .. } if step == "disk")),
        "{}",
        told()
    );
}

#[test]
fn deaths_on_another_reading_of_ec2_are_swept() {
    let mut moto = Moto::start();
    let stage = stage(&moto);
    let plan = stage.plan(&document(&moto));
    let mut died = 0;
    for after in [1500, 2500, 3500, 4500] {
        let (id, left) = stage.run(&plan, Some(Duration::from_millis(after)));
        let (end, dead) = match left {
            Left::Dead => (stage.sweep(&id, &plan, None).end(), true),
            Left::Ended(end) => (end, false),
        };
        died += u32::from(dead);
        assert_eq!(end.left, Vec::<String>::new(), "after {after} ms");
        assert_eq!(moto.left(), nothing(), "after {after} ms");
        assert_eq!(stage.left_here(), Vec::<String>::new());
        if dead {
            assert_ne!(end.verdict.word, VerdictWord::Met);
        }
    }
    assert!(died > 0, "none of them died");
    let log = moto.log();
    let made = |one: &&Asked| one.operation == "CreateVpc" && !one.dry;
    assert!(log.iter().filter(made).count() > 0, "nothing was made");
    let unsound: Vec<Asked> = log.into_iter().filter(|one| !one.is_sound()).collect();
    assert!(unsound.is_empty(), "{unsound:#?}");
}
