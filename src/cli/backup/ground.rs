//! What every verb begins with: the policy, its stores, and whose signature counts.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;

use crate::backup::age::Recipients;
use crate::backup::store::{self, Store};
use crate::document::policy::{Policy, SourceDocument, StoreDocument};
use crate::document::{Disk, LoadedPolicy, diagnostic, load_policy};
use crate::sign::Trusted;

use super::super::setup::tell;
use super::super::signing::own_trusted;

/// A policy that is sound.
pub struct Ground {
    pub loaded: LoadedPolicy,
    /// What relative store directories are relative to: the policy's own folder.
    base: PathBuf,
}

impl Ground {
    /// Reads the policy; all that is wrong with it is told.
    pub fn read(path: &Path) -> anyhow::Result<Ground> {
        let loaded = match load_policy(path, &Disk) {
            Ok(loaded) => loaded,
            Err(found) => {
                tell(&found)?;
                anyhow::bail!("the policy could not be read");
            }
        };
        tell(&loaded.warnings)?;
        let base = path.parent().unwrap_or(Path::new("")).to_owned();
        Ok(Ground { loaded, base })
    }

    pub fn policy(&self) -> &Policy {
        &self.loaded.policy
    }

    /// The sources of these names; all where none is given.
    pub fn sources(&self, names: &[String]) -> anyhow::Result<Vec<&SourceDocument>> {
        let all = &self.policy().sources;
        if names.is_empty() {
            return Ok(all.iter().collect());
        }
        names
            .iter()
            .map(|name| {
                all.iter().find(|s| s.source == *name).with_context(|| {
                    let known: Vec<&str> = all.iter().map(|s| s.source.as_str()).collect();
                    unknown("source", name, &known)
                })
            })
            .collect()
    }

    /// The stores of a source, in the order of its `to`; of these, only `only` where that is given.
    pub fn stores<'a>(
        &'a self,
        source: &'a SourceDocument,
        only: Option<&str>,
    ) -> anyhow::Result<Vec<(&'a str, &'a StoreDocument)>> {
        let stores = &self.policy().stores;
        let names: Vec<&str> = match source.to.is_empty() {
            true => stores.keys().map(String::as_str).collect(),
            false => source.to.iter().map(String::as_str).collect(),
        };
        if let Some(only) = only.filter(|only| !names.contains(only)) {
            anyhow::bail!(
                "{} is not kept there: {}",
                source.source,
                unknown("store", only, &names)
            );
        }
        Ok(names
            .into_iter()
            .filter(|name| only.is_none_or(|only| only == *name))
            .filter_map(|name| Some((name, stores.get(name)?)))
            .collect())
    }

    pub fn open(&self, store: &StoreDocument) -> anyhow::Result<Arc<dyn Store>> {
        Ok(store::open(store, &self.base)?)
    }

    /// Whose signature counts: the policy's `signers`, else this machine's own key.
    pub fn trusted(&self) -> anyhow::Result<Trusted> {
        let signers = &self.policy().signers;
        match signers.is_empty() {
            true => own_trusted(),
            false => Ok(Trusted::parse(signers.iter().map(String::as_str))
                .context("the policy's `signers`")?),
        }
    }

    /// Whom backups are encrypted to; asks nobody.
    pub fn recipients(&self) -> anyhow::Result<Recipients> {
        let policy = self.policy();
        match &policy.passphrase_env {
            Some(name) => {
                let passphrase = std::env::var(name)
                    .ok()
                    .filter(|passphrase| !passphrase.is_empty())
                    .with_context(|| {
                        format!("the policy wants a passphrase in ${name}, and it is not set")
                    })?;
                Ok(Recipients::passphrase(passphrase.into()))
            }
            None => Ok(Recipients::parse(&policy.recipients).context("the policy's `recipients`")?),
        }
    }

    /// Path → hash of what was read, for the journal.
    pub fn documents(&self) -> BTreeMap<String, String> {
        self.loaded.documents.clone()
    }
}

fn unknown(what: &str, name: &str, known: &[&str]) -> String {
    let near = diagnostic::nearest(name, known.iter().copied())
        .map(|near| format!("did you mean `{near}`?"))
        .unwrap_or_else(|| format!("there are: {}", known.join(", ")));
    format!(
        "no {what} is called `{}`; {near}",
        crate::shell::clean(name, 80)
    )
}
