//! Deaths of a drill's process, and those who come after it.

use super::*;

/// The process dies right after line `lines`; `world` is what it left.
fn left_by_the_dead(lines: usize, records: &[Record], world: &World, dead_ms: u64) -> Stage {
    let stage = stage_like(dead_ms, &records[..lines]);
    // Its lock dies with a process.
    *stage.fake.world.lock().unwrap() = World {
        locks: 0,
        ..world.clone()
    };
    stage
}

fn stage_like(dead_ms: u64, records: &[Record]) -> Stage {
    let mut stage = stage();
    let begun = drill_events(records).iter().find_map(|event| match event {
        DrillEvent::ClockStarted { boottime_ms, .. } => Some(*boottime_ms),
        _ => None,
    });
    if let Some(begun) = begun {
        stage.boottime_ms = begun + last_ms(records) + dead_ms;
    }
    stage
}

/// The last time that was told on the drill's clock.
fn last_ms(records: &[Record]) -> u64 {
    drill_events(records)
        .iter()
        .filter_map(|event| serde_json::to_value(event).ok()?.get("at_ms")?.as_u64())
        .max()
        .unwrap_or(0)
}

fn position(records: &[Record], wanted: fn(&DrillEvent) -> bool) -> usize {
    let found = records
        .iter()
        .position(|r| matches!(&r.event, Event::Drill(event) if wanted(event)));
    found.map_or(usize::MAX, |i| i + 1)
}

/// Plays both ways on after a death at each line, with what was there right after that line and
/// right before the next.
#[test]
fn killed_after_any_line_it_is_resumed_or_swept_to_a_true_end_with_nothing_left() {
    let whole = stage().play(How::Run, &[]);
    sound(&whole);
    let records = &whole.records;
    assert_eq!(whole.worlds.len(), records.len());
    let started = position(records, |e| matches!(e, DrillEvent::ClockStarted { .. }));
    let stopped = position(records, |e| matches!(e, DrillEvent::ClockStopped { .. }));
    let judged = position(records, |e| matches!(e, DrillEvent::Judged { .. }));
    let mut deaths = 0;
    for lines in 1..records.len() {
        for world in [&whole.worlds[lines - 1], &whole.worlds[lines]] {
            for how in [How::Resume, How::Sweep] {
                deaths += 1;
                let stage = left_by_the_dead(lines, records, world, 5000);
                let played = stage.play(how, &records[..lines]);
                sound(&played);
                let verdict = &played.end().verdict;
                let context = format!("line {lines}, {how:?}: {:?}", verdict.reasons);
                if lines < started {
                    assert_eq!(verdict.word, Inconclusive, "{context}");
                } else if lines < stopped && how == How::Sweep {
                    assert_eq!(verdict.word, Inconclusive, "{context}");
                    assert_eq!(verdict.rto.measured_ms, None, "{context}");
                } else {
                    assert_eq!(verdict.word, Met, "{context}");
                    let rto = verdict.rto.measured_ms.unwrap();
                    match lines < stopped {
                        // The five seconds in which nobody worked count.
                        true => {
                            assert!(
                                rto >= 9600 && rto >= last_ms(&records[..lines]) + 5000,
                                "{context}: {rto}"
                            )
                        }
                        false => assert_eq!(rto, 9600, "{context}"),
                    }
                }
                if lines >= judged {
                    let again =
                        |r: &&Record| matches!(r.event, Event::Drill(DrillEvent::Resumed { .. }));
                    assert!(played.records.iter().find(again).is_none());
                }
            }
        }
    }
    assert!(deaths > 400, "{deaths}");
}

#[test]
fn killed_again_and_again_it_still_comes_to_a_true_end() {
    let mut seed = 11u64;
    let mut random = move |below: usize| {
        seed = seed
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (seed >> 33) as usize % below.max(1)
    };
    for _ in 0..60 {
        let mut played = stage().play(How::Run, &[]);
        let mut known = 2;
        for _ in 0..4 {
            let total = played.records.len();
            let lines = known + random(total - known);
            // Worlds are known from the first line that this process wrote.
            let first = total - played.worlds.len();
            if lines <= first || lines >= total {
                break;
            }
            let world = played.worlds[lines - first - 1].clone();
            let stage = left_by_the_dead(lines, &played.records, &world, 700);
            let former = played.records[..lines].to_vec();
            played = stage.play(How::Resume, &former);
            sound(&played);
            known = lines;
        }
        let swept = played.records.len() - 1;
        let stage = left_by_the_dead(swept, &played.records, &World::default(), 0);
        sound(&stage.play(How::Sweep, &played.records[..swept]));
    }
}

#[test]
fn in_another_boot_the_clock_is_lost_and_all_the_same_nothing_is_left() {
    let whole = stage().play(How::Run, &[]);
    let line = whole.records.len() / 2;
    let mut stage = left_by_the_dead(line, &whole.records, &whole.worlds[line - 1], 0);
    stage.boot_id = "boot-2".into();
    stage.boottime_ms = 30;
    let played = stage.play(How::Resume, &whole.records[..line]);
    sound(&played);
    assert_eq!(played.end().verdict.word, Inconclusive);
    assert_eq!(played.end().verdict.rto.measured_ms, None);
    reason(&played, "its clock is lost");
}

#[test]
fn what_had_recovered_is_done_again_where_it_is_gone_and_so_is_all_that_needs_it() {
    let whole = stage().play(How::Run, &[]);
    let last = |step: &'static str| {
        whole.records.iter().position(
            |r| matches!(&r.event, Event::Drill(DrillEvent::StepEnded { step: s, .. }) if s == step),
        )
    };
    // a, b, c and e have recovered; then the machine's owner removed a.
    let lines = last("b").max(last("c")).unwrap() + 1;
    let mut world = whole.worlds[lines - 1].clone();
    world.things.remove("a");
    let stage = left_by_the_dead(lines, &whole.records, &world, 0);
    let played = stage.play(How::Resume, &whole.records[..lines]);
    sound(&played);
    assert_eq!(played.end().verdict.word, Met);
    let line = Timeline::of(&played.records);
    let attempts = |step: &str| line.step(step).map(|s| s.attempts.len());
    assert_eq!(
        ["a", "b", "c", "e"].map(attempts),
        [Some(2), Some(2), Some(2), Some(1)]
    );
}

#[test]
fn a_resume_that_is_not_ready_leaves_the_run_as_it_was() {
    let whole = stage().play(How::Run, &[]);
    let lines = whole.records.len() / 2;
    let mut stage = left_by_the_dead(lines, &whole.records, &whole.worlds[lines - 1], 0);
    stage.fake.script.unmet = true;
    let played = stage.play(How::Resume, &whole.records[..lines]);
    let error = played.result.unwrap_err();
    assert!(
        matches!(&error, RunError::NotReady(why) if why.contains("free space")),
        "{error}"
    );
    // And what was written is nothing that keeps it from being resumed once more.
    let stage = left_by_the_dead(played.records.len(), &played.records, &played.world, 0);
    let again = stage.play(How::Resume, &played.records);
    sound(&again);
    assert_eq!(again.end().verdict.word, Met);
    // A sweep asks for nothing.
    let mut stage = left_by_the_dead(lines, &whole.records, &whole.worlds[lines - 1], 0);
    stage.fake.script.unmet = true;
    sound(&stage.play(How::Sweep, &whole.records[..lines]));
}
