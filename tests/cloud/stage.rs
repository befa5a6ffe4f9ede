//! A stage for drills in AWS: the double, a state folder, and drills that are run, killed, resumed
//! and swept on it, in this process.

use std::sync::Arc;
use std::time::Duration;

use seawall::backup::age::{Identities, IdentitySources};
use seawall::cloud::access::Keys;
use seawall::cloud::{Access, AwsProvider, CloudSetup};
use seawall::document::{Disk, load_drill};
use seawall::drill::clock::{DrillClock, boot_id, boottime_ms};
use seawall::drill::plan::Plan;
use seawall::drill::run::{self, End, Live, RunError, Setup, Stop};
use seawall::journal::{DrillEvent, Event, Journal, JournalWriter, Record, Runs, SystemClock};
use seawall::reach::{FakeReach, Reach};
use seawall::sign::Trusted;

use crate::fake_aws::script::Script;
use crate::fake_aws::seed;
use crate::fake_aws::server::{ACCESS_KEY, FakeAws, Options, SECRET};

pub const LOST: &str = "eu-west-1";
pub const SCRATCH: &str = "eu-central-1";

/// Instances run what they are told in a shell of this machine.
pub struct Stage {
    pub aws: FakeAws,
    pub dir: tempfile::TempDir,
    /// Seconds of the double's clock in one of ours.
    pub speed: f64,
    pub reach: Arc<dyn Reach>,
    /// Another double of EC2, in the place of ours.
    pub ec2: Option<String>,
    /// The access key that drills use; its secret is that of the double's own.
    pub key: &'static str,
    /// The S3 server that the double restores to, if it has one.
    pub s3: Option<String>,
}

/// Where a run of a drill was left.
#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
pub enum Left {
    Ended(End),
    /// Its process died.
    Dead,
}

impl Stage {
    pub fn new(speed: f64, script: Script) -> Stage {
        Stage::with(Options {
            speed,
            script,
            ..Options::default()
        })
    }

    /// With `seed::example` and what instances need.
    pub fn with(mut options: Options) -> Stage {
        let (speed, s3) = (options.speed, options.s3.clone());
        if options.seed.is_none() {
            let mut seed = seed::example();
            seed["accounts"]["111122223333"]["regions"][SCRATCH]["ec2"] = with_instances();
            options.seed = Some(seed);
        }
        Stage {
            aws: FakeAws::start(options),
            dir: tempfile::tempdir().expect("a folder for the test"),
            speed,
            reach: Arc::new(FakeReach::local_sh(Vec::new())),
            ec2: None,
            key: ACCESS_KEY,
            s3,
        }
    }

    pub fn access(&self) -> Access {
        Access {
            endpoint: Some(self.aws.url()),
            s3_endpoint: self.s3.clone(),
            ec2_endpoint: self.ec2.clone(),
            keys: Some(Keys {
                id: self.key.into(),
                secret: SECRET.to_owned().into(),
                session: None,
            }),
            pace: self.speed,
        }
    }

    /// Reads a drill's document as the program does.
    pub fn plan(&self, text: &str) -> Plan {
        std::fs::write(self.dir.path().join("key"), "").expect("a key, which nobody asks for");
        let path = self.dir.path().join("drill.yaml");
        std::fs::write(&path, text).expect("the drill can be written");
        let loaded = load_drill(&path, &Disk).unwrap_or_else(|found| {
            let told: Vec<String> = found.iter().map(|one| one.message.clone()).collect();
            panic!("the drill is not sound: {}", told.join("; "))
        });
        Plan::new(loaded, self.dir.path().to_owned()).expect("an order of steps")
    }

    pub fn state_dir(&self) -> std::path::PathBuf {
        self.dir.path().join("state")
    }

    pub fn provider(&self, plan: &Plan) -> Arc<AwsProvider> {
        let setup = CloudSetup {
            drill: plan.drill.clone(),
            drill_path: plan.drill_path(),
            policy: plan.policy.clone(),
            policy_path: plan.policy_path(),
            identities: Arc::new(
                Identities::gather(IdentitySources::default(), &|_| None).expect("no identities"),
            ),
            trusted: Trusted::default(),
            random: Arc::new(|_| 0),
            access: self.access(),
            state_dir: self.state_dir(),
            reach: self.reach.clone(),
            variable: Arc::new(|name| (name == "DB_PASSWORD").then(|| "hush".to_owned())),
        };
        Arc::new(AwsProvider::new(setup).expect("a drill in AWS"))
    }

    fn setup(&self, run: &str, plan: &Plan, writer: JournalWriter) -> Setup {
        Setup {
            run: run.to_owned(),
            plan: Arc::new(plan.clone()),
            provider: self.provider(plan),
            journal: Journal::new(writer),
            clock: Arc::new(DrillClock::new(boottime_ms)),
            boot_id: boot_id().unwrap_or_default(),
            wall: Arc::new(SystemClock),
            by: "a test".into(),
            live: Live::default(),
            stop: Stop::default(),
            tell: None,
        }
    }

