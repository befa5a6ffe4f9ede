//! Documents that are right, and what comes of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use seawall::document::baseline::Value;
use seawall::document::inventory::{self, Host, Inventory, Sudo, parse_inventory, select};
use seawall::document::variables::resolve;
use seawall::document::{
    Files, Loaded, Loading, load_playbook, render_all, schema_for_baseline, schema_for_inventory,
    schema_for_playbook,
};

use super::fixtures::FACTS;
use super::resource::Resource;

/// Files that are only here.
struct Memory(BTreeMap<PathBuf, &'static str>);

impl Files for Memory {
    fn read(&self, path: &Path) -> Result<String, String> {
        let text = self.0.get(path).ok_or("there is no such file")?;
        Ok((*text).to_owned())
    }
}

const PLAYBOOK: &str = "
playbook: new-host
title: New hosts
hosts: [web, '!web-2']
baselines: [../baselines/debian-12.yaml, ../baselines/ssh.yaml]
variables: {tries: 3}
waves: [1, 25%]
";
const DEBIAN: &str = "
baseline: debian-12
title: Debian 12
include: [common.yaml]
when: {os: [debian-12]}
rules:
  - id: files.shadow
    title: Shadow
    why: Because.
    area: files
    severity: high
    controls: {cis-debian-12: 7.1.5, iso-27001: [A.8.2, A.8.3]}
    resources:
      - file: {path: /etc/shadow, owner: [root, '{{ owner }}'], mode: 0640}
      - file:
          path: /etc/motd
          template: |
            Welcome to {{ owner }}
";
const COMMON: &str = "
baseline: common
title: Common
variables:
  tries: {type: integer, default: 4}
  owner: {type: text}
rules:
  - {id: net.forward, title: Forward, why: Because., area: net, severity: low, resources: [{sysctl: {key: net.ipv4.ip_forward, value: 0}}]}
";
const SSH: &str = "
baseline: ssh
title: SSH
include: [common.yaml]
rules:
  - {id: ssh.tries, title: Tries, why: Because., area: ssh, severity: low, resources: [{sysctl: {key: tries, value: {at_most: '{{ tries }}', set: '{{ tries }}'}}}]}
";
const HOSTS: &str = "
inventory: production
defaults: {user: admin, identity: ~/.ssh/id, variables: {owner: ops}}
groups:
  web: {hosts: ['web-[1:2]'], groups: [edge], jump: me@bastion, data: internal}
  edge: {port: 2222, sudo: true, known_hosts: hosts, variables: {tries: 5}, data: public}
hosts:
  web-1: {address: 10.0.0.5, sudo: password, variables: {tries: 6}}
  web-2:
  cdn-1: {groups: [edge], jump: [a, b], local: true, identity: [k1, /k2]}
";

fn files() -> Memory {
    let all = [
        ("playbooks/new-host.yaml", PLAYBOOK),
        ("baselines/debian-12.yaml", DEBIAN),
        ("baselines/common.yaml", COMMON),
        ("baselines/ssh.yaml", SSH),
    ];
    Memory(all.map(|(path, text)| (path.into(), text)).into())
}

fn hosts() -> Inventory {
    inventory::load("inv/hosts.yaml", HOSTS, Some(Path::new("/home/me")))
        .unwrap_or_else(|found| panic!("{}", render_all(&found, false)))
}

fn loaded(inventory: &Inventory) -> Loaded<Resource> {
    let loading = Loading {
        files: &files(),
        known_facts: FACTS,
        inventory: Some(inventory),
        today: None,
    };
    load_playbook(Path::new("playbooks/./new-host.yaml"), &loading)
        .unwrap_or_else(|found| panic!("{}", render_all(&found, false)))
}

#[test]
fn a_playbook_comes_with_its_rules_and_their_places() {
    let loaded = loaded(&hosts());
    let ids: Vec<&str> = loaded
        .rules
        .iter()
        .map(|rule| rule.rule.id.as_str())
        .collect();
    assert_eq!(ids, ["net.forward", "files.shadow", "ssh.tries"]);
    assert_eq!(loaded.playbook_path, "playbooks/new-host.yaml");
    let read: Vec<&str> = loaded.documents.keys().map(String::as_str).collect();
    assert_eq!(
        read,
        [
            "baselines/common.yaml",
            "baselines/debian-12.yaml",
            "baselines/ssh.yaml",
            "playbooks/new-host.yaml"
        ]
    );
    assert!(loaded.documents.values().all(|hash| hash.len() == 64));
    assert!(loaded.warnings.is_empty());

    let shadow = &loaded.rules[1];
    assert_eq!(
        (shadow.baseline.as_str(), shadow.file.as_str()),
        ("debian-12", "baselines/debian-12.yaml")
    );
    assert_eq!(
        shadow.baseline_when.as_ref().map(|when| when.os.clone()),
        Some(vec!["debian-12".into()])
    );
    assert!(loaded.rules[0].baseline_when.is_none());
    assert_eq!(shadow.id_place.line_column(), (7, 9));
    assert_eq!(shadow.resource_places.len(), 2);
    assert_eq!(shadow.resource_places[0].place.line_column(), (14, 9));
    assert_eq!(
        shadow.resource_places[0].field("mode").line_column(),
        (14, 71)
    );
    assert_eq!(
        shadow.resource_places[0].field("absent").line_column(),
        (14, 9)
    );
    let Some(file) = &shadow.rule.resources[0].file else {
        panic!("not a file");
    };
    assert_eq!(
        file.mode.as_deref(),
        Some("0640"),
        "a number keeps its spelling"
    );
}

#[test]
fn variables_hold_by_layer_and_fill_resources() {
    let inventory = hosts();
    let loaded = loaded(&inventory);
    let of = |name: &str, set: &[(&str, &str)]| {
        let host = inventory
            .hosts
            .iter()
            .find(|host| host.name == name)
            .unwrap();
        let set = set
            .iter()
            .map(|(name, value)| ((*name).to_owned(), Value::Text((*value).to_owned())));
        loaded.variables_for(host, &set.collect())
    };
    assert_eq!(
        of("web-1", &[]).unwrap().text("tries").as_deref(),
        Some("6")
    );
    assert_eq!(
        of("cdn-1", &[]).unwrap().text("tries").as_deref(),
        Some("5")
    );
    assert_eq!(
        of("web-2", &[]).unwrap().text("tries").as_deref(),
        Some("3")
    );
    assert_eq!(
        of("web-1", &[("tries", "9")])
            .unwrap()
            .text("tries")
            .as_deref(),
        Some("9")
    );
    assert!(of("web-1", &[("tries", "x")]).unwrap_err()[0].contains("the command line"));

    let variables = of("web-1", &[]).unwrap();
    let Some(tries) = resolve(&loaded.rules[2].rule.resources[0], &variables)
        .unwrap()
        .sysctl
    else {
        panic!("not a sysctl");
    };
    assert_eq!(tries.value.at_most, Some(6));
    assert!(tries.value.pending.is_empty());
    let Some(motd) = resolve(&loaded.rules[1].rule.resources[1], &variables)
        .unwrap()
        .file
    else {
        panic!("not a file");
    };
    assert_eq!(motd.template.as_deref(), Some("Welcome to ops\n"));
}

#[test]
fn groups_and_defaults_are_merged_into_hosts() {
    let inventory = hosts();
    let [web, _, cdn] = inventory.hosts.as_slice() else {
        panic!("three hosts");
    };
    let groups = |host: &Host| host.groups.iter().cloned().collect::<Vec<_>>().join(" ");
    assert_eq!(web.name, "web-1");
    assert_eq!(
        (groups(web), groups(cdn)),
        ("web".into(), "edge web".into())
    );
    assert_eq!(web.address.as_deref(), Some("10.0.0.5"));
    assert_eq!((web.port, cdn.port), (None, Some(2222)));
    assert_eq!((web.sudo, cdn.sudo), (Sudo::Password, Sudo::Yes));
    assert_eq!(web.jump, ["me@bastion"]);
    assert_eq!(cdn.jump, ["a", "b"]);
    assert_eq!(web.identities, [Path::new("/home/me/.ssh/id")]);
    assert_eq!(cdn.identities, [Path::new("inv/k1"), Path::new("/k2")]);
    assert_eq!(cdn.known_hosts, [Path::new("inv/hosts")]);
    assert_eq!(
        (web.data.as_deref(), cdn.data.as_deref()),
        (Some("internal"), Some("public")),
        "a child says more than its parent"
    );
    assert!(cdn.local && !web.local);
}

const ANSIBLE_YAML: &str = "
all:
  vars: {ansible_user: admin, ansible_become: yes, region: eu}
  children:
    web:
      hosts:
        web[01:02]: {}
        web03: {ansible_host: 10.0.0.3, ansible_port: '2222', http_port: 80, users: [a, b], nested: {x: 1}}
      vars: {ansible_ssh_common_args: '-o StrictHostKeyChecking=no -J me@bastion'}
    prod:
      children: {web: }
      vars: {region: us, ansible_ssh_private_key_file: ~/.ssh/prod}
    here:
      hosts: {localhost: {ansible_connection: local, ansible_become_password: hunter2, ansible_password: hunter2}}
";
const ANSIBLE_INI: &str = "
web03 ansible_host=10.0.0.3   ; not grouped here
[web]
web[01:02]
web03 ansible_port=2222 http_port=80 users=\"['a', 'b']\"
[web:vars]
ansible_ssh_common_args='-o StrictHostKeyChecking=no -J me@bastion'
# the rest
[prod:children]
web
[prod:vars]
region=us
ansible_ssh_private_key_file=~/.ssh/prod
[all:vars]
ansible_user=admin
ansible_become=yes
region=eu
[here]
localhost ansible_connection=local ansible_become_password=hunter2
";

#[test]
fn ansible_is_understood_in_both_forms() {
    for (name, text) in [
        ("inv/hosts.yml", ANSIBLE_YAML),
        ("inv/hosts", ANSIBLE_INI),
        ("inv/hosts.ini", ANSIBLE_INI),
    ] {
        let text = text.replace("   ; not grouped here", "");
        let inventory = inventory::load(name, &text, Some(Path::new("/home/me")))
            .unwrap_or_else(|found| panic!("{}", render_all(&found, false)));
        let host = |name: &str| {
            inventory
                .hosts
                .iter()
                .find(|host| host.name == name)
                .unwrap()
        };
        assert_eq!(inventory.hosts.len(), 4, "{name}");
        let web = host("web03");
        assert_eq!(web.address.as_deref(), Some("10.0.0.3"));
        assert_eq!(
            (web.port, web.user.as_deref(), web.sudo),
            (Some(2222), Some("admin"), Sudo::Yes)
        );
        assert_eq!(web.jump, ["me@bastion"]);
        assert_eq!(web.identities, [Path::new("/home/me/.ssh/prod")]);
        assert!(web.known_hosts.is_empty());
        assert!(web.groups.contains("web") && web.groups.contains("prod"));
        assert_eq!(web.variables.get("region"), Some(&Value::Text("us".into())));
        assert_eq!(
            web.variables.get("users"),
            Some(&Value::List(vec!["a".into(), "b".into()])),
            "{name}"
        );
        assert_eq!(
            web.variables.get("http_port"),
            Some(&Value::Text("80".into()))
        );
        let here = host("localhost");
        assert!(here.local);
        assert_eq!(here.sudo, Sudo::Password);
        assert_eq!(
            select(&inventory, &["prod".into()]).map(|hosts| hosts.len()),
            Ok(3)
        );
        assert!(
            !format!("{inventory:?}").contains("hunter2"),
            "passwords are not kept"
        );
    }
}

#[test]
fn a_bare_list_is_understood() {
    let text = "# lab\nroot@127.0.0.1:2201\nroot@127.0.0.1:2202  # two\nweb\nme@[2001:db8::1]:22\n2001:db8::2\n";
    let inventory =
        parse_inventory(text).unwrap_or_else(|found| panic!("{}", render_all(&found, false)));
    let said: Vec<_> = inventory
        .hosts
        .iter()
        .map(|host| {
            (
                host.name.as_str(),
                host.address.as_deref(),
                host.user.as_deref(),
                host.port,
            )
        })
        .collect();
    assert_eq!(
        said,
        [
            (
                "127.0.0.1:2201",
                Some("127.0.0.1"),
                Some("root"),
                Some(2201)
            ),
            (
                "127.0.0.1:2202",
                Some("127.0.0.1"),
                Some("root"),
                Some(2202)
            ),
            ("web", None, None, None),
            ("2001:db8::1", None, Some("me"), Some(22)),
            ("2001:db8::2", None, None, None),
        ]
    );
    let one = parse_inventory("admin@web-1:22").unwrap();
    assert_eq!(one.hosts[0].name, "web-1");
}

#[test]
fn schemas_say_what_their_documents_are() {
    for (schema, key) in [
        (schema_for_playbook(), "playbook"),
        (schema_for_baseline::<Resource>(), "baseline"),
        (schema_for_inventory(), "inventory"),
    ] {
        assert!(
            schema["title"]
                .as_str()
                .is_some_and(|title| title.contains(key))
        );
        assert!(schema["description"].is_string());
        assert!(
            schema["properties"][key]["description"].is_string(),
            "{key}"
        );
        assert_eq!(schema["additionalProperties"], false);
        assert!(!schema.to_string().contains("_for_"));
        references(&schema, &schema);
    }
}

/// Every `$ref` leads somewhere.
fn references(root: &serde_json::Value, here: &serde_json::Value) {
    if let Some(reference) = here.get("$ref").and_then(|r| r.as_str()) {
        assert!(
            root.pointer(reference.trim_start_matches('#')).is_some(),
            "{reference}"
        );
    }
    let below = here.as_object().into_iter().flat_map(|o| o.values());
    below
        .chain(here.as_array().into_iter().flatten())
        .for_each(|v| references(root, v));
}

#[test]
fn a_small_text_cannot_stand_for_a_great_inventory() {
    let found = parse_inventory(&"w[1:9999]\n".repeat(1000)).unwrap_err();
    assert!(
        found.iter().any(|d| d.code == "too-large"),
        "{}",
        render_all(&found, false)
    );
    let many: String = (0..10_001).map(|n| format!("h{n}\n")).collect();
    let found = parse_inventory(&many).unwrap_err();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].code, "too-large");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_text_makes_an_inventory_panic(text in any::<String>()) {
        let _ = parse_inventory(&text);
    }

    #[test]
    fn no_near_inventory_does_either(text in "(inventory: x\n|hosts:|groups:|all:|vars:|children:| |\n|  |web|\\[|\\]|:|=|1|a|\"|'|ansible_port|ansible_host|\\{|\\}|,|@|#|-J ){0,40}") {
        for name in ["x", "x.yaml", "x.ini"] {
            if let Err(found) = inventory::load(name, &text, None) {
                prop_assert!(!found.is_empty());
                let _ = render_all(&found, true);
            }
        }
    }
}
