//! A region without room for an instance type.

use super::*;

fn none_of(types: &[&str]) -> Script {
    Script {
        no_capacity: types.iter().map(|t| (*t).to_owned()).collect(),
        ..Script::default()
    }
}

fn substituted(ran: &Ran) -> Vec<(String, String, String)> {
    let events = ran.events().into_iter();
    let found = events.filter_map(|event| match event {
        DrillEvent::Substituted {
            step,
            wanted,
            taken,
            ..
        } => Some((step, wanted, taken)),
        _ => None,
    });
    found.collect()
}

fn both(jump: &'static str, machine: &'static str) -> impl Fn(&str) -> Vec<String> {
    move |url| vec![steps::jump(jump), steps::machine(url, machine)]
}

#[test]
fn a_substitute_that_the_document_allows_is_taken_and_reported() {
    let script = none_of(&["t3.micro", "m7g.large"]);
    let ran = ran(script, both("[t3.small]", "[m6g.large]"));
    ran.ends(VerdictWord::Met);
    let mut found = substituted(&ran);
    found.sort();
    let of = |step: &str, wanted: &str, taken: &str| {
        (step.to_owned(), wanted.to_owned(), taken.to_owned())
    };
    assert_eq!(
        found,
        [
            of("jump", "t3.micro", "t3.small"),
            of("machine", "m7g.large", "m6g.large"),
        ]
    );
    let runs = seawall::journal::Runs::new(&ran.stage.state_dir());
    let folder = runs.find(&ran.id).unwrap();
    let view = seawall::report::drill::load(&folder.path).unwrap();
    let report = serde_json::to_value(seawall::report::drill::json::document(&view)).unwrap();
    let machine = (report["steps"].as_array().unwrap().iter())
        .find(|step| step["step"] == "machine")
        .expect("the step is in the report");
    let told = &machine["substituted"][0];
    assert_eq!(told["wanted"], "m7g.large");
    assert_eq!(told["taken"], "m6g.large");
    let why = told["why"].as_str().unwrap();
    assert!(why.contains("sufficient m7g.large capacity"), "{why}");
}

#[test]
fn without_a_substitute_it_is_missed() {
    let ran = ran(none_of(&["m7g.large"]), both("[]", "[]"));
    ran.ends(VerdictWord::Missed);
    assert!(substituted(&ran).is_empty());
    ran.says("there is no capacity for m7g.large here; the document allows no substitutes");
}

#[test]
fn what_the_document_does_not_name_is_never_taken() {
    let script = none_of(&["t3.micro", "t3.small"]);
    let ran = ran(script, |_| vec![steps::jump("[t3.small]")]);
    ran.ends(VerdictWord::Missed);
    assert!(substituted(&ran).is_empty());
    ran.says("there is no capacity for t3.micro, t3.small here");
    ran.says("nor for any substitute that the document allows");
}