    fn runs(&self) -> Runs {
        Runs::new(&self.state_dir())
    }

    /// Begins a run; `after`: it dies then, if it has not ended.
    pub fn run(&self, plan: &Plan, after: Option<Duration>) -> (String, Left) {
        let (id, writer) = (self.runs())
            .create(Arc::new(SystemClock), || {
                uuid::Uuid::new_v4().as_u128() as u32
            })
            .expect("a run begins");
        let setup = self.setup(&id, plan, writer);
        let left = alive(after, run::run(setup));
        (id, left)
    }

    pub fn resume(&self, id: &str, plan: &Plan, after: Option<Duration>) -> Left {
        let (_, writer) = (self.runs())
            .resume(id, Arc::new(SystemClock))
            .expect("it is taken up");
        alive(after, run::resume(self.setup(id, plan, writer)))
    }

    pub fn sweep(&self, id: &str, plan: &Plan, after: Option<Duration>) -> Left {
        let (_, writer) = (self.runs())
            .resume(id, Arc::new(SystemClock))
            .expect("it is taken up");
        alive(after, run::sweep(self.setup(id, plan, writer)))
    }

    /// Takes away what a run that was judged has left. Gives what is left then.
    pub fn clear(&self, id: &str, plan: &Plan) -> Vec<String> {
        let former = self.records(id);
        let (_, writer) = (self.runs())
            .create(Arc::new(SystemClock), || {
                uuid::Uuid::new_v4().as_u128() as u32
            })
            .expect("a run begins");
        let work = run::clear(self.setup(id, plan, writer), former);
        runtime().block_on(work).expect("what went is written down")
    }

    /// Begins a run, and dies as soon as its journal has so many lines, if it has not ended.
    pub fn run_lines(&self, plan: &Plan, lines: usize) -> (String, Left) {
        let (id, writer) = (self.runs())
            .create(Arc::new(SystemClock), || {
                uuid::Uuid::new_v4().as_u128() as u32
            })
            .expect("a run begins");
        let setup = self.setup(&id, plan, writer);
        let (full, mut seen) = tokio::sync::mpsc::unbounded_channel();
        let written = std::sync::atomic::AtomicUsize::new(0);
        setup.journal.subscribe(Box::new(move |_| {
            if written.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1 == lines {
                let _ = full.send(());
            }
        }));
        let runtime = runtime();
        let end = runtime.block_on(async {
            tokio::select! {
                biased;
                Some(()) = seen.recv() => None,
                end = run::run(setup) => Some(end),
            }
        });
        (id, left(runtime, end))
    }

    pub fn records(&self, id: &str) -> Vec<Record> {
        (self.runs().find(id).expect("the run").open())
            .expect("its journal")
            .collect::<Result<_, _>>()
            .expect("its lines")
    }

    pub fn events(&self, id: &str) -> Vec<DrillEvent> {
        (self.records(id).into_iter())
            .filter_map(|record| match record.event {
                Event::Drill(event) => Some(event),
                _ => None,
            })
            .collect()
    }

    /// Requests that were signed for a region.
    pub fn requests_to(&self, region: &str) -> usize {
        self.aws.log().iter().filter(|e| e.region == region).count()
    }

    /// Whether something private was left on the controller.
    pub fn left_here(&self) -> Vec<String> {
        let drills = self.state_dir().join("drills");
        let Ok(entries) = std::fs::read_dir(&drills) else {
            return Vec::new();
        };
        (entries.flatten())
            .filter(|entry| entry.path().is_dir())
            .map(|entry| entry.path().display().to_string())
            .collect()
    }
}

/// An image, and addresses of this machine for instances, with host keys on their consoles.
fn with_instances() -> serde_json::Value {
    let addresses: Vec<String> = (10..60).map(|n| format!("127.0.0.{n}")).collect();
    let keys: serde_json::Map<String, serde_json::Value> = (addresses.iter())
        .map(|address| (address.clone(), serde_json::json!([HOST_KEY])))
        .collect();
    serde_json::json!({
        "images": [{"id": IMAGE, "name": "debian", "architecture": "x86_64", "root": "/dev/xvda",
            "owner": "136693071363",
            "devices": [{"device": "/dev/xvda", "snapshot": "snap-0aaaaaaaaaaaaaaa1",
                "size_gib": 8, "encrypted": true}]}],
        "snapshots": [{"id": "snap-0aaaaaaaaaaaaaaa1", "size_gib": 8, "started": 1_767_225_600}],
        "addresses": addresses,
        "host_keys": keys,
    })
}

pub const IMAGE: &str = "ami-0aaaaaaaaaaaaaaa1";
/// Of nobody.
pub const HOST_KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGLzQdVEbVCY5IKfYvJv6qFhWbx9UkkJpk9uxx3d2JcM";

