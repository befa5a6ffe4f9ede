//! Judging: rules + snapshot + day → findings. Pure.

use std::collections::BTreeSet;

use jiff::civil::Date;

use crate::document::baseline::Condition;
use crate::model::{Finding, Status, WaiverNote};
use crate::shell::clean;

use super::resource::{AnyResource, Judgement, Verdict};
use super::rules::{ReadyRule, ReadyWaiver, RuleSet};
use super::snapshot::{Facts, Seen, Snapshot};

/// How long a text from a host may be in a finding, in characters.
const TEXT_MAX: usize = 400;

/// A finding, with what the planner needs of how it came about.
#[derive(Clone, Debug)]
pub struct Judged {
    pub finding: Finding,
    /// Indices into the rule's resources: those that failed.
    pub failed: Vec<usize>,
}

/// Judges every rule of the set. One finding each, in the set's order.
pub fn judge(set: &RuleSet, snapshot: &Snapshot, today: Date) -> Vec<Judged> {
    set.rules
        .iter()
        .map(|rule| {
            let mut judged = judge_rule(set, rule, snapshot);
            if judged.finding.status == Status::Fail {
                apply_waiver(&mut judged.finding, &set.waivers, today);
            }
            judged
        })
        .collect()
}

/// Every rule is unknown: the host was not seen. The reason says why.
pub fn unseen(set: &RuleSet, host: &str, reason: &str) -> Vec<Finding> {
    set.rules
        .iter()
        .map(|rule| Finding {
            status: Status::Unknown,
            reason: Some(clean(reason, TEXT_MAX)),
            ..blank(rule, host)
        })
        .collect()
}

fn blank(rule: &ReadyRule, host: &str) -> Finding {
    Finding {
        host: host.to_owned(),
        rule: rule.id.clone(),
        title: rule.title.clone(),
        area: rule.area.clone(),
        severity: rule.severity,
        level: rule.level,
        controls: rule.controls.clone(),
        status: Status::Unknown,
        expected: String::new(),
        actual: String::new(),
        reason: None,
        fixable: false,
        waiver: None,
    }
}

fn judge_rule(set: &RuleSet, rule: &ReadyRule, snapshot: &Snapshot) -> Judged {
    let mut finding = blank(rule, &snapshot.host);
    if let Some((status, reason)) = decided_beforehand(set, rule, snapshot) {
        finding.status = status;
        finding.reason = Some(clean(&reason, TEXT_MAX));
        return Judged {
            finding,
            failed: Vec::new(),
        };
    }
    let judgements: Vec<Judgement> = rule
        .resources
        .iter()
        .filter_map(AnyResource::get)
        .map(|resource| resource.judge(snapshot))
        .collect();
    let failed: Vec<usize> = judgements
        .iter()
        .enumerate()
        .filter(|(_, j)| j.verdict == Verdict::Fail)
        .map(|(i, _)| i)
        .collect();
    let verdict = worst(&judgements);
    finding.status = match verdict {
        Verdict::Pass => Status::Pass,
        Verdict::Fail => Status::Fail,
        Verdict::NotApplicable => Status::NotApplicable,
        Verdict::Unknown => Status::Unknown,
    };
    // Those that made the verdict are what a person wants to read.
    let told: Vec<&Judgement> = judgements.iter().filter(|j| j.verdict == verdict).collect();
    finding.expected = join(told.iter().map(|j| j.expected.as_str()));
    finding.actual = join(told.iter().map(|j| j.actual.as_str()));
    let reasons = join(told.iter().filter_map(|j| j.reason.as_deref()));
    finding.reason = (!reasons.is_empty()).then_some(reasons);
    Judged { finding, failed }
}

/// One verdict of several: a failure counts most, then what was not seen.
fn worst(judgements: &[Judgement]) -> Verdict {
    let any = |v| judgements.iter().any(|j| j.verdict == v);
    if any(Verdict::Fail) {
        Verdict::Fail
    } else if any(Verdict::Unknown) || judgements.is_empty() {
        Verdict::Unknown
    } else if any(Verdict::Pass) {
        Verdict::Pass
    } else {
        Verdict::NotApplicable
    }
}

/// Texts for a person, each once, cleaned and bounded.
fn join<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    let mut seen = BTreeSet::new();
    let mut out = String::new();
    for text in texts.filter(|t| !t.is_empty()) {
        if seen.insert(text) {
            if !out.is_empty() {
                out.push_str("; ");
            }
            out.push_str(text);
        }
    }
    clean(&out, TEXT_MAX)
}

