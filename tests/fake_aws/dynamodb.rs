//! DynamoDB: tables that AWS Backup makes, and what is in them.

mod items;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::ask::{
    Tags, flag, ms, number, present, tag_list, tags, text, unsupported, uuid, wanted,
};
use super::backup::Point;
use super::world::{Answer, Call, Refusal, World};

/// Seconds that deleting takes.
const DELETES: f64 = 30.0;
/// Seconds after which ItemCount and TableSizeBytes are brought up to date: about six hours.
const COUNTS: f64 = 6.0 * 3600.0;

/// What there is of it in one region.
#[derive(Default)]
pub struct State {
    pub tables: BTreeMap<String, Table>,
}

impl State {
    /// What is there and was not seeded.
    pub fn left(&self, out: &mut Vec<String>) {
        let made = self.tables.values().filter(|table| !table.seeded);
        out.extend(made.map(|table| format!("table {}", table.name)));
    }

    fn table(&mut self, wish: &str) -> Result<&mut Table, Refusal> {
        let name = wish.rsplit('/').next().unwrap_or(wish);
        (self.tables.get_mut(name)).ok_or_else(|| not_found(&format!("Table: {name} not found")))
    }
}

fn not_found(what: &str) -> Refusal {
    let message = format!("Requested resource not found: {what}");
    Refusal::new(400, "ResourceNotFoundException", message)
}

fn wrong(message: impl Into<String>) -> Refusal {
    Refusal::new(400, "ValidationException", message)
}

#[derive(Clone, Debug, Default)]
pub struct Table {
    pub name: String,
    pub arn: String,
    pub id: String,
    /// (attribute, type, `HASH` or `RANGE`)
    pub key: Vec<(String, String, String)>,
    /// Each in DynamoDB's own JSON.
    pub items: Vec<Map<String, Value>>,
    pub kms_key: Option<String>,
    pub protected: bool,
    pub made: f64,
    pub ready: f64,
    pub gone: Option<f64>,
    pub source: Option<(String, String)>,
    pub size: u64,
    pub tags: Tags,
    pub seeded: bool,
}

impl Table {
    fn status(&self, now: f64) -> &'static str {
        match self.gone {
            Some(_) => "DELETING",
            None if now < self.ready => "CREATING",
            None => "ACTIVE",
        }
    }

    fn describe(&self, now: f64) -> Value {
        let schema = (self.key.iter())
            .map(|(name, _, role)| json!({"AttributeName": name, "KeyType": role}))
            .collect::<Value>();
        let attributes = (self.key.iter())
            .map(|(name, kind, _)| json!({"AttributeName": name, "AttributeType": kind}))
            .collect::<Value>();
        // What was just restored is counted later: who wants the number must scan.
        let counted = self.seeded || now >= self.ready + COUNTS;
        let restore = self.source.as_ref().map(|(backup, table)| {
            json!({
                "SourceBackupArn": backup,
                "SourceTableArn": table,
                "RestoreDateTime": ms(self.made),
                "RestoreInProgress": self.status(now) == "CREATING",
            })
        });
        let encryption = (self.kms_key.as_ref())
            .map(|key| json!({"Status": "ENABLED", "SSEType": "KMS", "KMSMasterKeyArn": key}));
        present(json!({
            "TableName": self.name,
            "TableArn": self.arn,
            "TableId": self.id,
            "TableStatus": self.status(now),
            "KeySchema": schema,
            "AttributeDefinitions": attributes,
            "CreationDateTime": ms(self.made),
            "TableSizeBytes": if counted { self.size } else { 0 },
            "ItemCount": if counted { self.items.len() } else { 0 },
            "BillingModeSummary": {"BillingMode": "PAY_PER_REQUEST"},
            "DeletionProtectionEnabled": self.protected,
            "RestoreSummary": restore,
            "SSEDescription": encryption,
        }))
    }
}

