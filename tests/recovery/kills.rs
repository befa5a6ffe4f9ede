//! SIGKILL at random moments of a drill: whatever was going on, `resume` or `sweep` ends it with
//! nothing left and a true report.

use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::world::{With, World, said};

/// A small generator: the moments are the same on each run, though what they hit is not.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit.max(1)
    }
}

/// Runs a verb and kills it after a while; whether it was still alive then.
fn killed(world: &World, args: &[&str], after: Duration) -> bool {
    let mut child = world
        .command(args)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program can be run");
    std::thread::sleep(after);
    child.kill().expect("it can be killed");
    child.wait().expect("its end").signal() == Some(9)
}

fn ends_true(world: &World, run: &str, verb: &str, ended: &std::process::Output) {
    let verdict = world.verdict(run);
    let word = verdict["word"].as_str().unwrap_or("none");
    let code = ended.status.code();
    assert!(
        matches!(
            (verb, word, code),
            ("sweep", "met" | "missed" | "inconclusive", Some(0))
                | ("resume", "met", Some(0))
                | ("resume", "missed", Some(1))
                | ("resume", "inconclusive", Some(2 | 3))
        ),
        "{verb}, {word}: {}",
        said(ended)
    );
    if word == "met" {
        // All four steps, each with its proofs, in this journal.
        let steps = verdict["steps"].as_array().map_or(0, Vec::len);
        assert!(steps >= 3, "{verdict}");
    }
    assert_eq!(
        world.left_behind(),
        Vec::<String>::new(),
        "after {}",
        said(ended)
    );
}

fn at_random_moments(with: With, kills: u32, seed: u64) {
    let mut world = World::new(with);
    world.backup();
    world.lose();
    let start = Instant::now();
    let out = world.seawall(&["drill", "run", "drill.yaml", "--quiet"]);
    assert_eq!(out.status.code(), Some(0), "{}", said(&out));
    let whole = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
    let mut dice = Dice(seed);
    let (mut done, mut resumed, mut swept, mut met) = (0, 0, 0, 0);
    while done < kills {
        let before = world.runs();
        let moment = Duration::from_millis(dice.below(whole * 11 / 10));
        if !killed(&world, &["drill", "run", "drill.yaml", "--quiet"], moment) {
            continue;
        }
        done += 1;
        let new = world.runs().into_iter().find(|run| !before.contains(run));
        let Some(run) = new else {
            // It had not yet begun a run: nothing may be there either.
            assert_eq!(world.left_behind(), Vec::<String>::new());
            continue;
        };
        let verb = if dice.below(3) == 0 {
            "sweep"
        } else {
            "resume"
        };
        // Those who come to help may be killed too.
        if dice.below(3) == 0 && done < kills {
            let moment = Duration::from_millis(dice.below(whole));
            done += u32::from(killed(&world, &["drill", verb, &run, "--quiet"], moment));
        }
        let ended = world.seawall(&["drill", verb, &run, "--quiet"]);
        ends_true(&world, &run, verb, &ended);
        match verb {
            "sweep" => swept += 1,
            _ => resumed += 1,
        }
        met += u32::from(world.verdict(&run)["word"] == "met");
    }
    println!("{done} kills: {resumed} resumed, {swept} swept, {met} met their objective");
    assert!(met > 0, "none of the resumed drills came to a good end");
    let out = world.seawall(&["verify", "--all"]);
    assert_eq!(out.status.code(), Some(0), "{}", said(&out));
}

#[test]
fn a_drill_of_files_that_is_killed_leaves_nothing() {
    at_random_moments(With::FilesOnly, 80, 20_261_120);
}

#[test]
fn a_drill_with_a_database_that_is_killed_leaves_nothing() {
    at_random_moments(With::Database, 30, 4711);
}
