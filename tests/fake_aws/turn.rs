//! What becomes of one request: signature, the script's trouble, the model, the handler, the log.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;

use serde_json::Value;

use super::http::{Request, Response};
use super::log::Entry;
use super::model::{self, Model, Protocol};
use super::protocol::{self, problem};
use super::script::WrongAnswer;
use super::server::{Shared, lock};
use super::sigv4::{self, Unbelieved};
use super::world::{self, Call, Refusal};

pub struct Turn {
    /// None: the connection is closed without an answer.
    pub response: Option<Response>,
    /// Seconds of the double's clock until then.
    pub after: f64,
}

/// Carries the request out as far as it goes, and logs it.
pub fn take(shared: &Shared, request: &Request) -> Turn {
    let number = shared.requests.fetch_add(1, Ordering::Relaxed);
    let mut taking = Taking {
        shared,
        request,
        id: format!("00000000-0000-4000-8000-{number:012x}"),
        entry: Entry {
            at: shared.clock.elapsed(),
            account: String::new(),
            region: String::new(),
            service: String::new(),
            operation: String::new(),
            status: 0,
            error: None,
            trouble: None,
            params: Value::Null,
        },
        after: 0.0,
        lost: false,
    };
    let mut response = taking.run();
    if taking.lost {
        response = None;
    }
    taking.entry.status = response.as_ref().map_or(0, |response| response.status);
    lock(&shared.log).push(taking.entry);
    Turn {
        response,
        after: taking.after,
    }
}

struct Taking<'a> {
    shared: &'a Shared,
    request: &'a Request,
    id: String,
    entry: Entry,
    after: f64,
    /// The answer is not to be sent.
    lost: bool,
}

impl Taking<'_> {
    fn run(&mut self) -> Option<Response> {
        let believed = sigv4::verify(self.request, &self.shared.keys);
        let claimed = match &believed {
            Ok(scope) | Err(Unbelieved::UnknownKey(scope) | Unbelieved::Wrong(scope)) => scope,
            Err(why) => return Some(self.plainly(problem::unbelieved(Protocol::RestJson, why))),
        };
        self.entry.account.clone_from(&claimed.account);
        self.entry.region.clone_from(&claimed.region);
        self.entry.service.clone_from(&claimed.service);
        let model = match model::load(&self.shared.models, &claimed.service) {
            Ok(Some(model)) => model,
            Ok(None) => {
                let message = format!("this double has no {}", claimed.service);
                return Some(self.plainly(Refusal::new(404, "UnknownService", message)));
            }
            Err(why) => return Some(self.plainly(Refusal::new(500, "InternalFailure", why))),
        };
        let speaks = model.metadata.protocol;
        let named = protocol::name(&model, self.request);
        if let Ok(named) = &named {
            self.entry.operation.clone_from(&named.operation);
        }
        if let Err(why) = &believed {
            return Some(self.refuse(&model, &problem::unbelieved(speaks, why)));
        }
        if self.credentials_ended() {
            return Some(self.refuse(&model, &problem::expired(speaks)));
        }
        if let Some(trouble) = self.trouble() {
            self.entry.trouble = Some(trouble.name().into());
            let operation = self.entry.operation.clone();
            let refusal = match trouble {
                WrongAnswer::Throttle => problem::throttled(&model, &operation),
                WrongAnswer::Unavailable => problem::unavailable(&model, &operation),
                WrongAnswer::Error {
                    status,
                    code,
                    message,
                } => Refusal::new(status, &code, message),
                WrongAnswer::Hangup => return None,
                WrongAnswer::LoseAnswer => {
                    self.lost = true;
                    return self.carried_out(&model, named);
                }
                WrongAnswer::Slow(seconds) => {
                    self.after = seconds;
                    return self.carried_out(&model, named);
                }
            };
            return Some(self.refuse(&model, &refusal));
        }
        self.carried_out(&model, named)
    }

    fn carried_out(
        &mut self,
        model: &Model,
        named: Result<protocol::Named, problem::Problem>,
    ) -> Option<Response> {
        let decoded = named.and_then(|named| protocol::decode(model, &named, self.request));
        let params = match decoded {
            Ok(params) => params,
            Err(wrong) => {
                let refusal = problem::refusal(&self.entry.service, &wrong);
                return Some(self.refuse(model, &refusal));
            }
        };
        if !Entry::reads(&self.entry.operation) {
            self.entry.params = params.clone();
        }
        let operation = self.entry.operation.clone();
        let answer = self.handled(params).and_then(|answer| match answer {
            Ok(value) => protocol::encode(model, &operation, &value, &self.id).map(Ok),
            Err(refusal) if problem::undeclared(model, &operation, &refusal.code) => {
                Err(format!("{} is not an error of it", refusal.code))
            }
            Err(refusal) => Ok(Err(refusal)),
        });
        let refusal = match answer {
            Ok(Ok(response)) => return Some(response),
            Ok(Err(refusal)) => refusal,
            Err(mistake) => self.mistake(&mistake),
        };
        Some(self.refuse(model, &refusal))
    }

    /// What the handler answers; an error is a panic's message.
    fn handled(&self, params: Value) -> Result<world::Answer, String> {
        let mut world = lock(&self.shared.world);
        let call = Call {
            service: self.entry.service.clone(),
            operation: self.entry.operation.clone(),
            account: self.entry.account.clone(),
            region: self.entry.region.clone(),
            params,
            now: self.shared.clock.now(),
        };
        catch_unwind(AssertUnwindSafe(|| {
            (self.shared.handler)(&mut world, &call)
        }))
        .map_err(|panic| {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            format!("a panic: {}", text.unwrap_or("of another kind"))
        })
    }

    fn credentials_ended(&self) -> bool {
        let world = lock(&self.shared.world);
        let back = world.script.credentials_back_s.unwrap_or(f64::INFINITY);
        let end = world.script.credentials_end_s;
        end.is_some_and(|end| (end..back).contains(&self.entry.at))
    }

    fn trouble(&self) -> Option<WrongAnswer> {
        let world = lock(&self.shared.world);
        let entry = &self.entry;
        lock(&self.shared.troubles).pick(&world.script, &entry.service, &entry.operation, entry.at)
    }

    fn mistake(&self, what: &str) -> Refusal {
        let message = format!(
            "a mistake in the double's {} {}: {what}",
            self.entry.service, self.entry.operation
        );
        eprintln!("{message}");
        lock(&self.shared.mistakes).push(message.clone());
        Refusal::new(500, "InternalFailure", message)
    }

    fn refuse(&mut self, model: &Model, refusal: &Refusal) -> Response {
        let (response, code) = protocol::refuse(model, &self.entry.operation, refusal, &self.id);
        self.entry.error = Some(code);
        response
    }

    /// Where nobody knows which service was meant.
    fn plainly(&mut self, refusal: Refusal) -> Response {
        let body = serde_json::json!({"__type": refusal.code, "message": refusal.message});
        let response = Response::new(refusal.status, "application/json", body.to_string())
            .with("x-amzn-ErrorType", &refusal.code);
        self.entry.error = Some(refusal.code);
        response
    }
}
