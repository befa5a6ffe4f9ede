//! From docker's own description of a container to the options that make the same one again. What
//! is set and has no option that we know is a reason not to touch it. Pure.

use serde_json::{Map, Value};

use super::replay::anonymous_volumes;
use super::taken::{Made, Taken, is_set};

/// How a container is made again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Recipe {
    /// Of `docker create`.
    pub create: Vec<String>,
    /// Further networks: the name, and options of `docker network connect`.
    pub connect: Vec<(String, Vec<String>)>,
    /// Whether the entrypoint is a word of its own (read on the host).
    pub entrypoint: bool,
    /// How many words of its own the command has (read on the host).
    pub command: usize,
    /// Whether the healthcheck's command is its own (read on the host).
    pub healthcheck: bool,
    /// `no`, `always`, `on-failure:3`…
    pub restart: String,
    /// TCP ports on which it may be reached.
    pub ports: Vec<u16>,
}

/// `HostConfig` keys whose value stands behind one option: key, option.
const TEXTS: &[(&str, &str)] = &[
    ("VolumeDriver", "--volume-driver"),
    ("CgroupnsMode", "--cgroupns"),
    ("IpcMode", "--ipc"),
    ("PidMode", "--pid"),
    ("UTSMode", "--uts"),
    ("UsernsMode", "--userns"),
    ("Runtime", "--runtime"),
    ("Isolation", "--isolation"),
    ("CgroupParent", "--cgroup-parent"),
    ("CpusetCpus", "--cpuset-cpus"),
    ("CpusetMems", "--cpuset-mems"),
];

const NUMBERS: &[(&str, &str)] = &[
    ("OomScoreAdj", "--oom-score-adj"),
    ("ShmSize", "--shm-size"),
    ("CpuShares", "--cpu-shares"),
    ("Memory", "--memory"),
    ("MemoryReservation", "--memory-reservation"),
    ("MemorySwap", "--memory-swap"),
    ("KernelMemory", "--kernel-memory"),
    ("BlkioWeight", "--blkio-weight"),
    ("CpuPeriod", "--cpu-period"),
    ("CpuQuota", "--cpu-quota"),
    ("CpuRealtimePeriod", "--cpu-rt-period"),
    ("CpuRealtimeRuntime", "--cpu-rt-runtime"),
    ("PidsLimit", "--pids-limit"),
];

const FLAGS: &[(&str, &str)] = &[
    ("Privileged", "--privileged"),
    ("PublishAllPorts", "--publish-all"),
    ("ReadonlyRootfs", "--read-only"),
    ("OomKillDisable", "--oom-kill-disable"),
];

const LISTS: &[(&str, &str)] = &[
    ("Binds", "--volume"),
    ("CapAdd", "--cap-add"),
    ("CapDrop", "--cap-drop"),
    ("Dns", "--dns"),
    ("DnsOptions", "--dns-option"),
    ("DnsSearch", "--dns-search"),
    ("ExtraHosts", "--add-host"),
    ("GroupAdd", "--group-add"),
    ("DeviceCgroupRules", "--device-cgroup-rule"),
];

const MAPS: &[(&str, &str, char)] = &[
    ("Sysctls", "--sysctl", '='),
    ("StorageOpt", "--storage-opt", '='),
    ("Annotations", "--annotation", '='),
];

