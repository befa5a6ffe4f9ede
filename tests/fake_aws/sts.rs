//! STS: who asks.

use serde_json::json;

use super::ask::unsupported;
use super::world::{Answer, Call, World};

pub fn handle(_world: &mut World, call: &Call) -> Answer {
    match call.operation.as_str() {
        "GetCallerIdentity" => Ok(json!({
            "UserId": "AROADOUBLEDOUBLEDOUBL:drill",
            "Account": call.account,
            "Arn": format!("arn:aws:sts::{}:assumed-role/seawall-drill/drill", call.account),
        })),
        _ => Err(unsupported(call)),
    }
}