pub fn handle(world: &mut World, call: &Call) -> Answer {
    let state = &mut world.region(call).dynamodb;
    state
        .tables
        .retain(|_, table| table.gone.is_none_or(|gone| call.now < gone));
    let params = &call.params;
    match call.operation.as_str() {
        "DescribeTable" => {
            let table = state.table(wanted(params, "TableName"))?;
            Ok(json!({"Table": table.describe(call.now)}))
        }
        "ListTables" => Ok(list(state, params)),
        "DeleteTable" => delete(state, call),
        "UpdateTable" => {
            let table = state.table(wanted(params, "TableName"))?;
            if table.status(call.now) != "ACTIVE" {
                let message = format!("Table is being changed: {}", table.name);
                return Err(Refusal::new(400, "ResourceInUseException", message));
            }
            if let Some(protected) = flag(params, "DeletionProtectionEnabled") {
                table.protected = protected;
            }
            Ok(json!({"TableDescription": table.describe(call.now)}))
        }
        "TagResource" => {
            let new = tags(params, "Tags");
            state.table(wanted(params, "ResourceArn"))?.tags.extend(new);
            Ok(json!({}))
        }
        "ListTagsOfResource" => {
            let table = state.table(wanted(params, "ResourceArn"))?;
            Ok(json!({"Tags": tag_list(&table.tags)}))
        }
        "DescribeContinuousBackups" => {
            let name = wanted(params, "TableName");
            state.table(name).map_err(|_| {
                Refusal::new(
                    400,
                    "TableNotFoundException",
                    format!("Table not found: {name}"),
                )
            })?;
            // A restored table has no point-in-time recovery until somebody asks for it.
            Ok(json!({"ContinuousBackupsDescription": {
                "ContinuousBackupsStatus": "ENABLED",
                "PointInTimeRecoveryDescription": {"PointInTimeRecoveryStatus": "DISABLED"},
            }}))
        }
        "Scan" => items::scan(state, call),
        "GetItem" => items::get(state, call),
        _ => Err(unsupported(call)),
    }
}

fn list(state: &State, params: &Value) -> Value {
    let after = text(params, "ExclusiveStartTableName");
    let limit = number(params, "Limit").map_or(100, |limit| limit as usize);
    let rest: Vec<&String> = (state.tables.keys())
        .filter(|name| after.is_none_or(|after| name.as_str() > after))
        .collect();
    let names: Vec<&String> = rest.iter().take(limit).copied().collect();
    let last = (rest.len() > names.len()).then(|| names.last()).flatten();
    present(json!({"TableNames": names, "LastEvaluatedTableName": last}))
}

fn delete(state: &mut State, call: &Call) -> Answer {
    let table = state.table(wanted(&call.params, "TableName"))?;
    if table.status(call.now) != "ACTIVE" {
        let message = format!(
            "Attempt to change a resource which is still in use: Table is {}: {}",
            table.status(call.now),
            table.name
        );
        return Err(Refusal::new(400, "ResourceInUseException", message));
    }
    if table.protected {
        return Err(wrong(
            "Resource cannot be deleted as it is currently protected against deletion.",
        ));
    }
    table.gone = Some(call.now + DELETES);
    Ok(json!({"TableDescription": table.describe(call.now)}))
}

/// What a restore job makes: its ARN. It is CREATING until `ready` is set to something.
pub fn backup_creates_table(
    world: &mut World,
    call: &Call,
    point: &Point,
    name: &str,
    kms_key: Option<String>,
    protected: bool,
) -> Result<String, String> {
    let id = uuid(world).to_lowercase();
    let state = &mut world.region(call).dynamodb;
    if state.tables.contains_key(name) {
        return Err(format!("Table already exists: {name}"));
    }
    let mut key: Vec<(String, String, String)> = Vec::new();
    let words = point.spec.get("table_key").and_then(Value::as_array);
    for word in words.into_iter().flatten() {
        let kind = text(word, "type").unwrap_or("S").to_owned();
        let role = if key.is_empty() { "HASH" } else { "RANGE" };
        key.push((wanted(word, "name").to_owned(), kind, role.to_owned()));
    }
    if key.is_empty() {
        key.push(("id".into(), "S".into(), "HASH".into()));
    }
    let items = point.spec.get("items").and_then(Value::as_array);
    let arn = format!(
        "arn:aws:dynamodb:{}:{}:table/{name}",
        call.region, call.account
    );
    let table = Table {
        name: name.to_owned(),
        arn: arn.clone(),
        id,
        key,
        items: (items.into_iter().flatten())
            .filter_map(|item| item.as_object().cloned())
            .collect(),
        kms_key,
        protected,
        made: call.now,
        ready: f64::INFINITY,
        source: Some((point.arn.clone(), point.resource.clone())),
        size: point.size,
        ..Table::default()
    };
    state.tables.insert(name.to_owned(), table);
    Ok(arn)
}
