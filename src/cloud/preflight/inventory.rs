//! What is in the scratch region beforehand: each an assumption of the drill. Another drill that
//! goes on there refuses this one.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::Tag;
use jiff::Timestamp;

use super::sight::{Sight, ask};
use crate::cloud::client::Clients;
use crate::cloud::fault::Fault;
use crate::cloud::names::{TAG_DRILL, TAG_EXPIRES};
use crate::shell::clean;

/// So many things are named; of the rest only the number.
const LISTED: usize = 40;

/// Whose something is, by its tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose {
    Ours,
    /// Another drill's that may go on.
    Running(String),
    /// Left over by another drill, which is over.
    Left(String),
    Nobody,
}

/// Whose something is. What bears another drill's tag and no end that can be read may be going on.
pub fn whose(tags: &BTreeMap<&str, &str>, run: &str, now: Timestamp) -> Whose {
    let Some(drill) = tags.get(TAG_DRILL) else {
        return Whose::Nobody;
    };
    if *drill == run {
        return Whose::Ours;
    }
    let ends = (tags.get(TAG_EXPIRES)).and_then(|text| text.parse::<Timestamp>().ok());
    match ends {
        Some(ends) if ends <= now => Whose::Left(clean(drill, 60)),
        _ => Whose::Running(clean(drill, 60)),
    }
}

fn pairs(tags: &[Tag]) -> BTreeMap<&str, &str> {
    (tags.iter())
        .filter_map(|tag| Some((tag.key()?, tag.value()?)))
        .collect()
}

/// One thing that is there.
struct There {
    what: String,
    whose: Whose,
}

/// What is there already, of what this drill's needs are reckoned with.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Used {
    /// Not ours. `None`: not known.
    pub vpcs: Option<u32>,
    /// Types of instances that run, not ours.
    pub running: Option<Vec<String>>,
    /// GiB by volume type, not ours.
    pub storage: Option<BTreeMap<String, f64>>,
}

/// Who looks, and when.
#[derive(Clone, Copy, Debug)]
pub struct Looking<'a> {
    pub run: &'a str,
    /// Anything that is there refuses the drill.
    pub strict: bool,
    /// The run was taken up again. AWS Backup tags nothing that it makes, so what bears no tag may
    /// be of a job whose end the run did not live to see; what a stranger had there was reckoned
    /// with when it began.
    pub again: bool,
}

impl Looking<'_> {
    fn may_be_ours(&self, whose: &Whose) -> bool {
        *whose == Whose::Ours || (self.again && *whose == Whose::Nobody)
    }
}

/// Looks at what is there.
pub async fn look(clients: &Clients, looking: Looking<'_>, sight: &mut Sight) -> Used {
    let run = looking.run;
    let others = |there: &There| !looking.may_be_ours(&there.whose);
    let now = Timestamp::now();
    let mut used = Used::default();
    let mut there = Vec::new();
    match vpcs(clients, run, now).await {
        Ok(found) => {
            let count = found.iter().filter(|(t, _)| others(t)).count();
            used.vpcs = u32::try_from(count).ok();
            // The default network is in every account, and nothing of a drill goes there.
            let named = found.into_iter().filter(|(_, default)| !default);
            there.extend(named.map(|(there, _)| there));
        }
        Err(fault) => sight.fault("the networks that are there", &fault),
    }
    match instances(clients, run, now).await {
        Ok(found) => {
            let running = found.iter().filter(|(t, _, runs)| *runs && others(t));
            used.running = Some(running.map(|(_, kind, _)| kind.clone()).collect());
            there.extend(found.into_iter().map(|(there, ..)| there));
        }
        Err(fault) => sight.fault("the instances that are there", &fault),
    }
    match volumes(clients, run, now).await {
        Ok(found) => {
            let mut storage: BTreeMap<String, f64> = BTreeMap::new();
            for (_, kind, gib) in found.iter().filter(|(t, ..)| others(t)) {
                *storage.entry(kind.clone()).or_default() += gib;
            }
            used.storage = Some(storage);
            there.extend(found.into_iter().map(|(there, ..)| there));
        }
        Err(fault) => sight.fault("the volumes that are there", &fault),
    }
    for (name, found) in [
        ("the databases that are there", databases(clients).await),
        ("the tables that are there", tables(clients).await),
        (
            "the file systems that are there",
            file_systems(clients, run, now).await,
        ),
    ] {
        match found {
            Ok(found) => there.extend(found),
            Err(fault) => sight.fault(name, &fault),
        }
    }
    // Ours by name, where a list shows no tags: after a resume.
    let mark = format!("seawall-{}-", run.to_ascii_lowercase());
    there.retain(|t| others(t) && !t.what.contains(&mark));
    say(there, looking.strict, sight);
    used
}