/// What `docker create` needs to make the same container again.
///
/// # Errors
/// Why it cannot, as the end of a sentence that begins with "it".
pub(super) fn recipe(id: &str, inspect: &Value) -> Made<Recipe> {
    let mut host = Taken::of(inspect, "HostConfig")?;
    let mut out = Recipe::default();
    let mut add = Adder(&mut out.create);
    let network = host.text("NetworkMode")?;
    for (key, option) in TEXTS {
        let value = host.text(key)?;
        if value.starts_with("container:") {
            return Err(format!("shares {key} with another container"));
        }
        add.text(option, &value);
    }
    for (key, option) in NUMBERS {
        let value = host.number(key)?;
        if value != 0 {
            add.text(option, &value.to_string());
        }
    }
    for (key, option) in FLAGS {
        if host.flag(key)? {
            add.0.push((*option).to_owned());
        }
    }
    for (key, option) in LISTS {
        for value in host.texts(key)? {
            add.text(option, &value);
        }
    }
    for (key, option, joint) in MAPS {
        for (name, value) in host.map(key)? {
            let value = value.as_str().ok_or_else(|| host.odd(key))?;
            add.text(option, &format!("{name}{joint}{value}"));
        }
    }
    for (at, options) in host.map("Tmpfs")? {
        let options = options.as_str().unwrap_or_default();
        let colon = if options.is_empty() { "" } else { ":" };
        add.text("--tmpfs", &format!("{at}{colon}{options}"));
    }
    match host.take("Init") {
        Value::Null => {}
        Value::Bool(init) => add.0.push(format!("--init={init}")),
        _ => return Err(host.odd("Init")),
    }
    // -1 is the engine's word for "as the system has it".
    match host.take("MemorySwappiness") {
        Value::Null => {}
        Value::Number(n) if n.as_i64() == Some(-1) => {}
        Value::Number(n) => add.text("--memory-swappiness", &n.to_string()),
        _ => return Err(host.odd("MemorySwappiness")),
    }
    let cpus = host.number("NanoCpus")?;
    if cpus > 0 {
        let (whole, rest) = (cpus / 1_000_000_000, cpus % 1_000_000_000);
        add.text("--cpus", &format!("{whole}.{rest:09}"));
    }
    let privileged = add.0.iter().any(|o| o == "--privileged");
    for option in host.texts("SecurityOpt")? {
        if privileged && option == "label=disable" {
            continue;
        }
        if option.starts_with("seccomp={") || option.starts_with("seccomp:{") {
            return Err("has a seccomp profile of its own, whose file we do not know".into());
        }
        add.text("--security-opt", &option);
    }
    restart(&mut host, &mut add, &mut out.restart)?;
    log(&mut host, &mut add)?;
    devices(&mut host, &mut add)?;
    mounts(&mut host, &mut add)?;
    let published = ports(&mut host, &mut add)?;
    // These follow from the others, and are compared afterwards.
    for key in ["MaskedPaths", "ReadonlyPaths", "ConsoleSize"] {
        host.take(key);
    }
    host.done()?;
    for (at, volume) in anonymous_volumes(inspect.get("Mounts").unwrap_or(&Value::Null)) {
        let named = inspect
            .pointer("/HostConfig/Binds")
            .and_then(Value::as_array);
        let named = named
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .any(|b| b.starts_with(&format!("{volume}:")));
        if !named {
            add.text("--volume", &format!("{volume}:{at}"));
        }
    }
    networks(id, inspect, &network, &mut add, &mut out.connect)?;
    let own = config(id, inspect, &network, &published, &mut add)?;
    out.entrypoint = own.entrypoint;
    out.command = own.command;
    out.healthcheck = own.healthcheck;
    out.ports = own.ports;
    Ok(out)
}

struct Adder<'a>(&'a mut Vec<String>);

impl Adder<'_> {
    fn text(&mut self, option: &str, value: &str) {
        if !value.is_empty() {
            self.0.push(format!("{option}={value}"));
        }
    }
}

fn restart(host: &mut Taken<'_>, add: &mut Adder<'_>, policy: &mut String) -> Made<()> {
    let map = host.map("RestartPolicy")?;
    let name = map.get("Name").and_then(Value::as_str).unwrap_or_default();
    let most = map
        .get("MaximumRetryCount")
        .and_then(Value::as_i64)
        .unwrap_or(0);
    *policy = match (name, most) {
        ("" | "no", _) => "no".into(),
        (name, 0) => name.to_owned(),
        (name, most) => format!("{name}:{most}"),
    };
    add.text("--restart", policy);
    Ok(())
}

