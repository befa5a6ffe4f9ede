use serde_json::json;

use super::super::backup::tests::{ask, world};
use super::super::world::World;
use super::apply;

#[test]
fn a_word_that_nobody_reads_is_a_mistake() {
    let with = |point: serde_json::Value| {
        let vault = json!({"name": "v", "points": [point]});
        let seed = json!({"accounts": {"1": {"regions": {"eu-central-1": {"vaults": [vault]}}}}});
        apply(&mut World::default(), &seed)
    };
    let good =
        json!({"resource": "arn:aws:s3:::b", "type": "S3", "created": "2026-01-01T00:00:00Z"});
    assert_eq!(with(good.clone()), Ok(()));
    let mut strange = good.clone();
    strange["sise"] = json!(1);
    assert!(with(strange).unwrap_err().contains("`sise`"));
    let mut strange = good;
    strange["created"] = json!("yesterday");
    assert!(with(strange).is_err());
}

#[test]
fn the_example_is_what_it_says() {
    let mut world = world();
    assert_eq!(
        world.left(),
        Vec::<String>::new(),
        "what was seeded is not left over"
    );
    let vaults = ask(&mut world, 0.0, "backup", "ListBackupVaults", json!({})).unwrap();
    let vault = &vaults["BackupVaultList"][0];
    assert_eq!(vault["BackupVaultName"], "dr-copies");
    assert_eq!(vault["NumberOfRecoveryPoints"], 35);
    let arn = json!({"ResourceArn": vault["BackupVaultArn"]});
    let tags = ask(&mut world, 0.0, "backup", "ListTags", arn).unwrap();
    assert_eq!(tags["Tags"]["seawall:scratch"], "yes");
    let resources = ask(
        &mut world,
        0.0,
        "backup",
        "ListProtectedResources",
        json!({}),
    )
    .unwrap();
    assert_eq!(resources["Results"].as_array().unwrap().len(), 11);
}

#[test]
fn quotas_are_known_or_have_a_default() {
    let mut world = world();
    let mut value = |operation: &str, service: &str, code: &str| {
        let asked = json!({"ServiceCode": service, "QuotaCode": code});
        let said = ask(&mut world, 0.0, "servicequotas", operation, asked);
        said.map(|said| said["Quota"]["Value"].as_f64())
            .map_err(|refusal| refusal.code)
    };
    assert_eq!(
        value("GetServiceQuota", "ec2", "L-1216C47A"),
        Ok(Some(256.0))
    );
    assert_eq!(
        value("GetAWSDefaultServiceQuota", "ec2", "L-1216C47A"),
        Ok(Some(5.0))
    );
    let unset = value("GetServiceQuota", "ebs", "L-7A658B76");
    assert_eq!(unset, Err("NoSuchResourceException".into()));
    assert_eq!(
        value("GetAWSDefaultServiceQuota", "ebs", "L-7A658B76"),
        Ok(Some(50.0))
    );
    let all = ask(
        &mut world,
        0.0,
        "servicequotas",
        "ListServiceQuotas",
        json!({"ServiceCode": "vpc"}),
    );
    assert_eq!(all.unwrap()["Quotas"].as_array().unwrap().len(), 1);
    let who = ask(&mut world, 0.0, "sts", "GetCallerIdentity", json!({})).unwrap();
    assert_eq!(who["Account"], "111122223333");
}
