//! A stage for drills in AWS: the double, a state folder, and drills that are run, killed, resumed
//! and swept on it, in this process.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use seawall::backup::age::{IdentitySources, Identities};
use seawall::cloud::access::Keys;
use seawall::cloud::{Access, AwsProvider, CloudSetup};
use seawall::document::{Disk, load_drill};
use seawall::drill::clock::{DrillClock, boot_id, boottime_ms};
use seawall::drill::plan::Plan;
use seawall::drill::run::{self, End, Live, RunError, Setup, Stop};
use seawall::journal::{
    DrillEvent, Event, Journal, JournalWriter, Record, Runs, SystemClock,
};
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
}

/// Where a run of a drill was left.
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
            seed: Some(seed::example()),
            ..Options::default()
        })
    }

    pub fn with(options: Options) -> Stage {
        let speed = options.speed;
        Stage {
            aws: FakeAws::start(options),
            dir: tempfile::tempdir().expect("a folder for the test"),
            speed,
            reach: Arc::new(FakeReach::local_sh(Vec::new())),
        }
    }

    pub fn access(&self) -> Access {
        Access {
            endpoint: Some(self.aws.url()),
            keys: Some(Keys {
                id: ACCESS_KEY.into(),
                secret: SECRET.to_owned().into(),
                session: None,
            }),
            pace: self.speed,
            ..Access::default()
        }
    }

    /// Reads a drill's document as the program does.
    pub fn plan(&self, text: &str) -> Plan {
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

/// Lets it work to its end, or dies with it: its tasks are dropped where they stand, and nothing of
/// it is told.
fn alive(
    after: Option<Duration>,
    work: impl Future<Output = Result<End, RunError>>,
) -> Left {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let end = runtime.block_on(async {
        match after {
            None => Some(work.await),
            Some(after) => tokio::time::timeout(after, work).await.ok(),
        }
    });
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

pub fn shown(path: &Path) -> String {
    path.display().to_string()
}