/// Whether what an option of this name holds may be nobody's business.
pub(super) fn may_be_secret(name: &str) -> bool {
    let low = name.to_ascii_lowercase();
    ["token", "secret", "password", "key"]
        .iter()
        .any(|word| low.contains(word))
}

fn log(host: &mut Taken<'_>, add: &mut Adder<'_>) -> Made<()> {
    let map = host.map("LogConfig")?;
    add.text(
        "--log-driver",
        map.get("Type").and_then(Value::as_str).unwrap_or_default(),
    );
    let options = map.get("Config").and_then(Value::as_object);
    for (name, value) in options.into_iter().flatten() {
        if may_be_secret(name) {
            return Err(format!(
                "has the log option {}, which may be a secret and could only be given openly",
                crate::shell::clean(name, 60)
            ));
        }
        let value = value.as_str().ok_or_else(|| host.odd("LogConfig"))?;
        add.0.push(format!("--log-opt={name}={value}"));
    }
    Ok(())
}

fn devices(host: &mut Taken<'_>, add: &mut Adder<'_>) -> Made<()> {
    for device in host.list("Devices")? {
        let get = |key: &str| device.get(key).and_then(Value::as_str).unwrap_or_default();
        let (from, to, may) = (
            get("PathOnHost"),
            get("PathInContainer"),
            get("CgroupPermissions"),
        );
        add.text("--device", &format!("{from}:{to}:{may}"));
    }
    for limit in host.list("Ulimits")? {
        let number = |key: &str| limit.get(key).and_then(Value::as_i64);
        let (Some(name), Some(soft), Some(hard)) = (
            limit.get("Name").and_then(Value::as_str),
            number("Soft"),
            number("Hard"),
        ) else {
            return Err(host.odd("Ulimits"));
        };
        add.text("--ulimit", &format!("{name}={soft}:{hard}"));
    }
    for (key, option, what) in [
        ("BlkioWeightDevice", "--blkio-weight-device", "Weight"),
        ("BlkioDeviceReadBps", "--device-read-bps", "Rate"),
        ("BlkioDeviceWriteBps", "--device-write-bps", "Rate"),
        ("BlkioDeviceReadIOps", "--device-read-iops", "Rate"),
        ("BlkioDeviceWriteIOps", "--device-write-iops", "Rate"),
    ] {
        for each in host.list(key)? {
            let (Some(path), Some(value)) = (
                each.get("Path").and_then(Value::as_str),
                each.get(what).and_then(Value::as_i64),
            ) else {
                return Err(host.odd(key));
            };
            add.text(option, &format!("{path}:{value}"));
        }
    }
    Ok(())
}

/// `--mount`s: those that cannot be said with `--volume`.
fn mounts(host: &mut Taken<'_>, add: &mut Adder<'_>) -> Made<()> {
    for mount in host.list("Mounts")? {
        let object = mount.as_object().cloned();
        let mut mount = Taken {
            left: object.ok_or_else(|| host.odd("Mounts"))?,
            what: "HostConfig.Mounts",
        };
        let mut parts = vec![format!("type={}", mount.text("Type")?)];
        for (key, name) in [
            ("Source", "source"),
            ("Target", "target"),
            ("Consistency", "consistency"),
        ] {
            let value = mount.text(key)?;
            if !value.is_empty() {
                parts.push(format!("{name}={value}"));
            }
        }
        if mount.flag("ReadOnly")? {
            parts.push("readonly".into());
        }
        if let Some(Value::String(how)) = mount.map("BindOptions")?.get("Propagation")
            && !how.is_empty()
        {
            parts.push(format!("bind-propagation={how}"));
        }
        for (key, value) in mount.map("TmpfsOptions")? {
            match (key.as_str(), value.as_i64()) {
                ("SizeBytes", Some(size)) => parts.push(format!("tmpfs-size={size}")),
                ("Mode", Some(mode)) => parts.push(format!("tmpfs-mode={mode:o}")),
                _ => return Err(mount.odd(&key)),
            }
        }
        if mount.map("VolumeOptions")?.values().any(is_set) {
            return Err("has a volume with options of its own (a driver, labels)".into());
        }
        if parts.iter().any(|part| part.contains([',', '"', '\n'])) {
            return Err("has a mount whose path holds a comma or a quote".into());
        }
        mount.done()?;
        add.text("--mount", &parts.join(","));
    }
    Ok(())
}

