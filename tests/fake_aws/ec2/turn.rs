//! One request: its members, and what all operations do alike.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::super::world::{Answer, Call, Refusal, World};
use super::state::{Base, Buried, State, Tag, Thing};

pub struct Turn<'a> {
    pub world: &'a mut World,
    pub state: State,
    pub call: &'a Call,
    pub now: f64,
}

/// A filter's name, and where its values are in what is shown: `Attachments.InstanceId`.
pub type Filters = &'static [(&'static str, &'static str)];

pub fn refuse<T>(code: &str, message: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::new(400, code, message))
}

pub fn invalid<T>(value: &str, parameter: &str, why: &str) -> Result<T, Refusal> {
    let message = format!("Value ({value}) for parameter {parameter} is invalid. {why}");
    refuse("InvalidParameterValue", message)
}

impl<'a> Turn<'a> {
    pub fn new(world: &'a mut World, state: State, call: &'a Call) -> Turn<'a> {
        let mut turn = Turn {
            world,
            state,
            call,
            now: call.now,
        };
        turn.state.no_capacity = turn.world.script.no_capacity.clone();
        turn.state.denied_keys = turn.world.script.denied_keys.clone();
        if turn.state.zones.is_empty() {
            turn.state.zones = super::catalogue::three_zones(&call.region);
        }
        let lag = turn.world.script.tag_lag_s;
        turn.state.settle(call.now, lag);
        turn
    }

    pub fn refuse_dry_run(&self) -> Result<(), Refusal> {
        if self.flag("DryRun") == Some(true) {
            return Err(Refusal::new(
                412,
                "DryRunOperation",
                "Request would have succeeded, but DryRun flag is set.",
            ));
        }
        Ok(())
    }

    pub fn member(&self, name: &str) -> Option<&'a Value> {
        let call = self.call;
        call.params.get(name).filter(|value| !value.is_null())
    }

    pub fn text(&self, name: &str) -> Option<&'a str> {
        self.member(name).and_then(Value::as_str)
    }

    pub fn needed(&self, name: &str) -> Result<&'a str, Refusal> {
        match self.text(name) {
            Some(text) => Ok(text),
            None => refuse(
                "MissingParameter",
                format!("The request must contain the parameter {name}"),
            ),
        }
    }

    pub fn texts(&self, name: &str) -> Vec<&'a str> {
        texts(self.member(name))
    }

    pub fn flag(&self, name: &str) -> Option<bool> {
        self.member(name).and_then(Value::as_bool)
    }

    /// Of `{"Value": true}`.
    pub fn wrapped(&self, name: &str) -> Option<&'a Value> {
        self.member(name).and_then(|value| value.get("Value"))
    }

    pub fn number(&self, name: &str) -> Option<i64> {
        self.member(name).and_then(Value::as_i64)
    }

    /// Things made after this are not to be seen yet.
    pub fn sight(&self) -> f64 {
        self.now - self.world.script.consistency_s
    }

    pub fn id<T: Thing>(&mut self) -> String {
        self.world.new_id(T::KIND.prefix)
    }

    /// What a new thing begins with: the tags that the request gives to its kind.
    pub fn base<T: Thing>(&self) -> Result<Base, Refusal> {
        let mut tags = Vec::new();
        for specification in self.specifications() {
            let kind = specification.get("ResourceType").and_then(Value::as_str);
            if kind == Some(T::KIND.tagged) {
                for (key, value) in pairs(specification.get("Tags")) {
                    super::tags::check(&key)?;
                    tags.push(Tag {
                        key,
                        value,
                        set: self.now,
                    });
                }
            }
        }
        Ok(Base {
            made: self.now,
            kept: false,
            tags,
        })
    }

    /// Only things that this operation makes can be given tags.
    pub fn taggable(&self, kinds: &[&str]) -> Result<(), Refusal> {
        for specification in self.specifications() {
            let kind = specification.get("ResourceType").and_then(Value::as_str);
            let kind = kind.unwrap_or_default();
            if !kinds.contains(&kind) {
                return refuse(
                    "InvalidParameterValue",
                    format!("'{kind}' is not a valid taggable resource type for this operation."),
                );
            }
        }
        Ok(())
    }

    fn specifications(&self) -> &'a [Value] {
        let list = self.member("TagSpecifications").and_then(Value::as_array);
        list.map(Vec::as_slice).unwrap_or_default()
    }

    /// What a client token brought before. `None`: it is new, or there is none.
    pub fn before(&self) -> Result<Option<Value>, Refusal> {
        let Some(token) = self.text("ClientToken") else {
            return Ok(None);
        };
        let key = (self.call.operation.clone(), token.to_owned());
        match self.state.tokens.get(&key) {
            None => Ok(None),
            Some((params, what)) if *params == self.call.params => Ok(Some(what.clone())),
            Some(_) => refuse(
                "IdempotentParameterMismatch",
                "Arguments on this idempotent request are inconsistent with arguments used in \
                 previous request(s).",
            ),
        }
    }

    pub fn remember(&mut self, what: Value) {
        if let Some(token) = self.text("ClientToken") {
            let key = (self.call.operation.clone(), token.to_owned());
            self.state
                .tokens
                .insert(key, (self.call.params.clone(), what));
        }
    }

    /// For things whose deletion the script makes slow.
    pub fn slow_delete(&mut self, id: &str, code: &str) -> Result<(), Refusal> {
        let slow = &self.world.script.slow_deletes_s;
        let Some((_, seconds)) = slow.iter().find(|(prefix, _)| id.starts_with(*prefix)) else {
            return Ok(());
        };
        let first = *self.state.tried.entry(id.to_owned()).or_insert(self.now);
        if self.now < first + seconds {
            return refuse(
                code,
                format!("The resource '{id}' has dependencies and cannot be deleted."),
            );
        }
        Ok(())
    }

    /// Takes a thing's tags along to where the tag index still shows them.
    pub fn bury<T: Thing>(&mut self, id: &str, thing: &T) {
        self.state.bury::<T>(id, thing, self.now);
    }

    /// Things by id, or all of them, as filters and pages ask.
    pub fn list<T: Thing>(
        &self,
        map: &BTreeMap<String, T>,
        ids: &str,
        filters: Filters,
        show: impl Fn(&str, &T) -> Value,
    ) -> Result<(Vec<Value>, Option<String>), Refusal> {
        self.list_where(map, ids, filters, show, |_| true)
    }

    /// The same, of things that are to be seen where no id asks for them.
    pub fn list_where<T: Thing>(
        &self,
        map: &BTreeMap<String, T>,
        ids: &str,
        filters: Filters,
        show: impl Fn(&str, &T) -> Value,
        listed: impl Fn(&T) -> bool,
    ) -> Result<(Vec<Value>, Option<String>), Refusal> {
        let sight = self.sight();
        let wanted = self.texts(ids);
        let mut found = Vec::new();
        for id in &wanted {
            found.push((*id, find(map, id, sight)?));
        }
        if wanted.is_empty() {
            let seen = map
                .iter()
                .filter(|(_, one)| one.base().made <= sight && listed(one));
            found.extend(seen.map(|(id, thing)| (id.as_str(), thing)));
        } else if self.member("MaxResults").is_some() {
            return refuse(
                "InvalidParameterCombination",
                format!("The parameter {ids} cannot be used with the parameter maxResults"),
            );
        }
        let asked = self.filters(filters, true)?;
        let indexed = self.now - self.world.script.tag_lag_s;
        let mut shown = Vec::new();
        for (id, thing) in found {
            let value = show(id, thing);
            let tags = &thing.base().tags;
            if asked
                .iter()
                .all(|filter| filter.fits(&value, tags, indexed))
            {
                shown.push(value);
            }
        }
        self.page(shown)
    }

    /// The request's filters. Unknown ones are refused.
    pub fn filters(&self, known: Filters, tags: bool) -> Result<Vec<Filter>, Refusal> {
        let given = self.member("Filters").and_then(Value::as_array);
        let mut filters = Vec::new();
        for filter in given.map(Vec::as_slice).unwrap_or_default() {
            let name = filter.get("Name").and_then(Value::as_str);
            let name = name.unwrap_or_default();
            let values: Vec<String> = texts(filter.get("Values"))
                .into_iter()
                .map(str::to_owned)
                .collect();
            let by = match (name.strip_prefix("tag:"), name) {
                (Some(key), _) if tags => By::Tag(key.to_owned()),
                (None, "tag-key") if tags => By::TagKey,
                _ => match known.iter().find(|(one, _)| *one == name) {
                    Some((_, path)) => By::Path(path),
                    None => {
                        return refuse(
                            "InvalidParameterValue",
                            format!("The filter '{name}' is invalid"),
                        );
                    }
                },
            };
            if values.is_empty() {
                return refuse(
                    "InvalidParameterValue",
                    format!("The filter '{name}' has no value"),
                );
            }
            filters.push(Filter { by, values });
        }
        Ok(filters)
    }

    /// One page of them, and where the next begins.
    pub fn page(&self, all: Vec<Value>) -> Result<(Vec<Value>, Option<String>), Refusal> {
        let from = match self.text("NextToken") {
            None => 0,
            Some(token) => match token.strip_prefix("page-").map(str::parse::<usize>) {
                Some(Ok(from)) => from,
                _ => return invalid(token, "nextToken", "Unable to parse pagination token."),
            },
        };
        let most = match self.number("MaxResults") {
            None => usize::MAX,
            Some(most) => usize::try_from(most).unwrap_or(1).max(1),
        };
        let end = from.saturating_add(most);
        let next = (end < all.len()).then(|| format!("page-{end}"));
        Ok((all.into_iter().skip(from).take(most).collect(), next))
    }
}

