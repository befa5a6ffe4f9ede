use super::*;
use serde_json::json;

fn id() -> String {
    "bd78b974a0fb".to_owned() + &"c".repeat(52)
}

/// A container with nothing of its own, and this in one section.
fn with(section: &str, key: &str, value: Value) -> Value {
    let mut all = json!({
        "HostConfig": {
            "NetworkMode": "default", "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0},
            "IpcMode": "private", "ShmSize": 67108864, "Runtime": "runc", "ConsoleSize": [0, 0],
            "LogConfig": {"Type": "json-file", "Config": {}}, "Links": null, "KernelMemoryTCP": 0
        },
        "Config": {"Hostname": "bd78b974a0fb", "Env": ["A"], "Image": "app:1", "Labels": {}},
        "Networks": {"bridge": {"IPAMConfig": null, "Links": null, "Aliases": null,
            "NetworkID": "x", "EndpointID": "y", "Gateway": "172.17.0.1", "DriverOpts": null}},
        "Mounts": [],
        "ImageConfig": {"User": "", "Env": ["A"], "ExposedPorts": {"81/tcp": {}}},
        "Own": {"Cmd": 0, "Entrypoint": "same", "Healthcheck": "same"}
    });
    match section {
        "" => all[key] = value,
        section => all[section][key] = value,
    }
    all
}

const PLAIN: [&str; 5] = [
    "--ipc=private",
    "--runtime=runc",
    "--shm-size=67108864",
    "--restart=no",
    "--log-driver=json-file",
];

