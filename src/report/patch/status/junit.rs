use super::Status;

/// The status as JUnit XML.
pub fn junit(_status: &Status) -> String {
    String::new()
}
