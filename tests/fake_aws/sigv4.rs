//! Signatures (AWS Signature Version 4): whose request it is, for which region and service.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::http::{Request, decoded, encoded};

/// What a signature says and proves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    pub account: String,
    pub region: String,
    pub service: String,
}

/// One pair of keys, and the account that it belongs to.
#[derive(Clone, Debug)]
pub struct Keys {
    pub account: String,
    pub access_key: String,
    pub secret: String,
}

/// Why a signature is not believed; with the scope that it claims, for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unbelieved {
    /// There is none.
    Missing,
    /// It cannot be read.
    Malformed(String),
    /// Nobody has this access key.
    UnknownKey(Scope),
    /// It is not what the secret gives.
    Wrong(Scope),
}

/// Verifies the request's signature. The time in it is not held against any clock: the double's own
/// runs faster than the signer's.
pub fn verify(request: &Request, known: &[Keys]) -> Result<Scope, Unbelieved> {
    let malformed = |what: &str| Unbelieved::Malformed(what.to_owned());
    let header = request.header("authorization").ok_or(Unbelieved::Missing)?;
    let fields = header
        .strip_prefix("AWS4-HMAC-SHA256 ")
        .ok_or_else(|| malformed("not AWS4-HMAC-SHA256"))?;
    let field = |name: &str| {
        fields
            .split(',')
            .filter_map(|field| field.trim().split_once('='))
            .find(|(n, _)| *n == name)
            .map(|(_, value)| value)
            .ok_or_else(|| malformed(&format!("no {name} in Authorization")))
    };
    let credential: Vec<&str> = field("Credential")?.split('/').collect();
    let [key, day, region, service, "aws4_request"] = credential[..] else {
        return Err(malformed(
            "Credential is not KEY/DAY/REGION/SERVICE/aws4_request",
        ));
    };
    let mut scope = Scope {
        account: String::new(),
        region: region.to_owned(),
        service: service.to_owned(),
    };
    let Some(keys) = known.iter().find(|keys| keys.access_key == key) else {
        return Err(Unbelieved::UnknownKey(scope));
    };
    let time = request
        .header("x-amz-date")
        .ok_or_else(|| malformed("no X-Amz-Date"))?;
    let signed: Vec<&str> = field("SignedHeaders")?.split(';').collect();
    if !time.starts_with(day) || !signed.contains(&"host") || !signed.contains(&"x-amz-date") {
        return Err(Unbelieved::Wrong(scope));
    }
    // A token that is not signed could be exchanged on the way.
    let token = "x-amz-security-token";
    if request.header(token).is_some() && !signed.contains(&token) {
        return Err(Unbelieved::Wrong(scope));
    }
    let canonical = canonical(request, &signed)
        .ok_or_else(|| malformed("a signed header is not there, or the target is not encoded"))?;
    let scope_text = format!("{day}/{region}/{service}/aws4_request");
    if signature(&keys.secret, time, &scope_text, &canonical) != field("Signature")? {
        return Err(Unbelieved::Wrong(scope));
    }
    scope.account = keys.account.clone();
    Ok(scope)
}

fn canonical(request: &Request, signed: &[&str]) -> Option<String> {
    // All but S3 encode the path once more.
    let path: Vec<String> = request.path.split('/').map(encoded).collect();
    let mut query = Vec::new();
    for pair in request.query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        query.push((
            encoded(&decoded(name, false)?),
            encoded(&decoded(value, false)?),
        ));
    }
    query.sort();
    let query: Vec<String> = query.into_iter().map(|(n, v)| format!("{n}={v}")).collect();
    let mut headers = String::new();
    for name in signed {
        let values: Vec<String> = request
            .headers
            .iter()
            .filter(|(n, _)| n == name)
            .map(|(_, v)| v.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        if values.is_empty() {
            return None;
        }
        headers.push_str(&format!("{name}:{}\n", values.join(",")));
    }
    // What is said of the body has to be true, too.
    let body = hex(&Sha256::digest(&request.body));
    Some(format!(
        "{}\n{}\n{}\n{headers}\n{}\n{body}",
        request.method,
        path.join("/"),
        query.join("&"),
        signed.join(";"),
    ))
}

/// `scope`: `DAY/REGION/SERVICE/aws4_request`.
fn signature(secret: &str, time: &str, scope: &str, canonical: &str) -> String {
    let text = format!(
        "AWS4-HMAC-SHA256\n{time}\n{scope}\n{}",
        hex(&Sha256::digest(canonical.as_bytes()))
    );
    let mut key = format!("AWS4{secret}").into_bytes();
    for part in scope.split('/') {
        key = hmac(&key, part);
    }
    hex(&hmac(&key, &text))
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    // HMAC takes keys of any length.
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Signs `request`, which has its `host`, at `time` (`20260101T000000Z`): what the tests send.
pub fn sign(request: &mut Request, keys: &Keys, region: &str, service: &str, time: &str) {
    let day = &time[..8];
    request.headers.push(("x-amz-date".into(), time.into()));
    let signed = ["host", "x-amz-date"];
    let canonical = canonical(request, &signed).expect("host and date are there");
    let scope = format!("{day}/{region}/{service}/aws4_request");
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders=host;x-amz-date, Signature={}",
        keys.access_key,
        signature(&keys.secret, time, &scope, &canonical)
    );
    request
        .headers
        .push(("authorization".into(), authorization));
}
