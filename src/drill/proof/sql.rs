//! A query with one value: what goes to psql, and what its answer is worth. Pure.

use jiff::Timestamp;

use crate::document::drill::SqlProof;

/// Longest value that is taken, in bytes.
pub const VALUE: usize = 16 << 10;
/// How psql is told to answer: fields and rows end with NUL, and errors bear their codes.
pub const ARGUMENTS: [&str; 11] = [
    "-X",
    "-A",
    "-t",
    "-q",
    "-z",
    "-0",
    "--no-password",
    "-v",
    "ON_ERROR_STOP=1",
    "-v",
    "VERBOSITY=verbose",
];
/// Errors of PostgreSQL that say that data is not there: no table, schema, column, database or
/// function. Others leave it open.
const NOT_THERE: [&str; 5] = ["42P01", "3F000", "42703", "3D000", "42883"];

/// Whether an error of psql's says that what is asked for is not there.
pub fn is_not_there(said: &str) -> bool {
    let has = |code: &&str| said.contains(&format!(" {code}:"));
    NOT_THERE.iter().any(has)
}

/// The query goes to the server as one text: psql reads no command of its own in it. It may read
/// and not write.
pub fn script(query: &str, limit_ms: u128) -> String {
    let mut tag = "seawall".to_owned();
    while query.contains(&format!("${tag}$")) {
        tag.push('_');
    }
    format!(
        "BEGIN TRANSACTION READ ONLY;\n\
         SET LOCAL statement_timeout = {limit_ms};\n\
         SELECT ${tag}${query}${tag}$ \\gexec\n\
         ROLLBACK;\n"
    )
}

/// Values end with NUL, rows as well as fields.
pub fn one_value(out: &[u8]) -> Result<String, String> {
    let text = String::from_utf8_lossy(out);
    let mut values: Vec<&str> = text.split('\0').collect();
    values.pop();
    match values.as_slice() {
        [one] => Ok((*one).to_owned()),
        [] => Err("no row".into()),
        many => Err(format!("{} values instead of one", many.len())),
    }
}

pub fn judge(demand: &SqlProof, value: &str, disaster: Timestamp) -> Result<bool, String> {
    let mut passes = true;
    let mut asked = false;
    if let Some(wanted) = &demand.equals {
        asked = true;
        passes &= value == wanted;
    }
    if demand.at_least.is_some() || demand.at_most.is_some() {
        asked = true;
        let number: f64 = value.trim().parse().map_err(|_| "it is no number")?;
        if !number.is_finite() {
            return Err("it is no number".into());
        }
        passes &= demand.at_least.is_none_or(|least| number >= least);
        passes &= demand.at_most.is_none_or(|most| number <= most);
    }
    if let Some(age) = demand.newer_than {
        asked = true;
        let time = time(value.trim()).ok_or("it is no time")?;
        // Restored data cannot be of after the disaster: such a value comes from elsewhere.
        if time > disaster {
            return Err(format!("that is after the disaster ({disaster})"));
        }
        let old = disaster.duration_since(time).unsigned_abs();
        passes &= old <= age.0;
    }
    match asked {
        true => Ok(passes),
        false => Err("nothing is demanded of it".into()),
    }
}

/// As PostgreSQL writes it: with an offset, or without (then it is taken as UTC).
fn time(text: &str) -> Option<Timestamp> {
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time);
    }
    let local: jiff::civil::DateTime = text.parse().ok()?;
    local
        .to_zoned(jiff::tz::TimeZone::UTC)
        .ok()
        .map(|zoned| zoned.timestamp())
}

pub fn expected(demand: &SqlProof) -> String {
    let mut parts = Vec::new();
    if let Some(value) = &demand.equals {
        parts.push(format!("equal to {value}"));
    }
    if let Some(least) = demand.at_least {
        parts.push(format!("at least {least}"));
    }
    if let Some(most) = demand.at_most {
        parts.push(format!("at most {most}"));
    }
    if let Some(age) = demand.newer_than {
        parts.push(format!("a time at most {:?} before the disaster", age.0));
    }
    format!("{} ({})", parts.join(", "), demand.query)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::playbook::Span;

    fn demand() -> SqlProof {
        SqlProof {
            query: "SELECT 1".into(),
            equals: None,
            at_least: None,
            at_most: None,
            newer_than: None,
        }
    }

    fn disaster() -> Timestamp {
        "2026-11-20T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn one_value_and_no_other() {
        assert_eq!(one_value(b"15\0"), Ok("15".into()));
        assert_eq!(one_value(b"\0"), Ok(String::new()));
        assert!(one_value(b"").is_err());
        assert!(one_value(b"one\0two\0").is_err());
    }

    #[test]
    fn numbers_and_texts_are_held_against_what_is_demanded() {
        let between = SqlProof {
            at_least: Some(10.0),
            at_most: Some(20.0),
            ..demand()
        };
        assert_eq!(judge(&between, "15", disaster()), Ok(true));
        assert_eq!(judge(&between, "10", disaster()), Ok(true));
        assert_eq!(judge(&between, "9", disaster()), Ok(false));
        assert_eq!(judge(&between, "21", disaster()), Ok(false));
        for text in ["", "NaN", "inf", "many"] {
            assert!(judge(&between, text, disaster()).is_err(), "{text}");
        }
        let equal = SqlProof {
            equals: Some("15".into()),
            ..demand()
        };
        assert_eq!(judge(&equal, "15", disaster()), Ok(true));
        assert_eq!(judge(&equal, "15.0", disaster()), Ok(false));
        assert!(judge(&demand(), "15", disaster()).is_err());
    }

    #[test]
    fn times_are_of_before_the_disaster_and_new_enough() {
        let hour = SqlProof {
            newer_than: Some(Span(std::time::Duration::from_secs(3600))),
            ..demand()
        };
        let judge = |text| judge(&hour, text, disaster());
        assert_eq!(judge("2026-11-20 11:30:00.123456+00"), Ok(true));
        assert_eq!(judge("2026-11-20 13:30:00+02"), Ok(true));
        assert_eq!(judge("2026-11-20 11:30:00"), Ok(true));
        assert_eq!(judge("2026-11-20 10:59:59+00"), Ok(false));
        assert!(judge("2026-11-20 12:00:01+00").is_err());
        assert!(judge("yesterday").is_err());
    }

    #[test]
    fn a_query_cannot_end_its_own_quotes() {
        let script = script("SELECT $seawall$x$seawall$ \\! touch /tmp/x", 5);
        assert!(script.contains("SELECT $seawall_$SELECT $seawall$x"));
    }
}