fn say(there: Vec<There>, strict: bool, sight: &mut Sight) {
    let mut running: Vec<String> = Vec::new();
    let mut texts = Vec::new();
    for one in there {
        texts.push(match one.whose {
            Whose::Running(drill) => {
                let text = format!("{} of the drill {drill}", one.what);
                running.push(text.clone());
                text
            }
            Whose::Left(drill) => format!(
                "{}, left by the drill {drill}, whose time is over: `seawall drill sweep {drill}`",
                one.what
            ),
            _ => one.what,
        });
    }
    let name = "no other drill goes on in the scratch region";
    match running.is_empty() {
        true => sight.check(name, true, "none is seen"),
        false => sight.check(
            name,
            false,
            format!("{}: wait for its end, or sweep it", shorten(&running)),
        ),
    }
    if strict {
        let detail = match texts.is_empty() {
            true => "it is".to_owned(),
            false => shorten(&texts),
        };
        sight.check("the scratch is empty", texts.is_empty(), detail);
    }
    let more = texts.len().saturating_sub(LISTED);
    let prefix = "in the scratch region beforehand: ";
    let listed = texts.into_iter().take(LISTED);
    let listed = listed.map(|text| format!("{prefix}{text}"));
    sight.ready.preexisting.extend(listed);
    if more > 0 {
        sight
            .ready
            .preexisting
            .push(format!("{prefix}{more} more things"));
    }
}

fn shorten(texts: &[String]) -> String {
    let mut shown = texts.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
    if texts.len() > 5 {
        shown.push_str(&format!(" and {} more", texts.len() - 5));
    }
    shown
}

async fn vpcs(clients: &Clients, run: &str, now: Timestamp) -> Result<Vec<(There, bool)>, Fault> {
    let what = "listing networks";
    let pages = ask(clients, what, || {
        let pages = clients.ec2.describe_vpcs().into_paginator().send();
        async move {
            let all = pages.collect::<Result<Vec<_>, _>>().await;
            all.map_err(|e| Fault::of(what, e))
        }
    })
    .await?;
    let all = pages.iter().flat_map(|page| page.vpcs());
    Ok(all
        .map(|vpc| {
            let there = There {
                what: format!("VPC {}", clean(vpc.vpc_id().unwrap_or("?"), 40)),
                whose: whose(&pairs(vpc.tags()), run, now),
            };
            (there, vpc.is_default().unwrap_or(false))
        })
        .collect())
}

async fn instances(
    clients: &Clients,
    run: &str,
    now: Timestamp,
) -> Result<Vec<(There, String, bool)>, Fault> {
    let what = "listing instances";
    let pages = ask(clients, what, || {
        let pages = clients.ec2.describe_instances().into_paginator().send();
        async move {
            let all = pages.collect::<Result<Vec<_>, _>>().await;
            all.map_err(|e| Fault::of(what, e))
        }
    })
    .await?;
    let reservations = pages.iter().flat_map(|page| page.reservations());
    let mut found = Vec::new();
    for one in reservations.flat_map(|reservation| reservation.instances()) {
        let state = one
            .state()
            .and_then(|s| s.name())
            .map_or("?", |s| s.as_str());
        if state == "terminated" {
            continue;
        }
        let kind = one.instance_type().map_or("?", |k| k.as_str());
        let there = There {
            what: format!(
                "instance {} ({}, {})",
                clean(one.instance_id().unwrap_or("?"), 40),
                clean(kind, 40),
                clean(state, 20)
            ),
            whose: whose(&pairs(one.tags()), run, now),
        };
        found.push((
            there,
            kind.to_owned(),
            matches!(state, "running" | "pending"),
        ));
    }
    Ok(found)
}