/// `{"Vpcs": […], "NextToken": …}`
pub fn paged(name: &str, (values, next): (Vec<Value>, Option<String>)) -> Answer {
    let mut answer = json!({ "NextToken": next });
    answer[name] = Value::Array(values);
    Ok(answer)
}

pub fn texts(value: Option<&Value>) -> Vec<&str> {
    let list = value.and_then(Value::as_array);
    list.map(|list| list.iter().filter_map(Value::as_str).collect())
        .unwrap_or_default()
}

/// Of `[{"Key": …, "Value": …}]`.
pub fn pairs(tags: Option<&Value>) -> Vec<(String, String)> {
    let list = tags.and_then(Value::as_array);
    let text = |tag: &Value, name: &str| {
        let text = tag.get(name).and_then(Value::as_str);
        text.unwrap_or_default().to_owned()
    };
    (list.map(Vec::as_slice).unwrap_or_default().iter())
        .map(|tag| (text(tag, "Key"), text(tag, "Value")))
        .collect()
}

/// # Errors
/// The kind's own NotFound; also for what was made a moment ago.
pub fn find<'m, T: Thing>(
    map: &'m BTreeMap<String, T>,
    id: &str,
    sight: f64,
) -> Result<&'m T, Refusal> {
    let seen = map.get(id).filter(|thing| thing.base().made <= sight);
    seen.ok_or_else(|| missing::<T>(id))
}

