//! Tags, and the index of them, which lags.

use serde_json::{Value, json};

use super::super::world::{Answer, Refusal};
use super::state::{Base, Gateway, Group, Image, Instance, Interface, KeyPair, RouteTable};
use super::state::{Snapshot, State, Subnet, Tag, Thing, Volume, Vpc};
use super::turn::{Turn, missing, paged, pairs, refuse};

/// Tags as a Describe shows them: at once.
pub fn shown(base: &Base) -> Value {
    let tags = base.tags.iter();
    tags.map(|tag| json!({ "Key": tag.key, "Value": tag.value }))
        .collect()
}

pub fn check(key: &str) -> Result<(), Refusal> {
    if key.to_ascii_lowercase().starts_with("aws:") {
        return refuse(
            "InvalidParameterValue",
            "Tag keys starting with 'aws:' are reserved for internal use",
        );
    }
    Ok(())
}

/// What bears this id, if it can be seen.
fn base_of<'s>(state: &'s mut State, id: &str, sight: f64) -> Result<&'s mut Base, Refusal> {
    macro_rules! look {
        ($($field:ident: $thing:ident),*) => {
            $(
                let prefix = <$thing as Thing>::KIND.prefix;
                if id.strip_prefix(prefix).is_some_and(|rest| rest.starts_with('-')) {
                    let seen = state.$field.get_mut(id).map(|thing| thing.base_mut());
                    let seen = seen.filter(|base| base.made <= sight);
                    return seen.ok_or_else(|| missing::<$thing>(id));
                }
            )*
        };
    }
    look!(images: Image, snapshots: Snapshot, vpcs: Vpc, subnets: Subnet, gateways: Gateway,
          tables: RouteTable, groups: Group, interfaces: Interface, keys: KeyPair,
          instances: Instance, volumes: Volume);
    refuse("InvalidID", format!("The ID '{id}' is not valid"))
}

pub fn create(turn: &mut Turn<'_>) -> Answer {
    let (now, sight) = (turn.now, turn.sight());
    let ids = turn.texts("Resources");
    let tags = pairs(turn.member("Tags"));
    for (key, _) in &tags {
        check(key)?;
    }
    // All of them, or none.
    for id in &ids {
        let base = base_of(&mut turn.state, id, sight)?;
        let new = |(key, _): &&(String, String)| base.tags.iter().all(|tag| tag.key != *key);
        if base.tags.len() + tags.iter().filter(new).count() > 50 {
            return refuse(
                "TagLimitExceeded",
                "The maximum number of Tags for a resource has been reached.",
            );
        }
    }
    for id in &ids {
        let base = base_of(&mut turn.state, id, sight)?;
        for (key, value) in &tags {
            base.tags.retain(|tag| tag.key != *key);
            base.tags.push(Tag {
                key: key.clone(),
                value: value.clone(),
                set: now,
            });
        }
    }
    Ok(json!({}))
}

pub fn delete(turn: &mut Turn<'_>) -> Answer {
    let sight = turn.sight();
    let given = turn.member("Tags").and_then(Value::as_array);
    for id in turn.texts("Resources") {
        let base = base_of(&mut turn.state, id, sight)?;
        let Some(given) = given else {
            base.tags.clear();
            continue;
        };
        // A tag without a value goes whatever its value is.
        for one in given {
            let key = one.get("Key").and_then(Value::as_str);
            let value = one.get("Value").and_then(Value::as_str);
            let same = |tag: &Tag| {
                Some(tag.key.as_str()) == key && value.is_none_or(|value| value == tag.value)
            };
            base.tags.retain(|tag| !same(tag));
        }
    }
    Ok(json!({}))
}

/// The index: it shows new tags late, and those of things that are gone for as long.
pub fn describe(turn: &mut Turn<'_>) -> Answer {
    let filters = turn.filters(
        &[
            ("key", "Key"),
            ("value", "Value"),
            ("resource-id", "ResourceId"),
            ("resource-type", "ResourceType"),
        ],
        false,
    )?;
    let indexed = turn.now - turn.world.script.tag_lag_s;
    let mut all = Vec::new();
    let mut add = |id: &str, kind: &str, tag: &Tag| {
        if tag.set <= indexed {
            all.push(json!({
                "ResourceId": id,
                "ResourceType": kind,
                "Key": tag.key,
                "Value": tag.value,
            }));
        }
    };
    macro_rules! each {
        ($($field:ident),*) => {
            $(for (id, thing) in &turn.state.$field {
                for tag in &thing.base().tags {
                    add(id, kind_of(thing), tag);
                }
            })*
        };
    }
    each!(
        images, snapshots, vpcs, subnets, gateways, tables, groups, interfaces, keys, instances,
        volumes
    );
    for buried in &turn.state.buried {
        add(&buried.id, buried.kind, &buried.tag);
    }
    all.retain(|one| filters.iter().all(|filter| filter.fits(one, &[], 0.0)));
    paged("Tags", turn.page(all)?)
}

fn kind_of<T: Thing>(_: &T) -> &'static str {
    T::KIND.tagged
}
