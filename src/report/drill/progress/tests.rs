use super::*;
use crate::journal::{DrillEvent, Event};
use crate::report::drill::fixture;

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn nothing() -> Poll {
    Arc::new(|_| (0, 0, 0))
}

fn plain(events: &[Event]) -> String {
    let sink = Sink::default();
    let mut progress = Progress::new(Mode::Plain(Box::new(sink.clone())), nothing());
    for record in fixture::records(events) {
        progress.take(&record);
    }
    String::from_utf8(sink.0.lock().unwrap().clone()).unwrap()
}

/// The tracker as it is before the first event that fits.
fn until(events: &[Event], fits: impl Fn(&DrillEvent) -> bool) -> Tracker {
    let mut tracker = Tracker::default();
    for record in fixture::records(events) {
        if matches!(&record.event, Event::Drill(event) if fits(event)) {
            break;
        }
        tracker.take(&record);
    }
    tracker
}

#[test]
fn plain_lines_of_a_drill() {
    insta::assert_snapshot!(plain(&fixture::missed()));
}

#[test]
fn a_stranger_cannot_speak_through_progress() {
    let text = plain(&fixture::hostile(100));
    let dangerous = |c: char| c != '\n' && crate::shell::is_dangerous(c);
    assert!(!text.contains(dangerous), "{text}");
    for line in text.lines() {
        assert!(line.chars().count() < 800, "{line}");
    }
}

#[test]
fn the_live_view_has_the_clock_and_a_bar_for_each_running_step() {
    let loads = |event: &DrillEvent| matches!(event, DrillEvent::PhaseEnded { step, phase, .. } if step == "db" && *phase == crate::model::drill::DrillPhase::Restore);
    let tracker = until(&fixture::met(), loads);
    assert!(tracker.is_running());
    let poll = |step: &str| match step {
        "db" => (6_000_000_000, 12_000_000_000, 1),
        _ => (30_000_000_000, 71_000_000_000, 12_345),
    };
    let text = lines::lines(&tracker, 180_000, &poll, 24, 120).join("\n");
    insta::assert_snapshot!(text);
    let late = lines::lines(&tracker, 4 * 3_600_000, &poll, 24, 120);
    assert!(late[0].contains("OVER by 40 min 00 s"), "{}", late[0]);
    assert!(late[1].contains("OVER its objective"), "{}", late[1]);
}

#[test]
fn two_hundred_steps_fit_on_a_small_terminal() {
    let mut tracker = Tracker::default();
    for record in fixture::records(&fixture::many(200, 200)) {
        if matches!(&record.event, Event::Drill(DrillEvent::StepEnded { .. })) {
            break;
        }
        tracker.take(&record);
    }
    for (height, width) in [(24, 80), (10, 40), (1, 1)] {
        let lines = lines::lines(&tracker, 1000, &|_| (1, 2, 3), height, width);
        assert!(lines.len() <= height.max(3), "{}", lines.len());
        for line in lines {
            assert!(line.chars().count() < width.max(21), "{width}: {line}");
        }
    }
}

#[test]
fn bars_come_and_go_and_the_thread_ends() {
    let polled = Arc::new(Mutex::new(0));
    let count = polled.clone();
    let poll: Poll = Arc::new(move |_| {
        *count.lock().unwrap() += 1;
        (u64::MAX, 1, u64::MAX)
    });
    let mut bars = Bars::new(24, 100, ProgressDrawTarget::hidden(), poll);
    let mut most = 0;
    for record in fixture::records(&fixture::met()) {
        bars.take(&record);
        bars.shared.draw(&bars.bar);
        most = most.max(bars.bar.message().lines().count());
    }
    assert!(most >= 4, "{most}");
    assert!(bars.bar.message().contains("done"));
    let shared = Arc::downgrade(&bars.shared);
    drop(bars);
    assert!(shared.upgrade().is_none());
    assert!(*polled.lock().unwrap() > 0);
}