/// Lets it work to its end, or dies with it: its tasks are dropped where they stand, and nothing of
/// it is told.
fn alive(after: Option<Duration>, work: impl Future<Output = Result<End, RunError>>) -> Left {
    let runtime = runtime();
    let end = runtime.block_on(async {
        match after {
            None => Some(work.await),
            Some(after) => tokio::time::timeout(after, work).await.ok(),
        }
    });
    left(runtime, end)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_stack_size(16 << 20)
        .enable_all()
        .build()
        .expect("a runtime")
}

fn left(runtime: tokio::runtime::Runtime, end: Option<Result<End, RunError>>) -> Left {
    runtime.shutdown_timeout(Duration::from_secs(20));
    match end {
        Some(end) => Left::Ended(end.expect("the run can be written down")),
        None => Left::Dead,
    }
}

impl Left {
    pub fn end(self) -> End {
        match self {
            Left::Ended(end) => end,
            Left::Dead => panic!("it died"),
        }
    }
}

/// The head of a drill's document; steps follow.
pub fn head(more: &str) -> String {
    format!(
        "drill: test
title: {LOST} is lost
lost: {{what: the region {LOST}, regions: [{LOST}]}}
scratch:
  aws:
    account: \"111122223333\"
    region: {SCRATCH}
    vault: dr-copies
    production: [{LOST}]
    restore_role: arn:aws:iam::111122223333:role/seawall-restore
    network: {{gateway: controller, controller: 203.0.113.7/32}}
objectives: {{rto: 4h, rpo: 26h}}
parallel: 6
{more}
steps:
"
    )
}

/// Twelve steps over what `seed::example` has backed up; `url`: of the double, which the proofs ask
/// whether there is data behind an id.
pub fn twelve_steps(url: &str) -> String {
    let proof = |on: &str, id: &str| {
        format!(
            "    proofs:
      - proof: there is data in it
        on: {on}
        command:
          run: [busybox, wget, -qO-, \"{url}/_fake/data?id={{{{ {id} }}}}\"]
          contains: full
"
        )
    };
    let arn = |service: &str, rest: &str| format!("arn:aws:{service}:{LOST}:111122223333:{rest}");
    let mut out = head("");
    out.push_str(&format!(
        "  - step: jump
    aws: {{fresh: {{image: {IMAGE}, type: t3.micro, substitutes: [t3.small], ssh: {{user: root}}}}}}
    proofs:
      - {{proof: it answers, command: {{run: [echo, hello], contains: hello}}}}
"
    ));
    let volumes = [
        ("a", 1, "by: backup, "),
        ("b", 2, "by: ec2, initialisation_rate: 200, "),
        ("c", 3, ""),
        ("d", 1, "by: ec2, "),
    ];
    for (name, number, by) in volumes {
        out.push_str(&format!(
            "  - step: volume-{name}
    needs: [jump]
    aws:
      resource: {}
      volume: {{{by}attach: {{to: jump, device: /dev/sd{name}}}}}
{}",
            arn("ec2", &format!("volume/vol-0000000000000d{number:03}")),
            proof("jump", &format!("steps['volume-{name}'].volume")),
        ));
    }
    for number in [1, 2] {
        out.push_str(&format!(
            "  - step: machine-{number}
    aws:
      resource: {}
      instance:
        type: m7g.large
        substitutes: [m6g.large]
        ssh: {{user: root, identity: key}}
{}",
            arn("ec2", &format!("instance/i-0000000000000a{number:03}")),
            proof(
                &format!("machine-{number}"),
                &format!("steps['machine-{number}'].instance")
            ),
        ));
    }
    out.push_str(&format!(
        "  - step: orders
    needs: [jump]
    aws: {{resource: \"{}\", rds: {{}}}}
{}  - step: ledger
    needs: [jump]
    aws: {{resource: \"{}\", aurora: {{engine: aurora-postgresql, class: db.r7g.large}}}}
{}  - step: carts
    aws: {{resource: \"{}\", dynamodb: {{}}}}
    proofs:
      - proof: there are carts
        items: {{at_least: 250, key: {{id: cart-0007}}, has: {{total: 35}}}}
  - step: shared
    needs: [jump]
    aws: {{resource: \"{}\", efs: {{}}}}
{}  - step: last
    needs: [jump, volume-a, machine-1, orders]
    aws:
      resource: {}
      volume: {{attach: {{to: jump, device: /dev/sdz}}}}
{}",
        arn("rds", "db:orders"),
        proof("jump", "steps.orders.endpoint"),
        arn("rds", "cluster:ledger"),
        proof("jump", "steps.ledger.endpoint"),
        arn("dynamodb", "table/carts"),
        arn("elasticfilesystem", "file-system/fs-0000000000000e001"),
        proof("jump", "steps.shared.file_system"),
        arn("ec2", "volume/vol-0000000000000d002"),
        proof("jump", "steps.last.volume"),
    ));
    out
}
