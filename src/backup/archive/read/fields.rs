//! The fields of headers: numbers, times, and the records of extended ones. Pure.

use bytes::Bytes;

use super::{Extended, ReadError, form, shown};

/// A number of a header: octal, or GNU's base 256.
pub(super) fn number(field: &[u8]) -> Option<u64> {
    u64::try_from(signed(field)?).ok()
}

pub(super) fn signed(field: &[u8]) -> Option<i64> {
    let first = *field.first()?;
    if first & 0x80 != 0 {
        let mut value = if first & 0x40 != 0 { -1i128 } else { 0 };
        value = (value << 6) | i128::from(first & 0x3f);
        for byte in &field[1..] {
            value = (value << 8) | i128::from(*byte);
        }
        return i64::try_from(value).ok();
    }
    let text = field.trim_ascii_start();
    let end = text
        .iter()
        .position(|b| *b == 0 || *b == b' ')
        .unwrap_or(text.len());
    let mut value = 0i64;
    for byte in &text[..end] {
        if !(b'0'..=b'7').contains(byte) {
            return None;
        }
        value = value.checked_mul(8)?.checked_add(i64::from(byte - b'0'))?;
    }
    Some(value)
}

/// The records of a PAX header: `LENGTH KEY=VALUE\n`.
fn records(data: &Bytes, start: u64) -> impl Iterator<Item = Result<(Bytes, Bytes), ReadError>> {
    let mut rest = data.clone();
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let record = one_record(&mut rest);
        if record.is_none() {
            rest = Bytes::new();
        }
        Some(
            record.ok_or_else(|| form(format!("the extended header at byte {start} is malformed"))),
        )
    })
}

fn one_record(rest: &mut Bytes) -> Option<(Bytes, Bytes)> {
    let blank = rest.iter().take(8).position(|b| *b == b' ')?;
    let length: usize = std::str::from_utf8(&rest[..blank]).ok()?.parse().ok()?;
    if length <= blank + 1 || length > rest.len() {
        return None;
    }
    let record = rest.split_to(length);
    let body = record.slice(blank + 1..);
    let body = body.slice(..body.strip_suffix(b"\n")?.len());
    let equals = body.iter().position(|b| *b == b'=')?;
    Some((body.slice(..equals), body.slice(equals + 1..)))
}

pub(super) fn pax(data: &Bytes, extended: &mut Extended, start: u64) -> Result<(), ReadError> {
    for record in records(data, start) {
        let (key, value) = record?;
        let wrong = || {
            form(format!(
                "the extended header at byte {start} has a bad {}",
                shown(&key)
            ))
        };
        let decimal = || -> Result<u64, ReadError> {
            std::str::from_utf8(&value)
                .ok()
                .filter(|text| text.bytes().all(|b| b.is_ascii_digit()))
                .and_then(|text| text.parse().ok())
                .ok_or_else(wrong)
        };
        match &key[..] {
            b"path" => extended.path = Some(value),
            b"linkpath" => extended.link = Some(value),
            b"size" => extended.size = Some(decimal()?),
            b"uid" => extended.uid = Some(decimal()?),
            b"gid" => extended.gid = Some(decimal()?),
            b"mtime" => extended.mtime = Some(time(&value).ok_or_else(wrong)?),
            key if key.starts_with(b"GNU.sparse.") => {
                return Err(form(format!(
                    "the member at byte {start} is a sparse file (PAX); those are refused"
                )));
            }
            // Extended attributes, names of owners, comments: not restored.
            _ => {}
        }
    }
    Ok(())
}

/// Records for all members to come: a commit's id, usually. What would change names or sizes is
/// refused, as no writer of backups does that.
pub(super) fn global(data: &Bytes, start: u64) -> Result<(), ReadError> {
    for record in records(data, start) {
        let (key, _) = record?;
        if matches!(&key[..], b"path" | b"linkpath" | b"size") || key.starts_with(b"GNU.sparse.") {
            return Err(form(format!(
                "the global header at byte {start} sets {} for all members; that is refused",
                shown(&key)
            )));
        }
    }
    Ok(())
}

/// `1763635200.123456789`, also before 1970.
pub(super) fn time(value: &[u8]) -> Option<(i64, u32)> {
    let text = std::str::from_utf8(value).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let seconds: i64 = whole.parse().ok()?;
    let mut nanos = 0u32;
    for digit in fraction.bytes().chain(std::iter::repeat(b'0')).take(9) {
        nanos = nanos * 10 + u32::from(digit - b'0');
    }
    if whole.starts_with('-') && nanos > 0 {
        return Some((seconds.checked_sub(1)?, 1_000_000_000 - nanos));
    }
    Some((seconds, nanos))
}
