use super::*;
use serde_json::json;

fn digest(letter: &str) -> Option<String> {
    Some(format!("sha256:{}", letter.repeat(64)))
}

/// A container that is behind, and can be recreated.
fn behind(name: &str) -> ContainerSeen {
    ContainerSeen {
        id: format!(
            "{:0<64}",
            name.replace(|c: char| !c.is_ascii_hexdigit(), "e")
        ),
        name: name.into(),
        image: "r.example/app:1".into(),
        image_id: "1".repeat(64),
        digest: digest("a"),
        registry_digest: digest("b"),
        state: "running".into(),
        inspect: json!({
            "HostConfig": {"NetworkMode": "default"},
            "Config": {"Labels": {}},
            "Networks": {"bridge": {}},
            "Own": {"Cmd": 0, "Entrypoint": "same", "Healthcheck": "same"}
        }),
        ..ContainerSeen::default()
    }
}

fn all() -> Containers {
    serde_json::from_str("{}").expect("the default")
}

fn one(container: &ContainerSeen) -> ImageWork {
    decide(std::slice::from_ref(container), Some(&all()))[0]
        .work
        .clone()
}

fn why(work: &ImageWork) -> &str {
    match work {
        ImageWork::Report { why } => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_tag_that_means_something_newer_is_followed_and_nothing_else_is() {
    let update = ImageWork::Update {
        with: "options".into(),
    };
    assert_eq!(one(&behind("x")), update);
    let with = |change: fn(&mut ContainerSeen)| {
        let mut container = behind("x");
        change(&mut container);
        one(&container)
    };
    assert_eq!(
        with(|c| c.registry_digest = digest("a")),
        ImageWork::Current
    );
    assert!(why(&with(|c| c.image += &format!("@sha256:{}", "a".repeat(64)))).contains("pinned"));
    assert!(why(&with(|c| c.image = "r.example/app:latest".into())).contains("latest"));
    assert!(why(&with(|c| c.image = "r.example/app".into())).contains("latest"));
    assert!(why(&with(|c| c.image = format!("sha256:{}", "1".repeat(64)))).contains("id"));
    assert!(why(&with(|c| c.digest = None)).contains("built"));
    assert!(why(&with(|c| c.inspect = Value::Null)).contains("too large"));
    assert!(why(&with(|c| c.inspect["HostConfig"]["New"] = json!("x"))).contains("New"));
    assert!(
        why(&with(
            |c| c.inspect["HostConfig"]["AutoRemove"] = json!(true)
        ))
        .contains("--rm")
    );
    assert!(why(&with(|c| c.inspect["Pod"] = json!("p"))).contains("pod"));
    for (label, said) in [
        ("io.kubernetes.pod.name", "Kubernetes"),
        ("com.docker.swarm.service.name", "swarm"),
        ("PODMAN_SYSTEMD_UNIT", "unit v"),
        ("io.podman.compose.project", "podman-compose"),
    ] {
        let mut container = behind("x");
        container.inspect["Config"]["Labels"][label] = json!("v");
        assert!(why(&one(&container)).contains(said), "{label}");
    }
    let unknown = with(|c| {
        c.registry_digest = None;
        c.registry_why = "refused".into();
    });
    assert_eq!(
        unknown,
        ImageWork::Unknown {
            why: "refused".into()
        }
    );
}

#[test]
fn the_playbook_says_which() {
    let seen = [behind("web-1"), behind("db")];
    // In the order of their names, however they were listed.
    let names = decide(&seen, None).into_iter().map(|p| p.container);
    assert_eq!(names.collect::<Vec<_>>(), ["db", "web-1"]);
    let works = |document: &str| -> Vec<bool> {
        let wanted: Containers = serde_json::from_str(document).expect("a document");
        let plans = decide(&seen, Some(&wanted));
        plans
            .iter()
            .map(|p| matches!(p.work, ImageWork::Update { .. }))
            .collect()
    };
    assert_eq!(works("{}"), [true, true]);
    assert_eq!(works(r#"{"only":["web-*"]}"#), [false, true]);
    assert_eq!(works(r#"{"exclude":["d?"]}"#), [false, true]);
    assert_eq!(works(r#"{"only":["*"],"exclude":["*b*"]}"#), [false, false]);
    for plan in decide(&seen, None) {
        assert!(why(&plan.work).contains("the playbook"));
        assert_eq!(
            plan.registry_digest,
            digest("b"),
            "and what is newer is told"
        );
    }
}

#[test]
fn who_lives_in_another_is_not_cut_off() {
    let host = behind("host");
    for (key, value) in [
        ("NetworkMode", json!("container:host")),
        ("PidMode", json!(format!("container:{}", host.id))),
        ("Links", json!(["/host:/guest/h"])),
    ] {
        let mut guest = behind("guest");
        guest.inspect["HostConfig"][key] = value;
        let plans = decide(&[host.clone(), guest], Some(&all()));
        assert!(why(&plans[1].work).contains("guest"), "{key}");
        assert!(matches!(plans[0].work, ImageWork::Report { .. }), "{key}");
    }
}

fn replica(name: &str, version: &str) -> ContainerSeen {
    let mut container = behind(name);
    container.project = "shop".into();
    container.service = "web".into();
    container.working_dir = "/srv/shop".into();
    container.config_files = "/srv/shop/compose.yml".into();
    container.inspect["Config"]["Labels"]["com.docker.compose.version"] = json!(version);
    container
}

#[test]
fn replicas_of_a_service_are_one_plan() {
    let plans = decide(
        &[replica("a1", "2.26.1"), replica("a2", "2.26.1")],
        Some(&all()),
    );
    assert_eq!(plans.len(), 1);
    assert_eq!(plans[0].container, "shop/web");
    assert_eq!(plans[0].ids.len(), 2);
    let with = |plans: &[ImagePlan]| plans[0].work.clone();
    let update = ImageWork::Update {
        with: "compose".into(),
    };
    assert_eq!(with(&plans), update);
    let mut other = replica("a2", "2.26.1");
    other.image_id = "2".repeat(64);
    let plans = decide(&[replica("a1", "2.26.1"), other], Some(&all()));
    assert!(why(&plans[0].work).contains("several images"));
    let plans = decide(&[replica("a1", "")], Some(&all()));
    assert!(why(&plans[0].work).contains("which compose"));
    let mut lost = replica("a1", "1.29.2");
    lost.config_files.clear();
    assert!(why(&one(&lost)).contains("which files"));
}

#[test]
fn globs_match_the_whole_name() {
    for (glob, text, good) in [
        ("*", "", true),
        ("web", "web", true),
        ("web", "web1", false),
        ("w*b", "web/b", true),
        ("*a*b", "xaxxb", true),
        ("*a*b", "xaxxbc", false),
        ("?", "é", true),
        ("?", "", false),
    ] {
        assert_eq!(matches(glob, text), good, "{glob} {text}");
    }
}
