//! A page of a restored service, asked for from an instance of the drill.

use super::{Found, View, outcome, quoted};
use crate::document::drill::HttpProof;
use crate::shell::clean;

/// Most of an answer that is read, in bytes, its head included.
const OUTPUT: usize = 1 << 20;
/// How long an answer may take, in seconds.
const ANSWER: u64 = 60;

pub async fn prove(view: &View<'_>, demand: &HttpProof) -> Result<Found, String> {
    let url = view.world.fill(&demand.url)?;
    let wanted = view.world.fill(&demand.contains)?;
    if !url.starts_with("http://") && !url.starts_with("https://") {
        return Err(format!("{} is no URL of http or https", clean(&url, 100)));
    }
    let target = view.target()?;
    let ran = view
        .run(&target, &program(&url)?, "ask; exit 0", OUTPUT + 512)
        .await?;
    let at = view.at(&target, &url);
    let Some((status, body)) = answer(&ran.out) else {
        let why = String::from_utf8_lossy(&ran.ended.stderr);
        return Err(format!(
            "{}: no answer: {}",
            clean(&url, 100),
            clean(&why, 200)
        ));
    };
    Ok(judge(demand, &wanted, status, body, at))
}

/// By curl or by wget, whichever there is; past no proxy, and not where the answer may send it.
fn program(url: &str) -> Result<String, String> {
    let url = quoted(url)?;
    Ok(format!(
        r#"ask() {{
  if have curl; then
    curl -q -sS -g -i --noproxy '*' --proto '=http,https' --max-time {ANSWER} -- {url} | head -c {OUTPUT}
  elif have wget; then
    t=$(mktemp) || return 1
    e=$({{ wget -S -O - --no-proxy --max-redirect=0 --content-on-error --tries=1 -T {ANSWER} -- {url} |
      head -c {OUTPUT} >"$t"; }} 2>&1)
    h=$(printf '%s\n' "$e" | grep -o 'HTTP/[0-9.]* [0-9][0-9][0-9]' | tail -n 1)
    [ -z "$h" ] && printf '%s\n' "$e" >&2
    [ -n "$h" ] && printf '%s\r\n\r\n' "$h" && cat "$t"
    rm -f "$t"
  else
    echo 'the instance has neither curl nor wget' >&2
  fi
}}"#
    ))
}

/// The status and the body of the last answer: those before it are interim ones.
fn answer(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let mut rest = bytes;
    loop {
        let end = rest.windows(4).position(|w| w == b"\r\n\r\n")?;
        let (head, body) = rest.split_at(end);
        let body = body.get(4..).unwrap_or_default();
        let line = head.split(|b| *b == b'\r').next()?;
        let line = std::str::from_utf8(line).ok()?;
        let status: u16 = (line.strip_prefix("HTTP/")?.split(' ').nth(1)?.parse()).ok()?;
        if status >= 200 {
            return Some((status, body));
        }
        rest = body;
    }
}

/// Pure.
fn judge(demand: &HttpProof, wanted: &str, status: u16, body: &[u8], at: String) -> Found {
    let contains = !wanted.is_empty() && body.windows(wanted.len()).any(|w| w == wanted.as_bytes());
    Found {
        outcome: outcome(status == demand.status && contains),
        expected: format!("status {} and `{wanted}` in the body", demand.status),
        read: format!(
            "status {status}, {} bytes{}: {}",
            body.len(),
            if contains { " with it" } else { " without it" },
            clean(&String::from_utf8_lossy(body), 200)
        ),
        at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::drill::ProofOutcome;

    #[test]
    fn the_last_answer_counts() {
        let text = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nA: b\r\n\r\nhello\r\n\r\nyou";
        assert_eq!(answer(text), Some((200, &b"hello\r\n\r\nyou"[..])));
        assert_eq!(answer(b"HTTP/2 503 \r\n\r\n"), Some((503, &b""[..])));
        for wrong in [
            &b""[..],
            b"HTTP/1.1 200 OK\r\n",
            b"hello\r\n\r\n",
            b"HTTP/1.1 x\r\n\r\n",
        ] {
            assert_eq!(answer(wrong), None);
        }
    }

    #[test]
    fn status_and_text_both_count() {
        let demand = HttpProof {
            url: "http://x/".into(),
            status: 200,
            contains: "orders: 15".into(),
        };
        let judge =
            |status, body: &[u8]| judge(&demand, "orders: 15", status, body, String::new()).outcome;
        assert_eq!(judge(200, b"<p>orders: 15</p>"), ProofOutcome::Pass);
        assert_eq!(judge(503, b"orders: 15"), ProofOutcome::Fail);
        assert_eq!(judge(200, b"maintenance"), ProofOutcome::Fail);
    }
}
