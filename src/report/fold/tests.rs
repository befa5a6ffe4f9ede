use super::*;
use crate::model::Severity;
use crate::report::{Counts, Score, State, areas, fixture, frameworks, groups};

#[test]
fn a_check_folds_to_what_was_judged() {
    let view = fixture::fold(&fixture::check());
    assert_eq!(view.run, fixture::RUN);
    assert_eq!(view.started, "2026-11-20T07:35:14.000Z");
    assert_eq!(view.hosts.len(), 3);
    assert_eq!(view.findings().count(), 3 * 74);
    assert_eq!(view.ended.as_ref().map(|e| e.code), Some(1));
    assert_eq!(view.hosts[2].data.as_deref(), Some("personal"));
    assert_eq!(view.hosts[0].connection().map(|c| c.millis), Some(85));
    assert_eq!(Counts::of(view.findings()).judged(), 212);
}

#[test]
fn an_apply_tells_what_stayed_and_what_did_not() {
    let view = fixture::fold(&fixture::apply());
    let host = |name: &str| view.hosts.iter().find(|h| h.name == name).unwrap();
    assert_eq!(host("web-1").confirm, Confirm::Kept);
    assert!(host("web-1").count(Status::Changed) > 20);
    assert_eq!(host("web-1").findings_before.len(), 74);
    assert_eq!(host("web-1").changes[3].outcome, Some(StepOutcome::Failed));
    assert_eq!(
        host("db-1").confirm,
        Confirm::Undone {
            by: "host".into(),
            reason: Some("connecting: connection refused".into())
        }
    );
    assert_eq!(host("db-1").changes[0].outcome, Some(StepOutcome::Undone));
    assert_eq!(host("db-1").changes[3].outcome, Some(StepOutcome::Failed));
    assert_eq!(host("web-2").standing(), HostOutcome::Unknown);
    assert_eq!(host("db-2").standing(), HostOutcome::NotStarted);
    assert!(
        host("web-2")
            .story()
            .unwrap()
            .starts_with("checking the host key: ")
    );
}

#[test]
fn changed_is_not_believed_once_the_change_is_lost() {
    let mut events = vec![
        fixture::started("apply", &["a"]),
        fixture::judged("a", fixture::after("a")),
        Event::ConfirmFailed {
            host: "a".into(),
            reason: "timed out".into(),
        },
    ];
    let view = fixture::fold(&events);
    let doubted = view.hosts[0].count(Status::Unknown);
    assert!(doubted > 20);
    assert_eq!(view.hosts[0].count(Status::Changed), 0);
    events.push(Event::Undone {
        host: "a".into(),
        by: "host".into(),
        steps: Vec::new(),
        detail: None,
    });
    let undone = fixture::fold(&events);
    assert_eq!(undone.hosts[0].count(Status::Unknown), 0);
    assert!(undone.hosts[0].count(Status::Fail) >= doubted);
}

#[test]
fn a_run_that_died_is_unknown_and_not_fine() {
    let mut events = fixture::apply();
    events.truncate(9);
    let view = fixture::fold(&events);
    assert!(view.ended.is_none());
    assert_eq!(view.hosts[0].standing(), HostOutcome::Unknown);
    assert_eq!(view.hosts[3].standing(), HostOutcome::NotStarted);
    assert_eq!(
        view.hosts[0].confirm,
        Confirm::Armed {
            window_seconds: 120
        }
    );
}

#[test]
fn no_order_of_events_makes_the_fold_fail() {
    let mut events = fixture::apply();
    events.reverse();
    let view = fixture::fold(&events);
    assert_eq!(view.hosts.len(), 4);
    for at in 0..events.len() {
        let _ = fixture::fold(&events[at..]);
    }
}

#[test]
fn the_score_counts_what_was_not_seen_against_us() {
    let rule = |name: &str, severity, status| {
        let mut finding = fixture::findings("a").swap_remove(0);
        finding.rule = name.into();
        finding.severity = severity;
        finding.status = status;
        finding
    };
    let judge = |host: &str, findings: Vec<Finding>| fixture::judged(host, findings);
    let four = || {
        vec![
            rule("r1", Severity::Critical, Status::Pass),
            rule("r2", Severity::Medium, Status::Changed),
            rule("r3", Severity::Low, Status::Waived),
            rule("r4", Severity::High, Status::NotApplicable),
        ]
    };
    let whole = |events: &[Event]| Score::of(&fixture::fold(events));
    let mut events = vec![fixture::started("check", &["a"]), judge("a", four())];
    assert_eq!(whole(&events).percent(), Some(100.0));
    assert_eq!(whole(&events).percent_without_waivers(), Some(90.9));
    events[0] = fixture::started("check", &["a", "gone"]);
    // The host that was not seen owes 8 + 2 + 1 of 21.
    assert_eq!(whole(&events).percent(), Some(47.6));
    let mut with_unknown = four();
    with_unknown.push(rule("r5", Severity::High, Status::Unknown));
    let events = [fixture::started("check", &["a"]), judge("a", with_unknown)];
    assert_eq!(whole(&events).percent(), Some(71.4));
    assert_eq!(whole(&[fixture::started("check", &["a"])]).percent(), None);
}

#[test]
fn groups_merge_hosts_and_stand_worst_first() {
    let view = fixture::fold(&fixture::check());
    let found = groups(&view, |f| f.status == Status::Fail);
    let total: usize = found.iter().map(|g| g.hosts.len()).sum();
    assert_eq!(total, Counts::of(view.findings()).fail);
    assert_eq!(found[0].finding.severity, Severity::Critical);
    for pair in found.windows(2) {
        assert!(pair[0].finding.severity >= pair[1].finding.severity);
    }
    let rows = areas(&view);
    assert_eq!(rows[0].area, "sshd");
}

#[test]
fn a_requirement_is_met_only_where_all_its_rules_are_everywhere() {
    let view = fixture::fold(&fixture::check());
    let all = frameworks(&view);
    let names: Vec<String> = all.iter().map(|f| f.title()).collect();
    assert_eq!(
        names,
        [
            "CIS Debian 12",
            "ISO/IEC 27001 Annex A",
            "SOC 2 trust services criteria"
        ]
    );
    let state = |id: &str| all[0].rows.iter().find(|r| r.id == id).unwrap().state;
    assert_eq!(state("5.1.20"), State::NotMet);
    assert_eq!(state("7.1.5"), State::Met);
    assert_eq!(state("1.1.1.10"), State::Manual);
    let ids: Vec<&str> = all[0].rows.iter().map(|r| r.id.as_str()).collect();
    let place = |id: &str| ids.iter().position(|i| *i == id).unwrap();
    assert!(place("5.1.8") < place("5.1.10"), "{ids:?}");
    let view = fixture::fold(&fixture::fifty());
    let met = frameworks(&view)[0]
        .rows
        .iter()
        .filter(|r| r.state == State::Met)
        .count();
    assert_eq!(met, 0, "a host that was not seen leaves nothing met");
}
