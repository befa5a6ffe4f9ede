//! What there is of a lab on this machine. Other labs may come and go meanwhile, so what is looked
//! for is what bears this one's name, not any difference.

use std::fs;
use std::path::Path;

use seawall::lab::Lab;

/// How to know a lab's things when its state is gone.
pub struct Marks {
    name: String,
    bridge: String,
    namespaces: Vec<String>,
}

impl Marks {
    /// Taken while the lab is up.
    pub fn of(lab: &Lab) -> Self {
        let state = fs::read_to_string(format!("/run/seawall/lab/{}/state.json", lab.name()));
        let state = state.expect("a lab has a state file");
        let state: serde_json::Value = serde_json::from_str(&state).expect("it is JSON");
        let bridge = state["network"]["bridge"]
            .as_str()
            .expect("it has a bridge");
        let processes = lab.status().into_iter().filter_map(|s| s.process);
        Self {
            name: lab.name().to_owned(),
            bridge: bridge.to_owned(),
            namespaces: processes
                .filter_map(|p| namespace(&p.to_string()))
                .collect(),
        }
    }

    /// Mounts in anybody's namespace, links, cgroups, processes, folders.
    pub fn traces(&self) -> Vec<String> {
        let mut found = traces(&self.name);
        for link in entries(Path::new("/sys/class/net")) {
            if link == self.bridge || link.starts_with(&format!("{}h", self.bridge)) {
                found.push(format!("link {link}"));
            }
        }
        for process in processes() {
            if namespace(&process).is_some_and(|n| self.namespaces.contains(&n)) {
                found.push(format!("process {process} in a host's network"));
            }
        }
        found
    }
}

/// All but the links and the namespaces, for a lab of which no more than the name is known.
pub fn traces(name: &str) -> Vec<String> {
    let mut found = Vec::new();
    let (state, own) = (
        format!("/run/seawall/lab/{name}"),
        format!("seawall-lab/{name}"),
    );
    for process in processes() {
        let read = |file: &str| fs::read_to_string(format!("/proc/{process}/{file}"));
        let mounts = read("mountinfo").unwrap_or_default();
        let mine = |l: &&str| l.split([' ', ',', '=']).any(|w| is_below(w, &state));
        found.extend(mounts.lines().filter(mine).map(|l| format!("mount {l}")));
        let cgroups = read("cgroup").unwrap_or_default();
        if cgroups.lines().any(|l| l.contains(&format!("/{own}/"))) {
            found.push(format!("process {process}"));
        }
    }
    for place in [
        "/sys/fs/cgroup/unified",
        "/sys/fs/cgroup/systemd",
        "/sys/fs/cgroup",
    ] {
        let path = Path::new(place).join(&own);
        if path.exists() {
            found.push(format!("cgroup {}", path.display()));
        }
    }
    if Path::new(&state).exists() {
        found.push(format!("folder {state}"));
    }
    found
}

fn is_below(path: &str, top: &str) -> bool {
    path.strip_prefix(top)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn namespace(process: &str) -> Option<String> {
    let link = fs::read_link(format!("/proc/{process}/ns/net")).ok()?;
    Some(link.to_string_lossy().into_owned())
}

/// Those that live: a dead one whose exit code the machine's init has yet to take holds nothing.
fn processes() -> Vec<String> {
    let mut names = entries(Path::new("/proc"));
    names.retain(|name| {
        let status = fs::read_to_string(format!("/proc/{name}/status")).unwrap_or_default();
        let state = status.lines().find_map(|l| l.strip_prefix("State:"));
        name.bytes().all(|b| b.is_ascii_digit())
            && state.is_some_and(|s| !s.trim_start().starts_with(['Z', 'X']))
    });
    names
}

fn entries(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("the kernel's folders can be read");
    let names = entries.flatten().map(|e| e.file_name());
    names.filter_map(|n| n.into_string().ok()).collect()
}
