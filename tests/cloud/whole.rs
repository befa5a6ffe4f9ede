//! A drill that goes well, from its document to its verdict.

use seawall::journal::DrillEvent;
use seawall::model::drill::VerdictWord;

use super::stage::{LOST, Stage, twelve_steps};
use crate::fake_aws::script::Script;

#[test]
fn twelve_steps_go_well_and_leave_nothing() {
    let stage = Stage::new(500.0, Script::default());
    let plan = stage.plan(&twelve_steps(&stage.aws.url()));
    let (id, left) = stage.run(&plan, None);
    let end = left.end();
    let events = stage.events(&id);
    for event in &events {
        let line = serde_json::to_string(event).unwrap();
        println!("{}", line.chars().take(300).collect::<String>());
    }
    assert_eq!(
        end.verdict.word,
        VerdictWord::Met,
        "{:#?}",
        end.verdict.reasons
    );
    assert_eq!(end.left, Vec::<String>::new());
    assert_eq!(stage.aws.left(), Vec::<String>::new());
    assert_eq!(stage.left_here(), Vec::<String>::new());
    assert_eq!(stage.requests_to(LOST), 0);
    assert_eq!(stage.aws.mistakes(), Vec::<String>::new());
    // Three times for what has volumes.
    assert!(
        events
            .iter()
            .any(|e| matches!(e, DrillEvent::Reached { step, .. } if step == "volume-a"))
    );
    let asked: u64 = events
        .iter()
        .find_map(|e| match e {
            DrillEvent::Requests { by } => Some(by.values().sum()),
            _ => None,
        })
        .expect("requests are counted");
    assert_eq!(
        asked as usize,
        stage.aws.log().len(),
        "every request is counted"
    );
}
