//! The report as one page: no network, readable without script, light and dark, fit for A4.
//!
//! The page is filled from [`page::Page`], in which every text is already stripped of control
//! characters and bounded; the template escapes all of it. Should markup get through in spite of
//! that, the page's own policy lets no script run but the one whose hash it names.

mod figures;
mod page;
mod rows;

use base64::Engine;
use minijinja::value::{Serde, Value};
use minijinja::{Environment, UndefinedBehavior};
use sha2::{Digest, Sha256};

use super::RunView;

const TEMPLATE: &str = include_str!("templates/report.html");
const STYLE: &str = include_str!("templates/report.css");
const SCRIPT: &str = include_str!("templates/report.js");

/// The page of a run.
///
/// # Errors
/// Only where the template itself is broken.
pub fn text(view: &RunView) -> Result<String, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.add_template("report.html", TEMPLATE)?;
    let page = page::Page::of(view);
    let fixed = page::Fixed {
        style: STYLE,
        script: SCRIPT,
        script_hash: base64::engine::general_purpose::STANDARD.encode(Sha256::digest(SCRIPT)),
    };
    environment
        .get_template("report.html")?
        .render(Value::from(Serde(&page::Whole { page, fixed })))
}

#[cfg(test)]
mod tests;
