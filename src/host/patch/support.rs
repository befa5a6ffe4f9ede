//! Until when releases get security updates: a dated table. Pure.
//!
//! As of 2026-08-22, from endoflife.date, which takes it from the distributions' own pages. Only
//! updates that everyone gets are counted: what is sold (Ubuntu Pro, ELTS, the extended cycles of
//! Red Hat and Oracle) is not. A release that is not in the table is not known, and that is no pass.
//! Later changes of a date are ours to put in here.

use jiff::civil::Date;

use crate::model::patch::{OsRelease, Support};

/// A release: its id and version as os-release has them, the last day of its own team's security
/// updates, and of those that others make in the open (empty: nobody does).
type Release = (&'static str, &'static str, &'static str, &'static str);

const RELEASES: &[Release] = &[
    ("debian", "8", "2018-06-17", "2020-06-30"),
    ("debian", "9", "2020-07-18", "2022-07-01"),
    ("debian", "10", "2022-09-10", "2024-06-30"),
    ("debian", "11", "2024-08-14", "2026-08-31"),
    ("debian", "12", "2026-07-11", "2028-06-30"),
    ("debian", "13", "2028-08-09", "2030-06-30"),
    ("ubuntu", "14.04", "2019-04-02", ""),
    ("ubuntu", "16.04", "2021-04-02", ""),
    ("ubuntu", "18.04", "2023-05-31", ""),
    ("ubuntu", "18.10", "2019-07-18", ""),
    ("ubuntu", "19.04", "2020-01-23", ""),
    ("ubuntu", "19.10", "2020-07-06", ""),
    ("ubuntu", "20.04", "2025-05-31", ""),
    ("ubuntu", "20.10", "2021-07-22", ""),
    ("ubuntu", "21.04", "2022-01-20", ""),
    ("ubuntu", "21.10", "2022-07-14", ""),
    ("ubuntu", "22.04", "2027-04-01", ""),
    ("ubuntu", "22.10", "2023-07-20", ""),
    ("ubuntu", "23.04", "2024-01-20", ""),
    ("ubuntu", "23.10", "2024-07-12", ""),
    ("ubuntu", "24.04", "2029-05-31", ""),
    ("ubuntu", "24.10", "2025-07-10", ""),
    ("ubuntu", "25.04", "2026-01-17", ""),
    ("ubuntu", "25.10", "2026-07-01", ""),
    ("ubuntu", "26.04", "2031-04-30", ""),
    ("rhel", "6", "2020-11-30", ""),
    ("rhel", "7", "2024-06-30", ""),
    ("rhel", "8", "2029-05-31", ""),
    ("rhel", "9", "2032-05-31", ""),
    ("rhel", "10", "2035-05-31", ""),
    ("almalinux", "8", "2029-05-31", ""),
    ("almalinux", "9", "2032-05-31", ""),
    ("almalinux", "10", "2035-05-31", ""),
    ("rocky", "8", "2029-05-31", ""),
    ("rocky", "9", "2032-05-31", ""),
    ("rocky", "10", "2035-05-31", ""),
    // Of Oracle Linux 10 no last day is published.
    ("ol", "6", "2021-03-31", ""),
    ("ol", "7", "2024-12-31", ""),
    ("ol", "8", "2029-07-31", ""),
    ("ol", "9", "2032-06-30", ""),
    ("centos", "6", "2020-11-30", ""),
    ("centos", "7", "2024-06-30", ""),
    ("centos", "8", "2021-12-31", ""),
    ("centos-stream", "8", "2024-05-31", ""),
    ("centos-stream", "9", "2027-05-31", ""),
    ("centos-stream", "10", "2030-05-31", ""),
    ("fedora", "38", "2024-05-21", ""),
    ("fedora", "39", "2024-11-26", ""),
    ("fedora", "40", "2025-05-13", ""),
    ("fedora", "41", "2025-12-15", ""),
    ("fedora", "42", "2026-05-27", ""),
    ("fedora", "43", "2026-12-09", ""),
    ("fedora", "44", "2027-06-02", ""),
    ("amzn", "2018.03", "2023-12-31", ""),
    ("amzn", "2", "2026-06-30", ""),
    ("amzn", "2023", "2029-06-30", ""),
    ("alpine", "3.17", "2024-11-22", ""),
    ("alpine", "3.18", "2025-05-09", ""),
    ("alpine", "3.19", "2025-11-01", ""),
    ("alpine", "3.20", "2026-04-01", ""),
    ("alpine", "3.21", "2026-11-01", ""),
    ("alpine", "3.22", "2027-05-01", ""),
    ("alpine", "3.23", "2027-11-01", ""),
    ("alpine", "3.24", "2028-06-01", ""),
];

