//! A drill's document, with its policy, put in order. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::document::LoadedDrill;
use crate::document::drill::aws::AwsRestore;
use crate::document::drill::{Drill, Proof, Restore, Step};
use crate::document::policy::Policy;
use crate::journal::{AssumedNote, DrillEvent, StepNote};
use crate::model::drill::Ended;
use crate::shell::clean;

/// A drill that can be run. A copy of it is kept in the run's folder: `resume` and `sweep` work
/// from that, whatever has become of the documents.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Plan {
    pub drill: Drill,
    pub policy: Policy,
    /// Where paths were given from, absolute: another process may stand elsewhere.
    pub folder: PathBuf,
    /// The drill's document, as the path that was given; paths in it are relative to its folder.
    pub path: String,
    pub policy_path: String,
    /// Path → SHA-256 of each document that was read.
    pub documents: BTreeMap<String, String>,
    /// Indices into `drill.steps`, so that each stands after those that it needs; else in the
    /// document's order.
    pub order: Vec<usize>,
}

/// Why a drill cannot be put in order. The documents' own checks say it with line and column.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    #[error("the drill has no steps, so there is nothing to prove")]
    NoSteps,
    #[error("two steps are called `{0}`: give each its own name")]
    Twice(String),
    #[error("step `{step}` needs `{need}`, which is no step of this drill")]
    Unknown { step: String, need: String },
    #[error("these steps need each other, so that none of them can be first: {}", .0.join(", "))]
    Cycle(Vec<String>),
    #[error("step `{0}` has no proof: nothing would say that it recovered")]
    NoProof(String),
    #[error("`disaster: {0}` is no time such as 2026-11-20T07:35:14Z")]
    NoTime(String),
}

impl Plan {
    /// `folder`: where relative paths start, absolute.
    pub fn new(loaded: LoadedDrill, folder: PathBuf) -> Result<Plan, PlanError> {
        let order = order(&loaded.drill.steps)?;
        Ok(Plan {
            drill: loaded.drill,
            policy: loaded.policy,
            folder,
            path: loaded.path,
            policy_path: loaded.policy_path,
            documents: loaded.documents,
            order,
        })
    }

    /// The drill's document, absolute.
    pub fn drill_path(&self) -> PathBuf {
        self.folder.join(&self.path)
    }

    /// The policy's document, absolute.
    pub fn policy_path(&self) -> PathBuf {
        self.folder.join(&self.policy_path)
    }

    /// The steps, each after those that it needs.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.order.iter().filter_map(|i| self.drill.steps.get(*i))
    }

    pub fn step(&self, name: &str) -> Option<&Step> {
        self.drill.steps.iter().find(|s| s.step == name)
    }

    /// When the disaster struck, where the document says it.
    pub fn disaster(&self) -> Result<Option<Timestamp>, PlanError> {
        let given = self.drill.disaster.as_deref();
        given
            .map(|text| text.parse().map_err(|_| PlanError::NoTime(clean(text, 60))))
            .transpose()
    }

    /// How many steps run side by side at most; at least one.
    pub fn parallel(&self) -> usize {
        usize::try_from(self.drill.parallel.max(1)).unwrap_or(usize::MAX)
    }

    /// All that a step needs, directly or not.
    pub fn all_needs(&self, name: &str) -> BTreeSet<&str> {
        let mut found = BTreeSet::new();
        let mut ask = vec![name];
        while let Some(name) = ask.pop() {
            for need in self.step(name).iter().flat_map(|s| &s.needs) {
                if found.insert(need.as_str()) {
                    ask.push(need);
                }
            }
        }
        found
    }

    /// The steps that can begin now, in order: not begun, and all that they need recovered.
    /// `begun` has those that have begun; `ended` how those that have ended did.
    pub fn ready<'p>(
        &'p self,
        begun: &BTreeSet<String>,
        ended: &BTreeMap<String, Ended>,
    ) -> impl Iterator<Item = &'p Step> {
        self.steps().filter(move |step| {
            !begun.contains(&step.step)
                && step
                    .needs
                    .iter()
                    .all(|need| ended.get(need) == Some(&Ended::Well))
        })
    }

    /// What the journal says of the drill at its beginning.
    pub fn declared(&self, run: &str, provider: &str, by: &str) -> DrillEvent {
        let drill = &self.drill;
        let mut off_limits = drill.lost.paths.clone();
        off_limits.extend(drill.lost.hosts.clone());
        off_limits.extend(drill.lost.places.iter().map(|p| format!("the place {p}")));
        off_limits.extend(drill.lost.regions.iter().map(|r| format!("the region {r}")));
        DrillEvent::Declared {
            run: run.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            drill: drill.drill.clone(),
            title: drill.title.clone(),
            provider: provider.to_owned(),
            playbook: self.path.clone(),
            documents: self.documents.clone(),
            by: by.to_owned(),
            lost: drill.lost.what.clone(),
            off_limits,
            scratch: drill.scratch.shown(),
            rto_target_ms: drill.objectives.rto.map(|s| millis(s.0)),
            rpo_target_ms: drill.objectives.rpo.map(|s| millis(s.0)),
            assumed: drill
                .assumed
                .iter()
                .map(|assumed| AssumedNote {
                    what: assumed.what.clone(),
                    ms: millis(assumed.takes.0),
                    why: assumed.why.clone(),
                })
                .collect(),
            parallel: drill.parallel.max(1),
            steps: self.steps().map(note).collect(),
        }
    }
}

