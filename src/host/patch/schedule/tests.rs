use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn host(name: &str, groups: &[&str]) -> Candidate {
    Candidate {
        name: name.into(),
        names: groups
            .iter()
            .chain([&name])
            .map(|n| (*n).to_owned())
            .collect(),
    }
}

fn patch(yaml: &str) -> Patch {
    let head = "patch: weekly\ntitle: t\nhosts: [all]\n";
    serde_yaml::from_str(&format!("{head}{yaml}")).unwrap()
}

fn window(days: &[Day], from: &str, to: &str) -> Window {
    Window {
        hosts: vec!["all".into()],
        days: days.to_vec(),
        from: from.into(),
        to: to.into(),
    }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn until(text: &str) -> Opening {
    Opening::Now {
        until: Some(at(text)),
    }
}

const BERLIN: Option<&str> = Some("Europe/Berlin");

#[test]
fn canaries_are_first_and_shares_are_of_all() {
    let hosts: Vec<Candidate> = (0..10)
        .map(|n| host(&format!("web-{n}"), if n == 7 { &["canary"] } else { &[] }))
        .collect();
    let said = waves(
        &hosts,
        &patch("canaries: [canary, web-2]\nwaves: [1, 25%]\n"),
    );
    let expected: [&[usize]; 5] = [&[2, 7], &[0], &[1, 3, 4], &[5, 6, 8], &[9]];
    assert_eq!(said, expected);
    // Without sizes: the canaries, then everyone else.
    let said = waves(&hosts, &patch("canaries: [web-9]\n"));
    assert_eq!(said, [vec![9], (0..9).collect()]);
    assert_eq!(waves(&hosts, &patch("")), [(0..10).collect::<Vec<_>>()]);
    assert_eq!(
        waves(&hosts, &patch("canaries: [all]\nwaves: [1]\n")).len(),
        1
    );
    assert!(waves(&[], &patch("")).is_empty());
}

#[test]
fn a_budget_is_what_spends_it() {
    for budget in [
        WaveSize::Hosts(2),
        WaveSize::Percent(25),
        WaveSize::Percent(0),
    ] {
        for hosts in 0..20 {
            let allowed = allowed_failures(budget, hosts) as usize;
            assert!(!waves::is_spent(budget, hosts, allowed));
            assert!(waves::is_spent(budget, hosts, allowed + 1));
        }
    }
}

#[test]
fn hosts_that_are_kept_apart_are_not_begun_together() {
    let apart = |hosts: &[&str], at_most| Apart {
        hosts: hosts.iter().map(|h| (*h).to_owned()).collect(),
        at_most,
    };
    let [db1, db2, db3] = ["db-1", "db-2", "db-3"].map(|name| host(name, &["db"]));
    let web = host("web-1", &["web"]);
    let one = [apart(&["db"], 1)];
    assert!(may_begin(&db1, &[], &one));
    assert!(may_begin(&db1, &[&web], &one));
    assert!(may_begin(&web, &[&db1, &db2], &one));
    assert!(!may_begin(&db2, &[&db1], &one));
    let two = [apart(&["db"], 2), apart(&["db-1", "db-3"], 1)];
    assert!(may_begin(&db2, &[&db1], &two));
    assert!(!may_begin(&db3, &[&db1], &two));
    assert!(!may_begin(&db3, &[&db1, &db2], &two));
    // Nobody would ever be begun with none allowed: the document's checks refuse it.
    assert!(may_begin(&db1, &[], &[apart(&["db"], 0)]));
}

#[test]
fn windows_open_and_close_by_the_wall_clock() {
    let web = host("web-1", &["web"]);
    let sunday = [window(&[Day::Sun], "02:00", "04:00")];
    let open = |windows: &[Window], now: &str| opening(&web, windows, BERLIN, at(now));
    // 2026-11-22 is a Sunday; Berlin is an hour ahead of UTC.
    assert_eq!(
        open(&sunday, "2026-11-20T12:00:00Z"),
        Opening::At(at("2026-11-22T01:00:00Z"))
    );
    assert_eq!(
        open(&sunday, "2026-11-22T01:00:00Z"),
        until("2026-11-22T03:00:00Z")
    );
    assert_eq!(
        open(&sunday, "2026-11-22T02:59:59Z"),
        until("2026-11-22T03:00:00Z")
    );
    assert_eq!(
        open(&sunday, "2026-11-22T03:00:00Z"),
        Opening::At(at("2026-11-29T01:00:00Z"))
    );
    // Over midnight: the day is that on which it opens.
    let night = [window(&[Day::Sat], "22:00", "02:00")];
    assert_eq!(
        open(&night, "2026-11-22T00:30:00Z"),
        until("2026-11-22T01:00:00Z")
    );
    assert_eq!(
        open(&night, "2026-11-20T22:00:00Z"),
        Opening::At(at("2026-11-21T21:00:00Z"))
    );
    // Several: whichever opens first, and one that goes over into the next is one.
    let both = [night[0].clone(), sunday[0].clone()];
    assert_eq!(
        open(&both, "2026-11-21T23:00:00Z"),
        until("2026-11-22T03:00:00Z")
    );
    assert_eq!(
        open(&both, "2026-11-22T03:00:00Z"),
        Opening::At(at("2026-11-28T21:00:00Z"))
    );
    // Of other hosts, or none at all.
    let mut others = sunday.clone();
    others[0].hosts = vec!["db".into()];
    assert_eq!(
        open(&others, "2026-11-20T12:00:00Z"),
        Opening::Now { until: None }
    );
    assert_eq!(
        open(&[], "2026-11-20T12:00:00Z"),
        Opening::Now { until: None }
    );
    // In UTC, where no zone is told.
    let utc = opening(&web, &sunday, None, at("2026-11-20T12:00:00Z"));
    assert_eq!(utc, Opening::At(at("2026-11-22T02:00:00Z")));
}

#[test]
fn a_changed_clock_moves_a_window_and_swallows_none_for_good() {
    let web = host("web-1", &[]);
    let open = |from: &str, to: &str, now: &str| {
        opening(&web, &[window(&[Day::Sun], from, to)], BERLIN, at(now))
    };
    // 2027-03-28: from 02:00 to 03:00 there is no time at all in Berlin.
    let eve = "2027-03-27T12:00:00Z";
    assert_eq!(
        open("01:30", "04:00", eve),
        Opening::At(at("2027-03-28T00:30:00Z"))
    );
    assert_eq!(
        open("01:30", "04:00", "2027-03-28T01:59:00Z"),
        until("2027-03-28T02:00:00Z")
    );
    assert_eq!(
        open("02:15", "02:45", eve),
        Opening::At(at("2027-03-28T01:15:00Z"))
    );
    assert_eq!(
        open("02:30", "03:00", eve),
        Opening::At(at("2027-04-04T00:30:00Z"))
    );
    // 2026-10-25: the hour from 02:00 comes twice.
    let eve = "2026-10-24T12:00:00Z";
    assert_eq!(
        open("02:30", "04:00", eve),
        Opening::At(at("2026-10-25T00:30:00Z"))
    );
    assert_eq!(
        open("02:30", "04:00", "2026-10-25T02:59:00Z"),
        until("2026-10-25T03:00:00Z")
    );
}

#[test]
fn what_the_document_cannot_mean_never_opens() {
    let web = host("web-1", &[]);
    let now = at("2026-11-20T12:00:00Z");
    for (from, to) in [
        ("2:00", "04:00"),
        ("02:00", "25:00"),
        ("", ""),
        ("02:60", "03:00"),
    ] {
        let windows = [window(&[], from, to)];
        assert_eq!(opening(&web, &windows, None, now), Opening::Never, "{from}");
    }
    let windows = [window(&[], "02:00", "04:00")];
    assert_eq!(
        opening(&web, &windows, Some("Moon/Sea"), now),
        Opening::Never
    );
    for far in [Timestamp::MIN, Timestamp::MAX] {
        opening(&web, &windows, BERLIN, far);
    }
}

#[test]
fn a_window_of_all_day_is_always_open() {
    let web = host("web-1", &[]);
    for (from, to) in [("00:00", "00:00"), ("00:00", "24:00"), ("07:00", "07:00")] {
        let said = opening(
            &web,
            &[window(&[], from, to)],
            BERLIN,
            at("2026-11-20T12:00:00Z"),
        );
        let Opening::Now { until: Some(until) } = said else {
            panic!("{said:?}");
        };
        assert!(until > at("2026-11-30T00:00:00Z"));
    }
}

#[test]
fn jitter_is_the_same_for_the_same_host_and_less_than_the_most() {
    let most = Duration::from_secs(600);
    let of = |run: &str, host: &str| jitter(run, host, most).get_milliseconds();
    assert_eq!(of("run", "web-1"), of("run", "web-1"));
    assert_ne!(of("run", "web-1"), of("run", "web-2"));
    assert_ne!(of("run", "web-1"), of("later", "web-1"));
    assert_ne!(of("a", "bc"), of("ab", "c"));
    let all: Vec<i64> = (0..200).map(|n| of("run", &format!("web-{n}"))).collect();
    assert!(all.iter().all(|ms| (0..600_000).contains(ms)));
    assert!(all.iter().any(|ms| *ms < 100_000) && all.iter().any(|ms| *ms > 500_000));
    assert_eq!(jitter("run", "web-1", Duration::ZERO).get_milliseconds(), 0);
}

const ZONES: [&str; 6] = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "America/St_Johns",
    "Pacific/Apia",
];

