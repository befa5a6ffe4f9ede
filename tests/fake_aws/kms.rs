//! KMS: whether a key is there and may be used.

use std::collections::BTreeMap;

use serde_json::json;

use super::ask::{ms, unsupported, wanted};
use super::world::{Answer, Call, Refusal, World};

/// What there is of it in one region.
#[derive(Default)]
pub struct State {
    /// By ARN.
    pub keys: BTreeMap<String, Key>,
}

#[derive(Clone, Debug)]
pub struct Key {
    pub arn: String,
    /// `alias/…`
    pub alias: Option<String>,
    /// `Enabled`, `Disabled`, `PendingDeletion`…
    pub state: String,
    /// `AWS` or `CUSTOMER`.
    pub manager: String,
    pub created: f64,
}

impl State {
    /// By id, ARN, alias or an alias's ARN.
    fn find(&self, wish: &str) -> Option<&Key> {
        let last = wish.rsplit(':').next().unwrap_or(wish);
        (self.keys.values()).find(|key| {
            key.arn == wish
                || key.arn.ends_with(&format!(":key/{wish}"))
                || key.alias.as_deref() == Some(last)
        })
    }
}

pub fn handle(world: &mut World, call: &Call) -> Answer {
    match call.operation.as_str() {
        "DescribeKey" => describe(world, call),
        _ => Err(unsupported(call)),
    }
}

fn describe(world: &mut World, call: &Call) -> Answer {
    let wish = wanted(&call.params, "KeyId").to_owned();
    let denied = world.script.denied_keys.clone();
    let missing = || {
        let message = format!("Key '{wish}' does not exist");
        Refusal::new(400, "NotFoundException", message)
    };
    let key = world.region(call).kms.find(&wish).ok_or_else(missing)?;
    if denied.contains(&key.arn) {
        let message = format!(
            "User: arn:aws:iam::{}:user/drill is not authorized to perform: kms:DescribeKey on \
             resource: {}",
            call.account, key.arn
        );
        return Err(Refusal::new(400, "AccessDeniedException", message));
    }
    Ok(json!({"KeyMetadata": {
        "AWSAccountId": call.account,
        "KeyId": key.arn.rsplit('/').next(),
        "Arn": key.arn,
        "CreationDate": ms(key.created),
        "Enabled": key.state == "Enabled",
        "Description": "",
        "KeyUsage": "ENCRYPT_DECRYPT",
        "KeyState": key.state,
        "Origin": "AWS_KMS",
        "KeyManager": key.manager,
        "CustomerMasterKeySpec": "SYMMETRIC_DEFAULT",
        "KeySpec": "SYMMETRIC_DEFAULT",
        "EncryptionAlgorithms": ["SYMMETRIC_DEFAULT"],
        "MultiRegion": false,
    }}))
}

/// Why AWS Backup cannot use a key, in the words of a job's StatusMessage.
pub fn trouble(world: &mut World, account: &str, region: &str, key: &str) -> Option<&'static str> {
    if world.script.denied_keys.iter().any(|denied| denied == key) {
        return Some("Access denied to KMS key.");
    }
    // The services' own keys are made where they are needed.
    if key.starts_with("alias/aws/") {
        return None;
    }
    match world.region_of(account, region).kms.find(key) {
        Some(key) if key.state == "Enabled" => None,
        _ => Some(
            "The specified AWS KMS key ARN does not exist, is not enabled or you do not have \
             permissions to access it.",
        ),
    }
}
