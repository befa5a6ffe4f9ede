//! Images of containers, with the real engines: docker, compose and podman against a registry on
//! loopback, in namespaces of their own.
//!
//! Needs root and what `scripts/install-deps` installs. Without them these tests fail and say so.

mod whole;
mod world;

use seawall::document::patch::Containers;
use seawall::host::patch::containers::{self, ImageSaid};
use seawall::model::patch::ImageWork;

use world::{Seen, World, plan_of};

const APP: &str = "127.0.0.1:5000/app:1";
const SERVES: &str = r#"CMD ["/bin/httpd","-f","-p","80","-h","/www"]"#;
const SLEEPS: &str = r#"CMD ["/bin/sleep","1000"]"#;
const HEALTHY: &str = "HEALTHCHECK --interval=1s CMD test -f /www/version";
const NEVER_HEALTHY: &str = "HEALTHCHECK --interval=1s CMD false";

fn wanted(more: &str) -> Containers {
    serde_json::from_str(&format!(
        r#"{{"healthy_within":"6s","steady_for":"1s"{more}}}"#
    ))
    .expect("the document")
}

/// Looks, decides, updates one, and says how it ended.
fn update(world: &World, name: &str, wanted: &Containers) -> (ImageSaid, i32, Seen, String) {
    let seen = world.observe();
    let plans = containers::decide(&seen.containers, Some(wanted));
    let plan = plan_of(&plans, name);
    assert!(
        matches!(plan.work, ImageWork::Update { .. }),
        "{plan:?} {:?}",
        seen.unseen
    );
    let job = containers::update("image-1", plan, &seen.containers, wanted).expect("a job");
    let (said, status, log) = world.job(&job);
    let mut images = containers::images_said(&said);
    assert_eq!(images.len(), 1, "{log}");
    (images.remove(0), status, seen, log)
}

fn back(world: &World, name: &str, seen: &Seen, wanted: &Containers) -> (ImageSaid, i32) {
    let plans = containers::decide(&seen.containers, Some(wanted));
    let job =
        containers::back("back-1", plan_of(&plans, name), &seen.containers, wanted).expect("a job");
    let (said, status, log) = world.job(&job);
    let mut images = containers::images_said(&said);
    assert_eq!(images.len(), 1, "{log}");
    (images.remove(0), status)
}

fn keep(world: &World, name: &str, seen: &Seen, wanted: &Containers) -> i32 {
    let plans = containers::decide(&seen.containers, Some(wanted));
    let job = containers::keep("keep", &[plan_of(&plans, name).clone()]).expect("a job");
    world.job(&job).1
}