#[test]
fn each_option_is_given_again() {
    let plain = recipe(&id(), &with("Config", "Tty", json!(false))).expect("a recipe");
    assert_eq!(plain.create, PLAIN);
    let volume = "e".repeat(64);
    let own = |section: &str, key: &str, value: Value, options: &[&str]| {
        let made = recipe(&id(), &with(section, key, value.clone()))
            .unwrap_or_else(|why| panic!("{section}.{key} {value}: {why}"));
        let more: Vec<&str> = made.create.iter().map(String::as_str).collect();
        let more: Vec<&str> = more.into_iter().filter(|o| !PLAIN.contains(o)).collect();
        assert_eq!(more, options, "{section}.{key}");
    };
    for (key, value, option) in [
        ("Binds", json!(["v:/d:ro"]), "--volume=v:/d:ro"),
        (
            "CapAdd",
            json!(["CAP_NET_ADMIN"]),
            "--cap-add=CAP_NET_ADMIN",
        ),
        ("CapDrop", json!(["ALL"]), "--cap-drop=ALL"),
        ("Dns", json!(["10.0.0.1"]), "--dns=10.0.0.1"),
        ("DnsOptions", json!(["ndots:2"]), "--dns-option=ndots:2"),
        ("DnsSearch", json!(["x.example"]), "--dns-search=x.example"),
        ("ExtraHosts", json!(["a:1.2.3.4"]), "--add-host=a:1.2.3.4"),
        ("GroupAdd", json!(["7"]), "--group-add=7"),
        ("PidMode", json!("host"), "--pid=host"),
        ("UTSMode", json!("host"), "--uts=host"),
        ("UsernsMode", json!("host"), "--userns=host"),
        ("CgroupnsMode", json!("host"), "--cgroupns=host"),
        ("CgroupParent", json!("/x"), "--cgroup-parent=/x"),
        ("CpusetCpus", json!("0-1"), "--cpuset-cpus=0-1"),
        ("CpusetMems", json!("0"), "--cpuset-mems=0"),
        ("OomScoreAdj", json!(-5), "--oom-score-adj=-5"),
        ("Memory", json!(1024), "--memory=1024"),
        ("MemorySwap", json!(-1), "--memory-swap=-1"),
        ("MemoryReservation", json!(5), "--memory-reservation=5"),
        ("MemorySwappiness", json!(0), "--memory-swappiness=0"),
        ("KernelMemory", json!(9), "--kernel-memory=9"),
        ("CpuShares", json!(512), "--cpu-shares=512"),
        ("CpuPeriod", json!(1000), "--cpu-period=1000"),
        ("CpuQuota", json!(1000), "--cpu-quota=1000"),
        ("CpuRealtimePeriod", json!(7), "--cpu-rt-period=7"),
        ("CpuRealtimeRuntime", json!(7), "--cpu-rt-runtime=7"),
        ("NanoCpus", json!(1_500_000_000_i64), "--cpus=1.500000000"),
        ("BlkioWeight", json!(10), "--blkio-weight=10"),
        ("PidsLimit", json!(50), "--pids-limit=50"),
        ("Privileged", json!(true), "--privileged"),
        ("PublishAllPorts", json!(true), "--publish-all"),
        ("ReadonlyRootfs", json!(true), "--read-only"),
        ("OomKillDisable", json!(true), "--oom-kill-disable"),
        ("Init", json!(true), "--init=true"),
        ("Init", json!(false), "--init=false"),
        ("VolumeDriver", json!("x"), "--volume-driver=x"),
        (
            "SecurityOpt",
            json!(["no-new-privileges"]),
            "--security-opt=no-new-privileges",
        ),
        ("Sysctls", json!({"net.a": "1"}), "--sysctl=net.a=1"),
        ("StorageOpt", json!({"size": "1G"}), "--storage-opt=size=1G"),
        ("Tmpfs", json!({"/t": "size=1m"}), "--tmpfs=/t:size=1m"),
        ("Tmpfs", json!({"/t": ""}), "--tmpfs=/t"),
        (
            "DeviceCgroupRules",
            json!(["c 1:3 r"]),
            "--device-cgroup-rule=c 1:3 r",
        ),
        (
            "Devices",
            json!([{"PathOnHost": "/dev/a", "PathInContainer": "/dev/b", "CgroupPermissions": "r"}]),
            "--device=/dev/a:/dev/b:r",
        ),
        (
            "Ulimits",
            json!([{"Name": "nofile", "Hard": 2, "Soft": 1}]),
            "--ulimit=nofile=1:2",
        ),
        (
            "BlkioDeviceReadBps",
            json!([{"Path": "/dev/a", "Rate": 3}]),
            "--device-read-bps=/dev/a:3",
        ),
        (
            "PortBindings",
            json!({"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}]}),
            "--publish=127.0.0.1:8080:80/tcp",
        ),
        (
            "PortBindings",
            json!({"80/udp": [{"HostIp": "::1", "HostPort": "8080"}]}),
            "--publish=[::1]:8080:80/udp",
        ),
        (
            "PortBindings",
            json!({"80/tcp": [{"HostIp": "", "HostPort": ""}]}),
            "--publish=80/tcp",
        ),
        (
            "Mounts",
            json!([{"Type": "bind", "Source": "/a", "Target": "/b", "ReadOnly": true,
                "BindOptions": {"Propagation": "rslave"}}]),
            "--mount=type=bind,source=/a,target=/b,readonly,bind-propagation=rslave",
        ),
        (
            "Mounts",
            json!([{"Type": "tmpfs", "Target": "/b", "TmpfsOptions": {"SizeBytes": 9, "Mode": 448}}]),
            "--mount=type=tmpfs,target=/b,tmpfs-size=9,tmpfs-mode=700",
        ),
    ] {
        own("HostConfig", key, value, &[option]);
    }
    for (key, value, options) in [
        ("Hostname", json!("own"), vec!["--hostname=own"]),
        (
            "Domainname",
            json!("x.example"),
            vec!["--domainname=x.example"],
        ),
        (
            "MacAddress",
            json!("02:00:00:00:00:01"),
            vec!["--mac-address=02:00:00:00:00:01"],
        ),
        ("User", json!("7:8"), vec!["--user=7:8"]),
        ("WorkingDir", json!("/w"), vec!["--workdir=/w"]),
        ("StopSignal", json!("SIGINT"), vec!["--stop-signal=SIGINT"]),
        ("StopTimeout", json!(0), vec!["--stop-timeout=0"]),
        ("Tty", json!(true), vec!["--tty"]),
        (
            "OpenStdin",
            json!(true),
            vec!["--interactive", "--attach=stdout"],
        ),
        (
            "ExposedPorts",
            json!({"81/tcp": {}, "82/udp": {}}),
            vec!["--expose=82/udp"],
        ),
    ] {
        own("Config", key, value, &options);
    }
    own(
        "",
        "Mounts",
        json!([{"Type": "volume", "Name": volume, "Destination": "/anon"}]),
        &[&format!("--volume={volume}:/anon")],
    );
    own("Own", "Healthcheck", json!("none"), &["--no-healthcheck"]);
}

#[test]
fn networks_keep_their_names_and_addresses() {
    let mut all = with("HostConfig", "NetworkMode", json!("n1"));
    all["Networks"] = json!({
        "n1": {"IPAMConfig": {"IPv4Address": "10.9.0.9"}, "Aliases": ["al", "bd78b974a0fb"]},
        "n2": {"IPAMConfig": {}, "Aliases": ["al2"], "DriverOpts": {}},
    });
    let made = recipe(&id(), &all).expect("a recipe");
    let more: Vec<&String> = made
        .create
        .iter()
        .filter(|o| !PLAIN.contains(&o.as_str()))
        .collect();
    assert_eq!(
        more,
        ["--network=n1", "--network-alias=al", "--ip=10.9.0.9"]
    );
    assert_eq!(
        made.connect,
        [("n2".to_owned(), vec!["--alias=al2".to_owned()])]
    );
}

#[test]
fn what_cannot_be_given_again_is_refused() {
    for (section, key, value, why) in [
        ("HostConfig", "NewThing", json!("x"), "NewThing"),
        ("HostConfig", "NewThing", json!({"a": 0}), "NewThing"),
        ("HostConfig", "VolumesFrom", json!(["a"]), "VolumesFrom"),
        ("HostConfig", "Links", json!(["/a:/b/c"]), "Links"),
        (
            "HostConfig",
            "DeviceRequests",
            json!([{"Count": -1}]),
            "DeviceRequests",
        ),
        (
            "HostConfig",
            "ContainerIDFile",
            json!("/run/x"),
            "ContainerIDFile",
        ),
        (
            "HostConfig",
            "PidMode",
            json!("container:x"),
            "another container",
        ),
        (
            "HostConfig",
            "NetworkMode",
            json!("container:x"),
            "another container",
        ),
        ("HostConfig", "NetworkMode", json!("elsewhere"), "elsewhere"),
        (
            "HostConfig",
            "SecurityOpt",
            json!(["seccomp={}"]),
            "seccomp",
        ),
        ("HostConfig", "Memory", json!("much"), "do not know"),
        (
            "HostConfig",
            "LogConfig",
            json!({"Type": "splunk", "Config": {"splunk-token": "x"}}),
            "secret",
        ),
        (
            "HostConfig",
            "Mounts",
            json!([{"Type": "bind", "Source": "/a,b", "Target": "/b"}]),
            "comma",
        ),
        (
            "HostConfig",
            "Mounts",
            json!([{"Type": "volume", "VolumeOptions": {"Labels": {"a": "b"}}}]),
            "of its own",
        ),
        ("Config", "NetworkDisabled", json!(true), "NetworkDisabled"),
        ("Config", "Shell", json!(["/x"]), "shell"),
        ("Config", "NewThing", json!([1]), "NewThing"),
        ("Own", "Entrypoint", json!("other"), "entrypoint"),
        ("Own", "Cmd", json!(-1), "command"),
        ("Own", "Healthcheck", json!("other"), "HEALTHCHECK"),
        ("Networks", "bridge", json!({"Links": ["a"]}), "linked"),
        (
            "Networks",
            "bridge",
            json!({"IPAMConfig": {"LinkLocalIPs": ["x"]}}),
            "LinkLocalIPs",
        ),
    ] {
        let said = recipe(&id(), &with(section, key, value)).expect_err(key);
        assert!(said.contains(why), "{key}: {said}");
    }
    assert!(recipe(&id(), &json!({})).is_err());
}

#[test]
fn what_is_the_images_stays_the_images() {
    let mut all = with("Config", "User", json!("app"));
    all["ImageConfig"]["User"] = json!("app");
    assert_eq!(recipe(&id(), &all).expect("a recipe").create, PLAIN);
    all["Config"]["User"] = json!("");
    assert!(recipe(&id(), &all).is_err());
}
