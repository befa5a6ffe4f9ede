//! Ansible's inventories in INI.

use std::ops::Range;
use std::sync::Arc;

use super::super::baseline::Value;
use super::super::diagnostic::Source;
use super::ansible::{host_pattern, set};
use super::draft::{Draft, Settings};
use super::words::shell_words;

/// `[name]`, `[name:children]`, `[name:vars]` on a line of its own.
pub(super) fn section(line: &str) -> Option<(&str, &str)> {
    let inner = line.trim().strip_prefix('[')?;
    let (inner, after) = inner.split_once(']')?;
    let after = after.trim();
    if !(after.is_empty() || after.starts_with(['#', ';'])) {
        return None;
    }
    let (name, part) = inner.split_once(':').unwrap_or((inner, ""));
    let good = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    (!name.is_empty() && name.chars().all(good)).then_some((name, part))
}

pub(super) fn read(source: &Arc<Source>) -> Draft<'_> {
    let mut draft = Draft::new(source);
    let mut here = ("ungrouped".to_owned(), String::new());
    let mut at = 0;
    for line in source.text.split_inclusive('\n') {
        let start = at + (line.len() - line.trim_start().len());
        at += line.len();
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some((name, part)) = section(line) {
            if !matches!(part, "" | "children" | "vars") {
                draft.error("bad-value", &(start..start + line.len()), format!("`[{name}:{part}]` is no section of an inventory: only `[name]`, `[name:children]` and `[name:vars]` are"));
            }
            if name != "all" {
                draft.groups.entry(name.to_owned()).or_default();
            }
            here = (name.to_owned(), part.to_owned());
            continue;
        }
        match here.1.as_str() {
            "vars" => variable(&mut draft, &here.0, line, start),
            "children" => child(&mut draft, &here.0, line, start),
            _ => host(&mut draft, &here.0, line, start),
        }
    }
    draft
}

fn variable(draft: &mut Draft, group: &str, line: &str, start: usize) {
    let span = start..start + line.len();
    let Some((name, value)) = line.split_once('=') else {
        return draft.error("bad-value", &span, format!("`{line}` is not `name=value`"));
    };
    let mut settings = match draft.groups.get_mut(group) {
        Some(group) => std::mem::take(&mut group.settings),
        None => std::mem::take(&mut draft.defaults),
    };
    set(
        draft,
        &mut settings,
        name.trim(),
        literal(value.trim()),
        &span,
    );
    match draft.groups.get_mut(group) {
        Some(group) => group.settings = settings,
        None => draft.defaults = settings,
    }
}

fn child(draft: &mut Draft, group: &str, line: &str, start: usize) {
    let name = line.split(['#', ';']).next().unwrap_or(line).trim();
    let span = start..start + name.len();
    if let Some(parent) = draft.groups.get_mut(group) {
        parent.children.push((name.to_owned(), span));
    }
}

fn host(draft: &mut Draft, group: &str, line: &str, start: usize) {
    let words = shell_words(line);
    let mut words = words.iter();
    let Some((_, pattern)) = words.next() else {
        return;
    };
    let (pattern, port) = host_pattern(pattern);
    let span = start..start + pattern.len();
    let mut settings = Settings {
        port,
        ..Settings::default()
    };
    for (at, word) in words {
        let span: Range<usize> = start + at..start + at + word.len();
        match word.split_once('=') {
            Some((name, value)) => set(draft, &mut settings, name, literal(value), &span),
            None => draft.error("bad-value", &span, format!("`{word}` is not `name=value`")),
        }
    }
    for name in draft.names(pattern, &span) {
        draft.add(name.clone(), &span, settings.clone(), false);
        if let Some(group) = draft.groups.get_mut(group) {
            group.hosts.push((name, span.clone()));
        }
    }
}

/// A value: a list of Python's as a list, quotes taken off, all else as it stands.
fn literal(text: &str) -> Value {
    if let Some(inner) = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')) {
        let items = inner
            .split(',')
            .map(unquoted)
            .filter(|item| !item.is_empty());
        return Value::List(items.map(str::to_owned).collect());
    }
    Value::Text(unquoted(text).to_owned())
}

fn unquoted(text: &str) -> &str {
    let text = text.trim();
    let inner = |quote: char| text.strip_prefix(quote)?.strip_suffix(quote);
    inner('"').or_else(|| inner('\'')).unwrap_or(text)
}
