use super::*;
use crate::model::patch::Engine;

fn frame(kind: &str, engine: &str, status: i32, data: &str) -> Frame {
    Frame {
        kind: kind.into(),
        name: engine.into(),
        status,
        data: data.as_bytes().to_vec(),
    }
}

fn docker(container: &str) -> Vec<Frame> {
    let image = format!(
        r#"{{"Id":"sha256:{}","Created":"2026-01-02T03:04:05Z","RepoDigests":["r.example/app@sha256:{}","r.example/app@sha256:{}"],"Config":{{"Cmd":["run"],"Env":["A=1"]}}}}"#,
        "1".repeat(64),
        "a".repeat(64),
        "b".repeat(64)
    );
    vec![
        frame("images", "docker", 0, &image),
        frame(
            "registry",
            "docker",
            0,
            &format!("r.example/app:1 sha256:{}\n", "b".repeat(64)),
        ),
        frame("containers", "docker", 0, container),
    ]
}

fn container(config: &str) -> String {
    format!(
        r#"{{"Id":"{}","Name":"/x","Image":"sha256:{}","State":{{"Status":"running"}},"HostConfig":{{}},"Config":{{"Image":"r.example/app:1",{config}}}}}"#,
        "c".repeat(64),
        "1".repeat(64)
    )
}

#[test]
fn an_image_is_current_by_any_digest_that_it_has_and_no_secret_is_kept() {
    let all = container(
        r#""Env":["PASSWORD=hunter2","A=1"],"Labels":{"token":"hunter2","com.docker.compose.project":"p"},"Cmd":["--password","hunter2"],"Healthcheck":{"Test":["CMD-SHELL","ask hunter2"],"Retries":2}"#,
    );
    let (seen, unseen) = super::super::read(&docker(&all));
    assert!(unseen.is_empty(), "{unseen:?}");
    let one = seen.first().expect("one");
    assert_eq!((one.engine, one.name.as_str()), (Engine::Docker, "x"));
    assert_eq!(one.digest, Some(format!("sha256:{}", "b".repeat(64))));
    assert_eq!(one.digest, one.registry_digest);
    assert_eq!(one.created, "2026-01-02T03:04:05Z");
    assert_eq!(one.project, "p");
    let kept = one.inspect.to_string();
    assert!(!kept.contains("hunter2"), "{kept}");
    assert!(kept.contains("PASSWORD") && kept.contains("token"));
    assert_eq!(one.inspect["Own"]["Cmd"], 2);
    assert_eq!(one.inspect["Own"]["Healthcheck"], "shell");
}

#[test]
fn what_cannot_be_read_is_unseen() {
    for (data, why) in [
        ("{not json", "cannot be read"),
        (r#"{"Id":"abcdefabcdef","TooLarge":true}"#, "too large"),
        (r#"{"Name":"x"}"#, "no id"),
    ] {
        let (seen, unseen) = super::super::read(&[frame("containers", "podman", 0, data)]);
        assert!(seen.is_empty());
        assert!(unseen[0].1.contains(why), "{unseen:?}");
    }
    let (_, unseen) = super::super::read(&[frame("containers", "docker", 1, "no\u{1b}[1m daemon")]);
    assert!(unseen[0].1.contains("no·[1m daemon"), "{unseen:?}");
    let (_, unseen) = super::super::read(&[frame("rootless", "podman", 1, "")]);
    assert_eq!(unseen.len(), 1);
    assert_eq!(super::super::read(&[]), (Vec::new(), Vec::new()));
}

#[test]
fn a_registry_that_says_no_is_no_answer() {
    let mut frames = docker(&container(r#""Env":null"#));
    frames[1] = frame("registry", "docker", 0, "r.example/app:1 ! refused\n");
    let (seen, _) = super::super::read(&frames);
    assert_eq!(seen[0].registry_digest, None);
    assert_eq!(seen[0].registry_why, "refused");
    assert!(seen[0].digest.is_some());
    frames[1] = frame("registry", "docker", 0, "r.example/app:1 sha256:short\n");
    assert_eq!(super::super::read(&frames).0[0].registry_digest, None);
}

proptest::proptest! {
    #[test]
    fn nothing_that_a_host_says_makes_it_fall(text in "\\PC{0,200}", status in 0..2i32) {
        for kind in ["containers", "images", "registry"] {
            let mut frames = docker(&container(r#""Env":null"#));
            frames.retain(|f| f.kind != kind);
            frames.push(frame(kind, "docker", status, &text));
            let _ = super::super::read(&frames);
        }
    }

    #[test]
    fn any_value_may_stand_anywhere(key in "Env|Labels|Cmd|Healthcheck|Entrypoint|CreateCommand", value in "null|1|\"x\"|\\[\\]|\\[1\\]|\\{\\}|\\[\"a=b\"\\]|\\{\"a\":\\[\\]\\}") {
        let (seen, _) = super::super::read(&docker(&container(&format!("\"{key}\":{value}"))));
        let _ = super::super::decide(&seen, None);
    }
}

#[test]
fn what_a_driver_is_told_in_secret_is_not_kept() {
    let host = r#""HostConfig":{"LogConfig":{"Type":"splunk","Config":{"splunk-token":"hunter2","tag":"web"}},"Mounts":[{"Type":"volume","VolumeOptions":{"DriverConfig":{"Name":"local","Options":{"o":"password=hunter2"}}}}]}"#;
    let all = container(r#""Env":[]"#).replace(r#""HostConfig":{}"#, host);
    let (seen, unseen) = super::super::read(&docker(&all));
    assert!(unseen.is_empty(), "{unseen:?}");
    let kept = seen.first().expect("one").inspect.to_string();
    assert!(!kept.contains("hunter2"), "{kept}");
    assert!(
        kept.contains("splunk-token") && kept.contains("\"web\""),
        "{kept}"
    );
}
