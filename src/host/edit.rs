//! Edits of text files, as data: composed, taken out again (rollback of one rule), shown as diffs.
//! Pure.

use serde::{Deserialize, Serialize};

use super::intent::Ownership;
use crate::shell::is_dangerous;

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
    /// This line, which is not empty, is there. Where `replaces` (a regular expression) matches lines, the first of
    /// them becomes it and the others go; else it is appended, or put first where `first` is set.
    Line {
        line: String,
        replaces: Option<String>,
        first: bool,
    },
    /// No line matches this regular expression.
    NoLine { matches: String },
    /// In every line that `matches`, the words of its first group, which commas separate, have
    /// those of `add` and none of `remove`. Where no line matches, `otherwise` (which must match)
    /// is appended first. Edits of several rules add up.
    Words {
        matches: String,
        add: Vec<String>,
        remove: Vec<String>,
        otherwise: String,
    },
}

/// What a file that we make begins with, so that whoever meets it knows whose it is.
pub const MANAGED: &str = "# Managed by seawall; what is changed here by hand may be undone.";

/// The text of a file after one edit. `None` is a file that is not there. Edits of ownership and
/// directories leave the text as it is. Applying the result again changes nothing.
pub fn apply(edit: &Edit, before: Option<&str>) -> Option<String> {
    match edit {
        Edit::Content(text) => Some(text.clone()),
        Edit::Absent => None,
        Edit::Own { .. } | Edit::Directory(_) => before.map(str::to_owned),
        Edit::SetKey {
            section,
            key,
            value,
            separator,
            fold,
        } => {
            let scope = Scope::new(section.as_deref(), *separator, *fold);
            let mut lines = Lines::of(before);
            set_key(&mut lines, &scope, key, value);
            Some(lines.text())
        }
        Edit::UnsetKey {
            section,
            key,
            separator,
            fold,
        } => before.map(|text| {
            let scope = Scope::new(section.as_deref(), *separator, *fold);
            let mut lines = Lines::of(Some(text));
            let setting = scope.setting(&lines, key);
            lines.remove(&setting);
            lines.text()
        }),
        Edit::Line {
            line,
            replaces,
            first,
        } => {
            let mut lines = if *first && before.is_none() {
                Lines::of(Some(""))
            } else {
                Lines::of(before)
            };
            set_line(&mut lines, &one_line(line), replaces.as_deref(), *first);
            Some(lines.text())
        }
        Edit::NoLine { matches } => before.map(|text| {
            let mut lines = Lines::of(Some(text));
            let matching = lines.matching(matches);
            lines.remove(&matching);
            lines.text()
        }),
        Edit::Words {
            matches,
            add,
            remove,
            otherwise,
        } => Some(super::edit_words::apply(
            matches, add, remove, otherwise, before,
        )),
    }
}

/// The text of a file after several edits, one upon the other.
pub fn apply_all<'a>(
    edits: impl IntoIterator<Item = &'a Edit>,
    before: Option<&str>,
) -> Option<String> {
    edits
        .into_iter()
        .fold(before.map(str::to_owned), |text, edit| {
            apply(edit, text.as_deref())
        })
}

/// Every `key value` that a text sets, in order: its line (from 0), key and value, each without
/// the white space around it. Quotes around a value are kept.
///
/// `section`: only what stands under `[section]`; `None`: all lines, whatever section they stand
/// in. A line without a separator is a key with an empty value (a flag). Lines that begin with
/// `#` are comments, and with `;` where the separator is `=`.
pub fn read_keys(
    text: &str,
    section: Option<&str>,
    separator: Separator,
    fold: bool,
) -> Vec<(usize, String, String)> {
    let scope = Scope::new(section, separator, fold);
    let lines: Vec<&str> = text.split_inclusive('\n').map(body).collect();
    scope
        .within(lines.iter().copied())
        .into_iter()
        .filter_map(|at| {
            let (key, value) = scope.key_value(lines.get(at)?)?;
            Some((at, key.to_owned(), value.to_owned()))
        })
        .collect()
}

/// Whether two keys are the same.
pub fn same_key(a: &str, b: &str, fold: bool) -> bool {
    if fold {
        a.eq_ignore_ascii_case(b)
    } else {
        a == b
    }
}

