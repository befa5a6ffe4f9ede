use super::PatchView;

/// How the summary is to look.
#[derive(Clone, Debug)]
pub struct Look {
    /// Escapes for colour; never where `NO_COLOR` is set or the output is no terminal.
    pub color: bool,
    /// Columns.
    pub width: usize,
    /// Where the page is, if one was made.
    pub page: Option<String>,
    /// Long lists are not cut.
    pub full: bool,
}

impl Default for Look {
    fn default() -> Self {
        Look {
            color: false,
            width: 100,
            page: None,
            full: false,
        }
    }
}

/// The whole summary, with a newline at its end.
pub fn summary(view: &PatchView, _look: &Look) -> String {
    format!("{}\n", view.run)
}
