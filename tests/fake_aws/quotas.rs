use super::world::{Answer, Call, Refusal, World};

/// What there is of it in one region.
#[derive(Default)]
pub struct State {}

impl State {
    /// What is there and was not seeded.
    pub fn left(&self, _out: &mut Vec<String>) {}
}

pub fn handle(_world: &mut World, call: &Call) -> Answer {
    Err(Refusal::new(400, "UnsupportedOperation", call.operation.clone()))
}
