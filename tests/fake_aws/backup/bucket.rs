//! Restored buckets, in a real S3 server: plain HTTP to one that asks for no signatures.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use super::state::Point;

/// A bucket, and the server that it is in.
#[derive(Clone, Debug)]
pub struct Bucket {
    /// `http://127.0.0.1:8333`
    pub server: String,
    pub name: String,
}

/// Makes it, versioned, as a bucket must be that AWS Backup restores to.
pub fn make(bucket: &Bucket) -> Result<(), String> {
    if exists(bucket)? {
        return Err(format!("The bucket {} exists already.", bucket.name));
    }
    sent(bucket, "PUT", "", b"")?;
    let versioned = b"<VersioningConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
        <Status>Enabled</Status></VersioningConfiguration>";
    sent(bucket, "PUT", "?versioning", versioned)
}

/// Puts the point's objects into it: `objects`, each with a `key` and a `body`, or a `size`.
pub fn fill(bucket: &Bucket, point: &Point) -> Result<(), String> {
    let objects = point.spec.get("objects").and_then(Value::as_array);
    for object in objects.into_iter().flatten() {
        let key = object
            .get("key")
            .and_then(Value::as_str)
            .unwrap_or("object");
        let body = match object.get("body").and_then(Value::as_str) {
            Some(body) => body.as_bytes().to_vec(),
            None => {
                let size = object.get("size").and_then(Value::as_u64).unwrap_or(1024);
                key.bytes().cycle().take(size as usize).collect()
            }
        };
        sent(bucket, "PUT", &format!("/{}", escaped(key)), &body)?;
    }
    Ok(())
}

pub fn exists(bucket: &Bucket) -> Result<bool, String> {
    match request(bucket, "HEAD", "", b"")? {
        200 => Ok(true),
        404 => Ok(false),
        other => Err(format!("HEAD of the bucket: status {other}")),
    }
}

fn sent(bucket: &Bucket, method: &str, rest: &str, body: &[u8]) -> Result<(), String> {
    match request(bucket, method, rest, body)? {
        200..=299 => Ok(()),
        other => Err(format!("{method} {}{rest}: status {other}", bucket.name)),
    }
}

/// One request on a connection of its own; its status.
fn request(bucket: &Bucket, method: &str, rest: &str, body: &[u8]) -> Result<u16, String> {
    let host = (bucket.server.strip_prefix("http://"))
        .unwrap_or(&bucket.server)
        .trim_end_matches('/');
    let said = || -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(host)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        let head = format!(
            "{method} /{}{rest} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\
             Content-Length: {}\r\n\r\n",
            bucket.name,
            body.len()
        );
        stream.write_all(head.as_bytes())?;
        stream.write_all(body)?;
        // The status stands in the first line; the rest need not be read.
        let mut first = vec![0; 64];
        let mut have = 0;
        while have < 12 {
            match stream.read(&mut first[have..])? {
                0 => break,
                n => have += n,
            }
        }
        first.truncate(have);
        Ok(first)
    };
    let first = said().map_err(|why| format!("{method} to {host}: {why}"))?;
    (String::from_utf8_lossy(&first).split(' ').nth(1))
        .and_then(|status| status.get(..3).unwrap_or(status).parse().ok())
        .ok_or_else(|| format!("{method} to {host}: no status in the answer"))
}

fn escaped(key: &str) -> String {
    (key.bytes())
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}
