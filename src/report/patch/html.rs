use super::PatchView;

/// The page of a plan or a run.
///
/// # Errors
/// Only where the template itself is broken.
pub fn html(_view: &PatchView) -> Result<String, minijinja::Error> {
    Ok(String::new())
}
