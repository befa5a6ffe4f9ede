//! What is there at the beginning.

use serde_json::Value;

use super::world::World;

pub fn apply(_world: &mut World, _spec: &Value) -> Result<(), String> {
    Ok(())
}

pub fn example() -> Value {
    Value::Null
}