/// A length of time in whole milliseconds.
pub fn millis(length: std::time::Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}

fn note(step: &Step) -> StepNote {
    StepNote {
        step: step.step.clone(),
        needs: step.needs.clone(),
        kind: match (&step.aws, &step.start) {
            (None, None) => StepNote::RESTORE,
            (Some(aws), None) if aws.fresh.is_none() => StepNote::RECOVERY_POINT,
            _ => StepNote::START,
        }
        .to_owned(),
        what: what(step),
        rto_target_ms: step.objectives.rto.map(|s| millis(s.0)),
        rpo_target_ms: step.objectives.rpo.map(|s| millis(s.0)),
        deadline_ms: millis(step.deadline.0),
        proofs: step.proofs.iter().map(|p| p.proof.clone()).collect(),
    }
}

/// A step in words: `db from local, into the PostgreSQL database app`.
pub fn what(step: &Step) -> String {
    if let Some(restore) = &step.restore {
        let from = match &restore.store {
            Some(store) => format!("{} from {store}", restore.source),
            None => restore.source.clone(),
        };
        return format!("{from}, into {}", whereto(restore));
    }
    if let Some(aws) = &step.aws {
        return match &aws.resource {
            Some(resource) => format!("{}, as {}", clean(resource, 200), what_in_aws(aws)),
            None => what_in_aws(aws),
        };
    }
    match &step.start {
        Some(start) => format!("start {}", clean(&start.run.join(" "), 120)),
        None => "nothing".to_owned(),
    }
}

/// What a recovery point is restored as, in words.
pub fn what_in_aws(aws: &AwsRestore) -> String {
    if aws.volume.is_some() {
        "an EBS volume".to_owned()
    } else if let Some(instance) = &aws.instance {
        format!("an EC2 instance ({})", clean(&instance.kind, 40))
    } else if let Some(fresh) = &aws.fresh {
        format!(
            "a new EC2 instance ({}) of {}",
            clean(&fresh.kind, 40),
            clean(&fresh.image, 60)
        )
    } else if aws.rds.is_some() {
        "an RDS instance".to_owned()
    } else if let Some(aurora) = &aws.aurora {
        format!(
            "an Aurora cluster with {} of {}",
            aurora.instances,
            clean(&aurora.class, 40)
        )
    } else if aws.s3.is_some() {
        "an S3 bucket".to_owned()
    } else if aws.dynamodb.is_some() {
        "a DynamoDB table".to_owned()
    } else if aws.efs.is_some() {
        "an EFS file system".to_owned()
    } else {
        "nothing".to_owned()
    }
}

/// What a backup goes to, in words.
pub fn whereto(restore: &Restore) -> String {
    if let Some(database) = &restore.postgresql {
        format!("the PostgreSQL database {}", database.database)
    } else if let Some(name) = &restore.repository {
        format!("the repository {name}")
    } else if let (Some(name), Some(step)) = (&restore.directory, &restore.onto) {
        format!("{name} on the instance of {step}")
    } else if let Some(name) = &restore.directory {
        format!("the directory {name}")
    } else {
        "nothing".to_owned()
    }
}

