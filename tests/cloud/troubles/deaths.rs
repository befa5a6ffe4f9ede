//! A death right after a line of the journal, and a sweep: nothing is left, wherever it was.

use super::super::stage::Left;
use super::*;

const FAST: f64 = 2000.0;
/// Of so many lines, one.
const EVERY: usize = 3;

fn drill(url: &str) -> Vec<String> {
    let mut steps = steps::pair(url);
    steps.push(steps::carts());
    steps
}

fn whole() -> Ran {
    let ran = ran_at(FAST, Script::default(), drill);
    ran.ends(VerdictWord::Met);
    ran
}

fn dies_after(lines: usize) {
    let stage = Stage::new(FAST, Script::default());
    let plan = stage.plan(&document(&stage, drill));
    let (id, left) = stage.run_lines(&plan, lines);
    let end = match left {
        // It had nothing more to do.
        Left::Ended(end) => end,
        Left::Dead => stage.sweep(&id, &plan, None).end(),
    };
    let ran = Ran {
        stage,
        plan,
        id,
        end,
    };
    assert_eq!(
        ran.end.left,
        Vec::<String>::new(),
        "{lines}: {}",
        ran.told()
    );
    println!("after {lines} lines: {:?}", ran.end.verdict.word);
    ran.is_gone();
}

/// The lines of a drill that goes well; deaths after each third of them, from this one on.
fn from(first: usize, step: usize) {
    let ran = whole();
    let lines = ran.stage.records(&ran.id).len();
    assert!(lines > 40, "{lines}");
    for line in (first..=lines).step_by(step) {
        dies_after(line);
    }
}

#[test]
fn a_death_after_a_line_leaves_nothing_1() {
    from(1, 2 * EVERY);
}

#[test]
fn a_death_after_a_line_leaves_nothing_2() {
    from(1 + EVERY, 2 * EVERY);
}
