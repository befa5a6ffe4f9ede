//! What a backup is called: `SOURCE/20261120T023000.123Z-k3f9.tar.zst.age`, so that names sort by
//! the data's time; `….json` and `….json.sig` beside it are the sidecar and its signature.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// What the name of every archive of ours ends with.
pub const ENDING: &str = ".tar.zst.age";

const TAIL: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// The name of a backup of `source`, whose data is as it was at `data_time` (milliseconds count,
/// what is finer is cut off). 20 bits of `random` tell apart what is made in one millisecond.
pub fn archive(source: &str, data_time: Timestamp, random: u32) -> String {
    let tail: String = (0..4)
        .map(|place| char::from(TAIL[(random >> (place * 5) & 31) as usize]))
        .collect();
    format!(
        "{source}/{}.{:03}Z-{tail}{ENDING}",
        data_time.strftime("%Y%m%dT%H%M%S"),
        data_time.subsec_millisecond()
    )
}

/// The name of an archive's sidecar.
pub fn sidecar(archive: &str) -> String {
    format!("{archive}.json")
}

/// The name of the sidecar's signature.
pub fn signature(archive: &str) -> String {
    format!("{archive}.json.sig")
}

/// The source and the data's time, if it is the name of an archive of ours.
pub fn parse(name: &str) -> Option<(String, Timestamp)> {
    let (source, rest) = name.rsplit_once('/')?;
    let stem = rest.strip_suffix(ENDING)?;
    let (time, tail) = stem.split_once("Z-")?;
    let is_tail = tail.len() == 4 && tail.bytes().all(|b| TAIL.contains(&b));
    if source.is_empty() || source.contains('/') || !is_tail {
        return None;
    }
    Some((source.to_owned(), moment(time)?))
}

/// Of `20261120T023000.123`, in UTC.
fn moment(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    if bytes.len() != 19 || bytes[8] != b'T' || bytes[15] != b'.' {
        return None;
    }
    let number = |from: usize, to: usize| -> Option<i16> {
        let digits = text.get(from..to)?;
        digits
            .bytes()
            .all(|b| b.is_ascii_digit())
            .then(|| digits.parse().ok())?
    };
    let small = |from: usize| number(from, from + 2).and_then(|n| i8::try_from(n).ok());
    DateTime::new(
        number(0, 4)?,
        small(4)?,
        small(6)?,
        small(9)?,
        small(11)?,
        small(13)?,
        i32::from(number(16, 19)?) * 1_000_000,
    )
    .ok()?
    .to_zoned(TimeZone::UTC)
    .ok()
    .map(|zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_name_says_source_and_time() {
        let time: Timestamp = "2026-11-20T02:30:00.123456Z".parse().unwrap();
        let name = archive("db", time, 0b00101_01010_11111_00000);
        assert_eq!(name, "db/20261120T023000.123Z-a7kf.tar.zst.age");
        let (source, parsed) = parse(&name).unwrap();
        assert_eq!(source, "db");
        assert_eq!(parsed, "2026-11-20T02:30:00.123Z".parse().unwrap());
        assert_eq!(sidecar(&name), format!("{name}.json"));
        assert_eq!(signature(&name), format!("{name}.json.sig"));
    }

    #[test]
    fn what_is_not_a_name_of_ours_is_told_apart() {
        for wrong in [
            "",
            "20261120T023000.123Z-aaaa.tar.zst.age",
            "/20261120T023000.123Z-aaaa.tar.zst.age",
            "a/b/20261120T023000.123Z-aaaa.tar.zst.age",
            "a/20261120T023000.123Z-aaaa.tar.zst.age.json",
            "a/20261120T023000.123Z-aaa1.tar.zst.age",
            "a/20261120T023000.123Z-aaaaa.tar.zst.age",
            "a/20261320T023000.123Z-aaaa.tar.zst.age",
            "a/20261120T253000.123Z-aaaa.tar.zst.age",
            "a/+0261120T023000.123Z-aaaa.tar.zst.age",
            "a/20261120T0230é0.12Z-aaaa.tar.zst.age",
            "a/x.tar.zst.age",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn names_sort_by_time(a in 0i64..253_402_300_799_999, b in 0i64..253_402_300_799_999, random: u32) {
            let (a, b) = (
                Timestamp::from_millisecond(a).unwrap(),
                Timestamp::from_millisecond(b).unwrap(),
            );
            let (one, two) = (archive("s", a, random), archive("s", b, random));
            prop_assert_eq!(one.cmp(&two), a.cmp(&b));
            prop_assert_eq!(parse(&one), Some(("s".to_owned(), a)));
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC*") {
            let _ = parse(&text);
            let _ = parse(&format!("a/{text}.tar.zst.age"));
            let _ = moment(&text);
        }
    }
}
