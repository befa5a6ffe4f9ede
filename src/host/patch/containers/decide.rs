//! What is to be done with each image. Pure.

use serde_json::Value;

use super::reference::Reference;
use super::{options, replay};
use crate::document::patch::Containers;
use crate::model::patch::{ContainerSeen, Engine, ImagePlan, ImageWork};
use crate::shell::clean;

/// What people call it: `PROJECT/SERVICE` of compose, else the container's name.
pub(super) fn called(container: &ContainerSeen) -> String {
    if is_compose(container) {
        format!("{}/{}", container.project, container.service)
    } else {
        container.name.clone()
    }
}

pub(super) fn is_compose(container: &ContainerSeen) -> bool {
    !container.project.is_empty() && !container.service.is_empty()
}

/// See [`super::decide`].
pub(super) fn decide(seen: &[ContainerSeen], wanted: Option<&Containers>) -> Vec<ImagePlan> {
    let mut plans: Vec<ImagePlan> = Vec::new();
    for container in seen {
        let name = called(container);
        let work = work(container, &name, seen, wanted);
        // Replicas of one service are one thing; where one of them is behind, all are.
        let same = plans.iter_mut().find(|p| {
            is_compose(container)
                && p.engine == container.engine
                && p.container == name
                && p.image == container.image
        });
        let Some(plan) = same else {
            plans.push(ImagePlan {
                engine: container.engine,
                container: name,
                ids: vec![container.id.clone()],
                image: container.image.clone(),
                digest: container.digest.clone(),
                registry_digest: container.registry_digest.clone(),
                created: container.created.clone(),
                work,
            });
            continue;
        };
        plan.ids.push(container.id.clone());
        if rank(&work) > rank(&plan.work) {
            plan.work = work;
            plan.digest = container.digest.clone();
            plan.created = container.created.clone();
        }
    }
    // Replicas of several images at once: compose would move them all.
    for plan in &mut plans {
        let update = matches!(plan.work, ImageWork::Update { .. });
        let mut images = seen
            .iter()
            .filter(|c| plan.ids.contains(&c.id))
            .map(|c| &c.image_id);
        let first = images.next();
        if update && images.any(|other| Some(other) != first) {
            plan.work =
                report("its containers run several images at once: bring it to one by hand");
        }
    }
    // Engines list them in an order that differs from one question to the next, and a run stops at
    // the first that fails.
    plans.sort_by_cached_key(|plan| (plan.engine.word(), plan.container.clone()));
    plans
}

fn rank(work: &ImageWork) -> u8 {
    match work {
        ImageWork::Current => 0,
        ImageWork::Update { .. } => 1,
        ImageWork::Unknown { .. } => 2,
        ImageWork::Report { .. } => 3,
    }
}

fn report(why: &str) -> ImageWork {
    ImageWork::Report { why: why.into() }
}

fn work(
    container: &ContainerSeen,
    name: &str,
    seen: &[ContainerSeen],
    wanted: Option<&Containers>,
) -> ImageWork {
    if let Some(wanted) = wanted
        && !is_wanted(name, &container.name, wanted)
    {
        return report("the playbook leaves it out");
    }
    let Some(reference) = Reference::parse(&container.image) else {
        return report("it was made from an image's id, and no registry says what is newer");
    };
    if reference.digest.is_some() {
        return report("it is pinned to a digest, and is moved where that is written");
    }
    let Some(digest) = &container.digest else {
        return report("its image was built or loaded here, and is in no registry");
    };
    let Some(now) = &container.registry_digest else {
        return ImageWork::Unknown {
            why: clean(&container.registry_why, 300),
        };
    };
    if now == digest {
        return ImageWork::Current;
    }
    let Some(wanted) = wanted else {
        return report(
            "its tag means a newer image, and the playbook does not have containers moved",
        );
    };
    if reference.is_latest() && !wanted.follow_latest {
        return report(
            "its tag is `latest` (or none), which means anything: give it a version, or set follow_latest",
        );
    }
    match way(container, seen) {
        Ok(with) => ImageWork::Update { with: with.into() },
        Err(why) => report(&why),
    }
}

fn is_wanted(name: &str, container: &str, wanted: &Containers) -> bool {
    let named = |globs: &[String]| {
        globs
            .iter()
            .any(|glob| matches(glob, name) || matches(glob, container))
    };
    (wanted.only.is_empty() || named(&wanted.only)) && !named(&wanted.exclude)
}

/// `*` is any text, `?` one character.
fn matches(glob: &str, text: &str) -> bool {
    let (glob, text): (Vec<char>, Vec<char>) = (glob.chars().collect(), text.chars().collect());
    let (mut g, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match glob.get(g) {
            Some('*') => {
                star = Some((g, t));
                g += 1;
            }
            Some(c) if *c == '?' || text.get(t) == Some(c) => {
                g += 1;
                t += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    g = at + 1;
                    t = from + 1;
                    star = Some((at, t));
                }
                None => return false,
            },
        }
    }
    glob.iter().skip(g).all(|c| *c == '*')
}

