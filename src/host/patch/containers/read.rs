//! What the observing program said of containers, bounded and without secrets. Pure.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::options::may_be_secret;
use super::reference::{Reference, checked_digest, digests_of};
use super::replay;
use crate::model::patch::{ContainerSeen, Engine};
use crate::shell::{Frame, clean};

/// Bytes of one container's description that are kept.
const INSPECT_MAX: usize = 64 << 10;
/// How many containers of one host are looked at.
const MOST: usize = 500;

/// An image, as far as a container of it is concerned.
#[derive(Clone, Default)]
struct Image {
    repo_digests: Vec<String>,
    created: String,
    config: Value,
}

/// See [`super::read`].
pub(super) fn read(frames: &[Frame]) -> (Vec<ContainerSeen>, Vec<(String, String)>) {
    let mut seen = Vec::new();
    let mut unseen = Vec::new();
    for engine in [Engine::Docker, Engine::Podman] {
        let of = |kind: &str| {
            frames
                .iter()
                .find(|f| f.kind == kind && f.name == engine.word())
        };
        let mut why = Vec::new();
        if let Some(frame) = of("containers") {
            if frame.status != 0 {
                why.push(format!(
                    "{} does not answer: {}",
                    engine.word(),
                    clean(&frame.text(), 200)
                ));
            } else {
                let images = of("images").map(images).unwrap_or_default();
                let registry = of("registry").map(registry).unwrap_or_default();
                containers(engine, frame, &images, &registry, &mut seen, &mut why);
            }
        }
        if of("rootless").is_some() {
            why.push("containers of other users than root run here, and are not looked at".into());
        }
        if !why.is_empty() {
            unseen.push((engine.word().to_owned(), why.join("; ")));
        }
    }
    (seen, unseen)
}

fn lines(frame: &Frame) -> Vec<Option<Value>> {
    frame
        .text()
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| serde_json::from_str(line).ok())
        .collect()
}

fn text(value: &Value, path: &str, max: usize) -> String {
    clean(
        value
            .pointer(path)
            .and_then(Value::as_str)
            .unwrap_or_default(),
        max,
    )
}

fn hex_id(value: &Value, path: &str) -> Option<String> {
    let id = value.pointer(path)?.as_str()?;
    let id = id.strip_prefix("sha256:").unwrap_or(id);
    let good = (12..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_hexdigit());
    good.then(|| id.to_owned())
}

fn images(frame: &Frame) -> BTreeMap<String, Image> {
    lines(frame)
        .into_iter()
        .flatten()
        .filter_map(|value| {
            let strings = value
                .get("RepoDigests")
                .and_then(Value::as_array)
                .map(|all| {
                    let texts = all.iter().filter_map(Value::as_str);
                    texts.map(str::to_owned).collect()
                });
            let mut config = value.get("Config").cloned().unwrap_or_default();
            // podman says it beside the configuration.
            if let (Some(map), Some(check)) = (config.as_object_mut(), value.get("Healthcheck")) {
                map.insert("Healthcheck".into(), check.clone());
            }
            let image = Image {
                repo_digests: strings.unwrap_or_default(),
                created: text(&value, "/Created", 40),
                config,
            };
            Some((hex_id(&value, "/Id")?, image))
        })
        .collect()
}

/// Reference → its digest in the registry now, or why it is not known.
fn registry(frame: &Frame) -> BTreeMap<String, Result<String, String>> {
    let mut out = BTreeMap::new();
    for line in frame.text().lines() {
        let Some((reference, rest)) = line.split_once(' ') else {
            continue;
        };
        let answer = match rest.strip_prefix("! ") {
            Some(why) => Err(clean(why, 300)),
            None => checked_digest(rest.trim())
                .ok_or_else(|| "the registry's answer holds no digest".to_owned()),
        };
        out.insert(reference.to_owned(), answer);
    }
    out
}