#[test]
fn docker_updates_and_comes_back_with_every_option() {
    let world = World::new();
    world.publish(
        APP,
        "one",
        &[SERVES, HEALTHY, "ENV OF_IMAGE=1", "LABEL of.image=1"],
    );
    world.good(&format!(
        "set -e; docker network create --subnet 10.9.0.0/24 n1; docker network create n2; docker pull -q {APP}\n\
         docker run -d --name opts --network n1 --ip 10.9.0.9 --network-alias al -e SECRET=hunter2 -e 'SP=a b \"c\" $x' \
           -l own=label -l 'odd=a b' -v vol1:/data -v /anon -v /tmp:/host:ro --tmpfs /t:size=1m -p 127.0.0.1:8080:80 \
           --restart unless-stopped --memory 64m --cpus 0.5 --pids-limit 50 --cap-add NET_ADMIN --cap-drop MKNOD \
           --ulimit nofile=100:200 --sysctl net.ipv4.ip_forward=1 --log-opt max-size=1m --device /dev/null:/dev/xnull \
           --shm-size 10m --add-host a:1.2.3.4 --dns 10.9.0.1 --dns-search x.example --hostname own-name --init \
           --user 0:0 --workdir /www --stop-signal SIGINT --stop-timeout 3 --read-only --security-opt no-new-privileges \
           --group-add 7 --oom-score-adj 5 --expose 99 --health-interval 1s --health-cmd 'test -f /www/version && true' \
           --mount type=tmpfs,target=/m,tmpfs-size=4096 --entrypoint /bin/httpd {APP} -f -p 80 -h /www\n\
         docker network connect --alias al2 --alias al3 n2 opts\n\
         docker exec opts sh -c 'echo kept >/anon/file'"
    ));
    world.publish(
        APP,
        "two",
        &[SERVES, HEALTHY, "ENV OF_IMAGE=2", "LABEL of.image=2"],
    );
    let (before_config, before_id) = (
        world.good("docker inspect opts"),
        world.good("docker inspect -f '{{.Id}}' opts"),
    );
    let wanted = wanted("");
    let (said, status, seen, log) = update(&world, "opts", &wanted);
    assert_eq!(
        (said.outcome.as_str(), status),
        ("updated", 0),
        "{said:?} {log}"
    );
    assert_ne!(said.from, said.to);
    for secret in ["hunter2", "a b \\\"c\\\""] {
        assert!(!seen.raw.contains(secret), "{secret} left the host");
        assert!(!log.contains(secret), "{secret} is in the log");
    }
    assert_eq!(world.good("curl -s http://127.0.0.1:8080/version"), "two");
    assert_eq!(world.good("docker exec opts cat /anon/file"), "kept");
    let env = world.good("docker exec opts env");
    for line in ["SECRET=hunter2", "SP=a b \"c\" $x", "OF_IMAGE=2"] {
        assert!(env.lines().any(|l| l == line), "{line} in {env}");
    }
    let differs = differences(&before_config, &world.good("docker inspect opts"));
    assert_eq!(differs, Vec::<String>::new());
    assert_eq!(
        world.good("docker inspect -f '{{.Name}} {{.State.Running}} {{.HostConfig.RestartPolicy.Name}}' opts.seawall-former"),
        "/opts.seawall-former false no"
    );
    // The host failed its gate nevertheless.
    let (said, status) = back(&world, "opts", &seen, &wanted);
    assert_eq!(
        (said.outcome.as_str(), status),
        ("went-back", 0),
        "{said:?}"
    );
    assert_eq!(world.good("curl -s http://127.0.0.1:8080/version"), "one");
    assert_eq!(world.good("docker inspect -f '{{.Id}}' opts"), before_id);
    assert_eq!(
        world.good("docker inspect -f '{{.HostConfig.RestartPolicy.Name}}' opts"),
        "unless-stopped"
    );
    assert_eq!(
        world.good("docker ps -aq | wc -l; docker image ls -q seawall-former"),
        "1"
    );
    // Once more, and it is kept.
    let (said, _, seen, log) = update(&world, "opts", &wanted);
    assert_eq!(said.outcome, "updated", "{log}");
    assert_eq!(keep(&world, "opts", &seen, &wanted), 0);
    assert_eq!(
        world.good("docker ps -aq | wc -l; docker image ls -q seawall-former"),
        "1"
    );
    assert_eq!(world.good("docker exec opts cat /anon/file"), "kept");
    // And a third version, from what we made ourselves.
    world.publish(APP, "three", &[SERVES, HEALTHY]);
    let (said, _, _, log) = update(&world, "opts", &wanted);
    assert_eq!(said.outcome, "updated", "{log}");
    assert_eq!(world.good("docker exec opts cat /anon/file"), "kept");
    assert_eq!(world.good("ls -A /var/lib/seawall/patch/test | wc -l"), "0");
}

