//! The summary at the end of a drill: the verdict first.

use super::DrillView;

/// How the summary is to look.
#[derive(Clone, Debug)]
pub struct Look {
    /// Escapes for colour; never where `NO_COLOR` is set or the output is no terminal.
    pub color: bool,
    /// Columns.
    pub width: usize,
    /// Where the page is, if one was made.
    pub page: Option<String>,
}

impl Default for Look {
    fn default() -> Self {
        Look {
            color: false,
            width: 100,
            page: None,
        }
    }
}

/// The whole summary, with a newline at its end.
pub fn summary(view: &DrillView, look: &Look) -> String {
    let _ = look;
    format!("{}\n", crate::shell::clean(&view.drill, 60))
}
