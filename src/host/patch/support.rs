//! Until when releases get security updates: a dated table. Pure.

use jiff::civil::Date;

use crate::model::patch::{OsRelease, Support};

/// Whether this release still gets security updates on this day.
pub fn support(_os: &OsRelease, _today: Date) -> Support {
    Support::Unknown
}
