//! What becomes of instances and volumes as time goes by.

use serde_json::{Value, json};

use super::super::world::{Answer, Refusal};
use super::state::{Instance, State, Volume};
use super::turn::{Turn, find, refuse};

/// Seconds from a launch to `running`.
pub const BOOT_S: f64 = 30.0;
/// From `shutting-down` to `terminated`, from `stopping` to `stopped`.
const END_S: f64 = 40.0;
/// EC2 shows terminated instances for about an hour.
const SHOWN_S: f64 = 3600.0;
/// From `deleting` to gone.
pub const DELETE_S: f64 = 5.0;

impl Instance {
    pub fn state(&self, now: f64) -> &'static str {
        match (self.ends, self.stops) {
            (Some((_, done)), _) if now >= done => "terminated",
            (Some((from, _)), _) if now >= from => "shutting-down",
            (_, Some((_, done))) if now >= done => "stopped",
            (_, Some((from, _))) if now >= from => "stopping",
            _ if now >= self.runs => "running",
            _ => "pending",
        }
    }

    /// The public address, while it is mapped.
    pub fn shown_public(&self, now: f64) -> Option<&str> {
        match self.state(now) {
            "running" | "stopping" | "shutting-down" => self.public_ip.as_deref(),
            _ => None,
        }
    }
}

pub fn shown_state(name: &str) -> Value {
    let code = match name {
        "pending" => 0,
        "running" => 16,
        "shutting-down" => 32,
        "terminated" => 48,
        "stopping" => 64,
        _ => 80,
    };
    json!({ "Code": code, "Name": name })
}

impl Volume {
    pub fn state(&self, now: f64) -> &'static str {
        if self.deleted.is_some() {
            "deleting"
        } else if now < self.ready {
            "creating"
        } else if self.broken {
            "error"
        } else if self.attachment.is_some() {
            "in-use"
        } else {
            "available"
        }
    }
}

impl State {
    /// Brings everything to this time. `lag`: of the tag index.
    pub fn settle(&mut self, now: f64, lag: f64) {
        self.now = now;
        let over: Vec<String> = (self.instances.iter())
            .filter(|(_, one)| !one.cleared && one.state(now) == "terminated")
            .map(|(id, _)| id.clone())
            .collect();
        for id in over {
            self.clear_after(&id, now);
        }
        let forgotten: Vec<String> = (self.instances.iter())
            .filter(|(_, one)| one.ends.is_some_and(|(_, done)| now >= done + SHOWN_S))
            .map(|(id, _)| id.clone())
            .collect();
        for id in forgotten {
            if let Some(gone) = self.instances.remove(&id) {
                self.bury(&id, &gone, now);
            }
        }
        for volume in self.volumes.values_mut() {
            let attachment = volume.attachment.as_ref();
            let released = attachment.and_then(|attachment| attachment.released);
            if released.is_some_and(|released| now >= released) {
                volume.attachment = None;
            }
        }
        let deleted: Vec<String> = (self.volumes.iter())
            .filter(|(_, one)| one.deleted.is_some_and(|at| now >= at))
            .map(|(id, _)| id.clone())
            .collect();
        for id in deleted {
            if let Some(gone) = self.volumes.remove(&id) {
                self.bury(&id, &gone, now);
            }
        }
        self.buried.retain(|buried| now < buried.gone + lag);
    }

    /// A terminated instance's interface goes, and those of its volumes that are to go with it.
    fn clear_after(&mut self, id: &str, now: f64) {
        let Some(instance) = self.instances.get_mut(id) else {
            return;
        };
        instance.cleared = true;
        let interface = instance.interface.clone();
        if let Some(gone) = self.interfaces.remove(&interface) {
            self.bury(&interface, &gone, now);
        }
        let mut gone = Vec::new();
        for (volume, what) in &mut self.volumes {
            let Some(attachment) = what.attachment.as_ref().filter(|a| a.instance == id) else {
                continue;
            };
            if attachment.goes_with_instance {
                gone.push(volume.clone());
            } else {
                what.attachment = None;
            }
        }
        for volume in gone {
            if let Some(what) = self.volumes.remove(&volume) {
                self.bury(&volume, &what, now);
            }
        }
    }
}

/// All of them or none: (id, state before).
fn named(turn: &Turn<'_>) -> Result<Vec<(String, &'static str)>, Refusal> {
    let ids = turn.texts("InstanceIds");
    if ids.is_empty() {
        return refuse(
            "MissingParameter",
            "The request must contain the parameter InstanceIds",
        );
    }
    let mut found = Vec::new();
    for id in ids {
        let instance = find(&turn.state.instances, id, turn.sight())?;
        found.push((id.to_owned(), instance.state(turn.now)));
    }
    Ok(found)
}

fn changed(turn: &Turn<'_>, list: &str, found: Vec<(String, &'static str)>) -> Value {
    let changes: Vec<Value> = (found.into_iter())
        .map(|(id, before)| {
            let after = turn.state.instances.get(&id);
            json!({
                "InstanceId": id,
                "PreviousState": shown_state(before),
                "CurrentState": after.map(|one| shown_state(one.state(turn.now))),
            })
        })
        .collect();
    let mut answer = json!({});
    answer[list] = Value::Array(changes);
    answer
}

pub fn terminate(turn: &mut Turn<'_>) -> Answer {
    let found = named(turn)?;
    for (id, _) in &found {
        if turn
            .state
            .instances
            .get(id)
            .is_some_and(|one| one.protected)
        {
            return refuse(
                "OperationNotPermitted",
                format!(
                    "The instance '{id}' may not be terminated. Modify its 'disableApiTermination' \
                     instance attribute and try again."
                ),
            );
        }
    }
    let slow = turn.world.script.slow_deletes_s.get("i-").copied();
    let now = turn.now;
    for (id, _) in &found {
        if let Some(instance) = turn.state.instances.get_mut(id)
            && instance.ends.is_none()
        {
            instance.ends = Some((now, now + END_S + slow.unwrap_or_default()));
            instance.reason = Some((
                "Client.UserInitiatedShutdown",
                "Client.UserInitiatedShutdown: User initiated shutdown",
            ));
        }
    }
    Ok(changed(turn, "TerminatingInstances", found))
}

pub fn stop(turn: &mut Turn<'_>) -> Answer {
    let found = named(turn)?;
    for (id, state) in &found {
        if !["running", "stopping", "stopped"].contains(state) {
            return refuse(
                "IncorrectInstanceState",
                format!("The instance '{id}' is not in a state from which it can be stopped."),
            );
        }
    }
    let now = turn.now;
    for (id, _) in &found {
        if let Some(instance) = turn.state.instances.get_mut(id)
            && instance.stops.is_none()
        {
            instance.stops = Some((now, now + END_S));
        }
    }
    Ok(changed(turn, "StoppingInstances", found))
}
