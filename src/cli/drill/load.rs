//! What a drill is carried out with: its documents, or what a run has kept of them; keys; the
//! provider.

use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use secrecy::SecretString;

use crate::backup::age::{Identities, IdentitySources};
use crate::cli::setup::tell;
use crate::cli::signing::own_trusted;
use crate::document::{Disk, load_drill};
use crate::drill::local::{LocalProvider, LocalSetup};
use crate::drill::plan::Plan;
use crate::drill::provider::Provider;
use crate::drill::run::PLAN_FILE;
use crate::journal::{Event, RunFolder, sha256};
use crate::shell::clean;
use crate::sign::Trusted;

const IDENTITY_VARIABLE: &str = "SEAWALL_AGE_IDENTITY";

/// Reads and checks the drill and its policy; tells all that is wrong.
pub fn plan(file: &Path) -> anyhow::Result<Plan> {
    let loaded = match load_drill(file, &Disk) {
        Ok(loaded) => loaded,
        Err(found) => {
            tell(&found)?;
            anyhow::bail!("the drill could not be read");
        }
    };
    tell(&loaded.warnings)?;
    let folder = std::env::current_dir().context("asking where we are")?;
    Ok(Plan::new(loaded, folder)?)
}

/// The plan that a run has kept. `None`: its process died before anything was made.
///
/// # Errors
/// When the run is no drill, or its plan is not the one that its journal names.
pub fn kept(folder: &RunFolder) -> anyhow::Result<Option<Plan>> {
    let mut hash = None;
    for record in folder.open()? {
        if let Event::RunStarted {
            verb, documents, ..
        } = record?.event
        {
            anyhow::ensure!(
                verb == "drill",
                "run {} is no drill but a `{}`",
                folder.id,
                clean(&verb, 40)
            );
            hash = documents.get(PLAN_FILE).cloned();
            break;
        }
    }
    let Some(hash) = hash else {
        return Ok(None);
    };
    let path = folder.path.join(PLAN_FILE);
    let text = std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
    anyhow::ensure!(
        sha256(&text) == hash,
        "{} was changed after the drill began: nothing is done by it",
        path.display()
    );
    let plan = serde_json::from_slice(&text)
        .with_context(|| format!("{} is not of this version of Seawall", path.display()))?;
    Ok(Some(plan))
}

/// The keys that open the backups; passphrases are asked for now, before any clock runs.
pub fn identities(plan: &Plan) -> anyhow::Result<Identities> {
    if plan.drill.policy.is_none() {
        return no_identities();
    }
    let path = plan.drill_path();
    let base = path.parent().unwrap_or(Path::new("/"));
    let variable = |name: &str| std::env::var(name).ok().map(SecretString::from);
    let sources = IdentitySources {
        files: plan.drill.identities.iter().map(|f| base.join(f)).collect(),
        text: variable(IDENTITY_VARIABLE),
        passphrase: plan.policy.passphrase_env.as_deref().and_then(variable),
    };
    Ok(Identities::gather(sources, &ask)?)
}

/// None: what opens no backup needs none.
pub fn no_identities() -> anyhow::Result<Identities> {
    Ok(Identities::gather(IdentitySources::default(), &|_| None)?)
}

fn ask(what: &str) -> Option<SecretString> {
    let question = format!("{}: ", clean(what, 200));
    std::io::stdin()
        .is_terminal()
        .then(|| rpassword::prompt_password(question).ok())
        .flatten()
        .map(SecretString::from)
}

/// Whose signatures on backups count: those that the policy names, else this machine's own.
fn trusted(plan: &Plan) -> anyhow::Result<Trusted> {
    match plan.policy.signers.is_empty() {
        true => own_trusted(),
        false => Trusted::parse(plan.policy.signers.iter().map(String::as_str))
            .context("the policy's `signers`"),
    }
}

/// What a drill is carried out by.
pub enum Means {
    Local(Arc<LocalProvider>),
    #[cfg(feature = "aws")]
    Aws(Arc<crate::cloud::AwsProvider>),
}

impl Means {
    pub fn provider(self) -> Arc<dyn Provider> {
        match self {
            Means::Local(provider) => provider,
            #[cfg(feature = "aws")]
            Means::Aws(provider) => provider,
        }
    }
}

/// The provider that the document's scratch asks for. Nothing is contacted yet.
///
/// # Errors
/// When it is one of AWS and this program was built without it; when signers cannot be read.
pub fn means(plan: &Plan, identities: Identities) -> anyhow::Result<Means> {
    match plan.drill.scratch.aws {
        Some(_) => aws(plan, identities),
        None => local(plan, identities),
    }
}

fn random(below: usize) -> usize {
    let random = uuid::Uuid::new_v4().as_u128();
    let below = u128::try_from(below).unwrap_or(1).max(1);
    usize::try_from(random % below).unwrap_or(0)
}

fn local(plan: &Plan, identities: Identities) -> anyhow::Result<Means> {
    Ok(Means::Local(Arc::new(LocalProvider::new(LocalSetup {
        drill: plan.drill.clone(),
        drill_path: plan.drill_path(),
        policy: plan.policy.clone(),
        policy_path: plan.policy_path(),
        identities: Arc::new(identities),
        trusted: trusted(plan)?,
        random: Arc::new(random),
    }))))
}

#[cfg(feature = "aws")]
fn aws(plan: &Plan, identities: Identities) -> anyhow::Result<Means> {
    use crate::cloud::{Access, AwsProvider, CloudSetup};
    use crate::journal::state_dir;
    use crate::reach::{ConfigSource, SshOptions, SshReach};
    let variable = |name: &str| std::env::var(name).ok();
    // Which key opens an instance, and which key an instance has, stand in the drill: nobody's own
    // configuration may lead elsewhere, and nobody is asked while a clock runs.
    let reach = SshReach::new(SshOptions {
        config: ConfigSource::None,
        ..SshOptions::default()
    });
    let setup = CloudSetup {
        drill: plan.drill.clone(),
        drill_path: plan.drill_path(),
        policy: plan.policy.clone(),
        policy_path: plan.policy_path(),
        identities: Arc::new(identities),
        trusted: trusted(plan)?,
        random: Arc::new(random),
        access: Access::from_env(variable),
        state_dir: state_dir(|name| std::env::var_os(name))?,
        reach: Arc::new(reach),
        variable: Arc::new(variable),
    };
    let provider = AwsProvider::new(setup).map_err(anyhow::Error::msg)?;
    Ok(Means::Aws(Arc::new(provider)))
}

#[cfg(not(feature = "aws"))]
fn aws(_plan: &Plan, _identities: Identities) -> anyhow::Result<Means> {
    anyhow::bail!(
        "this drill is held in AWS, and this seawall was built without AWS: build it with its \
         default features (`cargo install --locked --path .`)"
    )
}
