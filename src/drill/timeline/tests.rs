use super::*;
use crate::journal::NO_FORMER_LINE;
use crate::model::drill::{PathPart, ProofOutcome};

/// A drill's records, written by hand.
#[derive(Clone, Default)]
pub(crate) struct Story {
    pub(crate) records: Vec<Record>,
}

impl Story {
    /// Declared, with the clock at 0. Each step: its name, and what it needs.
    pub(crate) fn new(parallel: u32, steps: &[(&str, &[&str])]) -> Story {
        let mut story = Story::declared(parallel, steps);
        story.add(clock_started());
        story
    }

    pub(crate) fn declared(parallel: u32, steps: &[(&str, &[&str])]) -> Story {
        let mut story = Story::default();
        let notes = steps.iter().map(|(step, needs)| StepNote {
            step: (*step).into(),
            needs: needs.iter().map(|n| (*n).to_owned()).collect(),
            kind: "restore".into(),
            what: "something".into(),
            rto_target_ms: None,
            rpo_target_ms: None,
            deadline_ms: 3_600_000,
            proofs: vec!["there".into()],
        });
        let notes = notes.collect();
        story.add(DrillEvent::Declared {
            run: "20261120-073514-aaaa".into(),
            version: "0".into(),
            drill: "d".into(),
            title: "D".into(),
            provider: "fake".into(),
            playbook: "d.yaml".into(),
            documents: BTreeMap::new(),
            by: "me".into(),
            lost: "the primary".into(),
            off_limits: Vec::new(),
            scratch: "/scratch".into(),
            rto_target_ms: Some(3_600_000),
            rpo_target_ms: Some(86_400_000),
            assumed: Vec::new(),
            parallel,
            steps: notes,
        });
        story
    }

    pub(crate) fn add(&mut self, event: DrillEvent) -> &mut Self {
        let seq = self.records.len() as u64 + 1;
        self.records.push(Record {
            seq,
            time: "2026-11-20T07:35:14.000Z".into(),
            prev: NO_FORMER_LINE.into(),
            event: Event::Drill(event),
        });
        self
    }

    pub(crate) fn start(&mut self, step: &str, phase: DrillPhase, at_ms: u64) -> &mut Self {
        self.add(DrillEvent::PhaseStarted {
            step: step.into(),
            attempt: 1,
            phase,
            at_ms,
        })
    }

    pub(crate) fn stop(&mut self, step: &str, phase: DrillPhase, at_ms: u64) -> &mut Self {
        self.stop_with(step, phase, at_ms, Ended::Well, 0)
    }

    pub(crate) fn stop_with(
        &mut self,
        step: &str,
        phase: DrillPhase,
        at_ms: u64,
        ended: Ended,
        bytes: u64,
    ) -> &mut Self {
        self.add(DrillEvent::PhaseEnded {
            step: step.into(),
            attempt: 1,
            phase,
            at_ms,
            ended,
            bytes,
            files: 0,
            detail: None,
        })
    }

    pub(crate) fn proved(&mut self, step: &str, at_ms: u64, outcome: ProofOutcome) -> &mut Self {
        self.add(DrillEvent::Proved {
            step: step.into(),
            attempt: 1,
            proof: "there".into(),
            kind: "manifest".into(),
            outcome,
            expected: "it".into(),
            read: "it".into(),
            at: "/scratch".into(),
            at_ms,
        })
    }

    pub(crate) fn ended(&mut self, step: &str, at_ms: u64, ended: Ended) -> &mut Self {
        self.add(DrillEvent::StepEnded {
            step: step.into(),
            attempt: 1,
            ended,
            reason: (ended != Ended::Well).then(|| "because".into()),
            at_ms,
        })
    }

    /// The last phase and the end of a step that goes well.
    pub(crate) fn verify(&mut self, step: &str, from: u64, to: u64) -> &mut Self {
        self.start(step, DrillPhase::Verify, from)
            .proved(step, to, ProofOutcome::Pass)
            .stop(step, DrillPhase::Verify, to)
            .ended(step, to, Ended::Well)
    }

    pub(crate) fn timeline(&self) -> Timeline {
        Timeline::of(&self.records)
    }
}

pub(crate) fn clock_started() -> DrillEvent {
    DrillEvent::ClockStarted {
        boot_id: "boot".into(),
        boottime_ms: 1_000_000,
        disaster: "2026-11-20T07:35:14Z".into(),
    }
}

pub(crate) fn clock_stopped(at_ms: u64) -> DrillEvent {
    DrillEvent::ClockStopped { at_ms }
}