/// Whether two edits of one file cannot both be had.
pub fn conflict(a: &Edit, b: &Edit) -> bool {
    one_way(a, b) || one_way(b, a)
}

fn one_way(a: &Edit, b: &Edit) -> bool {
    use Edit::*;
    match (a, b) {
        (Absent, Absent | UnsetKey { .. } | NoLine { .. }) => false,
        (Absent, _) => true,
        (Directory(a), Directory(b)) => a != b,
        (Directory(_), Own { .. }) => false,
        (Directory(_), _) => true,
        (Content(_), Own { .. }) => false,
        (Content(text), other) => apply(other, Some(text)).as_deref() != Some(text),
        (
            SetKey {
                key, section, fold, ..
            },
            UnsetKey {
                key: k, section: s, ..
            },
        ) => same_key(key, k, *fold) && section == s,
        (
            SetKey {
                key,
                section,
                fold,
                value,
                ..
            },
            SetKey {
                key: k,
                section: s,
                value: v,
                ..
            },
        ) => same_key(key, k, *fold) && section == s && value.trim() != v.trim(),
        (
            SetKey {
                key,
                value,
                separator,
                fold,
                ..
            },
            Line { line, replaces, .. },
        ) => {
            let ours = written(key, &one_line(value), *separator);
            let scope = Scope::new(None, *separator, *fold);
            let other_value = scope
                .key_value(line)
                .is_some_and(|(k, v)| same_key(k, key, *fold) && v != value.trim());
            other_value || (&ours != line && replaces.as_ref().is_some_and(|r| hits(r, &ours)))
        }
        (
            SetKey {
                key,
                value,
                separator,
                ..
            },
            NoLine { matches },
        ) => hits(matches, &written(key, &one_line(value), *separator)),
        (
            UnsetKey {
                key,
                separator,
                fold,
                ..
            },
            Line { line, .. },
        ) => Scope::new(None, *separator, *fold)
            .key_value(line)
            .is_some_and(|(k, _)| same_key(k, key, *fold)),
        (Line { line, .. }, NoLine { matches }) => hits(matches, line),
        (
            Words { matches, add, .. },
            Words {
                matches: m, remove, ..
            },
        ) => matches == m && add.iter().any(|word| remove.contains(word)),
        (
            Line { line, replaces, .. },
            Line {
                line: l,
                replaces: r,
                ..
            },
        ) => {
            line != l
                && (replaces.as_ref().is_some_and(|x| hits(x, l))
                    || r.as_ref().is_some_and(|x| hits(x, line)))
        }
        (
            Own {
                owner,
                group,
                mode,
                clear,
            },
            Own {
                owner: o,
                group: g,
                mode: m,
                clear: c,
            },
        ) => {
            let differ =
                |a: &Option<String>, b: &Option<String>| a.is_some() && b.is_some() && a != b;
            differ(owner, o)
                || differ(group, g)
                || matches!((mode, m), (Some(a), Some(b)) if a != b)
                || mode.is_some_and(|mode| mode & c != 0)
                || m.is_some_and(|mode| mode & clear != 0)
        }
        _ => false,
    }
}

/// A unified diff with three lines around each change; empty where nothing changes. Characters
/// that a terminal would act on become `·`.
pub fn unified_diff(path: &str, before: Option<&str>, after: Option<&str>) -> String {
    if before == after {
        return String::new();
    }
    let name = |text: Option<&str>| match text {
        Some(_) => path.to_owned(),
        None => "/dev/null".to_owned(),
    };
    let (old, new) = (before.unwrap_or_default(), after.unwrap_or_default());
    let head = format!("--- {}\n+++ {}\n", name(before), name(after));
    let diff = similar::TextDiff::from_lines(old, new)
        .unified_diff()
        .context_radius(3)
        .to_string();
    (head + &diff)
        .chars()
        .map(|c| match c {
            '\n' | '\t' => c,
            c if is_dangerous(c) => '·',
            c => c,
        })
        .collect()
}

fn hits(pattern: &str, line: &str) -> bool {
    super::pattern::compile(pattern).is_ok_and(|r| r.is_match(line))
}

/// A line without what ends it.
fn body(line: &str) -> &str {
    let line = line.strip_suffix('\n').unwrap_or(line);
    line.strip_suffix('\r').unwrap_or(line)
}

