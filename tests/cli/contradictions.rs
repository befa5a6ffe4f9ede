//! Demands that contradict each other, and parameters that cannot be: shown with their places,
//! before any host is contacted.

use super::Desk;

/// A baseline of one rule with this resource.
fn baseline(name: &str, when: &str, resource: &str) -> String {
    format!(
        "baseline: {name}\ntitle: T\nrules:\n  - id: {name}.rule\n    title: T\n    why: W\n    area: t\n    severity: low\n{when}    resources:\n      - {resource}\n"
    )
}

fn check(desk: &Desk, one: &str, two: &str) -> super::Said {
    desk.write("one.yaml", one);
    desk.write("two.yaml", two);
    desk.write(
        "playbook.yaml",
        "playbook: t\ntitle: T\nhosts: [all]\nbaselines: [one.yaml, two.yaml]\n",
    );
    desk.run(&["check", "playbook.yaml", "-i", "hosts.yaml"])
}

const OFF: &str = "sysctl: {key: net.ipv4.ip_forward, value: \"0\"}";
const ON: &str = "sysctl: {key: net.ipv4.ip_forward, value: \"1\"}";

#[test]
fn two_baselines_that_demand_different_values_are_both_shown() {
    let desk = Desk::new();
    let said = check(&desk, &baseline("one", "", OFF), &baseline("two", "", ON));
    assert_eq!(said.code, 2, "{said}");
    for part in [
        "one.rule",
        "two.rule",
        "one.yaml",
        "two.yaml:10",
        "net.ipv4.ip_forward",
    ] {
        assert!(said.err.contains(part), "{part}: {said}");
    }
}

#[test]
fn the_same_demand_twice_is_no_contradiction() {
    let desk = Desk::new();
    let said = check(&desk, &baseline("one", "", OFF), &baseline("two", "", OFF));
    assert_eq!(
        said.code, 3,
        "the host is not there, the documents are right: {said}"
    );
}

#[test]
fn rules_that_never_meet_on_one_host_do_not_contradict_each_other() {
    let desk = Desk::new();
    let when = |os: &str| format!("    when: {{os: [{os}]}}\n");
    let said = check(
        &desk,
        &baseline("one", &when("debian-12"), OFF),
        &baseline("two", &when("ubuntu-24.04"), ON),
    );
    assert_eq!(said.code, 3, "{said}");
}

#[test]
fn what_a_resource_says_of_its_own_parameters_is_shown_at_the_parameter() {
    let desk = Desk::new();
    let wrong = "sshd: {option: PermitRootLogn, value: \"no\"}";
    let said = check(
        &desk,
        &baseline("one", "", OFF),
        &baseline("two", "", wrong),
    );
    assert_eq!(said.code, 2, "{said}");
    for part in ["two.yaml:10", "PermitRootLogn", "PermitRootLogin"] {
        assert!(said.err.contains(part), "{part}: {said}");
    }
}
