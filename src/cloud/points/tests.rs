use super::choose::*;
use super::learn::{self, Said};
use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn day(day: u32) -> Timestamp {
    at(&format!("2026-11-{day:02}T03:00:00Z"))
}

/// A copy that came on a day; `data`: the day that its data is known to be of.
fn point(name: &str, status: &str, came: u32, data: Option<u32>) -> Candidate {
    Candidate {
        arn: format!("arn:aws:ec2:eu-central-1::snapshot/{name}"),
        resource_type: "EBS".into(),
        resource: "arn:aws:ec2:eu-west-1:111122223333:volume/vol-1".into(),
        status: status.into(),
        created: Some(day(came)),
        copied: true,
        learned: data.map(|d| Learned {
            data: Some((day(d), "a tag")),
            note: None,
        }),
        ..Candidate::default()
    }
}

fn take(points: &[Candidate], wish: &str, disaster: u32) -> Result<(String, String), String> {
    let chosen = choose(points, wish, day(disaster), &|count| count / 2)?;
    let name = points[chosen.index].arn.rsplit('/').next().unwrap();
    Ok((name.to_owned(), chosen.how))
}

#[test]
fn lie_04_the_latest_data_before_the_disaster_is_taken_from_what_can_be_restored() {
    let all = [
        point("a", "COMPLETED", 10, Some(9)),
        point("b", "AVAILABLE", 12, Some(11)),
        // Copied late: older data in a younger point.
        point("c", "COMPLETED", 13, Some(8)),
        point("d", "EXPIRED", 14, Some(13)),
        point("e", "PARTIAL", 14, Some(13)),
        point("f", "COMPLETED", 17, Some(16)),
    ];
    let (name, how) = take(&all, "latest", 15).unwrap();
    assert_eq!(
        (name.as_str(), how.as_str()),
        ("b", "latest of 3 before the disaster")
    );
    // It came after the disaster, and its data is of before it.
    assert_eq!(take(&all, "latest", 16).unwrap().0, "f");
    let (name, how) = take(&all, "random", 15).unwrap();
    assert_eq!(
        (name.as_str(), how.as_str()),
        ("a", "one of 3 before the disaster, at random")
    );
    let wild = choose(&all, "random", day(15), &|_| usize::MAX).unwrap();
    assert!(wild.index < all.len());
}

#[test]
fn what_cannot_be_restored_is_named_in_the_error() {
    let none = take(&[], "latest", 15).unwrap_err();
    assert!(none.contains("no recovery point"), "{none}");
    for status in [
        "PARTIAL", "EXPIRED", "DELETING", "CREATING", "STOPPED", "(none)",
    ] {
        let all = [
            point("a", status, 10, Some(9)),
            point("b", "COMPLETED", 20, Some(19)),
        ];
        for wish in ["latest", "random"] {
            let error = take(&all, wish, 15).unwrap_err();
            assert!(error.contains(&format!("1 {status}")), "{error}");
            assert!(error.contains("1 of after the disaster"), "{error}");
        }
        let error = take(&all, &all[0].arn, 15).unwrap_err();
        assert!(error.contains(status), "{error}");
    }
}

#[test]
fn a_named_point_is_taken_unless_it_is_of_after_the_disaster() {
    let all = [
        point("a", "COMPLETED", 10, Some(9)),
        point("late", "COMPLETED", 17, Some(16)),
        point("unknown", "COMPLETED", 17, None),
    ];
    let wish = |i: usize| take(&all, &all[i].arn, 15);
    assert_eq!(wish(0).unwrap().0, "a");
    assert!(wish(1).unwrap_err().contains("after the disaster"));
    assert!(wish(2).unwrap_err().contains("not known"));
    let error = take(&all, "arn:aws:ec2:eu-central-1::snapshot/z", 15).unwrap_err();
    assert!(error.contains("holds no recovery point"), "{error}");
}

#[test]
fn one_of_which_nothing_is_known_counts_only_if_it_came_before_the_disaster() {
    let mut nothing = point("n", "COMPLETED", 10, None);
    assert_eq!(
        take(std::slice::from_ref(&nothing), "latest", 15)
            .unwrap()
            .0,
        "n"
    );
    assert!(take(std::slice::from_ref(&nothing), "latest", 9).is_err());
    nothing.created = None;
    assert!(take(std::slice::from_ref(&nothing), "latest", 15).is_err());
}