/// What is settled before any resource is looked at.
fn decided_beforehand(
    set: &RuleSet,
    rule: &ReadyRule,
    snapshot: &Snapshot,
) -> Option<(Status, String)> {
    if let Some(reason) = &rule.off {
        return Some((
            Status::NotApplicable,
            format!("switched off by the playbook: {reason}"),
        ));
    }
    for condition in &rule.when {
        match holds(condition, set, snapshot) {
            Holds::Yes => {}
            Holds::No(reason) => return Some((Status::NotApplicable, reason)),
            Holds::Unseen(reason) => return Some((Status::Unknown, reason)),
        }
    }
    for exception in &rule.except {
        if let Some(how) = snapshot.facts.found.get(&exception.fact) {
            let how = if how.is_empty() {
                String::new()
            } else {
                format!(" ({how})")
            };
            return Some((
                Status::NotApplicable,
                format!("{}: {}{how}", exception.fact, exception.reason),
            ));
        }
    }
    if let Some(why) = &rule.unresolved {
        // What the site wants has not been said yet: nobody can judge that, and it is no pass.
        return Some((Status::Manual, why.clone()));
    }
    rule.resources
        .is_empty()
        .then(|| (Status::Manual, rule.manual.clone().unwrap_or_default()))
}

enum Holds {
    Yes,
    No(String),
    Unseen(String),
}

fn holds(condition: &Condition, set: &RuleSet, snapshot: &Snapshot) -> Holds {
    let facts = &snapshot.facts;
    if !condition.os.is_empty() {
        if facts.os_id.is_empty() {
            return Holds::Unseen("which system the host runs was not seen".into());
        }
        if !condition.os.iter().any(|os| is_os(os, facts)) {
            return Holds::No(format!(
                "for {} only; this host runs {} {}",
                condition.os.join(", "),
                facts.os_id,
                facts.os_version
            ));
        }
    }
    for fact in &condition.facts {
        if !facts.found.contains_key(fact) {
            return Holds::No(format!("only where `{fact}` is found"));
        }
    }
    for fact in &condition.without {
        if let Some(how) = facts.found.get(fact) {
            return Holds::No(format!(
                "only where `{fact}` is not found, and it is: {how}"
            ));
        }
    }
    for package in &condition.packages {
        match snapshot.packages.get(package) {
            Some(Seen::Yes(state)) if state.status == "installed" => {}
            Some(Seen::Yes(_) | Seen::Absent) => {
                return Holds::No(format!("package {package} is not installed"));
            }
            Some(Seen::No(why)) => return Holds::Unseen(format!("package {package}: {why}")),
            None => return Holds::Unseen(format!("package {package} was not looked at")),
        }
    }
    for (name, value) in &condition.variables {
        let actual = set.variables.get(name).map_or("", String::as_str);
        if actual != value {
            return Holds::No(format!("only where {name} is `{value}`; it is `{actual}`"));
        }
    }
    Holds::Yes
}

/// `debian` or `debian-12`.
fn is_os(os: &str, facts: &Facts) -> bool {
    os == facts.os_id
        || os
            .strip_prefix(&facts.os_id)
            .and_then(|rest| rest.strip_prefix('-'))
            .is_some_and(|version| version == facts.os_version)
}