/// Published ports; and the ports, as `80/tcp`.
fn ports(host: &mut Taken<'_>, add: &mut Adder<'_>) -> Made<Vec<String>> {
    let mut published = Vec::new();
    for (port, all) in host.map("PortBindings")? {
        let all = all.as_array().cloned().unwrap_or_default();
        for one in all {
            let get = |key: &str| one.get(key).and_then(Value::as_str).unwrap_or_default();
            let (address, outer) = (get("HostIp"), get("HostPort"));
            let spec = match (address, outer) {
                ("", "") => port.clone(),
                ("", outer) => format!("{outer}:{port}"),
                (v6, outer) if v6.contains(':') => format!("[{v6}]:{outer}:{port}"),
                (address, outer) => format!("{address}:{outer}:{port}"),
            };
            add.text("--publish", &spec);
        }
        published.push(port);
    }
    Ok(published)
}

fn networks(
    id: &str,
    inspect: &Value,
    mode: &str,
    add: &mut Adder<'_>,
    connect: &mut Vec<(String, Vec<String>)>,
) -> Made<()> {
    if mode.starts_with("container:") {
        return Err("shares the network of another container".into());
    }
    let none = Map::new();
    let all = inspect
        .get("Networks")
        .and_then(Value::as_object)
        .unwrap_or(&none);
    let primary = match mode {
        "" | "default" => "bridge",
        other => other,
    };
    add.text("--network", if mode == "default" { "" } else { mode });
    if !all.contains_key(primary) && !matches!(primary, "host" | "none") {
        return Err(format!("is not in its network {primary}"));
    }
    for (name, endpoint) in all {
        let object = endpoint.as_object().cloned().unwrap_or_default();
        let mut endpoint = Taken {
            left: object,
            what: "network",
        };
        let mut options = Vec::new();
        let mut its = Adder(&mut options);
        let own = name == primary;
        if endpoint.list("Links")?.iter().any(is_set) {
            return Err("is linked to another container".into());
        }
        let driver = endpoint.map("DriverOpts")?;
        if !driver.is_empty() {
            return Err(format!("has options of the driver of its network {name}"));
        }
        for alias in endpoint.texts("Aliases")? {
            if !id.starts_with(&alias) {
                its.text(if own { "--network-alias" } else { "--alias" }, &alias);
            }
        }
        let mut addresses = Taken {
            left: endpoint.map("IPAMConfig")?,
            what: "network address",
        };
        its.text("--ip", &addresses.text("IPv4Address")?);
        its.text("--ip6", &addresses.text("IPv6Address")?);
        addresses.done()?;
        if endpoint.number("GwPriority")? != 0 {
            return Err(format!("has a priority in its network {name}"));
        }
        if own {
            add.0.append(&mut options);
        } else {
            connect.push((name.clone(), options));
        }
    }
    Ok(())
}

struct Own {
    entrypoint: bool,
    command: usize,
    healthcheck: bool,
    ports: Vec<u16>,
}

