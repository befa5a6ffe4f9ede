//! Tells people by webhook that something failed, was missed, or went well. The URL is a secret:
//! it comes from the environment and reaches no log.

use std::time::Duration;

use futures_util::future::join_all;
use reqwest::{Client, Url, header, redirect};
use serde_json::json;

use crate::document::policy::{Notify, Occasion, Shape};
use crate::shell::clean;

/// What people are told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// One line: what happened.
    pub title: String,
    /// What else they need to know; each a sentence or a figure.
    pub lines: Vec<String>,
    /// Where the report is: a link or a path.
    pub report: Option<String>,
    /// The run's id.
    pub run: Option<String>,
}

/// Whether one of them was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The environment variable that holds the URL: the URL itself is a secret.
    pub whom: String,
    pub well: bool,
    /// How it went, without the URL.
    pub detail: String,
}

/// How long a webhook may take.
struct Patience {
    connect: Duration,
    /// Of one try, all in all.
    total: Duration,
    /// Before the second try; twice as long before the third.
    pause: Duration,
}

const PATIENCE: Patience = Patience {
    connect: Duration::from_secs(5),
    total: Duration::from_secs(10),
    pause: Duration::from_secs(1),
};
const TRIES: u32 = 3;
const MOST_LINES: usize = 40;

/// Tells all those who want to know of such an occasion, side by side. It takes half a minute at
/// most, and never fails: who was not told is in what it returns, in the order of `who`.
pub async fn tell(who: &[Notify], occasion: Occasion, message: &Message) -> Vec<Told> {
    let env = |name: &str| std::env::var(name).ok();
    tell_with(who, occasion, message, env, &PATIENCE).await
}

async fn tell_with(
    who: &[Notify],
    occasion: Occasion,
    message: &Message,
    env: impl Fn(&str) -> Option<String>,
    patience: &Patience,
) -> Vec<Told> {
    let wanted = who.iter().filter(|one| one.on.contains(&occasion));
    join_all(wanted.map(|one| {
        let url = env(&one.url_env);
        async move {
            let body = body(one.shape, occasion, message);
            let done = match address(url) {
                Ok(url) => post(url, body, patience).await,
                Err(why) => Err(why),
            };
            let (well, detail) = match done {
                Ok(detail) => (true, detail),
                Err(detail) => (false, detail),
            };
            Told {
                whom: clean(&one.url_env, 100),
                well,
                detail,
            }
        }
    }))
    .await
}

/// What the variable holds, as an address. Nothing of it is said.
fn address(url: Option<String>) -> Result<Url, String> {
    let url = url.unwrap_or_default();
    if url.trim().is_empty() {
        return Err("the environment variable is not set, so nobody was told".into());
    }
    match Url::parse(url.trim()) {
        Ok(url) if matches!(url.scheme(), "https" | "http") && url.has_host() => Ok(url),
        _ => Err("what the environment variable holds is no http or https URL".into()),
    }
}

/// The webhook's body. What is told comes from journals, and thus from strangers.
fn body(shape: Shape, occasion: Occasion, message: &Message) -> Vec<u8> {
    let title = clean(&message.title, 200);
    let mut lines: Vec<String> = (message.lines.iter().take(MOST_LINES))
        .map(|line| clean(line, 500))
        .collect();
    if message.lines.len() > MOST_LINES {
        lines.push(format!("… and {} more", message.lines.len() - MOST_LINES));
    }
    let report = message.report.as_ref().map(|report| clean(report, 500));
    let run = message.run.as_ref().map(|run| clean(run, 60));
    let value = match shape {
        Shape::Generic => json!({
            "tool": "seawall",
            "version": env!("CARGO_PKG_VERSION"),
            "occasion": occasion,
            "title": title,
            "lines": lines,
            "run": run,
            "report": report,
        }),
        Shape::Slack => {
            let mut text = format!("*{}*", slack(&title.replace('*', "∗")));
            for line in &lines {
                text += &format!("\n{}", slack(line));
            }
            for (word, what) in [("run", &run), ("report", &report)] {
                if let Some(what) = what {
                    text += &format!("\n{word}: {}", slack(what));
                }
            }
            json!({ "text": text })
        }
    };
    value.to_string().into_bytes()
}

/// `<` begins a link or a call for everybody.
fn slack(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// Posts it, thrice at most. How it went, either way without the URL.
async fn post(url: Url, body: Vec<u8>, patience: &Patience) -> Result<String, String> {
    let client = client(&url, patience)?;
    let mut pause = patience.pause;
    let mut tries = 0;
    loop {
        tries += 1;
        let sent = client
            .post(url.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .body(body.clone())
            .send()
            .await;
        let (why, again) = match sent {
            Ok(answer) if answer.status().is_success() => {
                return Ok(match tries {
                    1 => "told".to_owned(),
                    tries => format!("told, at the {} try", ordinal(tries)),
                });
            }
            Ok(answer) => {
                let status = answer.status();
                let why = match status.is_redirection() {
                    // Another host would get what is meant for this one.
                    true => format!("it answers with a redirect ({status}), which is not followed"),
                    false => format!("it answers {status}"),
                };
                (why, status.is_server_error() || status.as_u16() == 429)
            }
            // Whoever was slow may have taken it: told twice is worse than late.
            Err(error) if error.is_timeout() && !error.is_connect() => {
                let limit = patience.total.as_secs_f32();
                (format!("no answer in {limit} seconds"), false)
            }
            Err(error) => (trouble(&error), error.is_connect() || error.is_request()),
        };
        if !again || tries == TRIES {
            return Err(match tries {
                1 => why,
                tries => format!("{why}, at the {} try too", ordinal(tries)),
            });
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
}

fn ordinal(tries: u32) -> &'static str {
    match tries {
        1 => "first",
        2 => "second",
        _ => "third",
    }
}

fn client(url: &Url, patience: &Patience) -> Result<Client, String> {
    let mut builder = Client::builder()
        .user_agent(concat!("seawall/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(patience.connect)
        .timeout(patience.total)
        .redirect(redirect::Policy::none());
    // What is on this machine is not behind anybody's proxy.
    if matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]")) {
        builder = builder.no_proxy();
    }
    builder
        .build()
        .map_err(|error| format!("no client could be made: {}", trouble(&error)))
}

/// Why it could not be sent. An error's own words may hold the URL, so ours stand for them; the
/// operating system's do not.
fn trouble(error: &reqwest::Error) -> String {
    let what = if error.is_dns() {
        "its host's name is not known"
    } else if error.is_connect() {
        "no connection"
    } else {
        "it could not be sent"
    };
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        if let Some(io) = cause.downcast_ref::<std::io::Error>()
            && io.raw_os_error().is_some()
        {
            return format!("{what}: {io}");
        }
        source = cause.source();
    }
    what.to_owned()
}

#[cfg(test)]
mod tests;
