//! The whole program against real engines: a run on the machine that it stands on, and the status
//! afterwards.

use serde_json::Value;

use super::world::World;
use super::{APP, HEALTHY, NEVER_HEALTHY, SERVES};

const DOCUMENTS: &str = r#"
cat >/root/inventory.yaml <<'E'
inventory: here
hosts:
  here: {local: true}
E
cat >/root/images.yaml <<'E'
patch: images
title: Images only
hosts: [all]
packages: {scope: none, refresh: false}
containers: {healthy_within: 6s, steady_for: 1s}
reboot: never
E
"#;

/// The program in there, with a state folder of its own: its exit code and its document.
fn seawall(world: &World, arguments: &str) -> (i32, Value) {
    let out = world.run(&format!(
        "HOME=/root SEAWALL_STATE_DIR=/root/state; export HOME SEAWALL_STATE_DIR\n\
         exec '{}' {arguments} --json",
        env!("CARGO_BIN_EXE_seawall")
    ));
    let text = String::from_utf8_lossy(&out.stdout);
    let complaint = String::from_utf8_lossy(&out.stderr);
    let told = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text} {complaint}"));
    (out.status.code().unwrap_or(-1), told)
}

fn of<'a>(list: &'a Value, container: &str) -> &'a Value {
    let found = list
        .as_array()
        .and_then(|all| all.iter().find(|one| one["container"] == container));
    found.unwrap_or_else(|| panic!("no {container} in {list}"))
}

#[test]
fn a_run_moves_what_is_well_and_says_what_went_back() {
    let world = World::new();
    // Images are updated in the order of their names, until one fails.
    let sick = "127.0.0.1:5000/sick:1";
    world.publish(APP, "one", &[SERVES, HEALTHY]);
    world.publish(sick, "one", &[SERVES, HEALTHY]);
    world.good(&format!(
        "set -e; docker pull -q {APP}\n\
         docker run -d --name sick -e SECRET=hunter2 {sick}\n\
         docker run -d --name app -e SECRET=hunter2 -p 127.0.0.1:8080:80 {APP}\n\
         docker run -d --name pinned $(docker image inspect -f '{{{{index .RepoDigests 0}}}}' {APP})\n{DOCUMENTS}"
    ));
    let ids = "docker inspect -f '{{.Id}} {{.State.Running}}' sick pinned";
    let before = world.good(ids);
    world.publish(APP, "two", &[SERVES, HEALTHY]);
    world.publish(sick, "two", &[SERVES, NEVER_HEALTHY]);

    let run = "patch run /root/images.yaml -i /root/inventory.yaml --yes";
    let (code, told) = seawall(&world, run);
    let host = &told["hosts"][0];
    assert_eq!(code, 1, "{host}");
    assert_eq!(host["outcome"], "went-back", "{host}");
    let reason = host["reason"].as_str().unwrap_or_default();
    assert!(
        reason.contains("sick") && reason.contains("HEALTHCHECK says"),
        "{reason}"
    );
    let plan = &host["plan"]["images"];
    assert_eq!(of(plan, "pinned")["work"]["work"], "report", "{plan}");
    let (app, back) = (of(&host["images"], "app"), of(&host["images"], "sick"));
    assert_eq!(app["outcome"], "updated", "{app}");
    assert_eq!(app["from"], of(plan, "app")["digest"]);
    assert_eq!(app["to"], of(plan, "app")["registry_digest"]);
    assert_ne!(app["from"], app["to"]);
    assert_eq!(back["outcome"], "went-back", "{back}");
    assert_eq!(back["from"], of(plan, "sick")["digest"]);
    // The host is as its report says.
    assert_eq!(world.good("curl -s http://127.0.0.1:8080/version"), "two");
    assert_eq!(world.good(ids), before, "the very ones of before run");
    let former = "docker ps -aq | wc -l; docker image ls -q seawall-former";
    assert_eq!(world.good(former), "3", "nothing of ours is left");
    assert_eq!(world.good("ls -A /var/lib/seawall/patch"), "");
    let secrets = "grep -rlF hunter2 /root/state /var/lib/seawall | wc -l";
    assert_eq!(world.good(secrets), "0", "values stay on the host");

    let status = "patch status /root/images.yaml -i /root/inventory.yaml";
    let (code, told) = seawall(&world, status);
    let here = &told["hosts"][0];
    assert_eq!(code, 1, "{here}");
    assert_eq!(here["last_outcome"], "went-back", "{here}");
    let behind = here["standing"]["images_behind"].to_string();
    assert!(
        behind.contains("sick") && !behind.contains("app:"),
        "{behind}"
    );

    // The publisher mends it: then all is well.
    world.publish(sick, "three", &[SERVES, HEALTHY]);
    let (code, told) = seawall(&world, run);
    let host = &told["hosts"][0];
    assert_eq!(
        (code, &host["outcome"]),
        (0, &Value::from("patched")),
        "{host}"
    );
    assert_eq!(
        world.good("docker exec sick sh -c 'cat /www/version; echo $SECRET'"),
        "three\nhunter2"
    );
    let (code, told) = seawall(&world, status);
    assert_eq!(
        (code, &told["hosts"][0]["verdict"]),
        (0, &Value::from("current")),
        "{told}"
    );
}