async fn volumes(
    clients: &Clients,
    run: &str,
    now: Timestamp,
) -> Result<Vec<(There, String, f64)>, Fault> {
    let what = "listing volumes";
    let pages = ask(clients, what, || {
        let pages = clients.ec2.describe_volumes().into_paginator().send();
        async move {
            let all = pages.collect::<Result<Vec<_>, _>>().await;
            all.map_err(|e| Fault::of(what, e))
        }
    })
    .await?;
    let all = pages.iter().flat_map(|page| page.volumes());
    Ok(all
        .map(|one| {
            let kind = one.volume_type().map_or("?", |k| k.as_str());
            let gib = one.size().unwrap_or(0);
            let there = There {
                what: format!(
                    "volume {} ({}, {gib} GiB)",
                    clean(one.volume_id().unwrap_or("?"), 40),
                    clean(kind, 20)
                ),
                whose: whose(&pairs(one.tags()), run, now),
            };
            (there, kind.to_owned(), f64::from(gib))
        })
        .collect())
}

async fn databases(clients: &Clients) -> Result<Vec<There>, Fault> {
    let what = "listing databases";
    let pages = ask(clients, what, || {
        let pages = clients.rds.describe_db_instances().into_paginator().send();
        async move {
            let all = pages.collect::<Result<Vec<_>, _>>().await;
            all.map_err(|e| Fault::of(what, e))
        }
    })
    .await?;
    let all = pages.iter().flat_map(|page| page.db_instances());
    Ok(all
        .map(|one| named("RDS instance", one.db_instance_identifier()))
        .collect())
}

async fn tables(clients: &Clients) -> Result<Vec<There>, Fault> {
    let what = "listing tables";
    let pages = ask(clients, what, || {
        let pages = clients.dynamodb.list_tables().into_paginator().send();
        async move {
            let all = pages.collect::<Result<Vec<_>, _>>().await;
            all.map_err(|e| Fault::of(what, e))
        }
    })
    .await?;
    let all = pages.iter().flat_map(|page| page.table_names());
    Ok(all
        .map(|name| named("DynamoDB table", Some(name)))
        .collect())
}

async fn file_systems(clients: &Clients, run: &str, now: Timestamp) -> Result<Vec<There>, Fault> {
    let what = "listing file systems";
    let pages = ask(clients, what, || {
        let pages = clients.efs.describe_file_systems().into_paginator().send();
        async move {
            let all = pages.collect::<Result<Vec<_>, _>>().await;
            all.map_err(|e| Fault::of(what, e))
        }
    })
    .await?;
    let all = pages.iter().flat_map(|page| page.file_systems());
    Ok(all
        .map(|one| {
            let tags = one
                .tags()
                .iter()
                .map(|tag| (tag.key(), tag.value()))
                .collect();
            There {
                whose: whose(&tags, run, now),
                ..named("EFS file system", Some(one.file_system_id()))
            }
        })
        .collect())
}

fn named(kind: &str, name: Option<&str>) -> There {
    There {
        what: format!("{kind} {}", clean(name.unwrap_or("?"), 80)),
        whose: Whose::Nobody,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_bears_no_tag_may_be_of_a_run_that_is_taken_up_again_and_of_no_new_one() {
        let looking = |again| Looking {
            run: "r",
            strict: true,
            again,
        };
        for (whose, new, again) in [
            (Whose::Ours, true, true),
            (Whose::Nobody, false, true),
            (Whose::Left("other".into()), false, false),
            (Whose::Running("other".into()), false, false),
        ] {
            assert_eq!(looking(false).may_be_ours(&whose), new, "{whose:?}");
            assert_eq!(looking(true).may_be_ours(&whose), again, "{whose:?}");
        }
    }
}