/// Two steps side by side, then one that needs the longer.
fn three() -> Story {
    use DrillPhase::*;
    let mut story = Story::new(2, &[("db", &[]), ("files", &[]), ("app", &["db"])]);
    for step in ["db", "files", "app"] {
        story.start(step, Wait, 0);
    }
    story.stop("db", Wait, 10).stop("files", Wait, 10);
    story.start("db", Restore, 12).start("files", Restore, 12);
    story.stop("files", Restore, 500).verify("files", 500, 600);
    story.stop("db", Restore, 2000).verify("db", 2005, 2100);
    story.stop("app", Wait, 2110).start("app", Start, 2110);
    story.stop("app", Start, 3000).verify("app", 3000, 3100);
    story.add(clock_stopped(3101));
    story
}

fn games(story: &Story) -> String {
    story.timeline().games.join("\n")
}

fn lengths(path: &[PathPart]) -> u64 {
    path.iter().map(|p| p.end_ms - p.start_ms).sum()
}

#[test]
fn phases_and_gaps_add_up_to_each_steps_total() {
    let line = three().timeline();
    assert_eq!(line.games, Vec::<String>::new());
    let db = line.step("db").unwrap();
    let part = |phase, start_ms, end_ms| Part {
        phase,
        start_ms,
        end_ms,
    };
    assert_eq!(
        db.parts(),
        [
            part(Some(DrillPhase::Wait), 0, 10),
            part(None, 10, 12),
            part(Some(DrillPhase::Restore), 12, 2000),
            part(None, 2000, 2005),
            part(Some(DrillPhase::Verify), 2005, 2100),
        ]
    );
    for step in &line.steps {
        let sum: u64 = step.parts().iter().map(Part::length).sum();
        assert_eq!(Some(sum), step.end_ms());
    }
}

#[test]
fn the_critical_path_is_back_to_back_and_as_long_as_the_whole() {
    let line = three().timeline();
    let path = line.critical_path();
    assert_eq!(path.first().map(|p| p.start_ms), Some(0));
    assert_eq!(path.last().map(|p| p.end_ms), Some(3101));
    assert!(
        path.windows(2).all(|w| w[0].end_ms == w[1].start_ms),
        "{path:#?}"
    );
    assert_eq!(lengths(&path), 3101);
    let steps: Vec<&str> = path.iter().map(|p| p.step.as_str()).collect();
    assert!(!steps.contains(&"files"), "{steps:?}");
    assert!(path.iter().all(|p| p.phase != Some(DrillPhase::Wait)));
}

#[test]
fn a_step_that_waited_for_its_turn_has_the_one_before_it_on_the_path() {
    use DrillPhase::*;
    let mut story = Story::new(1, &[("a", &[]), ("b", &[])]);
    story.start("a", Wait, 0).start("b", Wait, 0);
    story.stop("a", Wait, 0).start("a", Restore, 0);
    story.stop("a", Restore, 900).verify("a", 900, 1000);
    story.stop("b", Wait, 1001).start("b", Restore, 1001);
    story.stop("b", Restore, 1500).verify("b", 1500, 1600);
    story.add(clock_stopped(1600));
    let line = story.timeline();
    let path = line.critical_path();
    assert_eq!(path.first().map(|p| p.step.as_str()), Some("a"));
    assert_eq!(lengths(&path), 1600);
    // Half of either is felt in the whole.
    assert_eq!(line.what_if("a", 1, 2), Some(1100));
}

#[test]
fn what_if_with_factor_one_is_what_was_measured() {
    let line = three().timeline();
    for step in ["db", "files", "app"] {
        assert_eq!(line.what_if(step, 1, 1), Some(3101));
    }
    let schedule = line.schedule(None).unwrap();
    // The schedule alone differs from the whole by the gaps between steps.
    assert!(schedule <= 3101 && 3101 - schedule <= 21, "{schedule}");
    // db's own work is 2090; app's is 990; nothing waits for files.
    assert_eq!(line.what_if("db", 1, 2), Some(3101 - 1045));
    assert_eq!(line.what_if("app", 1, 2), Some(3101 - 495));
    assert_eq!(line.what_if("files", 1, 2), Some(3101));
    assert_eq!(line.what_if("nobody", 1, 2), None);
}

#[test]
fn what_if_says_nothing_of_a_drill_that_was_not_one_whole() {
    let mut story = three();
    story.records.truncate(story.records.len() - 1);
    assert_eq!(story.timeline().what_if("db", 1, 2), None);
}

