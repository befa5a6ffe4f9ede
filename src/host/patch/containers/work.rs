//! The jobs about images. Pure: programs are written here, and run elsewhere.

use serde_json::Value;

use super::decide::{called, compose_major, is_compose};
use super::reference::Reference;
use super::{options, replay};
use crate::document::patch::Containers;
use crate::host::patch::job::Job;
use crate::model::patch::{ContainerSeen, Engine, ImagePlan, ImageWork};
use crate::shell::{NulInText, quote, quote_all};

const COMMON: &str = include_str!("sh/job.sh");
const OPTIONS: &str = include_str!("sh/options.sh");
const COMPOSE: &str = include_str!("sh/compose.sh");

/// Seconds that a pull may take, over all that is waited for.
const PULL: u64 = 1800;

/// What a job is written from.
struct Order<'a> {
    plan: &'a ImagePlan,
    container: &'a ContainerSeen,
    wanted: &'a Containers,
}

/// See [`super::update`].
pub(super) fn update(
    name: &str,
    plan: &ImagePlan,
    seen: &[ContainerSeen],
    wanted: &Containers,
) -> Result<Job, NulInText> {
    let what = format!("updating the image of {}", plan.container);
    job(name, &what, "update", plan, seen, wanted)
}

/// See [`super::back`].
pub(super) fn back(
    name: &str,
    plan: &ImagePlan,
    seen: &[ContainerSeen],
    wanted: &Containers,
) -> Result<Job, NulInText> {
    let what = format!("putting the image of {} back", plan.container);
    job(name, &what, "back", plan, seen, wanted)
}

fn job(
    name: &str,
    what: &str,
    verb: &str,
    plan: &ImagePlan,
    seen: &[ContainerSeen],
    wanted: &Containers,
) -> Result<Job, NulInText> {
    let within = wanted.healthy_within.0.as_secs();
    let steady = wanted.steady_for.0.as_secs();
    // Forwards, and back again.
    let replicas = u64::try_from(plan.ids.len()).unwrap_or(1).max(1);
    let limit = PULL + 2 * replicas * (within + steady + 120);
    let container = seen
        .iter()
        .find(|c| c.engine == plan.engine && plan.ids.first() == Some(&c.id));
    let order = container.map(|container| Order {
        plan,
        container,
        wanted,
    });
    let written = match &order {
        None => Err("it is not in what was seen of the host".to_owned()),
        Some(order) => order.write(verb)?,
    };
    Ok(match written {
        Ok((functions, calls)) => Job::new(name, what, &functions, &calls, limit),
        // A plan that does not fit its own snapshot: nothing is done, and that is said.
        Err(why) => {
            let text = format!("unchanged - - {why}");
            let calls = format!(
                "say image {} {}\njob_end 1\n",
                quote(&plan.container)?,
                quote(&text)?
            );
            Job::new(name, what, "", &calls, limit)
        }
    })
}

type Program = Result<(String, String), String>;