#[test]
fn what_never_becomes_healthy_goes_back_to_its_digest() {
    let world = World::new();
    world.publish(APP, "one", &[SERVES, HEALTHY]);
    world.good(&format!(
        "docker run -d --name sick --restart always -v /anon {APP}; docker run -d --name deaf -p 8081:80 {APP}\n\
         docker run -d --name checked {APP}; docker exec sick sh -c 'echo kept >/anon/file; echo own >/www/own'"
    ));
    let old = world.good("docker inspect -f '{{.Id}}' sick deaf checked");
    world.publish(APP, "two", &[SERVES, NEVER_HEALTHY]);
    let wanted_ = wanted("");
    let (said, status, seen, _) = update(&world, "sick", &wanted_);
    assert_eq!(
        (said.outcome.as_str(), status),
        ("went-back", 1),
        "{said:?}"
    );
    assert!(said.detail.contains("HEALTHCHECK"), "{said:?}");
    let digest = world.observe().of("sick").digest.clone();
    assert_eq!(
        (said.from.clone(), seen.of("sick").digest.clone()),
        (digest.clone(), digest)
    );
    assert_eq!(
        world.good("docker exec sick cat /anon/file /www/own"),
        "kept\nown"
    );
    assert_eq!(
        world.good("docker inspect -f '{{.HostConfig.RestartPolicy.Name}}' sick"),
        "always"
    );
    // Healthy by its own word, but nobody listens any more.
    world.publish(APP, "three", &[SLEEPS]);
    let (said, _, _, _) = update(&world, "deaf", &wanted_);
    assert_eq!(said.outcome, "went-back");
    assert!(said.detail.contains("port 80"), "{said:?}");
    assert_eq!(world.good("curl -s http://127.0.0.1:8081/version"), "one");
    // One that ends at once, and one that starts, and fails the playbook's own check.
    world.publish(APP, "four", &[r#"CMD ["/bin/false"]"#]);
    let (said, _, _, _) = update(&world, "checked", &wanted_);
    assert_eq!(said.outcome, "went-back");
    assert!(said.detail.contains("exit status 1"), "{said:?}");
    world.publish(APP, "five", &[SLEEPS]);
    let own = wanted(
        r#","checks":{"checked":"docker exec checked cat /www/version | grep -q -e one -e six"}"#,
    );
    let (said, _, _, _) = update(&world, "checked", &own);
    assert_eq!(said.outcome, "went-back");
    assert!(said.detail.contains("check"), "{said:?}");
    world.publish(APP, "six", &[SLEEPS]);
    let (said, _, _, log) = update(&world, "checked", &own);
    assert_eq!(said.outcome, "updated", "{said:?} {log}");
    assert_eq!(
        world.good("docker inspect -f '{{.Id}}' sick deaf checked.seawall-former"),
        old
    );
}

#[test]
fn compose_recreates_what_compose_made() {
    compose("docker-compose", '_');
}

#[test]
#[ignore = "needs compose 2 (Debian 12 has none): its program in SEAWALL_COMPOSE_PLUGIN"]
fn compose_2_recreates_what_compose_2_made() {
    compose("docker compose", '-');
}

fn compose(program: &str, joint: char) {
    let world = World::new();
    let name = |service: &str| format!("shop{joint}{}", service.replace('_', &joint.to_string()));
    let (db, web_1, web_2) = (name("db_1"), name("web_1"), name("web_2"));
    world.publish(APP, "one", &[SERVES, HEALTHY]);
    let up = format!("cd /root/shop && {program} up -d 2>&1");
    world.good(&format!(
        "mkdir -p /root/shop; cat >/root/shop/docker-compose.yml <<'E'\n\
         version: '2.4'\nservices:\n  web:\n    image: {APP}\n    environment: {{SECRET: hunter2}}\n    scale: 2\n  \
         db:\n    image: {APP}\n    volumes: ['data:/data', '/anon']\nvolumes: {{data: {{}}}}\nE\n{up}"
    ));
    world.good(&format!("docker exec {db} sh -c 'echo kept >/anon/file'"));
    let db_is = format!("docker inspect -f '{{{{.Id}}}}' {db}");
    let before = world.good(&db_is);
    world.publish(APP, "two", &[SERVES, HEALTHY]);
    let wanted = wanted("");
    let (said, status, seen, log) = update(&world, "shop/web", &wanted);
    assert_eq!(
        (said.outcome.as_str(), status),
        ("updated", 0),
        "{said:?} {log}"
    );
    assert!(!seen.raw.contains("hunter2") && !log.contains("hunter2"));
    let both = format!("for c in {web_1} {web_2}; do docker exec $c cat /www/version; done");
    assert_eq!(world.good(&both), "two\ntwo");
    assert_eq!(world.good(&db_is), before, "others are left alone");
    let (said, status) = back(&world, "shop/web", &seen, &wanted);
    assert_eq!(
        (said.outcome.as_str(), status),
        ("went-back", 0),
        "{said:?}"
    );
    assert_eq!(world.good(&both), "one\none");
    // One that never becomes healthy.
    world.publish(APP, "three", &[SERVES, NEVER_HEALTHY]);
    let (said, status, seen, log) = update(&world, "shop/db", &wanted);
    assert_eq!(
        (said.outcome.as_str(), status),
        ("went-back", 1),
        "{said:?} {log}"
    );
    assert_eq!(
        world.good(&format!("docker exec {db} cat /www/version /anon/file")),
        "one\nkept"
    );
    assert_eq!(keep(&world, "shop/db", &seen, &wanted), 0);
    assert_eq!(world.good("docker image ls -q seawall-former | wc -l"), "0");
    // Its files are gone: nothing is touched.
    world.good("mv /root/shop/docker-compose.yml /root/shop/other.yml");
    let (said, status, _, _) = update(&world, "shop/web", &wanted);
    assert_eq!((said.outcome.as_str(), status), ("unchanged", 1));
    assert!(said.detail.contains("not here any more"), "{said:?}");
    assert_eq!(world.good(&both), "one\none");
}

#[test]
fn what_does_not_move_is_said_and_what_is_not_known_is_unknown() {
    let world = World::new();
    world.publish(APP, "one", &[SLEEPS]);
    let (latest, private) = ("127.0.0.1:5000/app:latest", "127.0.0.1:5001/app:1");
    world.publish(latest, "one", &[SLEEPS]);
    world.good("docker -H unix:///run/publisher/sock login -u me -p w0rd-of-pass 127.0.0.1:5001");
    world.publish(private, "one", &[SLEEPS]);
    // The publisher's credentials are its own.
    world.good("rm -rf /root/.docker; docker login -u me -p w0rd-of-pass 127.0.0.1:5001");
    let digest = world.good(&format!(
        "docker pull -q {APP} >/dev/null; docker image inspect -f '{{{{index .RepoDigests 0}}}}' {APP}"
    ));
    world.good(&format!(
        "set -e; docker run -d --name pinned {digest}; docker run -d --name latest {latest}\n\
         docker run -d --name private {private}; docker run -d --name moved {APP}\n\
         docker tag {APP} built:1; docker run -d --name gone --rm {APP}; docker run -d --name beside --network container:moved {APP}\n\
         docker commit moved here:1 >/dev/null; docker run -d --name built here:1"
    ));
    world.publish(APP, "two", &[SLEEPS]);
    world.publish(latest, "two", &[SLEEPS]);
    world.good(
        "cp -r /root/.docker /run/kept; docker -H unix:///run/publisher/sock info >/dev/null",
    );
    world.publish(private, "two", &[SLEEPS]);
    let seen = world.observe();
    assert!(!seen.raw.contains("w0rd-of-pass") && !seen.raw.contains("bWU6dzByZC1vZi1wYXNz"));
    let document = wanted("");
    let plans = containers::decide(&seen.containers, Some(&document));
    let why = |name: &str| match &plan_of(&plans, name).work {
        ImageWork::Report { why } => why.clone(),
        other => panic!("{name}: {other:?}"),
    };
    assert!(why("pinned").contains("pinned"));
    assert!(why("latest").contains("latest"));
    assert!(why("built").contains("built"));
    assert!(why("gone").contains("--rm"));
    assert!(why("beside").contains("network"));
    assert!(why("moved").contains("beside"));
    assert!(matches!(
        plan_of(&plans, "private").work,
        ImageWork::Update { .. }
    ));
    let following = wanted(r#","follow_latest":true"#);
    let plans = containers::decide(&seen.containers, Some(&following));
    assert!(matches!(
        plan_of(&plans, "latest").work,
        ImageWork::Update { .. }
    ));
    // Credentials are used, and do not leave the host.
    let (said, _, _, log) = update(&world, "private", &document);
    assert_eq!(said.outcome, "updated", "{said:?} {log}");
    assert!(!log.contains("w0rd-of-pass") && !log.contains("bWU6dzByZC1vZi1wYXNz"));
    assert!(matches!(
        plan_of(
            &containers::decide(&world.observe().containers, None),
            "private"
        )
        .work,
        ImageWork::Current
    ));
    // Without them, and without the registry, it is unknown.
    world.good("rm -r /root/.docker; kill $(cat /run/world/registry.pid)");
    let seen = world.observe();
    let plans = containers::decide(&seen.containers, Some(&document));
    for name in ["private", "moved"] {
        match &plan_of(&plans, name).work {
            ImageWork::Unknown { why } => assert!(!why.is_empty()),
            other => panic!("{name}: {other:?}"),
        }
    }
}

#[test]
fn podman_updates_and_goes_back() {
    let world = World::new();
    world.publish(APP, "one", &[SERVES, HEALTHY, "VOLUME /vol"]);
    world.good(&format!(
        "podman network create --subnet 10.8.0.0/24 p1\n\
         podman run -dit --name opts --net p1:ip=10.8.0.9,alias=al -e SECRET=hunter2 --env 'SP=a b' -l own=label \
           -v vol1:/data -v /anon --tmpfs /t:size=1m -p 127.0.0.1:8082:80 --memory 64m --cap-add NET_ADMIN \
           --ulimit nofile=100:200 --ulimit nproc=4096:4096 --add-host a:1.2.3.4 --restart on-failure:3 {APP} /bin/httpd -f -p 80 -h /www\n\
         podman exec opts sh -c 'echo kept >/anon/file; echo kept >/vol/file'"
    ));
    let before = world.good("podman inspect -f '{{.Id}}' opts");
    world.publish(APP, "two", &[SERVES, HEALTHY, "VOLUME /vol"]);
    let wanted = wanted("");
    let (said, status, seen, log) = update(&world, "opts", &wanted);
    assert_eq!(
        (said.outcome.as_str(), status),
        ("updated", 0),
        "{said:?} {log}"
    );
    assert!(
        !seen.raw.contains("hunter2") && !log.contains("hunter2"),
        "a value left the host"
    );
    assert_eq!(world.good("curl -s http://10.8.0.9/version"), "two");
    assert_eq!(
        world.good("podman exec opts cat /anon/file /vol/file"),
        "kept\nkept"
    );
    let env = world.good("podman exec opts env");
    assert!(env.lines().any(|l| l == "SECRET=hunter2") && env.lines().any(|l| l == "SP=a b"));
    let (said, status) = back(&world, "opts", &seen, &wanted);
    assert_eq!(
        (said.outcome.as_str(), status),
        ("went-back", 0),
        "{said:?}"
    );
    assert_eq!(world.good("podman inspect -f '{{.Id}}' opts"), before);
    assert_eq!(world.good("curl -s http://10.8.0.9/version"), "one");
    let (said, _, seen, log) = update(&world, "opts", &wanted);
    assert_eq!(said.outcome, "updated", "{said:?} {log}");
    assert_eq!(keep(&world, "opts", &seen, &wanted), 0);
    assert_eq!(world.good("podman ps -aq | wc -l"), "1");
    // From what we made ourselves; and one that never becomes healthy.
    world.publish(APP, "three", &[SERVES, NEVER_HEALTHY]);
    let (said, status, _, log) = update(&world, "opts", &wanted);
    assert_eq!(
        (said.outcome.as_str(), status),
        ("went-back", 1),
        "{said:?} {log}"
    );
    assert_eq!(world.good("curl -s http://10.8.0.9/version"), "two");
    assert_eq!(
        world.good("podman exec opts cat /anon/file /vol/file"),
        "kept\nkept"
    );
}

/// Values stay on the host, whatever awk and sh it has; and what is laid out otherwise is refused.
#[test]
fn secrets_are_taken_out_before_anything_is_sent() {
    let told = r#"[
    {
        "Id": "abc",
        "State": {
            "Health": {
                "Log": [
                    {
                        "Output": "hunter2"
                    }
                ]
            }
        },
        "Config": {
            "Env": [
                "A=hunter2 \\" \u003c=",
                "B"
            ],
            "CreateCommand": [
                "podman",
                "-e",
                "C=hunter2",
                "--env=D=hunter2",
                "-eF=hunter2"
            ],
            "Labels": {
                "a=\\": b": "hunter2",
                "com.docker.compose.project": "shop"
            },
            "Tty": true
        }
    }
]
"#;
    for shell in [&["dash"][..], &["bash"], &["busybox", "sh"]] {
        let run = |text: &str| {
            let program = format!(
                "{}\ncontainers_redact <<'E_O_F'\n{text}E_O_F\n",
                containers::observe_functions()
            );
            std::process::Command::new(shell[0])
                .args(&shell[1..])
                .args(["-c", &program])
                .output()
                .expect("a shell")
        };
        let out = run(told);
        let text = String::from_utf8_lossy(&out.stdout).into_owned();
        let value: serde_json::Value = serde_json::from_str(text.trim()).expect(&text);
        assert!(!text.contains("hunter2"), "{text}");
        assert_eq!(value["Config"]["Env"], serde_json::json!(["A=", "B"]));
        assert_eq!(
            value["Config"]["Labels"]["com.docker.compose.project"],
            "shop"
        );
        assert_eq!(value["Config"]["Tty"], true);
        assert_eq!(text.lines().count(), 1);
        for odd in [
            "[\n {\n \"Env\": [\"A=hunter2\"]\n }\n]\n",
            "[\n {\n \"Labels\": {\n hunter2\n }\n }\n]\n",
        ] {
            let out = run(odd);
            assert!(!out.status.success());
            assert!(!String::from_utf8_lossy(&out.stdout).contains("hunter2"));
        }
    }
}

/// What the new one has otherwise, but for what must be: ids, times, addresses that were drawn, and
/// what is of the image.
fn differences(before: &str, after: &str) -> Vec<String> {
    let read = |text: &str| -> serde_json::Value {
        let all: serde_json::Value = serde_json::from_str(text).expect("JSON");
        all[0].clone()
    };
    let (before, after) = (read(before), read(after));
    let mut out = Vec::new();
    for (section, key) in [
        ("HostConfig", None),
        ("Config", None),
        ("NetworkSettings", Some("Ports")),
        ("NetworkSettings", Some("Networks")),
    ] {
        let of = |all: &serde_json::Value| match key {
            None => all[section].clone(),
            Some(key) => serde_json::json!({ key: all[section][key] }),
        };
        let (old, new) = (of(&before), of(&after));
        walk(section, &old, &new, &mut out);
    }
    out
}

fn walk(path: &str, old: &serde_json::Value, new: &serde_json::Value, out: &mut Vec<String>) {
    const DRAWN: &[&str] = &[
        "EndpointID",
        "MacAddress",
        "IPAddress",
        "AttachStdout",
        "AttachStderr",
        "Binds",
        "Env",
        "Labels",
        "Volumes",
    ];
    if let (Some(a), Some(b)) = (old.as_object(), new.as_object()) {
        let keys: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
        for key in keys {
            if DRAWN.contains(&key.as_str()) {
                continue;
            }
            let null = serde_json::Value::Null;
            let of = |map: &serde_json::Map<_, _>| map.get(key).unwrap_or(&null).clone();
            walk(&format!("{path}.{key}"), &of(a), &of(b), out);
        }
        return;
    }
    let ids = |value: &serde_json::Value| {
        let mut texts: Vec<String> = value
            .as_array()
            .into_iter()
            .flatten()
            .map(ToString::to_string)
            .filter(|t| {
                !(t.len() == 14 && t.trim_matches('"').bytes().all(|b| b.is_ascii_hexdigit()))
            })
            .collect();
        texts.sort();
        texts
    };
    let same = old == new || (path.ends_with("Aliases") && ids(old) == ids(new));
    if !same {
        out.push(format!("{path}: {old} → {new}"));
    }
}
