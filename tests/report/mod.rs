//! Reports of drills by the program, from journals that lie in a state folder.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use seawall::journal::{DrillEvent, Event, Runs, StepNote, SystemClock};
use seawall::model::drill::{
    DrillPhase, Ended, Measure, ProofOutcome, StepVerdict, Verdict, VerdictWord,
};
use serde_json::Value;

use crate::cli::Desk;
use crate::cli::schema::faults_of;

/// A drill of one step that recovers in 40 s, of a minute.
fn events() -> Vec<Event> {
    let measure = |target, measured| Measure {
        target_ms: Some(target),
        measured_ms: Some(measured),
        step: None,
    };
    let drill = vec![
        DrillEvent::Declared {
            run: "r".into(),
            version: "0.1.0".into(),
            drill: "small".into(),
            title: "A small drill".into(),
            provider: "local".into(),
            playbook: "drill.yaml".into(),
            documents: BTreeMap::new(),
            by: "anna@here".into(),
            lost: "the primary".into(),
            off_limits: vec!["/srv/primary".into()],
            scratch: "/srv/scratch".into(),
            rto_target_ms: Some(60_000),
            rpo_target_ms: Some(60_000),
            assumed: Vec::new(),
            parallel: 1,
            steps: vec![StepNote {
                step: "files".into(),
                needs: Vec::new(),
                kind: "restore".into(),
                what: "files from local".into(),
                rto_target_ms: None,
                rpo_target_ms: None,
                deadline_ms: 60_000,
                proofs: vec!["all is there".into()],
            }],
        },
        DrillEvent::Control {
            step: "files".into(),
            proof: "all is there".into(),
            can_fail: true,
            detail: "no file".into(),
        },
        DrillEvent::ClockStarted {
            boot_id: "b".into(),
            boottime_ms: 1,
            disaster: "2026-11-20T07:35:17Z".into(),
        },
        DrillEvent::PhaseStarted {
            step: "files".into(),
            attempt: 1,
            phase: DrillPhase::Restore,
            at_ms: 0,
        },
        DrillEvent::PhaseEnded {
            step: "files".into(),
            attempt: 1,
            phase: DrillPhase::Restore,
            at_ms: 40_000,
            ended: Ended::Well,
            bytes: 1_000_000_000,
            files: 7,
            detail: None,
        },
        DrillEvent::Proved {
            step: "files".into(),
            attempt: 1,
            proof: "all is there".into(),
            kind: "manifest".into(),
            outcome: ProofOutcome::Pass,
            expected: "7 files".into(),
            read: "7 files <b>equal</b>".into(),
            at: "/srv/scratch/files".into(),
            at_ms: 40_000,
        },
        DrillEvent::StepEnded {
            step: "files".into(),
            attempt: 1,
            ended: Ended::Well,
            reason: None,
            at_ms: 40_000,
        },
        DrillEvent::ClockStopped { at_ms: 40_000 },
        DrillEvent::Swept { left: Vec::new() },
        DrillEvent::Judged {
            verdict: Verdict {
                word: VerdictWord::Met,
                reasons: Vec::new(),
                rto: measure(60_000, 40_000),
                assumed_ms: 0,
                rpo: measure(60_000, 20_000),
                steps: vec![StepVerdict {
                    step: "files".into(),
                    word: VerdictWord::Met,
                    reasons: Vec::new(),
                    rto: Measure::default(),
                    rpo: Measure::default(),
                }],
                critical_path: Vec::new(),
                what_if: Vec::new(),
            },
        },
    ];
    let mut events = vec![Event::RunStarted {
        run: "r".into(),
        verb: "drill".into(),
        version: "0.1.0".into(),
        playbook: "drill.yaml".into(),
        playbook_title: "A small drill".into(),
        level: 0,
        hosts: Vec::new(),
        rules: 0,
        documents: BTreeMap::new(),
        by: "anna@here".into(),
        data: BTreeMap::new(),
    }];
    events.extend(drill.into_iter().map(Event::Drill));
    events.push(Event::RunEnded {
        code: 0,
        millis: 41_000,
        stopped: None,
    });
    events
}

