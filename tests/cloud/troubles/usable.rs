//! Available is not usable, and usable is not initialised.

use seawall::model::drill::Milestone;

use super::*;

fn reached(ran: &Ran) -> Vec<(Milestone, String)> {
    let events = ran.events().into_iter();
    let found = events.filter_map(|event| match event {
        DrillEvent::Reached {
            step,
            milestone,
            detail,
            ..
        } if step == "data" => Some((milestone, detail)),
        _ => None,
    });
    found.collect()
}

#[test]
fn who_waits_for_every_block_is_told_when_all_have_come() {
    let ran = ran(Script::default(), |url| {
        let by = "by: ec2, initialisation_rate: 300, ";
        vec![steps::jump("[]"), steps::volume(url, by, "initialised", "")]
    });
    ran.ends(VerdictWord::Met);
    let found = reached(&ran);
    let words: Vec<Milestone> = found.iter().map(|(m, _)| *m).collect();
    assert_eq!(words, [Milestone::Available, Milestone::Initialised]);
    assert!(found[1].1.contains("100 %"), "{found:?}");
    // The proofs come after it.
    let events = ran.events();
    let at = |wanted: &dyn Fn(&DrillEvent) -> bool| events.iter().position(wanted).unwrap();
    let full = at(
        &|e| matches!(e, DrillEvent::Reached { milestone, .. } if *milestone == Milestone::Initialised),
    );
    let proved = at(&|e| matches!(e, DrillEvent::Proved { step, .. } if step == "data"));
    assert!(full < proved);
}

#[test]
fn who_does_not_wait_is_told_that_it_is_cold() {
    let ran = ran(Script::default(), steps::pair);
    ran.ends(VerdictWord::Met);
    let found = reached(&ran);
    let words: Vec<Milestone> = found.iter().map(|(m, _)| *m).collect();
    assert_eq!(words, [Milestone::Available, Milestone::Cold]);
}
