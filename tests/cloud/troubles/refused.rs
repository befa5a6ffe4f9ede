//! What refuses a drill before its clock starts: nothing is made then.

use seawall::document::{Disk, load_drill};
use seawall::drill::run::code;
use seawall::journal::Record;

use super::*;

/// It was refused for these reasons, and made nothing.
#[track_caller]
fn is_refused(ran: &Ran, words: &[&str]) {
    ran.ends(VerdictWord::Inconclusive);
    assert_eq!(ran.end.code, code::NOT_RUN, "{}", ran.told());
    ran.says("it was refused before it started");
    for word in words {
        ran.says(word);
    }
    let events = ran.events();
    let began = |e: &DrillEvent| {
        matches!(
            e,
            DrillEvent::ClockStarted { .. } | DrillEvent::Intended { .. } | DrillEvent::Made { .. }
        )
    };
    assert!(!events.iter().any(began), "{}", ran.told());
    let log = ran.stage.aws.log();
    let mut made = log.iter().filter(|entry| {
        let verbs = [
            "Create", "Run", "Start", "Import", "Put", "Attach", "Modify",
        ];
        let makes = verbs.iter().any(|verb| entry.operation.starts_with(verb));
        makes && entry.status == 200
    });
    assert!(made.next().is_none());
}

/// The points of the volume, in the scratch region's vault.
fn with_points(change: impl Fn(&mut Vec<backup::Point>)) -> Ran {
    let stage = Stage::new(SPEED, Script::default());
    stage.aws.with_world(|world| {
        let vaults = &mut world.region_of(ACCOUNT, SCRATCH).backup.vaults;
        change(&mut vaults.get_mut("dr-copies").unwrap().points);
    });
    let plan = stage.plan(&document(&stage, steps::pair));
    on(stage, plan)
}

#[test]
fn an_empty_vault() {
    let ran = with_points(Vec::clear);
    is_refused(
        &ran,
        &[
            "a recovery point for the step data",
            "the vault holds no recovery point of it",
            "look whether its copies arrive",
        ],
    );
}

#[test]
fn points_that_are_all_expired_or_partial() {
    for (status, words) in [("EXPIRED", "3 EXPIRED"), ("PARTIAL", "3 PARTIAL")] {
        let ran = with_points(|points| {
            for point in points.iter_mut() {
                point.status = status.into();
            }
        });
        is_refused(&ran, &["of 3 recovery points in the vault", words]);
    }
}

/// With this in the document's place of that.
fn with(what: &str, instead: &str) -> Ran {
    let stage = Stage::new(SPEED, Script::default());
    let text = document(&stage, steps::pair);
    assert!(text.contains(what));
    let plan = stage.plan(&text.replace(what, instead));
    on(stage, plan)
}

#[test]
fn another_account() {
    let stage = Stage::new(SPEED, Script::default());
    let text = document(&stage, steps::pair);
    let scratch = ["account: \"", "arn:aws:iam::"]
        .iter()
        .fold(text, |text, before| {
            let (ours, other) = (
                format!("{before}{ACCOUNT}"),
                format!("{before}444455556666"),
            );
            assert!(text.contains(&ours));
            text.replace(&ours, &other)
        });
    let plan = stage.plan(&scratch);
    let ran = on(stage, plan);
    is_refused(
        &ran,
        &[
            "these credentials are of 111122223333",
            "the drill is for 444455556666",
        ],
    );
    // Nothing else is asked there, not even whether something is left.
    let log = ran.stage.aws.log();
    let others = log.iter().filter(|entry| entry.service != "sts");
    let others: Vec<&str> = others.map(|entry| entry.operation.as_str()).collect();
    assert!(others.is_empty(), "{others:?}");
}

#[test]
fn a_vault_without_the_marker() {
    let ran = with(
        "    network:",
        "    marker: {key: \"drills:here\", value: \"yes\"}\n    network:",
    );
    is_refused(&ran, &["drills:here=yes", "it does not: put it there"]);
    let ran = with(
        "    network:",
        "    marker: {key: \"seawall:scratch\", value: \"please\"}\n    network:",
    );
    is_refused(&ran, &["seawall:scratch=please", "its value is yes"]);
}

#[test]
fn a_key_that_cannot_be_looked_at() {
    let script = Script {
        denied_keys: vec![jobs::key()],
        ..Script::default()
    };
    let ran = ran(script, steps::pair);
    is_refused(&ran, &["is not authorized to perform: kms:DescribeKey"]);
}

/// The document itself is refused: it never comes to a drill.
#[test]
fn a_scratch_where_production_runs() {
    let stage = Stage::new(SPEED, Script::default());
    let text = document(&stage, steps::pair);
    for (what, instead, words) in [
        (
            format!("production: [{LOST}]"),
            format!("production: [{SCRATCH}]"),
            "the scratch is where production runs",
        ),
        (
            format!("region: {SCRATCH}"),
            format!("region: {LOST}"),
            "lost",
        ),
    ] {
        assert!(text.contains(&what));
        let path = stage.dir.path().join("drill.yaml");
        std::fs::write(stage.dir.path().join("key"), "").unwrap();
        std::fs::write(&path, text.replace(&what, &instead)).unwrap();
        let Err(found) = load_drill(&path, &Disk) else {
            panic!("{instead} is taken");
        };
        let told: Vec<String> = found.iter().map(|one| one.message.clone()).collect();
        assert!(told.iter().any(|one| one.contains(words)), "{told:?}");
    }
    assert!(stage.aws.log().is_empty());
}

/// What another process did to the plan between the check and the run does not help.
#[test]
fn a_plan_whose_region_is_productions_is_refused_once_more() {
    let stage = Stage::new(SPEED, Script::default());
    let mut plan = stage.plan(&document(&stage, steps::pair));
    let scratch = plan.drill.scratch.aws.as_mut().unwrap();
    scratch.production = vec![SCRATCH.into()];
    let ran = on(stage, plan);
    is_refused(&ran, &["production"]);
    let records: Vec<Record> = ran.stage.records(&ran.id);
    assert!(!records.is_empty());
}