fn containers(
    engine: Engine,
    frame: &Frame,
    images: &BTreeMap<String, Image>,
    registry: &BTreeMap<String, Result<String, String>>,
    seen: &mut Vec<ContainerSeen>,
    why: &mut Vec<String>,
) {
    let all = lines(frame);
    if all.len() > MOST {
        why.push(format!(
            "there are {} containers; the first {MOST} were looked at",
            all.len()
        ));
    }
    for value in all.into_iter().take(MOST) {
        let Some(value) = value else {
            why.push("a container's description cannot be read".into());
            continue;
        };
        if value.get("TooLarge").is_some() {
            let id = hex_id(&value, "/Id").unwrap_or_default();
            why.push(format!(
                "the description of container {} is too large",
                id.get(..12).unwrap_or(&id)
            ));
            continue;
        }
        match container(engine, &value, images, registry) {
            Some(container) => seen.push(container),
            None => why.push("a container's description has no id or no name".into()),
        }
    }
}

fn container(
    engine: Engine,
    value: &Value,
    images: &BTreeMap<String, Image>,
    registry: &BTreeMap<String, Result<String, String>>,
) -> Option<ContainerSeen> {
    let id = hex_id(value, "/Id")?;
    let name = text(value, "/Name", 200).trim_start_matches('/').to_owned();
    if name.is_empty() {
        return None;
    }
    let image = match engine {
        Engine::Docker => text(value, "/Config/Image", 512),
        Engine::Podman => text(value, "/ImageName", 512),
    };
    let image_id = hex_id(value, "/Image").unwrap_or_default();
    let of = images.get(&image_id).cloned().unwrap_or_default();
    let known = Reference::parse(&image)
        .map(|reference| digests_of(&reference, &of.repo_digests))
        .unwrap_or_default();
    let answer = registry.get(&image);
    let registry_digest = answer.and_then(|a| a.as_ref().ok()).cloned();
    // An image may bear its own digest and that of the list that it was in.
    let digest = registry_digest
        .as_ref()
        .filter(|now| known.contains(now))
        .or(known.first())
        .cloned();
    let label = |key: &str| {
        let labels = value.pointer("/Config/Labels");
        let label = labels.and_then(|l| l.get(key)).and_then(Value::as_str);
        clean(label.unwrap_or_default(), 2000)
    };
    let health = match text(value, "/State/Health/Status", 20) {
        none if none == "none" => String::new(),
        health => health,
    };
    let inspect = kept(engine, value, &of.config);
    Some(ContainerSeen {
        engine,
        id,
        name,
        image,
        image_id,
        digest,
        created: of.created,
        registry_digest,
        registry_why: match answer {
            Some(Err(why)) => why.clone(),
            Some(Ok(_)) => String::new(),
            None => "its registry was not asked".into(),
        },
        state: text(value, "/State/Status", 20),
        health,
        project: label("com.docker.compose.project"),
        service: label("com.docker.compose.service"),
        config_files: label("com.docker.compose.project.config_files"),
        working_dir: label("com.docker.compose.project.working_dir"),
        inspect,
    })
}

/// What is kept for recreating it: options, and of words that may hold secrets (the command, the
/// healthcheck's test) only how many there are and whether they are its own.
fn kept(engine: Engine, value: &Value, image: &Value) -> Value {
    let mut config = value.get("Config").cloned().unwrap_or_default();
    let own = json!({
        "Cmd": own_command(&config, image),
        "Entrypoint": own_entrypoint(&config, image),
        "Healthcheck": own_healthcheck(&config, image),
    });
    let create = match engine {
        Engine::Docker => Value::Null,
        Engine::Podman => replay::kept(config.get("CreateCommand")),
    };
    let mut image = image.clone();
    for config in [&mut config, &mut image] {
        let Some(map) = config.as_object_mut() else {
            continue;
        };
        for key in ["Cmd", "Entrypoint", "CreateCommand", "Annotations"] {
            map.remove(key);
        }
        without_values(map);
        if let Some(check) = map.get_mut("Healthcheck").and_then(Value::as_object_mut) {
            check.remove("Test");
        }
    }
    let get = |path: &str| value.pointer(path).cloned().unwrap_or_default();
    let mut host = get("/HostConfig");
    without_secrets(&mut host);
    let kept = json!({
        "Config": config,
        "HostConfig": host,
        "Networks": get("/NetworkSettings/Networks"),
        "Mounts": get("/Mounts"),
        "Pod": get("/Pod"),
        "Dependencies": get("/Dependencies"),
        "ImageConfig": image,
        "Own": own,
        "Create": create,
    });
    if kept.to_string().len() > INSPECT_MAX {
        return Value::Null;
    }
    kept
}