/// Keeps a run in the desk's state folder; the last `cut` events never came. Says its id.
fn keep(desk: &Desk, random: u32, cut: usize) -> String {
    let runs = Runs::new(&desk.dir.path().join("state"));
    let (id, mut writer) = runs
        .create(Arc::new(SystemClock), || random)
        .expect("a run can be begun");
    let events = events();
    for event in &events[..events.len() - cut] {
        writer.append(event).expect("an event is written");
    }
    if cut == 0 {
        writer.finish().expect("the run is sealed");
    }
    id
}

fn page(desk: &Desk, id: &str) -> String {
    let path: PathBuf = desk.dir.path().join(format!("state/reports/{id}.html"));
    std::fs::read_to_string(path).expect("the page is where it was said to be")
}

#[test]
fn a_drill_is_reported_as_a_drill() {
    let desk = Desk::new();
    let id = keep(&desk, 1, 0);
    let said = desk.run(&["report", &id]);
    assert_eq!(said.code, 0, "{said}");
    for text in ["MET  Each step", "40 s", "of 1 min", "whole: every event"] {
        assert!(said.out.contains(text), "{text}\n{said}");
    }
    let page = page(&desk, &id);
    assert!(page.contains("Objectives met"));
    assert!(page.contains("&lt;b&gt;equal") && !page.contains("<b>equal"));
    let said = desk.run(&["runs"]);
    assert!(said.out.contains("1 step   met"), "{said}");
}

#[test]
fn the_json_document_of_a_drill_is_as_its_schema_says() {
    let desk = Desk::new();
    for (random, cut) in [(1, 0), (2, 1), (3, 6), (4, 11)] {
        let id = keep(&desk, random, cut);
        let said = desk.run(&["report", &id, "--json"]);
        let document: Value = serde_json::from_str(&said.out).expect("one JSON document");
        assert_eq!(
            faults_of("drill-report.json", &document),
            Vec::<String>::new(),
            "{said}"
        );
        let word = if cut == 0 { "met" } else { "inconclusive" };
        assert_eq!(document["verdict"]["word"], word, "{said}");
        let mut wrong = document.clone();
        wrong["verdict"]["word"] = "fine".into();
        assert_eq!(faults_of("drill-report.json", &wrong).len(), 1);
    }
}

/// Twelfth lie: reports that forget.
#[test]
fn lie_12_earlier_drills_are_in_the_page_and_in_the_list_whatever_became_of_them() {
    let desk = Desk::new();
    let died = keep(&desk, 1, 5);
    let deleted = keep(&desk, 2, 0);
    let last = keep(&desk, 3, 0);
    let gone = desk.dir.path().join("state/runs").join(&deleted);
    std::fs::remove_dir_all(gone).expect("somebody deletes a run");
    let junit = desk.dir.path().join("junit.xml");
    let junit = junit.to_str().expect("a path of ours is text");
    let said = desk.run(&["report", &last, "--junit", junit]);
    assert_eq!(said.code, 0, "{said}");
    let html = page(&desk, &last);
    assert!(html.contains(&died) && html.contains("it did not come to its end"));
    assert!(html.contains("missing") && html.contains(&deleted));
    let said = desk.run(&["runs"]);
    assert!(said.out.contains("1 step   inconclusive"), "{said}");
    let xml = std::fs::read_to_string(junit).expect("the JUnit report is written");
    assert!(xml.contains("failures=\"0\" errors=\"0\""), "{xml}");
    desk.run(&["report", &died, "--junit", junit]);
    let xml = std::fs::read_to_string(junit).expect("the JUnit report is written");
    assert!(
        xml.contains("inconclusive: it did not come to its end"),
        "{xml}"
    );
}