/// How it would be recreated, or why it is not.
fn way(container: &ContainerSeen, seen: &[ContainerSeen]) -> Result<&'static str, String> {
    let inspect = &container.inspect;
    if inspect.is_null() {
        return Err("its description is too large to make it again from".into());
    }
    managed(container)?;
    let flag = |path: &str| inspect.pointer(path).and_then(Value::as_bool) == Some(true);
    if flag("/HostConfig/AutoRemove") {
        return Err(
            "it is removed as soon as it stops (--rm), so there would be no way back".into(),
        );
    }
    let others = seen
        .iter()
        .filter(|c| c.engine == container.engine && c.id != container.id);
    for other in others {
        for mode in ["NetworkMode", "PidMode", "IpcMode"] {
            let path = format!("/HostConfig/{mode}");
            let mode = other.inspect.pointer(&path).and_then(Value::as_str);
            let whose = mode.and_then(|m| m.strip_prefix("container:"));
            if whose.is_some_and(|w| w == container.id || w == container.name) {
                return Err(format!(
                    "container {} lives in its network or processes, and would be cut off",
                    other.name
                ));
            }
        }
        let links = other.inspect.pointer("/HostConfig/Links");
        let start = format!("/{}:", container.name);
        let links = links.and_then(Value::as_array).into_iter().flatten();
        if links
            .filter_map(Value::as_str)
            .any(|l| l.starts_with(&start))
        {
            return Err(format!(
                "container {} is linked to it, and would be cut off",
                other.name
            ));
        }
    }
    if is_compose(container) {
        if !container.working_dir.starts_with('/') || container.config_files.is_empty() {
            return Err("compose did not write down which files it was made from".into());
        }
        compose_major(container)?;
        return Ok("compose");
    }
    let mode = inspect
        .pointer("/HostConfig/NetworkMode")
        .and_then(Value::as_str);
    if mode.is_some_and(|m| m.starts_with("container:")) {
        return Err("it shares the network of another container".into());
    }
    let made = match container.engine {
        Engine::Docker => options::recipe(&container.id, inspect).map(|_| ()),
        Engine::Podman => replay::arguments(
            inspect.get("Create").unwrap_or(&Value::Null),
            &container.image,
            inspect.get("Mounts").unwrap_or(&Value::Null),
        )
        .map(|_| ()),
    };
    match made {
        Ok(()) => Ok("options"),
        Err(why) => Err(format!("it cannot be made again just as it is: it {why}")),
    }
}

/// Whether somebody else makes and removes it.
fn managed(container: &ContainerSeen) -> Result<(), String> {
    let empty = serde_json::Map::new();
    let labels = container
        .inspect
        .pointer("/Config/Labels")
        .and_then(Value::as_object)
        .unwrap_or(&empty);
    if labels.keys().any(|k| k.starts_with("io.kubernetes.")) {
        return Err("Kubernetes manages it".into());
    }
    if labels.keys().any(|k| k.starts_with("com.docker.swarm.")) {
        return Err("docker swarm manages it: docker service update".into());
    }
    if let Some(unit) = labels.get("PODMAN_SYSTEMD_UNIT").and_then(Value::as_str) {
        return Err(format!(
            "the unit {} makes it: podman pull {}, then restart that unit",
            clean(unit, 100),
            clean(&container.image, 200)
        ));
    }
    if let Some(pod) = container.inspect.get("Pod").and_then(Value::as_str)
        && !pod.is_empty()
    {
        return Err("it is in a podman pod, which is recreated as a whole".into());
    }
    let by_podman_compose = labels.contains_key("io.podman.compose.project");
    if by_podman_compose && !is_compose(container) {
        return Err("podman-compose made it: podman-compose pull, then up -d".into());
    }
    Ok(())
}

/// Which compose made it: 1 or 2 (and later).
pub(super) fn compose_major(container: &ContainerSeen) -> Result<u8, String> {
    let labels = container.inspect.pointer("/Config/Labels");
    let label = |key: &str| {
        let value = labels.and_then(|l| l.get(key)).and_then(Value::as_str);
        value.unwrap_or_default().to_owned()
    };
    if !label("io.podman.compose.project").is_empty() {
        return Err("podman-compose made it: podman-compose pull, then up -d".into());
    }
    let version = label("com.docker.compose.version");
    let first = version.trim_start_matches('v').split('.').next();
    match first.and_then(|n| n.parse::<u8>().ok()) {
        Some(1) => Ok(1),
        Some(major) if major >= 2 => Ok(2),
        _ => Err("it is not known which compose made it".into()),
    }
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