/// A value or a line can hold no line break: it would be read back as another line.
fn one_line(text: &str) -> String {
    text.split(['\n', '\r']).collect::<Vec<_>>().join(" ")
}

/// How `key value` is written. A key without a value stands alone, as flags do.
fn written(key: &str, value: &str, separator: Separator) -> String {
    let value = value.trim();
    if value.is_empty() && separator != Separator::TightEquals {
        return key.to_owned();
    }
    format!("{key}{}{value}", separator.text())
}

/// A text as lines, each with its own ending, so that what is not touched stays to the byte.
struct Lines(Vec<(String, &'static str)>);

impl Lines {
    /// A file that is not there begins with the line that says whose it is.
    fn of(text: Option<&str>) -> Lines {
        let Some(text) = text else {
            return Lines(vec![(MANAGED.to_owned(), "\n")]);
        };
        let end = |line: &str| match line {
            line if line.ends_with("\r\n") => "\r\n",
            line if line.ends_with('\n') => "\n",
            _ => "",
        };
        let line = |l: &str| match end(l) {
            // A lone carriage return at the very end belongs to the line.
            "" => (l.to_owned(), ""),
            end => (body(l).to_owned(), end),
        };
        Lines(text.split_inclusive('\n').map(line).collect())
    }

    fn text(&self) -> String {
        self.0.iter().flat_map(|(l, e)| [l.as_str(), e]).collect()
    }

    fn bodies(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(l, _)| l.as_str())
    }

    /// Where the lines stand that this regular expression matches; none if it is not one.
    fn matching(&self, pattern: &str) -> Vec<usize> {
        let Ok(regex) = super::pattern::compile(pattern) else {
            return Vec::new();
        };
        let matching = self.bodies().enumerate().filter(|(_, l)| regex.is_match(l));
        matching.map(|(at, _)| at).collect()
    }

    /// `at` must be ascending.
    fn remove(&mut self, at: &[usize]) {
        for at in at.iter().rev() {
            if *at < self.0.len() {
                self.0.remove(*at);
            }
        }
    }

    /// Puts a line where `at` says, or at the end. It ends as the file's first line does.
    fn insert(&mut self, at: usize, line: String) {
        let end = match self.0.first() {
            Some((_, "\r\n")) => "\r\n",
            _ => "\n",
        };
        let at = at.min(self.0.len());
        if let Some((_, before)) = at.checked_sub(1).and_then(|i| self.0.get_mut(i))
            && before.is_empty()
        {
            *before = end;
        }
        self.0.insert(at, (line, end));
    }

    fn replace(&mut self, at: usize, line: String) {
        if let Some((old, _)) = self.0.get_mut(at) {
            *old = line;
        }
    }
}

/// Where in a file, and how, keys are looked for.
struct Scope<'a> {
    section: Option<&'a str>,
    separator: Separator,
    fold: bool,
}

impl<'a> Scope<'a> {
    fn new(section: Option<&'a str>, separator: Separator, fold: bool) -> Self {
        Scope {
            section,
            separator,
            fold,
        }
    }

    fn with_equals(&self) -> bool {
        matches!(self.separator, Separator::Equals | Separator::TightEquals)
    }

    /// The key and value that a line sets.
    fn key_value<'l>(&self, line: &'l str) -> Option<(&'l str, &'l str)> {
        let line = line.trim();
        if line.is_empty()
            || line.starts_with('#')
            || (self.with_equals() && line.starts_with(';'))
            || header(line).is_some()
        {
            return None;
        }
        let split = if self.with_equals() {
            line.split_once('=')
        } else {
            line.split_once(char::is_whitespace)
        };
        let (key, value) = split.unwrap_or((line, ""));
        let key = key.trim_end();
        (!key.is_empty()).then(|| (key, value.trim()))
    }

    /// The key that a commented-out line would set. Where only a space parts key and value, prose
    /// looks like a setting, so the key must follow the `#` at once.
    fn commented<'l>(&self, line: &'l str) -> Option<&'l str> {
        let line = line.trim_start();
        let rest = if self.with_equals() {
            line.strip_prefix(['#', ';']).filter(|l| l.contains('='))?
        } else {
            line.strip_prefix('#')
                .filter(|l| !l.starts_with(char::is_whitespace))?
        };
        self.key_value(rest).map(|(key, _)| key)
    }

    /// The lines that stand in the section, without its head.
    fn within<'l>(&self, lines: impl Iterator<Item = &'l str>) -> Vec<usize> {
        let mut inside = self.section.is_none();
        let mut found = Vec::new();
        for (at, line) in lines.enumerate() {
            match (header(line), self.section) {
                (Some(name), Some(section)) => inside = same_key(name, section, self.fold),
                (Some(_), None) => {}
                (None, _) if inside => found.push(at),
                _ => {}
            }
        }
        found
    }

    /// The lines that set `key`.
    fn setting(&self, lines: &Lines, key: &str) -> Vec<usize> {
        let mut at = self.within(lines.bodies());
        at.retain(|at| {
            let line = lines.0.get(*at).map(|(l, _)| l.as_str());
            line.and_then(|l| self.key_value(l))
                .is_some_and(|(k, _)| same_key(k, key, self.fold))
        });
        at
    }
}