pub fn find_mut<'m, T: Thing>(
    map: &'m mut BTreeMap<String, T>,
    id: &str,
    sight: f64,
) -> Result<&'m mut T, Refusal> {
    let seen = map.get_mut(id).filter(|thing| thing.base().made <= sight);
    seen.ok_or_else(|| missing::<T>(id))
}

pub fn missing<T: Thing>(id: &str) -> Refusal {
    let kind = T::KIND;
    let well_formed = id
        .strip_prefix(kind.prefix)
        .and_then(|rest| rest.strip_prefix('-'))
        .is_some_and(|rest| rest.len() >= 8 && rest.bytes().all(|b| b.is_ascii_hexdigit()));
    if !well_formed {
        let message = format!("Invalid id: \"{id}\" (expecting \"{}-...\")", kind.prefix);
        return Refusal::new(400, kind.malformed, message);
    }
    let message = format!("The {} '{id}' does not exist", kind.called);
    Refusal::new(400, kind.not_found, message)
}

pub struct Filter {
    by: By,
    values: Vec<String>,
}

enum By {
    Tag(String),
    TagKey,
    Path(&'static str),
}

impl Filter {
    /// Whether a thing that is shown so, with these tags, is among what is asked for. `indexed`:
    /// tags that were set after this are not found.
    pub fn fits(&self, shown: &Value, tags: &[Tag], indexed: f64) -> bool {
        let wanted = |value: &str| self.values.iter().any(|pattern| like(pattern, value));
        let mut tags = tags.iter().filter(|tag| tag.set <= indexed);
        match &self.by {
            By::Tag(key) => tags.any(|tag| tag.key == *key && wanted(&tag.value)),
            By::TagKey => tags.any(|tag| wanted(&tag.key)),
            By::Path(path) => {
                let mut values = Vec::new();
                collect(shown, path, &mut values);
                values.iter().any(|value| wanted(value))
            }
        }
    }
}

/// The values at a path, through lists.
fn collect(value: &Value, path: &str, out: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, path, out)),
        Value::Object(members) => {
            let (name, rest) = path.split_once('.').unwrap_or((path, ""));
            if let Some(member) = members.get(name) {
                collect(member, rest, out);
            }
        }
        _ if !path.is_empty() => {}
        Value::String(text) => out.push(text.clone()),
        Value::Null => {}
        other => out.push(other.to_string()),
    }
}

/// `*` stands for any text, `?` for one character.
fn like(pattern: &str, text: &str) -> bool {
    fn from(pattern: &[char], text: &[char]) -> bool {
        match (pattern.split_first(), text.split_first()) {
            (None, None) => true,
            (Some(('*', rest)), _) => (0..=text.len()).any(|skip| from(rest, &text[skip..])),
            (Some(('?', rest)), Some((_, after))) => from(rest, after),
            (Some((p, rest)), Some((t, after))) => p == t && from(rest, after),
            _ => false,
        }
    }
    let pattern: Vec<char> = pattern.chars().collect();
    let text: Vec<char> = text.chars().collect();
    from(&pattern, &text)
}

impl State {
    pub fn bury<T: Thing>(&mut self, id: &str, thing: &T, now: f64) {
        for tag in &thing.base().tags {
            self.buried.push(Buried {
                id: id.to_owned(),
                kind: T::KIND.tagged,
                tag: tag.clone(),
                gone: now,
            });
        }
    }
}
