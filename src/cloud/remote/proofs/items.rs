//! Items in a restored table, asked of DynamoDB itself.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{AttributeValue, Select};

use super::{Found, View, outcome};
use crate::cloud::client::Clients;
use crate::cloud::fault::{Fault, FaultKind};
use crate::cloud::make::PATIENCE;
use crate::cloud::poll::persist;
use crate::document::drill::aws::{ItemValue, ItemsProof};
use crate::shell::clean;

/// Pages of a scan (1 MB of the table each) that are asked for at most.
const PAGES: u32 = 20_000;

/// What was found of the item that is demanded: `None` was not asked for, `Some(None)` is not there.
type Item = Option<Option<HashMap<String, AttributeValue>>>;

pub async fn prove(view: &View<'_>, demand: &ItemsProof) -> Result<Found, String> {
    let table = (view.own.table.as_deref()).ok_or("this step has no restored table")?;
    let clients = view.inner.clients().await.map_err(|e| e.to_string())?;
    let asked = async {
        let counted = match demand.at_least {
            Some(least) => Some(count(clients, table, least).await?),
            None => None,
        };
        let item: Item = match demand.key.is_empty() {
            true => None,
            false => Some(item(clients, table, demand).await?),
        };
        Ok::<_, Fault>((counted, item))
    };
    match asked.await {
        Ok((counted, item)) => judge(demand, counted, &item, table),
        Err(fault) if fault.kind == FaultKind::NotFound => Ok(Found {
            outcome: outcome(false),
            expected: expected(demand),
            read: "there is no such table".into(),
            at: format!("the table {table}"),
        }),
        Err(fault) => Err(fault.to_string()),
    }
}

/// Items, and whether there are more: counting ends where enough were seen.
async fn count(clients: &Clients, table: &str, least: u64) -> Result<(u64, bool), Fault> {
    let what = format!("counting the items of {table}");
    let mut items = 0_u64;
    let mut from = None;
    for _ in 0..PAGES {
        let page = persist(clients.pace, PATIENCE, &what, || {
            let call = clients.dynamodb.scan().table_name(table);
            let call = call.select(Select::Count);
            let call = call.set_exclusive_start_key(from.clone());
            async { call.send().await.map_err(|e| Fault::of(&what, e)) }
        })
        .await?;
        items = items.saturating_add(u64::try_from(page.count()).unwrap_or(0));
        from = page
            .last_evaluated_key()
            .filter(|key| !key.is_empty())
            .cloned();
        if from.is_none() {
            return Ok((items, false));
        }
        if items >= least {
            return Ok((items, true));
        }
    }
    Err(Fault::ours(&what, "it has more pages than are read here"))
}

async fn item(
    clients: &Clients,
    table: &str,
    demand: &ItemsProof,
) -> Result<Option<HashMap<String, AttributeValue>>, Fault> {
    let what = format!("reading an item of {table}");
    let key = demand
        .key
        .iter()
        .map(|(name, value)| (name.clone(), attribute(value)));
    let key: HashMap<String, AttributeValue> = key.collect();
    let answer = persist(clients.pace, PATIENCE, &what, || {
        let call = clients.dynamodb.get_item().table_name(table);
        let call = call.set_key(Some(key.clone())).consistent_read(true);
        async { call.send().await.map_err(|e| Fault::of(&what, e)) }
    })
    .await?;
    Ok(answer.item)
}

fn attribute(value: &ItemValue) -> AttributeValue {
    match value {
        ItemValue::Number(number) => AttributeValue::N(number.to_string()),
        ItemValue::Text(text) => AttributeValue::S(text.clone()),
    }
}

/// Whether an attribute is what is demanded. DynamoDB writes numbers in a form of its own: `5`,
/// `5.0` and `5E0` are one.
fn is(found: &AttributeValue, wanted: &ItemValue) -> bool {
    match (found, wanted) {
        (AttributeValue::S(found), ItemValue::Text(wanted)) => found == wanted,
        (AttributeValue::N(found), ItemValue::Number(wanted)) => {
            let whole = found.parse::<i64>();
            whole.map_or_else(
                |_| found.parse::<f64>().is_ok_and(|f| f == *wanted as f64),
                |whole| whole == *wanted,
            )
        }
        _ => false,
    }
}

