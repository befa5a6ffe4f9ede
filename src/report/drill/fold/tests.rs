use super::*;
use crate::journal::{DrillEvent, Event};
use crate::report::drill::fixture;

fn word(events: &[Event]) -> VerdictWord {
    fixture::fold(events).verdict().word
}

#[test]
fn what_was_judged_counts_where_the_drill_came_to_its_end() {
    assert_eq!(word(&fixture::met()), VerdictWord::Met);
    assert_eq!(word(&fixture::missed()), VerdictWord::Missed);
    assert_eq!(word(&fixture::inconclusive()), VerdictWord::Inconclusive);
}

/// Twelfth lie: reports that forget. A run that died is a run.
#[test]
fn lie_12_an_aborted_drill_is_inconclusive_wherever_it_was_cut() {
    let events = fixture::met();
    for end in 0..events.len() {
        let verdict = fixture::fold(&events[..end]).verdict();
        assert_eq!(verdict.word, VerdictWord::Inconclusive, "{end}");
        assert!(verdict.reasons[0].contains("did not come to its end"));
    }
}

#[test]
fn no_order_of_events_makes_it_fail() {
    for mut events in [fixture::missed(), fixture::hostile(50)] {
        let whole = events.len();
        for turn in 0..6 {
            events.rotate_left(whole / 7 + turn);
            events.swap(turn, whole / 2);
            let view = fixture::fold(&events);
            let _ = (view.verdict(), view.last_ms(), view.restored());
        }
        events.reverse();
        let _ = fixture::fold(&events).verdict();
    }
}

/// A verdict that the journal's own events give the lie to is not repeated.
#[test]
fn a_met_that_the_events_speak_against_is_not_believed() {
    let spoils: [fn(&mut DrillEvent); 5] = [
        |event| {
            if let DrillEvent::Proved { outcome, .. } = event {
                *outcome = ProofOutcome::Unknown;
            }
        },
        |event| {
            if let DrillEvent::Control { can_fail, .. } = event {
                *can_fail = false;
            }
        },
        |event| {
            if let DrillEvent::StepEnded { ended, .. } = event {
                *ended = Ended::Failed;
            }
        },
        |event| {
            if let DrillEvent::Swept { left } = event {
                left.push("a directory".into());
            }
        },
        |event| {
            if matches!(event, DrillEvent::Swept { .. }) {
                *event = DrillEvent::Resumed {
                    at_ms: 1,
                    boot_id: "x".into(),
                    same_boot: false,
                    by: "anna".into(),
                };
            }
        },
    ];
    for (number, spoil) in spoils.into_iter().enumerate() {
        let mut events = fixture::met();
        for event in &mut events {
            if let Event::Drill(event) = event {
                spoil(event);
            }
        }
        let verdict = fixture::fold(&events).verdict();
        assert_eq!(verdict.word, VerdictWord::Inconclusive, "{number}");
        assert!(!verdict.reasons.is_empty());
    }
}

#[test]
fn attempts_phases_and_the_ledger_are_told_apart() {
    let view = fixture::fold(&fixture::missed());
    let documents = view.steps.iter().find(|s| s.name == "documents").unwrap();
    assert_eq!(documents.attempts.len(), 2);
    assert_eq!(
        documents.attempts[0].ended.as_ref().unwrap().ended,
        Ended::Failed
    );
    let last = documents.last().unwrap();
    assert_eq!(last.spent_ms(DrillPhase::Restore), 9 * 60_000);
    assert_eq!(last.restored(), (214_000_000_000, 184_233));
    assert_eq!(last.proofs.len(), 2);
    assert!(last.picked.as_ref().unwrap().point.signed);
    assert_eq!(view.ledger.iter().filter(|e| e.gone).count(), 3);
    assert_eq!(view.used.len(), 3);
    assert_eq!(view.last_ms(), view.stopped_ms.unwrap());
}

#[test]
fn a_proof_that_was_never_tried_is_listed_as_such() {
    let view = fixture::fold(&fixture::aborted());
    let app = view.steps.iter().find(|s| s.name == "app").unwrap();
    assert_eq!(app.proofs(), [("an order can be looked up", None)]);
    assert!(!app.recovered());
}
