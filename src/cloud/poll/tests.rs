use std::cell::Cell;

use super::*;

const REAL: Pace = Pace(1.0);

fn seconds(s: u64) -> Duration {
    Duration::from_secs(s)
}

fn fault(kind: FaultKind) -> Fault {
    Fault {
        kind,
        ..Fault::ours("asking", "no")
    }
}

/// A job that waits `lag` and then runs to its end at `end`: how many questions, and how late its
/// end was seen.
async fn watch(lag: f64, end: f64, shares: bool) -> (u32, f64) {
    let begun = Instant::now();
    let asked = Cell::new(0);
    let pace = Pace(1.0);
    until(pace, Schedule::LONG, seconds(100_000), "it", false, || {
        asked.set(asked.get() + 1);
        let at = begun.elapsed().as_secs_f64();
        let share = ((at - lag) / (end - lag)).clamp(0.0, 1.0);
        async move {
            Ok(match at >= end {
                true => Asked::Ready(()),
                false => Asked::Wait(shares.then_some(share)),
            })
        }
    })
    .await
    .unwrap();
    (asked.get(), begun.elapsed().as_secs_f64() - end)
}

#[tokio::test(start_paused = true)]
async fn few_questions_and_an_end_that_is_seen_soon() {
    for (lag, end, most) in [
        (0.0, 1800.0, 40),
        (60.0, 1800.0, 45),
        (60.0, 160.0, 25),
        (300.0, 7200.0, 180),
        (0.0, 36_000.0, 400),
    ] {
        let (asked, late) = watch(lag, end, true).await;
        assert!(asked <= most, "{asked} questions about {end} s");
        assert!(
            late <= (end * 0.011).max(3.0),
            "{late} s late after {end} s"
        );
    }
    let (asked, late) = watch(0.0, 1800.0, false).await;
    assert!(asked <= 200, "{asked} questions");
    assert!(late <= 1800.0 * 0.021, "{late} s late");
}

#[tokio::test(start_paused = true)]
async fn waits_are_within_their_bounds_whatever_a_service_says() {
    for share in [
        None,
        Some(f64::NAN),
        Some(-1.0),
        Some(0.0),
        Some(1e-300),
        Some(0.5),
        Some(0.999_999),
        Some(1.0),
        Some(f64::INFINITY),
    ] {
        for elapsed in [0, 1, 10, 3600] {
            let wait = Schedule::LONG.next(seconds(elapsed), share);
            assert!(wait >= seconds(1) && wait <= seconds(90), "{share:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn passing_faults_are_waited_out_ever_more_rarely() {
    let begun = Instant::now();
    let asked = Cell::new(0);
    // Ten minutes of 503.
    let brought = persist(REAL, seconds(3600), "it", || {
        asked.set(asked.get() + 1);
        let down = begun.elapsed() < seconds(600);
        async move {
            match down {
                true => Err(fault(FaultKind::Passing)),
                false => Ok(7),
            }
        }
    })
    .await;
    assert_eq!(brought.unwrap(), 7);
    assert!((7..=20).contains(&asked.get()), "{} questions", asked.get());
    assert!(begun.elapsed() <= seconds(600 + 120));
}

#[tokio::test(start_paused = true)]
async fn what_does_not_pass_ends_it_at_once_and_the_deadline_ends_all() {
    for kind in [FaultKind::Denied, FaultKind::Guarded, FaultKind::NotFound] {
        let begun = Instant::now();
        let ask = || async { Err::<Asked<()>, _>(fault(kind)) };
        let brought = until(REAL, Schedule::QUICK, seconds(60), "it", false, ask).await;
        assert_eq!(brought.unwrap_err().kind, kind);
        assert_eq!(begun.elapsed(), Duration::ZERO);
    }
    let begun = Instant::now();
    let ask = || async { Ok::<Asked<()>, Fault>(Asked::Wait(None)) };
    let brought = until(
        REAL,
        Schedule::QUICK,
        seconds(60),
        "it to stand",
        false,
        ask,
    )
    .await;
    let text = brought.unwrap_err().to_string();
    assert_eq!(text, "it to stand: it was not so after 60 seconds");
    assert_eq!(begun.elapsed().as_secs(), 60);
    let ask = || async { Err::<Asked<()>, _>(fault(FaultKind::Throttled)) };
    let brought = until(REAL, Schedule::QUICK, seconds(300), "it", false, ask).await;
    let error = brought.unwrap_err();
    assert_eq!(error.kind, FaultKind::Throttled);
    assert!(error.message.contains("5 minutes"), "{}", error.message);
}

#[tokio::test(start_paused = true)]
async fn what_was_just_made_may_be_forgotten_for_five_minutes_and_no_longer() {
    for (forgotten, found) in [(120, true), (400, false)] {
        let begun = Instant::now();
        let ask = || async {
            match begun.elapsed() < seconds(forgotten) {
                true => Err(fault(FaultKind::NotFound)),
                false => Ok(Asked::Ready(())),
            }
        };
        let brought = until(REAL, Schedule::QUICK, seconds(3600), "it", true, ask).await;
        assert_eq!(brought.is_ok(), found, "{forgotten}");
    }
}

#[tokio::test(start_paused = true)]
async fn many_that_begin_together_do_not_ask_together() {
    let mut times = std::collections::BTreeSet::new();
    for _ in 0..50 {
        let begun = Instant::now();
        let asked = Cell::new(0);
        let ask = || {
            asked.set(asked.get() + 1);
            let ready = asked.get() == 3;
            async move {
                Ok(match ready {
                    true => Asked::Ready(()),
                    false => Asked::Wait(None),
                })
            }
        };
        until(REAL, Schedule::LONG, seconds(600), "it", false, ask)
            .await
            .unwrap();
        times.insert(begun.elapsed().as_millis());
    }
    assert!(times.len() > 20, "{} different times", times.len());
}

#[tokio::test(start_paused = true)]
async fn a_faster_double_is_waited_for_so_much_shorter() {
    let begun = Instant::now();
    let ask = || async { Ok::<Asked<()>, Fault>(Asked::Wait(None)) };
    let pace = Pace(600.0);
    until(pace, Schedule::QUICK, seconds(600), "it", false, ask)
        .await
        .unwrap_err();
    assert!(begun.elapsed() < seconds(2), "{:?}", begun.elapsed());
    assert_eq!(Pace(0.1).scaled(seconds(5)), seconds(5));
    assert_eq!(Pace(10.0).stretched(seconds(5)), seconds(50));
}