fn config(
    id: &str,
    inspect: &Value,
    network: &str,
    published: &[String],
    add: &mut Adder<'_>,
) -> Made<Own> {
    let mut config = Taken::of(inspect, "Config")?;
    let image = inspect.get("ImageConfig").cloned().unwrap_or_default();
    let of_image = |key: &str| image.get(key).cloned().unwrap_or_default();
    let hostname = config.text("Hostname")?;
    if !id.starts_with(&hostname) && network != "host" {
        add.text("--hostname", &hostname);
    }
    add.text("--domainname", &config.text("Domainname")?);
    add.text("--mac-address", &config.text("MacAddress")?);
    for (key, option) in [
        ("User", "--user"),
        ("WorkingDir", "--workdir"),
        ("StopSignal", "--stop-signal"),
    ] {
        let (ours, images) = (config.take(key), of_image(key));
        if ours == images || !(is_set(&ours) || is_set(&images)) {
            continue;
        }
        match ours.as_str() {
            Some(text) if !text.is_empty() => add.text(option, text),
            _ => return Err(format!("has no {key} where its image has one")),
        }
    }
    if config.flag("Tty")? {
        add.0.push("--tty".into());
    }
    if config.flag("OpenStdin")? {
        add.0.push("--interactive".into());
        // Else its input would end with the first one who attaches to it and leaves again.
        if !config.flag("StdinOnce")? {
            add.0.push("--attach=stdout".into());
        }
    }
    match config.take("StopTimeout") {
        Value::Null => {}
        Value::Number(seconds) => add.text("--stop-timeout", &seconds.to_string()),
        _ => return Err(config.odd("StopTimeout")),
    }
    let exposed = config.map("ExposedPorts")?;
    for port in exposed.keys() {
        let known = published.contains(port) || of_image("ExposedPorts").get(port).is_some();
        if !known {
            add.text("--expose", port);
        }
    }
    let check = config.map("Healthcheck")?;
    let own = inspect.get("Own").cloned().unwrap_or_default();
    let healthcheck = healthcheck(&own, &check, add)?;
    let entrypoint = match own.get("Entrypoint").and_then(Value::as_str) {
        Some("same") => false,
        Some("one") => true,
        _ => {
            return Err(
                "has an entrypoint of several words, or none where its image has one".into(),
            );
        }
    };
    let command = own.get("Cmd").and_then(Value::as_i64).unwrap_or(-1);
    let command = usize::try_from(command)
        .map_err(|_| "has no command where its image has one".to_owned())?;
    let shell = config.take("Shell");
    if is_set(&shell) && shell != of_image("Shell") {
        return Err("has a shell of its own".into());
    }
    // The environment and labels are read on the host; volumes are in the mounts; the others are of
    // who started it, or the image's.
    for key in [
        "Env",
        "Labels",
        "Volumes",
        "Image",
        "OnBuild",
        "ArgsEscaped",
        "StdinOnce",
        "AttachStdin",
        "AttachStdout",
        "AttachStderr",
    ] {
        config.take(key);
    }
    config.done()?;
    let mut ports: Vec<u16> = exposed
        .keys()
        .chain(published)
        .filter_map(|port| port.strip_suffix("/tcp")?.parse().ok())
        .collect();
    ports.sort_unstable();
    ports.dedup();
    Ok(Own {
        entrypoint,
        command,
        healthcheck,
        ports,
    })
}

/// Whether the test's command is read on the host.
fn healthcheck(own: &Value, check: &Map<String, Value>, add: &mut Adder<'_>) -> Made<bool> {
    let word = own.get("Healthcheck").and_then(Value::as_str);
    match word {
        Some("same") => return Ok(false),
        Some("none") => {
            add.0.push("--no-healthcheck".into());
            return Ok(false);
        }
        Some("shell" | "test-same") => {}
        _ => return Err("has a HEALTHCHECK that no option can say".into()),
    }
    for (key, option) in [
        ("Interval", "--health-interval"),
        ("Timeout", "--health-timeout"),
        ("StartPeriod", "--health-start-period"),
        ("StartInterval", "--health-start-interval"),
    ] {
        let nanos = check.get(key).and_then(Value::as_i64).unwrap_or(0);
        if nanos > 0 {
            add.text(option, &format!("{nanos}ns"));
        }
    }
    let retries = check.get("Retries").and_then(Value::as_i64).unwrap_or(0);
    if retries > 0 {
        add.text("--health-retries", &retries.to_string());
    }
    Ok(word == Some("shell"))
}

#[cfg(test)]
#[path = "options_tests.rs"]
mod tests;