impl Order<'_> {
    fn write(&self, verb: &str) -> Result<Program, NulInText> {
        let ImageWork::Update { with } = &self.plan.work else {
            return Ok(Err("it is not to be moved".into()));
        };
        let Some(reference) = Reference::parse(&self.plan.image) else {
            return Ok(Err("its image's name cannot be read".into()));
        };
        let Some(to) = self.plan.registry_digest.as_deref() else {
            return Ok(Err("the digest that it is to have is not known".into()));
        };
        let order = [
            ("ENGINE", self.plan.engine.word()),
            ("NAME", &self.plan.container),
            ("REF", &self.plan.image),
            ("REPO", &reference.written),
            ("FROM", self.plan.digest.as_deref().unwrap_or_default()),
            ("TO", to),
            ("OLD_IMAGE", &self.container.image_id),
            ("FORMER_TAG", &former_tag(&self.container.id)),
        ];
        let mut order = assignments(&order)?;
        let seconds = |span: crate::document::playbook::Span| span.0.as_secs().to_string();
        order += &assignments(&[
            ("WITHIN", &seconds(self.wanted.healthy_within)),
            ("STEADY", &seconds(self.wanted.steady_for)),
            (
                "CHECK",
                check(self.wanted, self.plan, self.container).unwrap_or_default(),
            ),
        ])?;
        let made = if with == "compose" {
            self.by_compose()?
        } else {
            self.by_options()?
        };
        let (functions, more) = match made {
            Ok(made) => made,
            Err(why) => return Ok(Err(why)),
        };
        let with = if with == "compose" {
            "compose"
        } else {
            "options"
        };
        order += &more;
        // A function, since what cleans up after a job needs it too.
        let functions = format!("{COMMON}{functions}image_order() {{\n{order}}}\n");
        Ok(Ok((functions, format!("image_order\n{verb}_by_{with}\n"))))
    }

    fn by_compose(&self) -> Result<Program, NulInText> {
        if !is_compose(self.container) || called(self.container) != self.plan.container {
            return Ok(Err("it is no longer the same project and service".into()));
        }
        let major = match compose_major(self.container) {
            Ok(major) => major,
            Err(why) => return Ok(Err(why)),
        };
        let labels = self.container.inspect.pointer("/Config/Labels");
        let env_files = labels
            .and_then(|l| l.get("com.docker.compose.project.environment_file"))
            .and_then(Value::as_str)
            .unwrap_or_default();
        let calls = assignments(&[
            ("PROJECT", &self.container.project),
            ("SERVICE", &self.container.service),
            ("FOLDER", &self.container.working_dir),
            ("FILES", &self.container.config_files),
            ("ENV_FILES", env_files),
            ("MAJOR", &major.to_string()),
            ("COUNT", &self.plan.ids.len().to_string()),
            ("OLD", &self.plan.ids.join(" ")),
            ("PORTS", &exposed(&self.container.inspect)),
        ])?;
        Ok(Ok((COMPOSE.to_owned(), calls)))
    }

    fn by_options(&self) -> Result<Program, NulInText> {
        let (create, ports, restart) = match self.container.engine {
            Engine::Docker => match self.docker_create()? {
                Ok(made) => made,
                Err(why) => return Ok(Err(why)),
            },
            Engine::Podman => match self.podman_create()? {
                Ok(made) => made,
                Err(why) => return Ok(Err(why)),
            },
        };
        let calls = assignments(&[
            ("OLD", &self.container.id),
            ("CNAME", &self.container.name),
            ("RESTART", &restart),
            ("PORTS", &ports),
        ])?;
        Ok(Ok((format!("{OPTIONS}{create}"), calls)))
    }

    fn docker_create(&self) -> Result<Result<(String, String, String), String>, NulInText> {
        let recipe = match options::recipe(&self.container.id, &self.container.inspect) {
            Ok(recipe) => recipe,
            Err(why) => return Ok(Err(format!("it {why}"))),
        };
        let mut text = format!(
            "image_create() {{\n  set -- create --name \"$CNAME.seawall-new\" --env-file \"$WORK/env\" --label-file \"$WORK/labels\" {}\n",
            quote_all(recipe.create.iter().map(String::as_str))?
        );
        if recipe.entrypoint {
            text += "  own_word \"$OLD\" .Config.Entrypoint 0 || return 1\n  set -- \"$@\" --entrypoint \"$REPLY\"\n";
        }
        if recipe.healthcheck {
            text += "  own_word \"$OLD\" .Config.Healthcheck.Test 1 || return 1\n  set -- \"$@\" --health-cmd \"$REPLY\"\n";
        }
        text += "  set -- \"$@\" \"$REF\"\n";
        for index in 0..recipe.command {
            text += &format!(
                "  own_word \"$OLD\" .Config.Cmd {index} || return 1\n  set -- \"$@\" \"$REPLY\"\n"
            );
        }
        text += "  docker \"$@\"\n}\nimage_connect() {\n";
        for (network, options) in &recipe.connect {
            text += &format!(
                "  docker network connect {} {} \"$1\" || return 1\n",
                quote_all(options.iter().map(String::as_str))?,
                quote(network)?
            );
        }
        text += "  :\n}\n";
        Ok(Ok((text, hexadecimal(&recipe.ports), recipe.restart)))
    }

    fn podman_create(&self) -> Result<Result<(String, String, String), String>, NulInText> {
        let inspect = &self.container.inspect;
        let null = Value::Null;
        let (options, after, words) = match replay::arguments(
            inspect.get("Create").unwrap_or(&null),
            &self.container.image,
            inspect.get("Mounts").unwrap_or(&null),
        ) {
            Ok(made) => made,
            Err(why) => return Ok(Err(format!("it {why}"))),
        };
        let mut text = format!(
            "image_create() {{\n  set -- create --name \"$CNAME.seawall-new\" --env-file \"$WORK/env\" --label-file \"$WORK/labels\" {} \"$REF\"\n",
            quote_all(options.iter().map(String::as_str))?
        );
        for index in after..words {
            text += &format!(
                "  own_word \"$OLD\" .Config.CreateCommand {index} || return 1\n  set -- \"$@\" \"$REPLY\"\n"
            );
        }
        text += "  podman \"$@\"\n}\nimage_connect() { :; }\n";
        let policy = inspect
            .pointer("/HostConfig/RestartPolicy/Name")
            .and_then(Value::as_str);
        let policy = policy.filter(|p| !p.is_empty()).unwrap_or("no");
        Ok(Ok((text, exposed(inspect), policy.to_owned())))
    }
}

