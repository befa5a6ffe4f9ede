use super::*;
use crate::host::patch::containers::{decide, images_said};
use crate::host::patch::job::Said;
use serde_json::json;

fn seen() -> Vec<ContainerSeen> {
    vec![ContainerSeen {
        id: "c".repeat(64),
        name: "it's".into(),
        image: "r.example/app:1".into(),
        image_id: "1".repeat(64),
        digest: Some(format!("sha256:{}", "a".repeat(64))),
        registry_digest: Some(format!("sha256:{}", "b".repeat(64))),
        inspect: json!({
            "HostConfig": {"NetworkMode": "default", "Binds": ["v:/$(touch x)'"]},
            "Config": {"Labels": {}},
            "Networks": {"bridge": {}},
            "Own": {"Cmd": 1, "Entrypoint": "one", "Healthcheck": "same"}
        }),
        ..ContainerSeen::default()
    }]
}

fn wanted() -> Containers {
    serde_json::from_str(r#"{"checks":{"it's":"true 'x'"}}"#).expect("a document")
}

#[test]
fn words_from_the_host_are_quoted() {
    let plans = decide(&seen(), Some(&wanted()));
    let job = update("image-1", &plans[0], &seen(), &wanted()).expect("a job");
    assert!(
        job.functions.contains(r"CNAME='it'\''s'"),
        "{}",
        job.functions
    );
    assert!(job.functions.contains(r"CHECK='true '\''x'\'''"));
    assert!(job.functions.contains(r"'--volume=v:/$(touch x)'\'''"));
    assert!(job.calls.ends_with("update_by_options\n"));
    let job = back("back-1", &plans[0], &seen(), &wanted()).expect("a job");
    assert!(job.calls.ends_with("back_by_options\n"));
}

#[test]
fn a_plan_that_is_not_of_this_snapshot_touches_nothing() {
    let plans = decide(&seen(), Some(&wanted()));
    let job = update("image-1", &plans[0], &[], &wanted()).expect("a job");
    assert!(job.functions.is_empty());
    assert!(job.calls.contains("unchanged - - "));
    assert!(job.calls.ends_with("job_end 1\n"));
    let kept = keep("keep", &[ImagePlan::default()]).expect("a job");
    assert_eq!(kept.calls, "job_end \"${BAD:-0}\"\n");
}

#[test]
fn what_a_job_says_is_read_and_what_it_cannot_say_is_not() {
    let line = |kind: &str, text: &str| Said {
        kind: kind.into(),
        name: "shop/web".into(),
        text: text.into(),
    };
    let digest = format!("sha256:{}", "a".repeat(64));
    let said = images_said(&[
        line("image", &format!("updated {digest} - fine \u{1b}[1m words")),
        line("image", "done - - x"),
        line("package", "updated - - x"),
        line("image", "failed"),
    ]);
    assert_eq!(said.len(), 2);
    assert_eq!(said[0].from, Some(digest));
    assert_eq!(said[0].to, None);
    assert_eq!(said[0].detail, "fine ·[1m words");
    assert_eq!(
        (said[1].outcome.as_str(), said[1].detail.as_str()),
        ("failed", "")
    );
}
