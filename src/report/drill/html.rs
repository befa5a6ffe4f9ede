//! The report of a drill as one page: no network, no script, light and dark, fit for A4.
//!
//! The page is filled from [`page::Page`], in which every text is already stripped of control
//! characters and bounded; the template escapes all of it. Should markup get through in spite of
//! that, the page's own policy lets no script run at all.

mod chart;
mod gantt;
mod page;
mod rows;
mod scale;

use minijinja::value::{Serde, Value};
use minijinja::{Environment, UndefinedBehavior};

use super::{DrillView, TrendPoint};

const TEMPLATE: &str = include_str!("../templates/drill.html");
const FAMILY: &str = include_str!("../templates/report.css");
const STYLE: &str = include_str!("../templates/drill.css");

/// The page of a drill. `trend` has the runs of the same drill, in any order; this one may be among
/// them ([`super::trend`]).
///
/// # Errors
/// Only where the template itself is broken.
pub fn html(view: &DrillView, trend: &[TrendPoint]) -> Result<String, minijinja::Error> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.add_template("drill.html", TEMPLATE)?;
    let whole = page::Whole {
        page: page::Page::of(view, trend),
        style: format!("{FAMILY}{STYLE}"),
    };
    environment
        .get_template("drill.html")?
        .render(Value::from(Serde(&whole)))
}

#[cfg(test)]
mod tests;
