//! Edits of text files, as data: composed, taken out again (rollback of one rule), shown as diffs.
//! Pure.

use serde::{Deserialize, Serialize};

use super::intent::Ownership;

/// How a configuration file writes `key value`.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema, Default,
)]
#[serde(rename_all = "kebab-case")]
pub enum Separator {
    /// `key = value`
    #[default]
    Equals,
    /// `key=value`
    TightEquals,
    /// `key value`
    Space,
    /// `key<tab>value`
    Tab,
}

impl Separator {
    pub fn text(self) -> &'static str {
        match self {
            Separator::Equals => " = ",
            Separator::TightEquals => "=",
            Separator::Space => " ",
            Separator::Tab => "\t",
        }
    }
}

/// One edit. Applying it twice is the same as once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Edit {
    /// The whole text.
    Content(String),
    /// The file is not to be.
    Absent,
    /// Owner, group and mode; a field that is `None` stays. `clear` are mode bits to take away.
    Own {
        owner: Option<String>,
        group: Option<String>,
        mode: Option<u32>,
        clear: u32,
    },
    /// A directory is to be, with this ownership if it is made.
    Directory(Ownership),
    /// `key` has `value` (in `section` of an INI-like file). The first line that sets it is
    /// changed, further ones are removed; a commented one shows where to put it; else it is
    /// appended. Keys are compared without case where `fold` is set.
    SetKey {
        section: Option<String>,
        key: String,
        value: String,
        separator: Separator,
        fold: bool,
    },
    /// No line sets `key` (commented ones may).
    UnsetKey {
        section: Option<String>,
        key: String,
        separator: Separator,
        fold: bool,
    },
    /// This line is there. Where `replaces` (a regular expression) matches lines, the first of
    /// them becomes it and the others go; else it is appended, or put first where `first` is set.
    Line {
        line: String,
        replaces: Option<String>,
        first: bool,
    },
    /// No line matches this regular expression.
    NoLine { matches: String },
}