/// The name of the section that a line begins.
fn header(line: &str) -> Option<&str> {
    line.trim().strip_prefix('[')?.strip_suffix(']')
}

fn set_key(lines: &mut Lines, scope: &Scope, key: &str, value: &str) {
    let (key, value) = (one_line(key), one_line(value));
    let (key, value) = (key.trim(), value.trim());
    let new = written(key, value, scope.separator);
    let setting = scope.setting(lines, key);
    if let Some((first, further)) = setting.split_first() {
        lines.remove(further);
        let old = lines.0.get(*first).map(|(l, _)| l.clone());
        let old = old.unwrap_or_default();
        if scope.key_value(&old).is_some_and(|(_, v)| v != value) {
            let indent = old.len() - old.trim_start().len();
            let indent = old.get(..indent).unwrap_or_default();
            lines.replace(*first, format!("{indent}{new}"));
        }
        return;
    }
    let within = scope.within(lines.bodies());
    let line_at = |at: &usize| lines.0.get(*at).map(|(l, _)| l.as_str()).unwrap_or("");
    let commented = within.iter().find(|at| {
        scope
            .commented(line_at(at))
            .is_some_and(|k| same_key(k, key, scope.fold))
    });
    if let Some(at) = commented {
        return lines.insert(at + 1, new);
    }
    let Some(section) = scope.section else {
        return lines.insert(usize::MAX, new);
    };
    let last = within.iter().rfind(|at| !line_at(at).trim().is_empty());
    let head = lines
        .bodies()
        .position(|l| header(l).is_some_and(|name| same_key(name, section, scope.fold)));
    match (last, head) {
        (Some(at), _) => lines.insert(at + 1, new),
        (None, Some(head)) => lines.insert(head + 1, new),
        (None, None) => {
            if lines.bodies().last().is_some_and(|l| !l.trim().is_empty()) {
                lines.insert(usize::MAX, String::new());
            }
            lines.insert(usize::MAX, format!("[{section}]"));
            lines.insert(usize::MAX, new);
        }
    }
}

fn set_line(lines: &mut Lines, line: &str, replaces: Option<&str>, first: bool) {
    let matching = replaces.map(|r| lines.matching(r)).unwrap_or_default();
    if first {
        let comment = |l: &str| l.trim().is_empty() || l.trim_start().starts_with('#');
        let top = lines.bodies().next() == Some(line);
        let leads = top || lines.bodies().find(|l| !comment(l)) == Some(line);
        let keep = lines.bodies().position(|l| l == line).filter(|_| leads);
        let mut gone: Vec<usize> = matching;
        if keep.is_none() {
            gone.extend(
                lines
                    .bodies()
                    .enumerate()
                    .filter(|(_, l)| *l == line)
                    .map(|(at, _)| at),
            );
            gone.sort_unstable();
            gone.dedup();
        }
        gone.retain(|at| Some(*at) != keep);
        lines.remove(&gone);
        if keep.is_none() {
            lines.insert(0, line.to_owned());
        }
        return;
    }
    let present = lines.bodies().position(|l| l == line);
    let place = present.or(matching.first().copied());
    let gone: Vec<usize> = matching
        .into_iter()
        .filter(|at| Some(*at) != place)
        .collect();
    match place {
        Some(at) => {
            lines.replace(at, line.to_owned());
            lines.remove(&gone);
        }
        None => lines.insert(usize::MAX, line.to_owned()),
    }
}

#[cfg(test)]
mod tests;
