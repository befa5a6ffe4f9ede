//! Colour for terminals, only where it was asked for.

use crate::model::Severity;

/// What a text is to say by its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    Bold,
    Dim,
    Good,
    Warn,
    Bad,
    /// Worse than bad.
    Alarm,
    Cool,
}

impl Ink {
    pub fn of(severity: Severity) -> Self {
        match severity {
            Severity::Critical => Ink::Alarm,
            Severity::High => Ink::Bad,
            Severity::Medium => Ink::Warn,
            Severity::Low => Ink::Cool,
        }
    }

    fn code(self) -> &'static str {
        match self {
            Ink::Bold => "1",
            Ink::Dim => "2",
            Ink::Good => "32",
            Ink::Warn => "33",
            Ink::Bad => "31",
            Ink::Alarm => "1;31",
            Ink::Cool => "36",
        }
    }
}

/// Puts escapes around text, or leaves it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Paint {
    color: bool,
}

impl Paint {
    pub fn new(color: bool) -> Self {
        Paint { color }
    }

    pub fn ink(self, ink: Ink, text: &str) -> String {
        if self.color && !text.is_empty() {
            format!("\u{1b}[{}m{text}\u{1b}[0m", ink.code())
        } else {
            text.to_owned()
        }
    }
}