/// Which kind of proof it is, as the document calls it.
pub fn kind(proof: &Proof) -> &'static str {
    if proof.manifest.is_some() {
        "manifest"
    } else if proof.files.is_some() {
        "files"
    } else if proof.sql.is_some() {
        "sql"
    } else if proof.canary.is_some() {
        "canary"
    } else if proof.http.is_some() {
        "http"
    } else if proof.command.is_some() {
        "command"
    } else if proof.git.is_some() {
        "git"
    } else if proof.meets.is_some() {
        "meets"
    } else if proof.objects.is_some() {
        "objects"
    } else if proof.items.is_some() {
        "items"
    } else {
        "nothing"
    }
}

/// Indices of the steps, so that each stands after those that it needs; where several could be
/// next, the document's order decides.
fn order(steps: &[Step]) -> Result<Vec<usize>, PlanError> {
    if steps.is_empty() {
        return Err(PlanError::NoSteps);
    }
    let mut index: BTreeMap<&str, usize> = BTreeMap::new();
    for (i, step) in steps.iter().enumerate() {
        if index.insert(&step.step, i).is_some() {
            return Err(PlanError::Twice(step.step.clone()));
        }
        if step.proofs.is_empty() {
            return Err(PlanError::NoProof(step.step.clone()));
        }
    }
    let mut open: Vec<BTreeSet<usize>> = Vec::with_capacity(steps.len());
    let mut wanted_by: Vec<Vec<usize>> = vec![Vec::new(); steps.len()];
    for (i, step) in steps.iter().enumerate() {
        let mut needs = BTreeSet::new();
        for need in &step.needs {
            let Some(at) = index.get(need.as_str()) else {
                return Err(PlanError::Unknown {
                    step: step.step.clone(),
                    need: clean(need, 80),
                });
            };
            if needs.insert(*at)
                && let Some(list) = wanted_by.get_mut(*at)
            {
                list.push(i);
            }
        }
        open.push(needs);
    }
    let mut next: BTreeSet<usize> = (0..steps.len())
        .filter(|i| open.get(*i).is_some_and(BTreeSet::is_empty))
        .collect();
    let mut out = Vec::with_capacity(steps.len());
    while let Some(i) = next.pop_first() {
        out.push(i);
        for wants in wanted_by.get(i).into_iter().flatten() {
            if let Some(needs) = open.get_mut(*wants) {
                needs.remove(&i);
                if needs.is_empty() {
                    next.insert(*wants);
                }
            }
        }
    }
    if out.len() == steps.len() {
        return Ok(out);
    }
    let left = |i: &usize| !out.contains(i);
    Err(PlanError::Cycle(
        (0..steps.len())
            .filter(left)
            .filter_map(|i| steps.get(i).map(|s| s.step.clone()))
            .collect(),
    ))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A drill of steps `name: needs`, each with one proof that its data is there.
    pub(crate) fn plan_of(steps: &[(&str, &[&str])], more: serde_json::Value) -> Plan {
        let steps: Vec<serde_json::Value> = steps
            .iter()
            .map(|(name, needs)| {
                serde_json::json!({
                    "step": name, "needs": needs,
                    "restore": {"source": name, "directory": name},
                    "proofs": [{"proof": "as backed up", "manifest": true}],
                })
            })
            .collect();
        let mut drill = serde_json::json!({
            "drill": "test", "title": "A test", "lost": {"what": "the primary"},
            "policy": "policy.yaml", "scratch": {"directory": "/nowhere/scratch"},
            "objectives": {"rto": "1h", "rpo": "24h"}, "steps": steps,
        });
        if let (Some(drill), Some(more)) = (drill.as_object_mut(), more.as_object()) {
            drill.extend(more.clone());
        }
        let policy = serde_json::json!({
            "policy": "p", "title": "P", "stores": {}, "sources": [],
        });
        let loaded = LoadedDrill {
            drill: serde_json::from_value(drill).unwrap(),
            path: "drill.yaml".into(),
            policy: serde_json::from_value(policy).unwrap(),
            policy_path: "policy.yaml".into(),
            documents: BTreeMap::new(),
            warnings: Vec::new(),
        };
        Plan::new(loaded, PathBuf::from("/nowhere")).unwrap()
    }

    fn steps(of: &[(&str, &[&str])]) -> Vec<Step> {
        of.iter()
            .map(|(name, needs)| {
                serde_json::from_value(serde_json::json!({
                    "step": name, "needs": needs,
                    "proofs": [{"proof": "x", "manifest": true}],
                }))
                .unwrap()
            })
            .collect()
    }

    #[test]
    fn each_step_stands_after_those_that_it_needs_else_in_the_documents_order() {
        let all = steps(&[
            ("app", &["db", "files"]),
            ("x", &[]),
            ("db", &[]),
            ("files", &["x"]),
        ]);
        assert_eq!(order(&all).unwrap(), [1, 2, 3, 0]);
    }

    #[test]
    fn what_cannot_be_ordered_is_refused_without_a_panic() {
        assert_eq!(order(&[]), Err(PlanError::NoSteps));
        let twice = order(&steps(&[("a", &[]), ("a", &[])]));
        assert_eq!(twice, Err(PlanError::Twice("a".into())));
        let unknown = order(&steps(&[("a", &["b"])])).unwrap_err();
        assert!(unknown.to_string().contains("`b`"), "{unknown}");
        let round = order(&steps(&[
            ("a", &["c"]),
            ("b", &["a"]),
            ("c", &["b"]),
            ("d", &[]),
        ]));
        assert_eq!(
            round,
            Err(PlanError::Cycle(vec!["a".into(), "b".into(), "c".into()]))
        );
        let itself = order(&steps(&[("a", &["a"])]));
        assert_eq!(itself, Err(PlanError::Cycle(vec!["a".into()])));
        let mut bare = steps(&[("a", &[])]);
        bare[0].proofs.clear();
        assert_eq!(order(&bare), Err(PlanError::NoProof("a".into())));
    }

    #[test]
    fn a_step_is_ready_when_all_that_it_needs_has_recovered() {
        let plan = plan_of(
            &[("a", &[]), ("b", &["a"]), ("c", &["a", "b"]), ("d", &[])],
            serde_json::json!({}),
        );
        let ready = |begun: &[&str], well: &[&str]| -> Vec<String> {
            let begun = begun.iter().map(|s| (*s).to_owned()).collect();
            let ended = well.iter().map(|s| ((*s).to_owned(), Ended::Well));
            let ended = ended.collect();
            let found = plan.ready(&begun, &ended);
            found.map(|s| s.step.clone()).collect()
        };
        assert_eq!(ready(&[], &[]), ["a", "d"]);
        assert_eq!(ready(&["a", "d"], &["a"]), ["b"]);
        assert_eq!(ready(&["a", "b", "d"], &["a", "b"]), ["c"]);
        assert_eq!(plan.all_needs("c"), BTreeSet::from(["a", "b"]));
        assert!(plan.all_needs("a").is_empty());
    }

    /// What is restored has an age, and a machine that is made anew has none.
    #[test]
    fn a_step_is_noted_as_what_it_restores() {
        let mut all = steps(&[
            ("archive", &[]),
            ("point", &[]),
            ("fresh", &[]),
            ("app", &[]),
        ]);
        let aws = |kind: &str, value: serde_json::Value| {
            serde_json::from_value(serde_json::json!({"resource": "arn:x", kind: value})).unwrap()
        };
        let machine = serde_json::json!({
            "image": "ami-1", "type": "t3.micro", "ssh": {"user": "admin"},
        });
        all[1].aws = Some(aws("rds", serde_json::json!({})));
        all[2].aws = Some(aws("fresh", machine));
        all[3].start =
            Some(serde_json::from_value(serde_json::json!({"run": ["x"], "health": {}})).unwrap());
        let notes: Vec<StepNote> = all.iter().map(note).collect();
        let kinds: Vec<&str> = notes.iter().map(|n| n.kind.as_str()).collect();
        assert_eq!(kinds, ["restore", "recovery-point", "start", "start"]);
        let aged: Vec<bool> = notes.iter().map(StepNote::restores).collect();
        assert_eq!(aged, [true, true, false, false]);
        assert!(notes[0].wants_signature() && !notes[1].wants_signature());
    }

    #[test]
    fn a_plan_that_was_kept_is_the_same() {
        let plan = plan_of(
            &[("a", &[]), ("b", &["a"])],
            serde_json::json!({"parallel": 2}),
        );
        let text = serde_json::to_string(&plan).unwrap();
        let again: Plan = serde_json::from_str(&text).unwrap();
        assert_eq!(again.drill, plan.drill);
        assert_eq!(again.order, plan.order);
    }
}
