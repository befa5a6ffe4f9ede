use std::sync::{Arc, Mutex};

use super::*;
use crate::journal::Event;
use crate::report::patch::fixture;

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

fn plain(events: &[Event]) -> String {
    let sink = Sink::default();
    let mut progress = Progress::new(Mode::Plain(Box::new(sink.clone())));
    for record in fixture::records(events) {
        progress.take(&record);
    }
    String::from_utf8(sink.0.lock().unwrap().clone()).unwrap()
}

#[test]
fn plain_lines_of_a_run() {
    insta::assert_snapshot!(plain(&fixture::run()));
}

#[test]
fn a_plan_has_one_line_for_each_host() {
    let text = plain(&fixture::plan());
    for host in fixture::WEBS {
        let lines = text
            .lines()
            .filter(|l| l.contains(&format!("host {host}:")));
        assert_eq!(lines.count(), 1, "{text}");
    }
    assert!(
        text.contains("host web01: behind: 5 upgrades (2m 10s)"),
        "{text}"
    );
}

#[test]
fn a_stranger_cannot_speak_through_progress() {
    let text = plain(&fixture::hostile(20));
    let dangerous = |c: char| c != '\n' && crate::shell::is_dangerous(c);
    assert!(!text.contains(dangerous), "{text}");
}

#[test]
fn what_a_host_waits_for_is_said_once() {
    use crate::journal::PatchEvent;
    let waits = |why: &str| {
        Event::Patch(PatchEvent::Waits {
            host: "web01".into(),
            why: why.into(),
        })
    };
    let text = plain(&[
        waits("apt-get (pid 7)"),
        waits("apt-get (pid 7)"),
        waits("the window"),
    ]);
    assert_eq!(
        text,
        "host web01: waits: apt-get (pid 7)\nhost web01: waits: the window\n"
    );
}

#[test]
fn fifty_running_hosts_fit_on_a_terminal() {
    let mut view = PatchView::default();
    let mut events = fixture::many(50, 0);
    events.retain(|e| {
        !matches!(
            e,
            Event::Patch(crate::journal::PatchEvent::HostEnded { .. })
        )
    });
    for record in fixture::records(&events) {
        view.take(&record);
    }
    let text = message(&view, 8, 60);
    assert_eq!(text.lines().count(), 10, "{text}");
    assert!(text.contains("and 42 more"), "{text}");
    assert!(text.lines().all(|l| l.chars().count() <= 60));
}

#[test]
fn nobody_listening_is_no_reason_to_stop() {
    struct Closed;
    impl Write for Closed {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
    }
    let mut progress = Progress::new(Mode::Plain(Box::new(Closed)));
    for record in fixture::records(&fixture::run()) {
        progress.take(&record);
    }
    assert!(progress.pause().is_none());
}
