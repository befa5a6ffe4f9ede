//! The double held to the services' models and to what it promises, over its own wire.

mod served;
mod wire;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use serde_json::Value;

use super::http::Request;
use super::model::{self, Model};
use super::server::{ACCESS_KEY, ACCOUNT, SECRET};
use super::sigv4::{self, Keys};

fn models(service: &str) -> Arc<Model> {
    model::load(&model::default_folder(), service)
        .expect("the models are there: scripts/test-tools")
        .expect("a service of this double")
}

fn keys() -> Keys {
    Keys {
        account: ACCOUNT.into(),
        access_key: ACCESS_KEY.into(),
        secret: SECRET.into(),
    }
}

/// A request to a service that takes JSON.
fn json_request(target: &str, body: &str) -> Request {
    Request {
        method: "POST".into(),
        path: "/".into(),
        headers: vec![
            ("host".into(), "double".into()),
            ("x-amz-target".into(), target.into()),
        ],
        body: body.into(),
        keep: true,
        ..Request::default()
    }
}

/// A request to a service that takes forms.
fn form_request(form: &str) -> Request {
    Request {
        method: "POST".into(),
        path: "/".into(),
        headers: vec![("host".into(), "double".into())],
        body: form.into(),
        keep: true,
        ..Request::default()
    }
}

/// A request to a service that has addresses.
fn rest_request(method: &str, target: &str, body: &str) -> Request {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    Request {
        method: method.into(),
        path: path.into(),
        query: query.into(),
        headers: vec![("host".into(), "double".into())],
        body: body.into(),
        keep: true,
    }
}

fn signed(mut request: Request, region: &str, service: &str) -> Request {
    sigv4::sign(&mut request, &keys(), region, service, "20260101T000000Z");
    request
}

/// Status, head and body; none where the connection was closed without an answer.
fn send(url: &str, request: &Request) -> Option<(u16, String, String)> {
    let mut stream = connect(url);
    exchange(&mut stream, request)
}

fn connect(url: &str) -> TcpStream {
    TcpStream::connect(url.trim_start_matches("http://")).expect("the double listens")
}

fn exchange(stream: &mut TcpStream, request: &Request) -> Option<(u16, String, String)> {
    let mut out = format!("{} {}", request.method, request.path);
    if !request.query.is_empty() {
        out.push_str(&format!("?{}", request.query));
    }
    out.push_str(" HTTP/1.1\r\n");
    for (name, value) in &request.headers {
        out.push_str(&format!("{name}: {value}\r\n"));
    }
    out.push_str(&format!("content-length: {}\r\n\r\n", request.body.len()));
    let mut out = out.into_bytes();
    out.extend_from_slice(&request.body);
    stream.write_all(&out).expect("a request can be written");
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).unwrap_or(0) == 0 {
            assert!(head.is_empty(), "an answer that breaks off");
            return None;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).expect("a head is text");
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("Content-Length: "))
        .and_then(|length| length.parse().ok())
        .expect("an answer has its length");
    let mut body = vec![0; length];
    stream.read_exact(&mut body).expect("the body is there");
    let status = head[9..12].parse().expect("a status");
    Some((status, head, String::from_utf8(body).expect("text")))
}

fn parsed(body: &str) -> Value {
    serde_json::from_str(body).expect("an answer in JSON")
}
