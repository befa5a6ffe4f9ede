use super::*;
use crate::report::drill::fixture;

fn plain(events: &[crate::journal::Event], width: usize) -> String {
    let look = Look {
        width,
        page: Some("/var/lib/seawall/reports/20261120-073514-k3f9.html".into()),
        ..Look::default()
    };
    summary(&fixture::fold(events), &look)
}

#[test]
fn met() {
    insta::assert_snapshot!(plain(&fixture::met(), 100));
}

#[test]
fn cloud() {
    insta::assert_snapshot!(plain(&fixture::cloud(), 100));
}

#[test]
fn missed() {
    insta::assert_snapshot!(plain(&fixture::missed(), 100));
}

#[test]
fn inconclusive() {
    insta::assert_snapshot!(plain(&fixture::inconclusive(), 100));
}

#[test]
fn aborted() {
    insta::assert_snapshot!(plain(&fixture::aborted(), 72));
}

#[test]
fn the_verdict_stands_before_everything_else() {
    for (events, word) in [
        (fixture::met(), "MET"),
        (fixture::missed(), "MISSED"),
        (fixture::inconclusive(), "INCONCLUSIVE"),
        (fixture::aborted(), "INCONCLUSIVE"),
    ] {
        let text = plain(&events, 100);
        assert!(text.lines().nth(3).unwrap().starts_with(word), "{text}");
    }
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    for width in [60, 80, 100, 160] {
        for events in [
            fixture::met(),
            fixture::missed(),
            fixture::inconclusive(),
            fixture::aborted(),
            fixture::one(),
            fixture::many(200, 8),
            fixture::hostile(40),
        ] {
            let text = plain(&events, width);
            for line in text.lines().filter(|l| !l.starts_with("Report  ")) {
                assert!(line.chars().count() <= width, "{width}: {line}");
            }
        }
    }
}

#[test]
fn two_hundred_steps_stay_readable() {
    let text = plain(&fixture::many(200, 8), 100);
    assert!(text.lines().count() < 190, "{}", text.lines().count());
    assert!(text.contains("… and 170 more, 0 of them not met"), "{text}");
}

#[test]
fn colour_only_where_it_was_asked_for() {
    let view = fixture::fold(&fixture::missed());
    assert!(!summary(&view, &Look::default()).contains('\u{1b}'));
    let look = Look {
        color: true,
        ..Look::default()
    };
    assert!(summary(&view, &look).contains("\u{1b}[31mMISSED"));
}

#[test]
fn a_stranger_cannot_speak_to_the_terminal() {
    let text = plain(&fixture::hostile(300), 100);
    let dangerous = |c: char| c != '\n' && crate::shell::is_dangerous(c);
    assert!(!text.contains(dangerous), "{text}");
    assert!(text.len() < 200_000, "{}", text.len());
}

#[test]
fn a_bar_says_what_is_assumed_and_where_the_target_is() {
    let measure = |measured, target| Measure {
        measured_ms: measured,
        target_ms: target,
        step: None,
    };
    assert_eq!(
        bar(&measure(Some(50), Some(100)), 25),
        "▒▒▒▒▒▒██████···········│"
    );
    assert_eq!(
        bar(&measure(Some(200), Some(100)), 0),
        "███████████│████████████"
    );
    assert_eq!(bar(&measure(None, Some(100)), 25), "");
    assert_eq!(bar(&measure(Some(0), Some(0)), 0).chars().count(), BAR);
    assert_eq!(
        bar(&measure(Some(u64::MAX), Some(1)), u64::MAX)
            .chars()
            .count(),
        BAR
    );
}