#[test]
fn lie_07_clock_games() {
    use DrillPhase::*;
    let tampered = |change: &dyn Fn(&mut DrillEvent)| {
        let mut story = three();
        for record in &mut story.records {
            if let Event::Drill(event) = &mut record.event {
                change(event);
            }
        }
        games(&story)
    };
    assert_eq!(tampered(&|_| {}), "");
    // An end before its start; then time runs backwards too.
    let found = tampered(&|event| {
        if let DrillEvent::PhaseEnded {
            step,
            phase: Restore,
            at_ms,
            ..
        } = event
            && step == "db"
        {
            *at_ms = 5;
        }
    });
    assert!(found.contains("ends before it begins"), "{found}");
    assert!(found.contains("time runs backwards"), "{found}");
    // An early stop.
    let found = tampered(&|event| {
        if let DrillEvent::ClockStopped { at_ms } = event {
            *at_ms = 2500;
        }
    });
    assert!(found.contains("time runs backwards"), "{found}");
    let mut early = three();
    let stop = early.records.pop().unwrap();
    early.records.insert(early.records.len() - 6, stop);
    assert!(games(&early).contains("stopped early"), "{}", games(&early));
    // A late start: work before the clock.
    let mut late = Story::declared(2, &[("db", &[])]);
    late.start("db", Restore, 0).add(clock_started());
    late.stop("db", Restore, 3)
        .verify("db", 3, 4)
        .add(clock_stopped(4));
    assert!(games(&late).contains("started late"), "{}", games(&late));
    // A second start.
    let mut twice = Story::new(1, &[("db", &[])]);
    twice.add(clock_started());
    assert!(games(&twice).contains("started twice"), "{}", games(&twice));
    // Ten gigabytes in three milliseconds.
    let mut fast = Story::new(1, &[("db", &[])]);
    fast.start("db", Restore, 0)
        .stop_with("db", Restore, 3, Ended::Well, 10 << 30);
    assert!(
        games(&fast).contains("faster than memory"),
        "{}",
        games(&fast)
    );
    // Overlapping phases of one step.
    let mut over = Story::new(1, &[("db", &[])]);
    over.start("db", Restore, 0).start("db", Load, 5);
    assert!(games(&over).contains("overlap"), "{}", games(&over));
    // A line that was taken out.
    let mut cut = three();
    cut.records.remove(10);
    assert!(games(&cut).contains("is missing"), "{}", games(&cut));
    // Recovered without a verification; a proof after it; work before what it needs.
    let mut bare = Story::new(1, &[("db", &[])]);
    bare.start("db", Restore, 0)
        .stop("db", Restore, 5)
        .ended("db", 5, Ended::Well);
    bare.proved("db", 6, ProofOutcome::Pass);
    let found = games(&bare);
    assert!(found.contains("without being verified"), "{found}");
    assert!(found.contains("outside of its verification"), "{found}");
    let mut eager = Story::new(2, &[("db", &[]), ("app", &["db"])]);
    eager.start("app", Start, 1);
    assert!(
        games(&eager).contains("which it needs"),
        "{}",
        games(&eager)
    );
}

#[test]
fn a_time_between_processes_is_a_gap_and_a_lost_clock_is_said() {
    use DrillPhase::*;
    let mut story = Story::new(1, &[("db", &[])]);
    story
        .start("db", Wait, 0)
        .stop("db", Wait, 0)
        .start("db", Restore, 0);
    story.add(DrillEvent::Resumed {
        at_ms: 9000,
        boot_id: "boot".into(),
        same_boot: true,
        by: "me".into(),
    });
    story.stop_with("db", Restore, 9000, Ended::Interrupted, 0);
    story.ended("db", 9000, Ended::Interrupted);
    let line = story.timeline();
    assert_eq!((line.resumed, line.clock_lost), (1, false));
    assert_eq!(line.games, Vec::<String>::new());
    story.add(DrillEvent::Resumed {
        at_ms: 9001,
        boot_id: "other".into(),
        same_boot: false,
        by: "me".into(),
    });
    assert!(story.timeline().clock_lost);
}

#[test]
fn any_order_of_events_is_read_without_a_panic() {
    let whole = three().records;
    // A simple generator: the same orders each time.
    let mut seed = 1u64;
    for _ in 0..300 {
        let mut records = whole.clone();
        for i in (1..records.len()).rev() {
            seed = seed
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            records.swap(i, (seed >> 33) as usize % (i + 1));
        }
        let line = Timeline::of(&records);
        let _ = (
            line.critical_path(),
            line.what_if("db", 1, 2),
            line.open_phases(),
        );
        for step in &line.steps {
            let _ = step.parts();
        }
    }
}
