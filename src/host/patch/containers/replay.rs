//! podman's own record of the command that made a container, and how it is given again: podman's
//! `inspect` does not say all options (a fixed address, for one), its record does. Pure.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::reference::Reference;

/// Long options that take no value of their own word.
const SWITCHES: &[&str] = &[
    "--detach",
    "--disable-content-trust",
    "--env-host",
    "--http-proxy",
    "--init",
    "--interactive",
    "--no-healthcheck",
    "--no-hosts",
    "--oom-kill-disable",
    "--passwd",
    "--privileged",
    "--publish-all",
    "--quiet",
    "--read-only",
    "--read-only-tmpfs",
    "--replace",
    "--rm",
    "--rmi",
    "--rootfs",
    "--sig-proxy",
    "--tls-verify",
    "--tty",
];

/// Short options with a value, and their long names.
const SHORT: &[(char, &str)] = &[
    ('a', "--attach"),
    ('c', "--cpu-shares"),
    ('e', "--env"),
    ('h', "--hostname"),
    ('l', "--label"),
    ('m', "--memory"),
    ('p', "--publish"),
    ('u', "--user"),
    ('v', "--volume"),
    ('w', "--workdir"),
];

const SHORT_SWITCHES: &[(char, &str)] = &[
    ('P', "--publish-all"),
    ('d', "--detach"),
    ('i', "--interactive"),
    ('q', "--quiet"),
    ('t', "--tty"),
];

/// Options that are of the act of starting, or that the job gives itself.
const DROPPED: &[&str] = &[
    "--attach",
    "--detach",
    "--detach-keys",
    "--env",
    "--env-file",
    "--env-host",
    "--http-proxy",
    "--label",
    "--label-file",
    "--name",
    "--pull",
    "--quiet",
    "--replace",
    "--sig-proxy",
    "--tls-verify",
    "--authfile",
];

/// Options that we do not give again.
const REFUSED: &[(&str, &str)] = &[
    ("--cidfile", "writes its id to a file"),
    ("--conmon-pidfile", "is watched by its pid file"),
    ("--pidfile", "is watched by its pid file"),
    ("--pod", "is in a pod"),
    ("--pod-id-file", "is in a pod"),
    ("--rm", "is removed when it stops"),
    ("--rmi", "takes its image away when it stops"),
    ("--rootfs", "runs a directory, not an image"),
    ("--arch", "is of another platform"),
    ("--os", "is of another platform"),
    ("--platform", "is of another platform"),
    ("--variant", "is of another platform"),
];

