//! Rules made ready for a host: variables filled in, playbook's wishes applied, and the one
//! program that observes all that they need.
//!
//! Hosts with the same variables share one [`RuleSet`].

use std::collections::BTreeMap;

use crate::document::baseline::{Condition, Exception};
use crate::document::playbook::Waiver;
use crate::model::{Control, Severity};
use crate::shell::{Nonce, NulInText};

use super::probe::{self, Queries};
use super::resource::AnyResource;

/// One rule, ready to be judged.
#[derive(Clone, Debug)]
pub struct ReadyRule {
    pub id: String,
    pub title: String,
    pub why: String,
    pub area: String,
    pub severity: Severity,
    pub level: u8,
    pub controls: Vec<Control>,
    /// Its own condition and its baseline's: all must hold.
    pub when: Vec<Condition>,
    pub except: Vec<Exception>,
    pub manual: Option<String>,
    /// The playbook switched it off; why.
    pub off: Option<String>,
    pub resources: Vec<AnyResource>,
    /// A variable that it takes has no value on this host.
    pub unresolved: Option<String>,
}

/// A waiver with the hosts that it names already found.
#[derive(Clone, Debug)]
pub struct ReadyWaiver {
    pub waiver: Waiver,
    pub hosts: Vec<String>,
}

/// All rules for one set of variables, and what must be observed for them.
#[derive(Debug)]
pub struct RuleSet {
    pub rules: Vec<ReadyRule>,
    /// What conditions compare with.
    pub variables: BTreeMap<String, String>,
    pub waivers: Vec<ReadyWaiver>,
    pub queries: Queries,
    observe: probe::Program,
}

impl RuleSet {
    /// Collects what the rules ask for and writes the program once.
    ///
    /// Fails only if a document's text holds a NUL byte.
    pub fn new(
        rules: Vec<ReadyRule>,
        variables: BTreeMap<String, String>,
        waivers: Vec<ReadyWaiver>,
    ) -> Result<RuleSet, NulInText> {
        let mut queries = Queries::default();
        for rule in rules.iter().filter(|r| r.off.is_none()) {
            for condition in &rule.when {
                queries.packages.extend(condition.packages.iter().cloned());
            }
            for resource in rule.resources.iter().filter_map(AnyResource::get) {
                resource.ask(&mut queries);
            }
        }
        let observe = probe::Program::new(&queries)?;
        Ok(RuleSet {
            rules,
            variables,
            waivers,
            queries,
            observe,
        })
    }

    /// No rules, only an observation: what rollback compares with.
    pub fn of_queries(queries: Queries) -> Result<RuleSet, NulInText> {
        Ok(RuleSet {
            rules: Vec::new(),
            variables: BTreeMap::new(),
            waivers: Vec::new(),
            observe: probe::Program::new(&queries)?,
            queries,
        })
    }

    /// The program that observes everything; it writes nothing on the host.
    pub fn observe_program(&self, nonce: &Nonce) -> String {
        self.observe.whole(nonce)
    }

    /// The functions and the calls of the observing program, to stand in a larger one.
    pub fn observe_parts(&self) -> (&str, &str) {
        self.observe.parts()
    }
}
