//! A plan or a run as one page: no network, no script, light and dark, fit for A4.
//!
//! The page is filled from [`page::Page`], in which every text is already stripped of control
//! characters and bounded; the template escapes all of it. Should markup get through in spite of
//! that, the page's own policy lets no script run at all.

mod page;
mod rows;

use minijinja::value::{Serde, Value};
use minijinja::{Environment, UndefinedBehavior};
use serde::Serialize;

use super::PatchView;

const TEMPLATE: &str = include_str!("../templates/patch.html");
const FAMILY: &str = include_str!("../templates/report.css");
const STYLE: &str = include_str!("../templates/patch.css");

#[derive(Serialize)]
struct Whole<T> {
    #[serde(flatten)]
    page: T,
    style: String,
}

/// One part of a stacked bar; `x` and `width` are out of 100.
#[derive(Debug, Serialize)]
pub(super) struct Part {
    key: &'static str,
    word: &'static str,
    count: usize,
    x: String,
    width: String,
}

/// A bar of all that there is some of: class, word, how many.
pub(super) fn bar(parts: &[(&'static str, &'static str, usize)]) -> Vec<Part> {
    let total: usize = parts.iter().map(|(.., n)| n).sum();
    let at = |n: usize| format!("{:.3}", n as f64 * 100.0 / total.max(1) as f64);
    let mut before = 0;
    let mut bar = Vec::new();
    for (key, word, count) in parts.iter().filter(|(.., n)| *n > 0) {
        bar.push(Part {
            key,
            word,
            count: *count,
            x: at(before),
            width: at(*count),
        });
        before += count;
    }
    bar
}

/// Fills a template of ours.
pub(super) fn render(template: &str, page: impl Serialize) -> Result<String, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.add_template("page.html", template)?;
    let whole = Whole {
        page,
        style: format!("{FAMILY}{STYLE}"),
    };
    environment
        .get_template("page.html")?
        .render(Value::from(Serde(&whole)))
}

/// The page of a plan or a run.
///
/// # Errors
/// Only where the template itself is broken.
pub fn html(view: &PatchView) -> Result<String, minijinja::Error> {
    render(TEMPLATE, page::Page::of(view))
}

#[cfg(test)]
mod tests;
