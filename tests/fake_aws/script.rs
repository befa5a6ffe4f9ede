//! What goes wrong, and when. Read from JSON; all of it optional.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The whole script. Default: all goes well, and jobs take their time.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Script {
    /// For all that is left to chance.
    pub seed: u64,
    /// Requests that are answered wrongly; the first that fits is taken.
    pub requests: Vec<RequestTrouble>,
    /// Restore jobs, by the resource's ARN (as it was backed up), or `*`.
    pub jobs: BTreeMap<String, JobTrouble>,
    /// Seconds for which what was just made is NotFound to Describe by id. Default: 0.
    pub consistency_s: f64,
    /// Seconds that tags need until filters find them. Default: 0.
    pub tag_lag_s: f64,
    /// Instance types that the region has no capacity for.
    pub no_capacity: Vec<String>,
    /// Keys (ARNs) that may not be used.
    pub denied_keys: Vec<String>,
    /// On the double's clock, in seconds since its start: then every request is ExpiredToken…
    pub credentials_end_s: Option<f64>,
    /// …until this moment, if there is one.
    pub credentials_back_s: Option<f64>,
    /// MB/s at which restores come. Default: 100.
    pub rate_mb_s: Option<f64>,
    /// Seconds that each restore job needs before data flows. Default: 60.
    pub job_start_s: Option<f64>,
    /// Code by resource id prefix (`sg-`, `subnet-`…) that deletion answers as long as this many
    /// seconds have not gone by since the first attempt. Default: none.
    pub slow_deletes_s: BTreeMap<String, f64>,
}

/// One kind of wrong answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestTrouble {
    /// `*`: any.
    pub service: String,
    /// `*`: any.
    pub operation: String,
    /// On the double's clock, in seconds since its start. Default: always.
    #[serde(default)]
    pub from_s: f64,
    #[serde(default = "forever", deserialize_with = "no_end")]
    pub until_s: f64,
    /// The share of such requests, from 0 to 1. Default: all.
    #[serde(default = "all")]
    pub share: f64,
    /// How many of them at most. Default: no limit.
    #[serde(default)]
    pub times: Option<u64>,
    pub answer: WrongAnswer,
}

fn forever() -> f64 {
    f64::INFINITY
}

/// JSON has no infinity: it is written as null.
fn no_end<'de, D: serde::Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or(f64::INFINITY))
}

fn all() -> f64 {
    1.0
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WrongAnswer {
    /// The service's own throttling error (EC2: RequestLimitExceeded, 503; others:
    /// ThrottlingException, 400).
    Throttle,
    /// 503, with the service's own error.
    Unavailable,
    Error {
        status: u16,
        code: String,
        message: String,
    },
    /// The request is carried out, and the connection closed without an answer.
    LoseAnswer,
    /// The connection is closed, and nothing was done.
    Hangup,
    /// Answered after so many seconds of the double's clock.
    Slow(f64),
}

impl WrongAnswer {
    /// As in JSON.
    pub fn name(&self) -> &'static str {
        match self {
            WrongAnswer::Throttle => "throttle",
            WrongAnswer::Unavailable => "unavailable",
            WrongAnswer::Error { .. } => "error",
            WrongAnswer::LoseAnswer => "lose_answer",
            WrongAnswer::Hangup => "hangup",
            WrongAnswer::Slow(_) => "slow",
        }
    }
}

/// What becomes of a restore job.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JobTrouble {
    /// It ends as FAILED with this message.
    pub fails: Option<String>,
    /// After this share of its time. Default: 0.5.
    pub fails_at: Option<f64>,
    /// It ends as COMPLETED, and there is no data behind it.
    pub empty: bool,
    /// It ends as COMPLETED with a StatusMessage.
    pub message: Option<String>,
    /// It never ends.
    pub stuck: bool,
    /// CreatedResourceArn is there so many seconds after COMPLETED.
    pub late_arn_s: f64,
    /// Seconds that it takes, whatever the size.
    pub takes_s: Option<f64>,
}

/// How often each trouble of a script came up.
#[derive(Default)]
pub struct Troubles {
    seen: Vec<u64>,
    taken: Vec<u64>,
}

impl Troubles {
    /// The first trouble that fits such a request and whose turn it is. `at`: on the double's clock,
    /// in seconds since its start.
    pub fn pick(
        &mut self,
        script: &Script,
        service: &str,
        operation: &str,
        at: f64,
    ) -> Option<WrongAnswer> {
        self.seen.resize(script.requests.len(), 0);
        self.taken.resize(script.requests.len(), 0);
        for (which, trouble) in script.requests.iter().enumerate() {
            let fits = |wanted: &str, have: &str| wanted == "*" || wanted == have;
            let (seen, taken) = (&mut self.seen[which], &mut self.taken[which]);
            if !fits(&trouble.service, service)
                || !fits(&trouble.operation, operation)
                || !(trouble.from_s..trouble.until_s).contains(&at)
                || trouble.times.is_some_and(|times| *taken >= times)
            {
                continue;
            }
            *seen += 1;
            if chance(script.seed, which as u64, *seen) < trouble.share {
                *taken += 1;
                return Some(trouble.answer.clone());
            }
        }
        None
    }
}

/// From 0 to below 1, the same for the same three numbers (splitmix64).
fn chance(seed: u64, which: u64, turn: u64) -> f64 {
    let mut mixed = seed
        .wrapping_add(which.wrapping_mul(0xd1b5_4a32_d192_ed03))
        .wrapping_add(turn.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^= mixed >> 31;
    (mixed >> 11) as f64 / (1u64 << 53) as f64
}
