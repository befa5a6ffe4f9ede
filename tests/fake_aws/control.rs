//! What tests ask of the double itself, under `/_fake/`; none of it is signed.

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::http::{self, Request, Response};
use super::seed;
use super::server::{Shared, lock};

/// - `GET log`: every request so far. `GET left`: what was made and is still there. `GET mistakes`:
///   those of the double's own handlers. `GET data?id=`: `full` or `empty`, whether what bears this id
///   (or a name that begins with it) holds what was backed up: what a workload would find in it.
///   `GET keys`: the key pairs that are there, as `authorized_keys` has them.
/// - `POST advance?s=60`: moves the clock on. `POST script`: replaces the script. `POST seed`: adds
///   what is there.
pub fn answer(shared: &Shared, what: &str, request: &Request) -> Response {
    if (request.method.as_str(), what) == ("GET", "keys") {
        let keys = lock(&shared.world).public_keys().join("\n") + "\n";
        return Response::new(200, "text/plain", keys);
    }
    let answered = match (request.method.as_str(), what) {
        ("GET", "log") => serde_json::to_value(&*lock(&shared.log)).map_err(|e| e.to_string()),
        ("GET", "left") => Ok(json!(lock(&shared.world).left())),
        ("GET", "data") => Ok(json!(data(shared, request))),
        ("GET", "mistakes") => Ok(json!(*lock(&shared.mistakes))),
        ("POST", "advance") => advance(shared, &request.query),
        ("POST", "script") => read(request).map(|script| {
            shared.set_script(script);
            json!({})
        }),
        ("POST", "seed") => read::<Value>(request)
            .and_then(|spec| seed::apply(&mut lock(&shared.world), &spec))
            .map(|()| json!({})),
        _ => Err("GET log, left, mistakes, data, keys; POST advance?s=, script, seed".into()),
    };
    match answered {
        Ok(body) => Response::new(200, "application/json", body.to_string()),
        Err(why) => Response::new(400, "text/plain", why),
    }
}

fn data(shared: &Shared, request: &Request) -> &'static str {
    let pairs = http::pairs(&request.query).unwrap_or_default();
    let id = pairs.iter().find(|(name, _)| name == "id");
    let id = id.map_or("", |(_, id)| id.as_str());
    match !id.is_empty() && lock(&shared.world).holds_data(id, shared.clock.now()) {
        true => "full",
        false => "empty",
    }
}

fn advance(shared: &Shared, query: &str) -> Result<Value, String> {
    let pairs = http::pairs(query).unwrap_or_default();
    let seconds = pairs
        .iter()
        .find(|(name, _)| name == "s")
        .and_then(|(_, value)| value.parse::<f64>().ok())
        .ok_or("s= has to be a number of seconds")?;
    shared.clock.advance(seconds);
    Ok(json!({"at": shared.clock.elapsed(), "now": shared.clock.now()}))
}

fn read<T: DeserializeOwned>(request: &Request) -> Result<T, String> {
    serde_json::from_slice(&request.body).map_err(|e| e.to_string())
}