/// The record as it is kept: the options without the command, which may hold secrets.
/// `{"Options": [[name, value or null]…], "Image": "…", "Words": N}`, where words after the image
/// begin at index `After`; or `{"Why": "…"}`.
pub(super) fn kept(record: Option<&Value>) -> Value {
    let words: Option<Vec<&str>> = record
        .and_then(Value::as_array)
        .map(|all| all.iter().map(|w| w.as_str().unwrap_or_default()).collect());
    match words.as_deref() {
        None | Some([]) => json!({
            "Why": "podman has no record of how it was made (it was made over its API)"
        }),
        Some(words) => match parse(words) {
            Ok(parsed) => json!({
                "Options": parsed.options,
                "Image": parsed.image,
                "After": parsed.after,
                "Words": words.len(),
            }),
            Err(why) => json!({ "Why": why }),
        },
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Parsed {
    options: Vec<(String, Option<String>)>,
    image: String,
    /// The index of the first word after the image.
    after: usize,
}

fn parse(words: &[&str]) -> Result<Parsed, String> {
    let odd = |word: &str| format!("podman's record has `{word}`, which we do not know");
    let mut at = match words {
        [_, "container", "run" | "create", ..] => 3,
        [_, "run" | "create", ..] => 2,
        _ => {
            return Err("podman's record of how it was made has a form that we do not know".into());
        }
    };
    let mut options = Vec::new();
    while let Some(word) = words.get(at).copied() {
        at += 1;
        if word == "--" {
            let image = words.get(at).ok_or_else(|| odd(word))?;
            return Ok(parsed(options, image, at + 1));
        }
        if let Some(long) = word.strip_prefix("--") {
            if let Some((name, value)) = long.split_once('=') {
                options.push((canonical(&format!("--{name}")), Some(value.to_owned())));
            } else if SWITCHES.contains(&word) {
                options.push((word.to_owned(), None));
            } else {
                let value = words.get(at).ok_or_else(|| odd(word))?;
                options.push((canonical(word), Some((*value).to_owned())));
                at += 1;
            }
        } else if let Some(cluster) = word.strip_prefix('-').filter(|c| !c.is_empty()) {
            let mut rest = cluster.chars();
            while let Some(letter) = rest.next() {
                if let Some((_, long)) = SHORT_SWITCHES.iter().find(|(c, _)| *c == letter) {
                    options.push(((*long).to_owned(), None));
                    continue;
                }
                let (_, long) = SHORT
                    .iter()
                    .find(|(c, _)| *c == letter)
                    .ok_or_else(|| odd(word))?;
                let glued = rest.as_str();
                let value = if glued.is_empty() {
                    at += 1;
                    *words.get(at - 1).ok_or_else(|| odd(word))?
                } else {
                    glued.strip_prefix('=').unwrap_or(glued)
                };
                options.push(((*long).to_owned(), Some(value.to_owned())));
                break;
            }
        } else {
            return Ok(parsed(options, word, at));
        }
    }
    Err("podman's record of how it was made names no image".into())
}

/// Values of the environment and of labels are given otherwise, from files.
fn parsed(mut options: Vec<(String, Option<String>)>, image: &str, after: usize) -> Parsed {
    for (name, value) in &mut options {
        if matches!(name.as_str(), "--env" | "--label") {
            *value = None;
        }
    }
    Parsed {
        options,
        image: image.to_owned(),
        after,
    }
}

fn canonical(name: &str) -> String {
    match name {
        "--net" => "--network".into(),
        other => other.to_owned(),
    }
}

/// The options to make it with again, and at which word of the record its own command begins, of
/// how many words.
pub(super) fn arguments(
    create: &Value,
    image: &str,
    mounts: &Value,
) -> Result<(Vec<String>, usize, usize), String> {
    if let Some(why) = create.get("Why").and_then(Value::as_str) {
        return Err(why.to_owned());
    }
    let recorded = create
        .get("Image")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let same = |a: &str, b: &str| {
        let (Some(a), Some(b)) = (Reference::parse(a), Reference::parse(b)) else {
            return false;
        };
        // A short name may stand for any registry's.
        a.tag.as_deref().unwrap_or("latest") == b.tag.as_deref().unwrap_or("latest")
            && (a.repository == b.repository || b.written.ends_with(&format!("/{}", a.written)))
    };
    if !same(recorded, image) {
        return Err(format!("podman's record names the image `{recorded}`"));
    }
    let options = create.get("Options").and_then(Value::as_array);
    let mut anonymous = anonymous_volumes(mounts);
    let mut out = Vec::new();
    for option in options.into_iter().flatten() {
        let name = option.get(0).and_then(Value::as_str).unwrap_or_default();
        let value = option.get(1).and_then(Value::as_str);
        if DROPPED.contains(&name) {
            continue;
        }
        if let Some((_, why)) = REFUSED.iter().find(|(refused, _)| *refused == name) {
            if value == Some("false") {
                continue;
            }
            return Err(format!("has {name}: it {why}"));
        }
        let Some(value) = value else {
            out.push(name.to_owned());
            continue;
        };
        let relative = value.starts_with("./") || value.starts_with("../") || value.contains("=./");
        if relative || value == "." {
            return Err(format!("has {name} with a path that is not absolute"));
        }
        if name == "--volume" && !value.contains(':') {
            // A volume without a name: the very one that it has.
            let volume = anonymous
                .remove(value)
                .ok_or_else(|| format!("has a volume at {value} that cannot be found"))?;
            out.push(format!("--volume={volume}:{value}"));
            continue;
        }
        if name == "--volume" || name == "--mount" {
            let at = value.split([':', ',']).find_map(|part| {
                let path = part.split_once('=').map_or(part, |(_, path)| path);
                anonymous.contains_key(path).then(|| path.to_owned())
            });
            if name == "--mount" && at.is_some() {
                return Err("has a --mount of a volume without a name".into());
            }
            if let Some(at) = at {
                anonymous.remove(&at);
            }
        }
        out.push(format!("{name}={value}"));
    }
    // Those that its image asked for.
    for (at, volume) in anonymous {
        out.push(format!("--volume={volume}:{at}"));
    }
    let number = |key: &str| {
        let number = create.get(key).and_then(Value::as_u64).unwrap_or_default();
        usize::try_from(number).unwrap_or_default()
    };
    let (after, words) = (number("After"), number("Words"));
    Ok((out, after, words))
}

/// Where → which, of volumes whose name the engine made up.
pub(super) fn anonymous_volumes(mounts: &Value) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    for mount in mounts.as_array().into_iter().flatten() {
        let get = |key: &str| mount.get(key).and_then(Value::as_str).unwrap_or_default();
        let name = get("Name");
        let made_up = name.len() == 64 && name.bytes().all(|b| b.is_ascii_hexdigit());
        if get("Type") == "volume" && made_up {
            out.insert(get("Destination").to_owned(), name.to_owned());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(words: &[&str]) -> Value {
        kept(Some(&json!(words)))
    }

    #[test]
    fn a_command_is_given_again_without_what_is_of_its_start() {
        let volume = "ab".repeat(32);
        let create = record(&[
            "podman",
            "run",
            "-dit",
            "--name",
            "x",
            "-eSECRET=1",
            "-e",
            "A=b",
            "--env=C=d",
            "-v/anon",
            "-v",
            "data:/data:ro",
            "--memory=64m",
            "--net",
            "n1:ip=10.0.0.9",
            "-p80",
            "--read-only",
            "app:1",
            "sh",
            "-c",
            "secret word",
        ]);
        assert!(!create.to_string().contains("secret word"));
        assert!(!create.to_string().contains("SECRET"));
        let mounts = json!([{"Type": "volume", "Name": volume, "Destination": "/anon"}]);
        let (options, after, words) =
            arguments(&create, "docker.io/library/app:1", &mounts).expect("options");
        assert_eq!(
            options,
            [
                "--interactive",
                "--tty",
                &format!("--volume={volume}:/anon"),
                "--volume=data:/data:ro",
                "--memory=64m",
                "--network=n1:ip=10.0.0.9",
                "--publish=80",
                "--read-only",
            ]
        );
        assert_eq!((after, words), (18, 21));
    }

    #[test]
    fn what_cannot_be_given_again_is_refused() {
        for (words, why) in [
            (vec!["--cidfile", "/run/x"], "--cidfile"),
            (vec!["--pod", "p"], "--pod"),
            (vec!["-v", "./here:/x"], "not absolute"),
            (vec!["-v", "/anon"], "cannot be found"),
            (vec!["-Z"], "we do not know"),
        ] {
            let mut all = vec!["podman", "run"];
            all.extend(words);
            all.push("app:1");
            let said = arguments(&record(&all), "docker.io/library/app:1", &Value::Null)
                .expect_err("a refusal");
            assert!(said.contains(why), "{said}");
        }
        let other = record(&["podman", "run", "other:1"]);
        assert!(arguments(&other, "docker.io/library/app:1", &Value::Null).is_err());
        assert!(arguments(&kept(None), "app:1", &Value::Null).is_err());
    }
}