/// See [`super::keep`].
pub(super) fn keep(name: &str, plans: &[ImagePlan]) -> Result<Job, NulInText> {
    let mut calls = String::new();
    for plan in plans {
        let ImageWork::Update { with } = &plan.work else {
            continue;
        };
        let Some(id) = plan.ids.first() else {
            continue;
        };
        let words = [plan.engine.word(), id, &plan.container, &former_tag(id)];
        if with == "options" {
            calls += &format!("keep_container {}\n", quote_all(words)?);
        } else {
            calls += &format!("keep_service {}\n", quote_all(words)?);
        }
    }
    calls += "job_end \"${BAD:-0}\"\n";
    Ok(Job::new(
        name,
        "taking former containers away",
        KEEP,
        &calls,
        300,
    ))
}

const KEEP: &str = r#"
# keep_container ENGINE ID NAME TAG: the former one goes, once the new one bears its name and runs.
keep_container() {
  _n=$("$1" container inspect -f '{{.Name}}' "$2" 2>/dev/null) || { "$1" rmi "$4" >/dev/null 2>&1; return 0; }
  [ "${_n#/}" = "$3.seawall-former" ] || return 0
  if [ "$("$1" container inspect -f '{{.State.Running}}' "$3" 2>/dev/null)" != true ]; then
    say former "$3" 'kept: the new container does not run'
    BAD=1
    return
  fi
  # Without -v: the new one has its volumes.
  if "$1" rm "$2" >/dev/null 2>&1; then
    "$1" rmi "$4" >/dev/null 2>&1
  else
    say former "$3" 'it could not be removed'
    BAD=1
  fi
}
keep_service() { "$1" rmi "$4" >/dev/null 2>&1; :; }
"#;

/// The tag that keeps a former image from being pruned.
fn former_tag(id: &str) -> String {
    format!("seawall-former:{}", id.get(..16).unwrap_or(id))
}

fn check<'a>(
    wanted: &'a Containers,
    plan: &ImagePlan,
    container: &ContainerSeen,
) -> Option<&'a str> {
    wanted
        .checks
        .get(&plan.container)
        .or_else(|| wanted.checks.get(&container.name))
        .map(String::as_str)
}

fn assignments(pairs: &[(&str, &str)]) -> Result<String, NulInText> {
    let mut out = String::new();
    for (name, value) in pairs {
        out += &format!("{name}={}\n", quote(value)?);
    }
    Ok(out)
}

/// TCP ports that it exposes or publishes, as the kernel writes them.
fn exposed(inspect: &Value) -> String {
    let mut ports: Vec<u16> = ["/Config/ExposedPorts", "/HostConfig/PortBindings"]
        .iter()
        .filter_map(|path| inspect.pointer(path)?.as_object())
        .flat_map(|map| map.keys())
        .filter_map(|port| port.strip_suffix("/tcp")?.parse().ok())
        .collect();
    ports.sort_unstable();
    ports.dedup();
    hexadecimal(&ports)
}

fn hexadecimal(ports: &[u16]) -> String {
    let all: Vec<String> = ports.iter().map(|port| format!("{port:04X}")).collect();
    all.join(" ")
}

#[cfg(test)]
#[path = "work_tests.rs"]
mod tests;
