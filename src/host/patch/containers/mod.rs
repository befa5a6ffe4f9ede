//! Containers of docker and podman: what they run, what their tags mean now, and how one is
//! recreated with the very configuration that it had, and goes back.
//!
//! Docker's containers are made again from `inspect`, podman's from its own record of the command
//! that made them, compose's by compose. The new one is made beside the old one, and compared with
//! it, before the old one is stopped: what would differ is not touched. Environment, labels, and
//! words of commands never leave the host; registry credentials are read where they lie, by the
//! engine's own programs.

mod decide;
mod options;
mod read;
mod reference;
mod replay;
mod taken;
mod work;

use crate::document::patch::Containers;
use crate::model::patch::{ContainerSeen, ImagePlan};
use crate::shell::{Frame, NulInText, clean};

use super::job::{Job, Said};

/// Functions of the observing program: defines `observe_containers`.
pub fn observe_functions() -> &'static str {
    include_str!("sh/observe.sh")
}

/// What `observe_containers` said; and engine (`docker`, `podman`) → why it could not be seen. An
/// engine that is not installed is neither.
pub fn read(frames: &[Frame]) -> (Vec<ContainerSeen>, Vec<(String, String)>) {
    read::read(frames)
}

/// What is to be done with each image. `None` for `wanted`: they are reported, and not moved.
pub fn decide(seen: &[ContainerSeen], wanted: Option<&Containers>) -> Vec<ImagePlan> {
    decide::decide(seen, wanted)
}

/// The job that pulls, recreates, waits until it is healthy, and goes back by itself where it does
/// not become so. The former container is kept, stopped and renamed, until [`keep`].
///
/// It says one line, see [`images_said`]; its status is 0 only where the image was updated.
///
/// # Errors
/// When a name from the host cannot stand in a program.
pub fn update(
    name: &str,
    plan: &ImagePlan,
    seen: &[ContainerSeen],
    wanted: &Containers,
) -> Result<Job, NulInText> {
    work::update(name, plan, seen, wanted)
}

/// The job that puts the former image back, after [`update`] had ended well and the host failed its
/// gate nevertheless, or when it died in its midst. It looks at what there is, and may run again.
///
/// # Errors
/// As [`update`].
pub fn back(
    name: &str,
    plan: &ImagePlan,
    seen: &[ContainerSeen],
    wanted: &Containers,
) -> Result<Job, NulInText> {
    work::back(name, plan, seen, wanted)
}

/// The job that takes the former containers away, once all is well.
///
/// # Errors
/// As [`update`].
pub fn keep(name: &str, plans: &[ImagePlan]) -> Result<Job, NulInText> {
    work::keep(name, plans)
}

/// What a job said of one image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageSaid {
    /// As in [`ImagePlan::container`].
    pub container: String,
    /// `updated`, `went-back`, `failed`, `unchanged`.
    pub outcome: String,
    pub from: Option<String>,
    pub to: Option<String>,
    /// Why, in words.
    pub detail: String,
}

/// The lines about images of a job's log; others are left out.
pub fn images_said(said: &[Said]) -> Vec<ImageSaid> {
    let digest = |word: &str| reference::checked_digest(word);
    said.iter()
        .filter(|line| line.kind == "image")
        .filter_map(|line| {
            let mut words = line.text.splitn(4, ' ');
            let outcome = words.next()?;
            if !["updated", "went-back", "failed", "unchanged"].contains(&outcome) {
                return None;
            }
            Some(ImageSaid {
                container: clean(&line.name, 200),
                outcome: outcome.to_owned(),
                from: words.next().and_then(digest),
                to: words.next().and_then(digest),
                detail: clean(words.next().unwrap_or_default(), 600),
            })
        })
        .collect()
}