#[test]
fn the_list_is_read_on_until_nothing_younger_can_come() {
    let chosen = point("a", "COMPLETED", 10, Some(9));
    assert!(is_settled(&chosen, Some(day(8))));
    assert!(is_settled(&chosen, Some(day(9))));
    assert!(!is_settled(&chosen, Some(day(10))));
    assert!(is_settled(&chosen, None));
    let unknown = Candidate {
        created: None,
        ..point("a", "COMPLETED", 10, None)
    };
    assert!(!is_settled(&unknown, Some(day(1))));
}

#[test]
fn lie_06_a_copys_own_clock_is_never_the_datas() {
    let copy = point("a", "COMPLETED", 10, None);
    let own = Candidate {
        copied: false,
        ..copy.clone()
    };
    let said = |database, original, started| Said {
        database,
        original,
        started,
        ..Said::default()
    };
    let (d, o, s) = (Some(day(3)), Some(day(4)), Some(day(5)));
    let data = |point: &Candidate, said: &Said| learn::of(point, said).data.map(|(at, _)| at);
    assert_eq!(data(&copy, &said(d, o, s)), d);
    assert_eq!(data(&copy, &said(None, o, s)), o);
    assert_eq!(data(&copy, &said(None, None, s)), None);
    assert_eq!(data(&own, &said(None, None, s)), s);
    assert_eq!(data(&own, &Said::default()), own.created);
    let unknown = learn::of(&copy, &said(None, None, s));
    assert!(unknown.note.unwrap().contains("seawall:data-time"));
    let mut tagged = said(d, o, s);
    let tag = |text: &str| [(learn::TAG_DATA_TIME.to_owned(), text.to_owned())].into();
    tagged.tags = tag("2026-11-02T03:00:00Z");
    assert_eq!(data(&copy, &tagged), Some(day(2)));
    tagged.tags = tag("yesterday");
    let learned = learn::of(&copy, &tagged);
    assert_eq!(learned.data.map(|(at, _)| at), d);
    assert!(learned.note.unwrap().contains("no RFC 3339"));
}

#[test]
fn what_is_written_down_says_where_it_lay_and_doubts_what_nobody_knows() {
    let known = Candidate {
        size: 5 << 30,
        encrypted: Some(true),
        key: Some("arn:aws:kms:eu-central-1:111122223333:key/k".into()),
        ..point("snap-1", "COMPLETED", 10, Some(9))
    };
    let one = found(
        &known,
        "dr-copies",
        "eu-central-1",
        "latest of 1 before the disaster",
    );
    assert!(one.clock.contains("a tag"), "{}", one.clock);
    assert_eq!(one.point.source_id.as_deref(), Some("snap-1"));
    assert_eq!(one.point.note.store, "dr-copies");
    assert_eq!(one.point.note.place, "eu-central-1");
    assert_eq!(
        one.point.note.data_time.as_deref(),
        Some("2026-11-09T03:00:00Z")
    );
    assert_eq!(
        one.point.note.copy_time.as_deref(),
        Some("2026-11-10T03:00:00Z")
    );
    assert_eq!(one.point.note.size, 5 << 30);
    assert!(one.point.note.how.contains("encrypted with arn:aws:kms"));
    assert_eq!(one.point.note.vouched.as_deref(), Some("a tag"));
    let unknown = point("snap-2", "COMPLETED", 10, None);
    let one = found(&unknown, "dr-copies", "eu-central-1", "x");
    assert!(one.clock.contains("not known"), "{}", one.clock);
    assert!(one.point.note.data_time.is_none() && one.point.note.vouched.is_none());
    assert!(one.point.note.how.contains("not recorded"));
}

#[test]
fn ids_and_homes_are_read_from_arns() {
    for (arn, id) in [
        (
            "arn:aws:ec2:eu-central-1::snapshot/snap-0a",
            Some("snap-0a"),
        ),
        ("arn:aws:ec2:eu-central-1::image/ami-0b", Some("ami-0b")),
        (
            "arn:aws:rds:eu-central-1:1:snapshot:awsbackup:copyjob-1",
            None,
        ),
        ("arn:aws:backup:eu-central-1:1:recovery-point:U", None),
        ("", None),
    ] {
        assert_eq!(learn::source_id(arn).as_deref(), id, "{arn}");
    }
    assert!(is_from_elsewhere(
        "arn:aws:rds:eu-west-1:1:db:x",
        "eu-central-1"
    ));
    assert!(!is_from_elsewhere(
        "arn:aws:rds:eu-central-1:1:db:x",
        "eu-central-1"
    ));
    // A bucket's ARN names no region.
    assert!(!is_from_elsewhere("arn:aws:s3:::bucket", "eu-central-1"));
}