/// Whether this release still gets security updates on this day.
pub fn support(os: &OsRelease, today: Date) -> Support {
    let id = match os.id.as_str() {
        // Both are `centos` with the same versions, and ended on other days.
        "centos" if os.pretty.contains("Stream") => "centos-stream",
        id => id,
    };
    let version = version(id, &os.version);
    let release = RELEASES
        .iter()
        .find(|(theirs, number, ..)| *theirs == id && *number == version);
    let Some((_, _, own, others)) = release else {
        return Support::Unknown;
    };
    let last = |text: &str| text.parse::<Date>().ok();
    let Some(end) = last(own) else {
        return Support::Unknown;
    };
    match last(others) {
        _ if today <= end => Support::Supported {
            until: (*own).into(),
        },
        Some(late) if today <= late => Support::LongTerm {
            until: (*others).into(),
        },
        Some(_) => Support::Ended {
            since: (*others).into(),
        },
        None => Support::Ended {
            since: (*own).into(),
        },
    }
}

/// As much of a version as names the release: two numbers of Ubuntu's, Alpine's and the old Amazon
/// Linux's, one of the others'.
fn version(id: &str, version: &str) -> String {
    let numbers = match id {
        "ubuntu" | "alpine" | "amzn" => 2,
        _ => 1,
    };
    let parts: Vec<&str> = version.split('.').take(numbers).collect();
    parts.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(id: &str, version: &str, today: &str) -> Support {
        let os = OsRelease {
            id: id.into(),
            version: version.into(),
            ..OsRelease::default()
        };
        support(&os, today.parse().unwrap())
    }

    #[test]
    fn a_release_is_supported_until_its_last_day() {
        let until = |day: &str| Support::Supported { until: day.into() };
        let long = |day: &str| Support::LongTerm { until: day.into() };
        let ended = |day: &str| Support::Ended { since: day.into() };
        for (id, version, today, expected) in [
            ("debian", "12", "2026-07-11", until("2026-07-11")),
            ("debian", "12", "2026-07-12", long("2028-06-30")),
            ("debian", "11", "2026-08-31", long("2026-08-31")),
            ("debian", "11", "2026-09-01", ended("2026-08-31")),
            ("ubuntu", "20.04", "2026-11-20", ended("2025-05-31")),
            ("ubuntu", "24.04", "2026-11-20", until("2029-05-31")),
            ("rhel", "9.4", "2026-11-20", until("2032-05-31")),
            ("almalinux", "8.10", "2026-11-20", until("2029-05-31")),
            ("alpine", "3.22.1", "2026-11-20", until("2027-05-01")),
            ("amzn", "2", "2026-11-20", ended("2026-06-30")),
            ("amzn", "2023", "2026-11-20", until("2029-06-30")),
            ("fedora", "43", "2026-11-20", until("2026-12-09")),
        ] {
            assert_eq!(on(id, version, today), expected, "{id} {version}");
        }
    }

    #[test]
    fn what_the_table_does_not_know_is_unknown() {
        for (id, version) in [
            ("debian", ""),
            ("debian", "99"),
            ("ubuntu", "24"),
            ("", ""),
            ("plan9", "4"),
            ("ol", "10"),
        ] {
            assert_eq!(on(id, version, "2026-11-20"), Support::Unknown, "{id}");
        }
    }

    #[test]
    fn the_stream_is_another_release() {
        let mut os = OsRelease {
            id: "centos".into(),
            version: "8".into(),
            pretty: "CentOS Linux 8".into(),
            ..OsRelease::default()
        };
        let today = "2023-01-01".parse().unwrap();
        assert!(matches!(support(&os, today), Support::Ended { .. }));
        os.pretty = "CentOS Stream 8".into();
        assert!(matches!(support(&os, today), Support::Supported { .. }));
    }

    #[test]
    fn the_table_is_in_order() {
        for (at, (id, version, own, others)) in RELEASES.iter().enumerate() {
            let day = |text: &str| text.parse::<Date>().unwrap();
            assert!(others.is_empty() || day(own) <= day(others), "{id}");
            day(own);
            let twice = RELEASES[at + 1..]
                .iter()
                .any(|r| r.0 == *id && r.1 == *version);
            assert!(!twice, "{id} {version} is there twice");
        }
    }
}
