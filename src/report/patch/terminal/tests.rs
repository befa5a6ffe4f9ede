use super::*;
use crate::report::patch::fixture;

fn plain(events: &[crate::journal::Event], width: usize) -> String {
    let look = Look {
        width,
        page: Some("/var/lib/seawall/reports/20261120-073514-k3f9.html".into()),
        ..Look::default()
    };
    summary(&fixture::fold(events), &look)
}

#[test]
fn plan() {
    insta::assert_snapshot!(plain(&fixture::plan(), 100));
}

#[test]
fn run() {
    insta::assert_snapshot!(plain(&fixture::run(), 100));
}

#[test]
fn aborted() {
    insta::assert_snapshot!(plain(&fixture::aborted(), 72));
}

#[test]
fn good() {
    let text = plain(&fixture::good(), 100);
    assert!(text.contains("\nALL ARE PATCHED\n"), "{text}");
    assert!(
        text.contains("seawall verify 20261120-073514-k3f9"),
        "{text}"
    );
    assert!(!text.contains("budget"), "nothing was taken of it: {text}");
}

#[test]
fn a_wave_of_hosts_that_need_nothing_is_not_one_that_was_held_up() {
    use crate::journal::{Event, PatchEvent};
    use crate::model::patch::PatchOutcome::{self, Current, NotStarted};
    let waves = |second: PatchOutcome| {
        let end = |host: &str, outcome| {
            Event::Patch(PatchEvent::HostEnded {
                host: host.into(),
                outcome,
                reason: None,
                to_do: Vec::new(),
                millis: 0,
            })
        };
        let declared = Event::Patch(PatchEvent::Declared {
            patch: "weekly".into(),
            waves: vec![vec!["a".into()], vec!["b".into()]],
            policy: Default::default(),
            failure_budget: 0,
            advisories: Default::default(),
        });
        plain(&[declared, end("a", Current), end("b", second)], 100)
    };
    let text = waves(Current);
    assert!(!text.contains("not begun"), "{text}");
    assert!(text.contains("nothing was to be done"), "{text}");
    assert!(waves(NotStarted).contains("b; not begun"));
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    for width in [60, 80, 100, 160] {
        for events in [
            fixture::plan(),
            fixture::run(),
            fixture::aborted(),
            fixture::many(60, 2),
            fixture::hostile(40),
            Vec::new(),
        ] {
            let text = plain(&events, width);
            for line in text.lines().filter(|l| !l.starts_with("Report  ")) {
                assert!(line.chars().count() <= width, "{width}: {line}");
            }
        }
    }
}

#[test]
fn a_thousand_hosts_stay_readable_and_the_cut_is_counted() {
    let text = plain(&fixture::many(1000, 3), 100);
    assert!(text.lines().count() < 100, "{}", text.lines().count());
    assert!(text.contains("… and 970 more patched"), "{text}");
    let full = Look {
        full: true,
        ..Look::default()
    };
    let text = summary(&fixture::fold(&fixture::many(1000, 3)), &full);
    assert!(text.contains("host0999"), "all are shown when asked for");
}

#[test]
fn colour_only_where_it_was_asked_for() {
    let view = fixture::fold(&fixture::run());
    assert!(!summary(&view, &Look::default()).contains('\u{1b}'));
    let look = Look {
        color: true,
        ..Look::default()
    };
    assert!(summary(&view, &look).contains("\u{1b}[1;31mfailed"));
}

#[test]
fn a_stranger_cannot_speak_to_the_terminal() {
    let text = plain(&fixture::hostile(300), 100);
    let dangerous = |c: char| c != '\n' && crate::shell::is_dangerous(c);
    assert!(!text.contains(dangerous), "{text}");
    assert!(text.len() < 200_000, "{}", text.len());
}