fn shown(value: &ItemValue) -> String {
    match value {
        ItemValue::Number(number) => number.to_string(),
        ItemValue::Text(text) => text.clone(),
    }
}

fn expected(demand: &ItemsProof) -> String {
    let pairs = |map: &std::collections::BTreeMap<String, ItemValue>| {
        let pairs: Vec<String> = map
            .iter()
            .map(|(n, v)| format!("{n} = {}", shown(v)))
            .collect();
        pairs.join(", ")
    };
    let mut expected = Vec::new();
    expected.extend(
        demand
            .at_least
            .map(|least| format!("at least {least} items")),
    );
    if !demand.key.is_empty() {
        expected.push(format!("an item with {}", pairs(&demand.key)));
    }
    if !demand.has.is_empty() {
        expected.push(format!("in it {}", pairs(&demand.has)));
    }
    expected.join(", ")
}

/// Pure.
fn judge(
    demand: &ItemsProof,
    counted: Option<(u64, bool)>,
    item: &Item,
    table: &str,
) -> Result<Found, String> {
    let (mut read, mut passes) = (Vec::new(), true);
    if let (Some((items, more)), Some(least)) = (counted, demand.at_least) {
        passes &= items >= least;
        let more = if more { " at least" } else { "" };
        read.push(format!("{items}{more} items"));
    }
    match item {
        Some(Some(item)) => {
            let wrong = |(name, wanted): &(&String, &ItemValue)| {
                !item.get(*name).is_some_and(|found| is(found, wanted))
            };
            let wrong: Vec<&str> = demand
                .has
                .iter()
                .filter(wrong)
                .map(|(n, _)| n.as_str())
                .collect();
            passes &= wrong.is_empty();
            read.push(match wrong.is_empty() {
                true => "the item is there".into(),
                false => format!(
                    "the item is there, and differs in {}",
                    clean(&wrong.join(", "), 200)
                ),
            });
        }
        Some(None) => {
            passes = false;
            read.push("the item is not there".into());
        }
        None if !demand.has.is_empty() => {
            return Err("`has` needs the `key` of an item".into());
        }
        None => {}
    }
    if read.is_empty() {
        return Err("this proof demands nothing of the items".into());
    }
    Ok(Found {
        outcome: outcome(passes),
        expected: expected(demand),
        read: read.join(", "),
        at: format!("the table {table}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::drill::ProofOutcome;

    #[test]
    fn numbers_are_compared_as_numbers_and_texts_as_texts() {
        let number = |text: &str| AttributeValue::N(text.into());
        assert!(is(&number("5"), &ItemValue::Number(5)));
        assert!(is(&number("5.0"), &ItemValue::Number(5)));
        assert!(!is(&number("5.5"), &ItemValue::Number(5)));
        assert!(!is(&AttributeValue::S("5".into()), &ItemValue::Number(5)));
        assert!(is(
            &AttributeValue::S("a".into()),
            &ItemValue::Text("a".into())
        ));
        // Beyond what a float can tell apart.
        assert!(!is(
            &number("9007199254740993"),
            &ItemValue::Number(9_007_199_254_740_992)
        ));
    }

    #[test]
    fn an_item_must_be_there_and_have_what_is_demanded() {
        let text = |text: &str| ItemValue::Text(text.into());
        let demand = ItemsProof {
            at_least: Some(3),
            key: [("id".to_owned(), text("a"))].into(),
            has: [("state".to_owned(), text("paid"))].into(),
        };
        let with = |state: &str| {
            Some(Some(HashMap::from([(
                "state".to_owned(),
                AttributeValue::S(state.into()),
            )])))
        };
        let judge = |count, item: &Item| judge(&demand, Some((count, false)), item, "t").unwrap();
        assert_eq!(judge(3, &with("paid")).outcome, ProofOutcome::Pass);
        assert_eq!(judge(2, &with("paid")).outcome, ProofOutcome::Fail);
        assert_eq!(judge(3, &with("open")).outcome, ProofOutcome::Fail);
        assert_eq!(judge(3, &Some(None)).outcome, ProofOutcome::Fail);
        assert!(super::judge(&ItemsProof::default(), None, &None, "t").is_err());
    }
}
