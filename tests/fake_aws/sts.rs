use super::world::{Answer, Call, Refusal, World};

pub fn handle(_world: &mut World, call: &Call) -> Answer {
    Err(Refusal::new(400, "UnsupportedOperation", call.operation.clone()))
}
