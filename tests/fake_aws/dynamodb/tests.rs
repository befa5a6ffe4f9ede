use serde_json::{Value, json};

use super::super::backup::tests::{ask, start, world};
use super::super::script::JobTrouble;
use super::super::world::{Answer, World};

const CARTS: &str = "arn:aws:dynamodb:eu-west-1:111122223333:table/carts";

fn db(world: &mut World, after: f64, operation: &str, params: Value) -> Answer {
    ask(world, after, "dynamodb", operation, params)
}

fn refused(answer: Answer, code: &str) {
    let refusal = answer.expect_err("this should have been refused");
    assert_eq!(refusal.code, code, "{}", refusal.message);
}

/// Counts by scanning: (items, pages).
fn count(world: &mut World, after: f64) -> (u64, u32) {
    let (mut items, mut pages, mut from) = (0, 0, Value::Null);
    loop {
        let mut params = json!({"TableName": "new", "Select": "COUNT"});
        if !from.is_null() {
            params["ExclusiveStartKey"] = from;
        }
        let said = db(world, after, "Scan", params).unwrap();
        assert!(said.get("Items").is_none());
        items += said["Count"].as_u64().unwrap();
        pages += 1;
        match said.get("LastEvaluatedKey") {
            Some(key) => from = key.clone(),
            None => return (items, pages),
        }
    }
}

#[test]
fn a_table_is_restored_read_and_deleted() {
    let mut world = world();
    let metadata = json!({"TargetTableName": "new", "deletionProtection": "true"});
    start(&mut world, 0.0, CARTS, metadata).unwrap();
    let of = json!({"TableName": "new"});
    let said = db(&mut world, 65.0, "DescribeTable", of.clone()).unwrap();
    assert_eq!(said["Table"]["TableStatus"], "CREATING");
    refused(
        db(&mut world, 65.0, "Scan", of.clone()),
        "ResourceNotFoundException",
    );
    refused(
        db(&mut world, 65.0, "DeleteTable", of.clone()),
        "ResourceInUseException",
    );
    let said = db(&mut world, 100.0, "DescribeTable", of.clone()).unwrap();
    assert_eq!(said["Table"]["TableStatus"], "ACTIVE");
    assert_eq!(
        said["Table"]["ItemCount"], 0,
        "what was just restored is counted later"
    );
    assert_eq!(count(&mut world, 100.0), (250, 3));

    let key = json!({"TableName": "new", "Key": {"id": {"S": "cart-0002"}}});
    let said = db(&mut world, 100.0, "GetItem", key).unwrap();
    assert_eq!(said["Item"]["total"]["N"], "10");
    let key = json!({"TableName": "new", "Key": {"id": {"S": "cart-9999"}}});
    assert!(
        db(&mut world, 100.0, "GetItem", key)
            .unwrap()
            .get("Item")
            .is_none()
    );
    let key = json!({"TableName": "new", "Key": {"id": {"N": "1"}}});
    refused(db(&mut world, 100.0, "GetItem", key), "ValidationException");

    let said = db(&mut world, 100.0, "DescribeContinuousBackups", of.clone()).unwrap();
    let back = &said["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"];
    assert_eq!(back["PointInTimeRecoveryStatus"], "DISABLED");
    let arn = said_arn(&mut world);
    let tag = json!({"ResourceArn": arn, "Tags": [{"Key": "a", "Value": "b"}]});
    db(&mut world, 100.0, "TagResource", tag).unwrap();
    let said = db(
        &mut world,
        100.0,
        "ListTagsOfResource",
        json!({"ResourceArn": arn}),
    )
    .unwrap();
    assert_eq!(said["Tags"][0]["Value"], "b");

    refused(
        db(&mut world, 100.0, "DeleteTable", of.clone()),
        "ValidationException",
    );
    let free = json!({"TableName": "new", "DeletionProtectionEnabled": false});
    db(&mut world, 100.0, "UpdateTable", free).unwrap();
    db(&mut world, 100.0, "DeleteTable", of.clone()).unwrap();
    let said = db(&mut world, 110.0, "ListTables", json!({})).unwrap();
    assert_eq!(said["TableNames"], json!(["new"]));
    assert_eq!(world.left().len(), 1);
    refused(
        db(&mut world, 131.0, "DescribeTable", of),
        "ResourceNotFoundException",
    );
    assert_eq!(world.left(), Vec::<String>::new());
}

fn said_arn(world: &mut World) -> Value {
    let said = db(world, 100.0, "DescribeTable", json!({"TableName": "new"})).unwrap();
    said["Table"]["TableArn"].clone()
}

#[test]
fn a_table_can_be_there_and_be_empty() {
    let mut world = world();
    let empty = JobTrouble {
        empty: true,
        ..JobTrouble::default()
    };
    world.script.jobs.insert("*".into(), empty);
    start(&mut world, 0.0, CARTS, json!({"targetTableName": "new"})).unwrap();
    assert_eq!(count(&mut world, 100.0), (0, 1));
    let again = start(&mut world, 100.0, CARTS, json!({"targetTableName": "new"})).unwrap();
    let job = super::super::backup::tests::job(&mut world, 300.0, &again["RestoreJobId"]);
    assert_eq!(job["StatusMessage"], "Table already exists: new");
}
