use super::*;
use crate::report::fixture;

fn plain(width: usize) -> Terminal {
    Terminal::new(Style {
        width,
        ..Style::default()
    })
}

#[test]
fn check() {
    insta::assert_snapshot!(plain(100).summary(&fixture::fold(&fixture::check())));
}

#[test]
fn apply() {
    insta::assert_snapshot!(plain(100).summary(&fixture::fold(&fixture::apply())));
}

#[test]
fn rollback() {
    insta::assert_snapshot!(plain(100).summary(&fixture::fold(&fixture::rollback())));
}

#[test]
fn fifty_hosts_stay_readable() {
    let text = plain(100).summary(&fixture::fold(&fixture::fifty()));
    assert!(text.lines().count() < 90, "{}", text.lines().count());
    insta::assert_snapshot!(text);
}

#[test]
fn a_run_that_died() {
    let mut events = fixture::apply();
    events.truncate(9);
    insta::assert_snapshot!(plain(72).summary(&fixture::fold(&events)));
}

#[test]
fn a_rehearsal_says_what_it_would_do_and_that_nothing_was_done() {
    use crate::journal::Event;
    let mut events = fixture::check();
    let planned = fixture::apply();
    let planned = planned
        .iter()
        .find(|e| matches!(e, Event::Planned { .. }))
        .unwrap();
    events.insert(events.len() - 1, planned.clone());
    if let Event::RunStarted { verb, .. } = &mut events[0] {
        *verb = "dry-run".into();
    }
    let text = plain(100).summary(&fixture::fold(&events));
    assert!(
        text.contains("Would change  5 changes; nothing was changed"),
        "{text}"
    );
    assert!(text.contains("\n  would do     "), "{text}");
    assert!(!text.contains("\n  unknown      "), "{text}");
    assert!(text.contains("\n  seawall apply "), "{text}");
}

#[test]
fn a_host_out_of_reach_is_told_once_and_not_with_each_of_its_rules() {
    use crate::journal::Event;
    let mut events = fixture::check();
    let Some((host, mut findings)) = events.iter().find_map(|e| match e {
        Event::Judged { host, findings } => Some((host.clone(), findings.clone())),
        _ => None,
    }) else {
        panic!("a host is judged");
    };
    for finding in &mut findings {
        finding.status = Status::Unknown;
        finding.reason = Some("the host was not seen".into());
    }
    events.retain(|e| crate::report::fold::host_of(e) != Some(host.as_str()));
    events.insert(
        events.len() - 1,
        Event::Judged {
            host: host.clone(),
            findings,
        },
    );
    let view = fixture::fold(&events);
    assert!(view.not_seen().any(|h| h.name == host));
    let text = plain(100).summary(&view);
    assert!(!text.contains("the host was not seen"), "{text}");
    assert!(text.contains("nothing of "), "{text}");
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    for width in [60, 80, 100, 160] {
        for events in [fixture::check(), fixture::apply(), fixture::fifty()] {
            let view = fixture::fold(&events);
            let text = plain(width).summary(&view);
            let commands = text.find("\nNext\n").unwrap_or(text.len());
            for line in text.get(..commands).unwrap().lines() {
                assert!(line.chars().count() <= width, "{width}: {line}");
            }
        }
    }
}

#[test]
fn colour_only_where_it_was_asked_for() {
    let view = fixture::fold(&fixture::apply());
    assert!(!plain(100).summary(&view).contains('\u{1b}'));
    let style = Style {
        color: true,
        ..Style::default()
    };
    assert!(Terminal::new(style).summary(&view).contains("\u{1b}[1;31m"));
}

#[test]
fn a_stranger_cannot_speak_to_the_terminal() {
    let text = plain(100).summary(&fixture::fold(&fixture::hostile()));
    let dangerous = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
    assert!(!text.contains(dangerous), "{text}");
}

#[test]
fn whole_diffs_are_shown_when_asked_for() {
    let view = fixture::fold(&fixture::apply());
    let short = plain(100).summary(&view);
    assert!(!short.contains("+MACs"));
    assert!(short.contains("--diff shows all"));
    let style = Style {
        full_diff: true,
        ..Style::default()
    };
    assert!(Terminal::new(style).summary(&view).contains("+MACs"));
}

#[test]
fn words_wrap_and_a_cut_is_marked() {
    assert_eq!(wrap("", 20, 2), [""]);
    let text = "one two three four five six seven eight nine";
    assert_eq!(wrap(text, 20, 9).join(" "), text);
    let cut = wrap(text, 20, 1);
    assert_eq!(cut, ["one two three four…"]);
    assert_eq!(wrap(&"x".repeat(50), 20, 9).concat(), "x".repeat(50));
}
