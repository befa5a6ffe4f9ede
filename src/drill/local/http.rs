//! HTTP to this machine, and to nowhere else.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::guard::url_host;

/// Most of a body that is read, in bytes.
const BODY: usize = 1 << 20;

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// Its beginning.
    pub body: Vec<u8>,
}

/// The port of a URL whose host is this machine.
///
/// # Errors
/// When it is another host's, or no URL.
pub fn loopback_port(url: &str) -> Result<u16, String> {
    let parsed = reqwest::Url::parse(url)
        .map_err(|e| format!("{} is no URL: {e}", crate::shell::clean(url, 200)))?;
    let host = url_host(parsed.as_str()).unwrap_or_default();
    let here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|a| a.is_loopback());
    if !here {
        return Err(format!(
            "{} is not the restored address: only 127.0.0.1, ::1 and localhost are asked",
            crate::shell::clean(host, 100)
        ));
    }
    parsed
        .port_or_known_default()
        .ok_or_else(|| "the URL has no port".into())
}

/// Asks for a page. No proxy, and no redirect: what is elsewhere is not what was restored.
/// Blocks; within a runtime's thread for that.
pub fn get(url: &str, limit: Duration) -> Result<Answer, String> {
    loopback_port(url)?;
    let runtime = tokio::runtime::Handle::try_current()
        .map_err(|e| format!("asking {}: {e}", crate::shell::clean(url, 200)))?;
    runtime.block_on(async {
        let asking = |e: reqwest::Error| {
            // The error's own text leaves out why.
            let mut text = e.to_string();
            let mut source = std::error::Error::source(&e);
            while let Some(inner) = source {
                text = format!("{text}: {inner}");
                source = inner.source();
            }
            crate::shell::clean(&text, 300)
        };
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .resolve("localhost", SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
            .timeout(limit)
            .build()
            .map_err(asking)?;
        let mut response = client.get(url).send().await.map_err(asking)?;
        let status = response.status().as_u16();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(asking)? {
            let room = BODY - body.len();
            body.extend_from_slice(chunk.get(..chunk.len().min(room)).unwrap_or_default());
            if body.len() >= BODY {
                break;
            }
        }
        Ok(Answer { status, body })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_asked() {
        assert_eq!(loopback_port("http://127.0.0.1:8080/x"), Ok(8080));
        assert_eq!(loopback_port("http://localhost/"), Ok(80));
        assert_eq!(loopback_port("http://[::1]:81/"), Ok(81));
        // What a sloppy reader would take for loopback.
        for url in [
            "http://127.0.0.1.example/",
            "http://127.0.0.1@primary.example/",
            "http://primary.example/#127.0.0.1",
            "http://192.0.2.1/",
            "nonsense",
        ] {
            assert!(loopback_port(url).is_err(), "{url}");
        }
    }
}