fn any_window() -> impl Strategy<Value = Window> {
    const DAYS: [Day; 7] = [
        Day::Mon,
        Day::Tue,
        Day::Wed,
        Day::Thu,
        Day::Fri,
        Day::Sat,
        Day::Sun,
    ];
    (
        prop::sample::subsequence(DAYS.to_vec(), 0..4),
        (0..24_u8, 0..60_u8),
        (0..24_u8, 0..60_u8),
    )
        .prop_map(|(days, (h, m), (i, n))| {
            window(&days, &format!("{h:02}:{m:02}"), &format!("{i:02}:{n:02}"))
        })
}

proptest! {
    #[test]
    fn a_window_that_will_open_is_open_then(
        windows in prop::collection::vec(any_window(), 1..4),
        zone in prop::sample::select(ZONES.to_vec()),
        // 2009 to 2033, with Samoa's lost day in 2011.
        now in 1_230_000_000_i64..2_000_000_000,
    ) {
        let web = host("web-1", &[]);
        let now = Timestamp::from_second(now).unwrap();
        match opening(&web, &windows, Some(zone), now) {
            Opening::At(then) => {
                prop_assert!(then > now);
                let said = opening(&web, &windows, Some(zone), then);
                prop_assert!(matches!(said, Opening::Now { .. }), "{said:?}");
                let just_before = then - 1.second();
                let said = opening(&web, &windows, Some(zone), just_before);
                prop_assert_eq!(said, Opening::At(then));
            }
            Opening::Now { until } => prop_assert!(until.unwrap() > now),
            Opening::Never => prop_assert!(false, "never"),
        }
    }

    #[test]
    fn every_host_is_in_exactly_one_wave(
        total in 0..40_usize,
        canaries in prop::collection::btree_set(0..40_usize, 0..5),
        sizes in prop::collection::vec(prop_oneof!["[0-9]{1}", "[1-9][0-9]?%"], 0..4),
    ) {
        let hosts: Vec<Candidate> = (0..total).map(|n| host(&format!("h{n}"), &[])).collect();
        let mut patch = patch("");
        patch.canaries = canaries.iter().map(|n| format!("h{n}")).collect();
        patch.waves = sizes.iter().map(|s| s.parse().unwrap()).collect();
        let all = waves(&hosts, &patch);
        prop_assert!(all.iter().all(|wave| !wave.is_empty()));
        let mut flat: Vec<usize> = all.concat();
        let first = flat.clone();
        let many = canaries.iter().filter(|n| **n < total).count();
        prop_assert!(first.iter().take(many).all(|n| canaries.contains(n)));
        flat.sort_unstable();
        prop_assert_eq!(flat, (0..total).collect::<Vec<_>>());
    }
}