fn apply_waiver(finding: &mut Finding, waivers: &[ReadyWaiver], today: Date) {
    let Some(ready) = waivers
        .iter()
        .filter(|w| w.waiver.rule == finding.rule && w.hosts.contains(&finding.host))
        .max_by_key(|w| w.waiver.expires.clone())
    else {
        return;
    };
    let waiver = &ready.waiver;
    // A date that cannot be read was refused with the document; here it counts as past.
    let expired = waiver
        .expires
        .parse::<Date>()
        .map_or(true, |last| today > last);
    finding.waiver = Some(WaiverNote {
        reason: waiver.reason.clone(),
        owner: waiver.owner.clone(),
        approver: waiver.approver.clone(),
        expires: waiver.expires.clone(),
        expired,
    });
    if expired {
        finding.reason = Some(format!("its waiver expired on {}", waiver.expires));
    } else {
        finding.status = Status::Waived;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::baseline::Exception;
    use crate::document::playbook::Waiver;
    use crate::host::resource::AnyResource;
    use crate::host::snapshot::PackageState;
    use crate::model::Severity;

    fn rule(id: &str) -> ReadyRule {
        ReadyRule {
            id: id.into(),
            title: "t".into(),
            why: "w".into(),
            area: "a".into(),
            severity: Severity::High,
            level: 1,
            controls: Vec::new(),
            when: Vec::new(),
            except: Vec::new(),
            manual: None,
            off: None,
            resources: vec![forwarding()],
            unresolved: None,
        }
    }

    fn forwarding() -> AnyResource {
        serde_json::from_value(serde_json::json!({
            "kernel_module": {"name": "cramfs"}
        }))
        .expect("a resource can be read")
    }

    fn host() -> Snapshot {
        let mut snapshot = Snapshot {
            host: "h".into(),
            ..Snapshot::default()
        };
        snapshot.facts.os_id = "debian".into();
        snapshot.facts.os_version = "12".into();
        snapshot
    }

    fn judged(change: impl FnOnce(&mut ReadyRule, &mut Snapshot)) -> Finding {
        let (mut rule, mut snapshot) = (rule("r"), host());
        change(&mut rule, &mut snapshot);
        let set = RuleSet::new(vec![rule], Default::default(), Vec::new()).expect("no NUL");
        judge(&set, &snapshot, jiff::civil::date(2026, 1, 2))
            .pop()
            .expect("one rule, one finding")
            .finding
    }

    fn failing(snapshot: &mut Snapshot) {
        snapshot.modules = Seen::Yes(Default::default());
    }

    #[test]
    fn what_was_not_seen_is_unknown() {
        assert_eq!(judged(|_, _| {}).status, Status::Unknown);
        let finding = judged(|_, s| s.modules = Seen::No("no rights".into()));
        assert_eq!(finding.status, Status::Unknown);
        assert!(finding.reason.is_some_and(|r| r.contains("no rights")));
        assert_eq!(judged(|_, s| failing(s)).status, Status::Fail);
    }

    #[test]
    fn conditions_say_why_a_rule_does_not_apply() {
        for (when, status) in [
            (r#"{"os": ["debian-12"]}"#, Status::Fail),
            (r#"{"os": ["debian"]}"#, Status::Fail),
            (r#"{"os": ["ubuntu-24.04"]}"#, Status::NotApplicable),
            (r#"{"facts": ["snap"]}"#, Status::NotApplicable),
            (r#"{"without": ["snap"]}"#, Status::Fail),
            (r#"{"packages": ["at"]}"#, Status::Unknown),
            (r#"{"variables": {"x": "1"}}"#, Status::NotApplicable),
        ] {
            let finding = judged(|r, s| {
                failing(s);
                r.when = vec![serde_json::from_str(when).expect("a condition")];
            });
            assert_eq!(finding.status, status, "{when}");
        }
        let finding = judged(|r, s| {
            failing(s);
            r.when = vec![serde_json::from_str(r#"{"packages": ["at"]}"#).expect("a condition")];
            let state = PackageState {
                version: "1".into(),
                status: "config-files".into(),
                hold: false,
            };
            s.packages.insert("at".into(), Seen::Yes(state));
        });
        assert_eq!(finding.status, Status::NotApplicable);
    }

    #[test]
    fn an_exception_is_found_and_told_with_its_reason() {
        let finding = judged(|r, s| {
            failing(s);
            s.facts.found.insert("snap".into(), "/usr/bin/snap".into());
            r.except = vec![Exception {
                fact: "snap".into(),
                reason: "snaps are squashfs images".into(),
            }];
        });
        assert_eq!(finding.status, Status::NotApplicable);
        let reason = finding.reason.unwrap_or_default();
        assert!(reason.contains("squashfs") && reason.contains("/usr/bin/snap"), "{reason}");
    }

    #[test]
    fn rules_that_nobody_can_judge_here_are_never_a_pass() {
        let manual = judged(|r, _| {
            r.resources.clear();
            r.manual = Some("look".into());
        });
        assert_eq!(manual.status, Status::Manual);
        let unsaid = judged(|r, _| {
            r.resources.clear();
            r.unresolved = Some("`x` has no value".into());
        });
        assert_eq!(unsaid.status, Status::Manual);
        let off = judged(|r, _| r.off = Some("not ours".into()));
        assert_eq!(off.status, Status::NotApplicable);
    }

    fn waived(expires: &str, hosts: &[&str]) -> Finding {
        let mut snapshot = host();
        failing(&mut snapshot);
        let waiver = ReadyWaiver {
            waiver: Waiver {
                rule: "r".into(),
                hosts: Vec::new(),
                reason: "reason".into(),
                owner: "o".into(),
                approver: "a".into(),
                expires: expires.into(),
            },
            hosts: hosts.iter().map(|h| (*h).to_owned()).collect(),
        };
        let set =
            RuleSet::new(vec![rule("r")], Default::default(), vec![waiver]).expect("no NUL");
        judge(&set, &snapshot, jiff::civil::date(2026, 1, 2))
            .pop()
            .expect("one finding")
            .finding
    }

    #[test]
    fn a_waiver_holds_to_its_last_day_and_then_fails_loudly() {
        assert_eq!(waived("2026-01-02", &["h"]).status, Status::Waived);
        let expired = waived("2026-01-01", &["h"]);
        assert_eq!(expired.status, Status::Fail);
        assert!(expired.waiver.is_some_and(|w| w.expired));
        assert!(expired.reason.is_some_and(|r| r.contains("expired")));
        assert_eq!(waived("2027-01-01", &["other"]).status, Status::Fail);
        assert_eq!(waived("soon", &["h"]).status, Status::Fail);
    }

    #[test]
    fn texts_of_a_host_are_cleaned() {
        let texts = join(["a\u{1b}[2J", "a\u{1b}[2J", "b"].into_iter());
        assert_eq!(texts, "a·[2J; b");
    }
}
