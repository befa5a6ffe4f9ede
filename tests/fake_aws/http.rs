//! As much of HTTP/1.1 as the SDKs speak to an endpoint without TLS. By hand, because the double has
//! to close a connection at the very moment that its script says.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt};

const MAX_HEAD: usize = 64 * 1024;
const MAX_BODY: usize = 8 * 1024 * 1024;

#[derive(Debug, Default)]
pub struct Request {
    pub method: String,
    /// As it was on the wire, encoded.
    pub path: String,
    /// After the `?`, encoded.
    pub query: String,
    /// Names in lower case, in the order in which they came.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// The client keeps the connection.
    pub keep: bool,
}

impl Request {
    /// `name`: in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(n, _)| n == name);
        found.map(|(_, value)| value.as_str())
    }
}

#[derive(Debug, Default)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Response {
    pub fn new(status: u16, kind: &str, body: impl Into<Vec<u8>>) -> Response {
        Response {
            status,
            headers: vec![("Content-Type".into(), kind.into())],
            body: body.into(),
        }
    }

    pub fn with(mut self, name: &str, value: &str) -> Response {
        self.headers.push((name.into(), value.into()));
        self
    }
}

fn bad(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// None: the client closed the connection between two requests.
pub async fn read<S>(stream: &mut S) -> io::Result<Option<Request>>
where
    S: AsyncBufRead + AsyncWrite + Unpin,
{
    let mut head = 0;
    let mut request = Request::default();
    let Some(first) = line(stream, &mut head).await? else {
        return Ok(None);
    };
    let mut words = first.split(' ');
    let (Some(method), Some(target), Some(version)) = (words.next(), words.next(), words.next())
    else {
        return Err(bad("not a request line"));
    };
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    request.method = method.to_owned();
    request.path = path.to_owned();
    request.query = query.to_owned();
    loop {
        let text = line(stream, &mut head).await?;
        let text = text.ok_or_else(|| bad("the head of a request ends early"))?;
        if text.is_empty() {
            break;
        }
        let (name, value) = text.split_once(':').ok_or_else(|| bad("not a header"))?;
        let header = (name.to_ascii_lowercase(), value.trim().to_owned());
        request.headers.push(header);
    }
    request.keep = version == "HTTP/1.1"
        && !request
            .header("connection")
            .is_some_and(|c| c.eq_ignore_ascii_case("close"));
    if request.header("transfer-encoding").is_some() {
        return Err(bad("bodies in chunks are not read here"));
    }
    let length = request.header("content-length").unwrap_or("0");
    let length: usize = length.parse().map_err(|_| bad("not a length"))?;
    if length > MAX_BODY {
        return Err(bad("the body is too long"));
    }
    if request.header("expect").is_some() {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        stream.flush().await?;
    }
    request.body = vec![0; length];
    stream.read_exact(&mut request.body).await?;
    Ok(Some(request))
}

/// A line without its end; none at the end of the stream.
async fn line<S: AsyncBufRead + Unpin>(
    stream: &mut S,
    head: &mut usize,
) -> io::Result<Option<String>> {
    let mut text = Vec::new();
    let room = (MAX_HEAD - *head) as u64;
    let read = (&mut *stream)
        .take(room)
        .read_until(b'\n', &mut text)
        .await?;
    *head += read;
    if read == 0 && *head < MAX_HEAD {
        return Ok(None);
    }
    if text.pop() != Some(b'\n') {
        return Err(bad("the head of a request is too long or ends early"));
    }
    if text.last() == Some(&b'\r') {
        text.pop();
    }
    String::from_utf8(text)
        .map(Some)
        .map_err(|_| bad("the head of a request is not text"))
}

pub async fn write<S>(stream: &mut S, response: &Response, keep: bool) -> io::Result<()>
where
    S: AsyncWrite + Unpin,
{
    // Some clients measure their clock's error by Date, which is why it tells the real time.
    let date = jiff::Timestamp::now().strftime("%a, %d %b %Y %H:%M:%S GMT");
    let mut out = format!(
        "HTTP/1.1 {} {}\r\nDate: {date}\r\nServer: a double for tests\r\nContent-Length: {}\r\n",
        response.status,
        reason(response.status),
        response.body.len()
    );
    for (name, value) in &response.headers {
        out.push_str(&format!("{name}: {value}\r\n"));
    }
    if !keep {
        out.push_str("Connection: close\r\n");
    }
    out.push_str("\r\n");
    let mut out = out.into_bytes();
    out.extend_from_slice(&response.body);
    stream.write_all(&out).await?;
    stream.flush().await
}

fn reason(status: u16) -> &'static str {
    match status {
        200..300 => "OK",
        400..500 => "Refused",
        _ => "Failed",
    }
}

/// Text with `%41` and, in queries, `+` decoded. None: not an encoding of text.
pub fn decoded(text: &str, plus: bool) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => {
                let digits = [bytes.next()?, bytes.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            b'+' if plus => b' ',
            byte => byte,
        });
    }
    String::from_utf8(out).ok()
}

/// As signatures want it: all but letters, digits and `-._~` encoded.
pub fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(byte as char);
            }
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// The pairs of a query or of a form, decoded.
pub fn pairs(query: &str) -> Option<Vec<(String, String)>> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decoded(name, true)?, decoded(value, true)?))
        })
        .collect()
}
