//! Lines for a terminal: no wider than it is, coloured only where that was asked for.

use super::Look;
use crate::report::drill::words::number;
use crate::report::paint::{Ink, Paint};
use crate::report::words::{pad, wrap};
use crate::shell::clean;

/// How many rows of a list are shown.
const ROWS: usize = 30;

pub struct Out {
    pub text: String,
    paint: Paint,
    pub width: usize,
    full: bool,
}

impl Out {
    pub fn new(look: &Look) -> Self {
        Out {
            text: String::new(),
            paint: Paint::new(look.color),
            width: look.width.max(40),
            full: look.full,
        }
    }

    /// How many of `all` rows are shown.
    pub fn rows(&self, all: usize) -> usize {
        if self.full { all } else { all.min(ROWS) }
    }

    /// The same, of a list within a list.
    pub fn few(&self, all: usize, most: usize) -> usize {
        if self.full { all } else { all.min(most) }
    }

    pub fn line(&mut self, text: &str) {
        self.text.push_str(text.trim_end());
        self.text.push('\n');
    }

    pub fn blank(&mut self) {
        self.text.push('\n');
    }

    pub fn head(&mut self, word: &str, facts: &str) {
        let room = self.width.saturating_sub(word.chars().count() + 2);
        let facts = wrap(facts, room, 1).concat();
        let word = self.paint.ink(Ink::Bold, word);
        self.line(&format!("{word}  {facts}"));
    }

    pub fn dim(&mut self, text: &str) {
        let text = wrap(text, self.width, 1).concat();
        let text = self.paint.ink(Ink::Dim, &text);
        self.line(&text);
    }

    pub fn verdict(&mut self, word: &str, said: &str, ink: Ink) {
        let word = word.to_uppercase();
        for line in wrap(&word, self.width, 3) {
            let line = self.paint.ink(ink, &line);
            self.line(&line);
        }
        self.item("", 0, said, None, 3);
    }

    pub fn heading(&mut self, text: &str, aside: &str) {
        let room = self.width.saturating_sub(text.chars().count() + 2);
        let aside = match aside {
            "" => String::new(),
            aside => {
                let aside = wrap(aside, room, 1).concat();
                format!("  {}", self.paint.ink(Ink::Dim, &aside))
            }
        };
        let head = self.paint.ink(Ink::Bold, text);
        self.blank();
        self.line(&format!("{head}{aside}"));
    }

    /// A text under a name in the margin; `lines` at most.
    pub fn item(&mut self, name: &str, margin: usize, text: &str, ink: Option<Ink>, lines: usize) {
        // A name that was cut is one longer, by the mark of the cut.
        let margin = match margin {
            0 => 0,
            _ => margin.max(name.chars().count()),
        };
        let indent = if margin == 0 { 2 } else { margin + 4 };
        for (at, line) in wrap(text, self.width.saturating_sub(indent), lines)
            .iter()
            .enumerate()
        {
            let line = ink.map_or(line.clone(), |ink| self.paint.ink(ink, line));
            if margin == 0 {
                self.line(&format!("  {line}"));
                continue;
            }
            let name = pad(if at == 0 { name } else { "" }, margin);
            self.line(&format!("  {}  {line}", self.paint.ink(Ink::Dim, &name)));
        }
    }

    /// A name, a word in its colour, and a text that is wrapped beside them.
    pub fn row(
        &mut self,
        name: &str,
        margin: usize,
        (word, ink): (&str, Ink),
        text: &str,
        lines: usize,
    ) {
        let indent = margin.max(name.chars().count()) + word.chars().count() + 6;
        if self.width < indent + 24 {
            // A narrow terminal: the text stands below.
            let name = self.paint.ink(Ink::Bold, &pad(name, margin));
            let word = self.paint.ink(ink, word);
            self.line(&format!("  {name}  {word}"));
            return self.item("", 2, text, None, lines);
        }
        let wrapped = wrap(text, self.width.saturating_sub(indent), lines);
        for (at, line) in wrapped.iter().enumerate() {
            if at == 0 {
                let name = self.paint.ink(Ink::Bold, &pad(name, margin));
                let word = self.paint.ink(ink, word);
                self.line(&format!("  {name}  {word}  {line}"));
            } else {
                self.line(&format!("{}{line}", " ".repeat(indent)));
            }
        }
    }

    pub fn more(&mut self, all: usize, shown: usize) {
        if all > shown {
            let left = number((all - shown) as u64);
            let text = format!("… and {left} more (the JSON document has all)");
            self.item("", 0, &text, Some(Ink::Dim), 1);
        }
    }

    /// A path is never broken: it is there to be copied.
    pub fn page(&mut self, page: Option<&str>) {
        if let Some(page) = page {
            let head = self.paint.ink(Ink::Bold, "Report");
            self.line(&format!("\n{head}  {}", clean(page, 4096)));
        }
    }

    pub fn command(&mut self, name: &str, command: &str) {
        let name = self.paint.ink(Ink::Dim, name);
        self.line(&format!("\n{name}  {command}"));
    }
}
