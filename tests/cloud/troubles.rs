//! Named troubles: one test each, on small drills. What is expected is the verdict, what a person is
//! told, and that nothing is left, wherever anything can be done about it.

mod buckets;
mod capacity;
mod credentials;
mod deaths;
mod jobs;
mod lost_answers;
mod outages;
mod refused;
mod steps;
mod unended;
mod usable;
mod validation;

use seawall::drill::plan::Plan;
use seawall::drill::run::End;
use seawall::journal::DrillEvent;
use seawall::model::drill::VerdictWord;

use super::stage::{LOST, SCRATCH, Stage, head};
use crate::fake_aws::backup;
use crate::fake_aws::script::{JobTrouble, RequestTrouble, Script, WrongAnswer};
use crate::fake_aws::server::ACCOUNT;

/// Seconds of the double's clock in one of ours.
const SPEED: f64 = 1000.0;

/// A drill that has come to its end.
struct Ran {
    stage: Stage,
    plan: Plan,
    id: String,
    end: End,
}

/// Runs a drill of these steps (`steps::…`, given the double's URL).
fn ran(script: Script, steps: impl Fn(&str) -> Vec<String>) -> Ran {
    ran_at(SPEED, script, steps)
}

fn ran_at(speed: f64, script: Script, steps: impl Fn(&str) -> Vec<String>) -> Ran {
    let stage = Stage::new(speed, script);
    let plan = stage.plan(&document(&stage, steps));
    on(stage, plan)
}

fn document(stage: &Stage, steps: impl Fn(&str) -> Vec<String>) -> String {
    head("") + &steps(&stage.aws.url()).concat()
}

fn on(stage: Stage, plan: Plan) -> Ran {
    let (id, left) = stage.run(&plan, None);
    Ran {
        end: left.end(),
        stage,
        plan,
        id,
    }
}

impl Ran {
    fn reasons(&self) -> String {
        self.end.verdict.reasons.join("\n")
    }

    fn events(&self) -> Vec<DrillEvent> {
        self.stage.events(&self.id)
    }

    /// For a test that fails.
    fn told(&self) -> String {
        let events = self.events();
        let lines = events.iter().map(|e| serde_json::to_string(e).unwrap());
        let lines: Vec<String> = lines.collect();
        format!(
            "{:?}, code {}, left {:?}\n{}\n{}",
            self.end.verdict.word,
            self.end.code,
            self.end.left,
            self.reasons(),
            lines.join("\n")
        )
    }

    /// The verdict, and that nothing is left.
    #[track_caller]
    fn ends(&self, word: VerdictWord) {
        assert_eq!(self.end.verdict.word, word, "{}", self.told());
        let none = Vec::<String>::new();
        assert_eq!(self.end.left, none, "{}", self.told());
        self.is_gone();
    }

    /// Nothing is left in the double, nor on the controller; nothing went to the lost region.
    #[track_caller]
    fn is_gone(&self) {
        let none = Vec::<String>::new();
        assert_eq!(self.stage.aws.left(), none, "{}", self.told());
        assert_eq!(self.stage.left_here(), none, "{}", self.told());
        self.is_fair();
    }

    #[track_caller]
    fn is_fair(&self) {
        assert_eq!(self.stage.requests_to(LOST), 0, "{}", self.told());
        let none = Vec::<String>::new();
        assert_eq!(self.stage.aws.mistakes(), none, "{}", self.told());
    }

    #[track_caller]
    fn says(&self, words: &str) {
        assert!(self.reasons().contains(words), "{words}: {}", self.told());
    }

    /// How often the script made trouble.
    fn troubled(&self) -> usize {
        let log = self.stage.aws.log();
        log.iter().filter(|entry| entry.trouble.is_some()).count()
    }

    /// What is known in the double of the restore jobs.
    fn jobs<T>(&self, with: impl FnOnce(&mut backup::State) -> T) -> T {
        self.stage
            .aws
            .with_world(|world| with(&mut world.region_of(ACCOUNT, SCRATCH).backup))
    }
}

/// All requests of this kind, from one time of the double's clock to another.
fn requests(service: &str, (from_s, until_s): (f64, f64), answer: WrongAnswer) -> RequestTrouble {
    RequestTrouble {
        service: service.into(),
        operation: "*".into(),
        from_s,
        until_s,
        share: 1.0,
        times: None,
        answer,
    }
}

/// Every restore job has this trouble.
fn every_job(trouble: JobTrouble) -> Script {
    Script {
        jobs: [("*".to_owned(), trouble)].into(),
        ..Script::default()
    }
}

fn fails(message: &str) -> JobTrouble {
    JobTrouble {
        fails: Some(message.into()),
        ..JobTrouble::default()
    }
}