/// The host has taken the values away already; this holds even for one that did not.
fn without_values(config: &mut Map<String, Value>) {
    if let Some(env) = config.get_mut("Env").and_then(Value::as_array_mut) {
        for entry in env {
            let name = entry.as_str().unwrap_or_default();
            let name = name.split('=').next().unwrap_or_default();
            *entry = Value::String(clean(name, 200));
        }
    }
    if let Some(labels) = config.get_mut("Labels").and_then(Value::as_object_mut) {
        for (key, value) in labels.iter_mut() {
            let ours = [
                "com.docker.",
                "io.kubernetes.",
                "io.podman.compose",
                "PODMAN_SYSTEMD_UNIT",
            ];
            if !ours.iter().any(|start| key.starts_with(start)) {
                *value = Value::String(String::new());
            }
        }
    }
}

/// What log drivers and volumes' drivers are told may be a password. Containers with such options are
/// reported, and not made again: their names are enough for that.
fn without_secrets(host: &mut Value) {
    let options = host.pointer_mut("/LogConfig/Config");
    for (name, value) in options.and_then(Value::as_object_mut).into_iter().flatten() {
        if may_be_secret(name) {
            *value = Value::String(String::new());
        }
    }
    let mounts = host.get_mut("Mounts").and_then(Value::as_array_mut);
    for mount in mounts.into_iter().flatten() {
        let options = mount.pointer_mut("/VolumeOptions/DriverConfig/Options");
        for (_, value) in options.and_then(Value::as_object_mut).into_iter().flatten() {
            *value = Value::String(String::new());
        }
    }
}

fn words(config: &Value, key: &str) -> Vec<String> {
    match config.get(key) {
        Some(Value::Array(all)) => all
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        Some(Value::String(one)) if !one.is_empty() => vec![one.clone()],
        _ => Vec::new(),
    }
}

/// `same`: the image's; `one`: a word of its own; `other`: what no option can say.
fn own_entrypoint(config: &Value, image: &Value) -> &'static str {
    let (ours, images) = (words(config, "Entrypoint"), words(image, "Entrypoint"));
    if ours == images {
        "same"
    } else if let [one] = ours.as_slice()
        && !one.is_empty()
    {
        "one"
    } else {
        "other"
    }
}

/// How many words of its own the command has; -1: it has none where its image has one.
fn own_command(config: &Value, image: &Value) -> i64 {
    let (ours, images) = (words(config, "Cmd"), words(image, "Cmd"));
    let same_entrypoint = own_entrypoint(config, image) == "same";
    if same_entrypoint && ours == images {
        0
    } else if same_entrypoint && ours.is_empty() {
        -1
    } else {
        i64::try_from(ours.len()).unwrap_or(-1)
    }
}

/// `same`: the image's; `none`: switched off; `shell`: a command of its own; `test-same`: only its
/// times are its own; `other`: what no option can say.
fn own_healthcheck(config: &Value, image: &Value) -> &'static str {
    let none = Value::Null;
    let get = |value: &Value| value.get("Healthcheck").cloned().unwrap_or_default();
    let (ours, images) = (get(config), get(image));
    let test = |value: &Value| words(value, "Test");
    if ours == images {
        "same"
    } else if ours == none {
        "other"
    } else if test(&ours) == ["NONE"] {
        "none"
    } else if test(&ours) == test(&images) {
        "test-same"
    } else if test(&ours).first().is_some_and(|w| w == "CMD-SHELL") && test(&ours).len() == 2 {
        "shell"
    } else {
        "other"
    }
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
