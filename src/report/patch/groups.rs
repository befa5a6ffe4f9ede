//! Hosts that share one plan, told once.

use std::collections::BTreeMap;

use super::fold::{ChangedView, HostView, PatchView};
use crate::model::patch::{HostPlan, PatchOutcome};

/// Hosts with the very same things to do. What is in their caches may differ: how much each fetches
/// is a range.
pub struct PlanGroup<'a> {
    pub hosts: Vec<&'a HostView>,
    /// The first host's.
    pub plan: &'a HostPlan,
    pub outcome: PatchOutcome,
    /// The least and the most that one of them fetches; `None`: not known of all.
    pub download: Option<(u64, u64)>,
}

/// What two hosts must have alike, as text.
fn key(plan: &HostPlan) -> String {
    let mut same = plan.clone();
    same.host.clear();
    same.download = None;
    for upgrade in &mut same.upgrades {
        upgrade.download = None;
    }
    for image in &mut same.images {
        image.ids.clear();
    }
    serde_json::to_string(&same).unwrap_or_default()
}

/// The plans of a run: the largest group first; hosts with nothing to do and nothing to say last.
pub fn plan_groups(view: &PatchView) -> Vec<PlanGroup<'_>> {
    let is_plan = view.is_plan();
    let mut places: BTreeMap<(String, PatchOutcome), usize> = BTreeMap::new();
    let mut groups: Vec<PlanGroup> = Vec::new();
    for host in &view.hosts {
        let Some(plan) = &host.plan else { continue };
        let outcome = host.outcome(is_plan);
        let each = plan.download.map(|n| (n, n));
        match places.get(&(key(plan), outcome)) {
            Some(at) => {
                let group = &mut groups[*at];
                group.hosts.push(host);
                group.download = (group.download.zip(plan.download))
                    .map(|((least, most), n)| (least.min(n), most.max(n)));
            }
            None => {
                places.insert((key(plan), outcome), groups.len());
                groups.push(PlanGroup {
                    hosts: vec![host],
                    plan,
                    outcome,
                    download: each,
                });
            }
        }
    }
    groups.sort_by_key(|group| (is_idle(group.plan), std::cmp::Reverse(group.hosts.len())));
    groups
}

/// Nothing to do, and nothing to say.
pub fn is_idle(plan: &HostPlan) -> bool {
    plan.is_empty()
        && plan.withheld.is_empty()
        && plan.images.is_empty()
        && plan.blockers.is_empty()
        && plan.notes.is_empty()
        && plan.restarts.is_empty()
}

/// A package that several hosts changed alike.
pub struct MergedPackage<'a> {
    pub package: &'a str,
    pub from: &'a str,
    pub to: &'a str,
    pub hosts: Vec<&'a str>,
}

/// Packages that were changed and stayed so (or went back), each once; what most hosts share first.
pub fn merged_packages(view: &PatchView, back: bool) -> Vec<MergedPackage<'_>> {
    let mut by_change: BTreeMap<(&str, &str, &str), Vec<&str>> = BTreeMap::new();
    for host in &view.hosts {
        let changes = if back { &host.back } else { &host.changed };
        for change in changes {
            let went_back = |b: &ChangedView| {
                (&b.package, &b.from, &b.to) == (&change.package, &change.to, &change.from)
            };
            if !back && host.back.iter().any(went_back) {
                continue;
            }
            by_change
                .entry((&change.package, &change.from, &change.to))
                .or_default()
                .push(&host.name);
        }
    }
    let mut merged: Vec<MergedPackage> = by_change
        .into_iter()
        .map(|((package, from, to), hosts)| MergedPackage {
            package,
            from,
            to,
            hosts,
        })
        .collect();
    merged.sort_by_key(|m| std::cmp::Reverse(m.hosts.len()));
    merged
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::patch::fixture;

    #[test]
    fn hosts_with_the_same_plan_are_one_group_whatever_their_caches_hold() {
        let view = fixture::fold(&fixture::plan());
        let groups = plan_groups(&view);
        assert_eq!(groups[0].hosts.len(), 10);
        assert_eq!(groups[0].plan.upgrades.len(), 5);
        assert_eq!(groups[0].download, Some((0, 4_120_000)));
        let all: usize = groups.iter().map(|g| g.hosts.len()).sum();
        assert_eq!(all, view.hosts.iter().filter(|h| h.plan.is_some()).count());
        assert!(is_idle(groups.last().unwrap().plan));
    }

    #[test]
    fn what_went_back_did_not_stay_changed() {
        let view = fixture::fold(&fixture::run());
        let merged = merged_packages(&view, false);
        let of = |name: &str| merged.iter().find(|m| m.package == name).unwrap();
        assert_eq!(of("openssl").hosts, ["web01", "db1"]);
        assert_eq!(of("acme-agent").hosts, ["web01", "web02", "db1"]);
        assert_eq!(merged_packages(&view, true).len(), 4);
    }
}
