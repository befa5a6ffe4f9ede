//! known_hosts files: who a name's key may be, by OpenSSH's rules. Pure.
//!
//! Lines that cannot be read are skipped, as OpenSSH does; a line that is marked `@revoked` and
//! whose key cannot be read revokes nothing there either.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use russh::keys::ssh_key::certificate::CertType;
use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Algorithm, Certificate, HashAlg, PublicKey};
use sha1::Sha1;

/// What a line's first word says about its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marker {
    /// An ordinary host key.
    None,
    CertAuthority,
    Revoked,
}

/// Whom a line is about.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Names {
    Patterns(Vec<String>),
    Hashed { salt: Vec<u8>, hash: Vec<u8> },
}

/// One line that could be read.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Counted from 1, comments and empty lines included.
    pub number: usize,
    pub marker: Marker,
    names: Names,
    key: KeyData,
}

impl Line {
    fn is_about(&self, name: &str) -> bool {
        match &self.names {
            Names::Patterns(patterns) => matches_list(patterns, name),
            Names::Hashed { salt, hash } => hash_name(salt, name).as_slice() == hash.as_slice(),
        }
    }
}

/// One file, read.
#[derive(Clone, Debug)]
pub struct KnownHosts {
    pub path: PathBuf,
    lines: Vec<Line>,
}

/// A line of a file, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub path: PathBuf,
    /// 0 where the file as a whole says it.
    pub line: usize,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.line == 0 {
            return write!(f, "{}", self.path.display());
        }
        write!(f, "{}:{}", self.path.display(), self.line)
    }
}

/// What the files say about a key that a server showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The key stands there for this name.
    Trusted(Place),
    /// A trusted authority vouches for it, by the certificate with this key id.
    TrustedByCa { place: Place, key_id: String },
    /// A key of the same type stands there for this name, and it is another one.
    Changed(Place),
    /// The key (or the authority's) stands there as one that must not be trusted.
    Revoked(Place),
    /// Nothing is known of the name, or only keys of other types are.
    Unknown {
        /// A line with a key of another type for this name, if there is one.
        other: Option<Place>,
    },
    /// An authority that is trusted signed the certificate, but the certificate does not hold.
    BadCertificate { place: Place, reason: String },
}

impl KnownHosts {
    /// Reads a file's text. Never fails: what cannot be read is skipped.
    pub fn parse(path: &Path, text: &str) -> KnownHosts {
        let lines = text
            .lines()
            .enumerate()
            .filter_map(|(i, line)| parse_line(i + 1, line))
            .collect();
        KnownHosts {
            path: path.to_owned(),
            lines,
        }
    }

    fn place(&self, line: &Line) -> Place {
        Place {
            path: self.path.clone(),
            line: line.number,
        }
    }
}

fn parse_line(number: usize, line: &str) -> Option<Line> {
    let blank = |c: char| c == ' ' || c == '\t';
    let mut rest = line.trim_matches(|c: char| blank(c) || c == '\r' || c == '\n');
    if rest.is_empty() || rest.starts_with('#') {
        return None;
    }
    let mut marker = Marker::None;
    if rest.starts_with('@') {
        let (word, after) = rest.split_once(blank)?;
        marker = match word {
            "@cert-authority" => Marker::CertAuthority,
            "@revoked" => Marker::Revoked,
            _ => return None,
        };
        rest = after.trim_start_matches(blank);
    }
    let (names, after) = rest.split_once(blank)?;
    let mut words = after.split(blank).filter(|w| !w.is_empty());
    let (kind, blob) = (words.next()?, words.next()?);
    let key = PublicKey::from_openssh(&format!("{kind} {blob}")).ok()?;
    let names = match names.strip_prefix("|1|") {
        Some(hashed) => {
            let (salt, hash) = hashed.split_once('|')?;
            Names::Hashed {
                salt: STANDARD.decode(salt).ok()?,
                hash: STANDARD.decode(hash).ok()?,
            }
        }
        None => Names::Patterns(names.split(',').map(str::to_ascii_lowercase).collect()),
    };
    Some(Line {
        number,
        marker,
        names,
        key: key.key_data().clone(),
    })
}

/// The name that known_hosts has for a host: `[host]:port` unless the port is 22; small letters.
pub fn name_of(host: &str, port: u16) -> String {
    let host = host.to_ascii_lowercase();
    if port == 22 {
        host
    } else {
        format!("[{host}]:{port}")
    }
}

fn hash_name(salt: &[u8], name: &str) -> Vec<u8> {
    // A key of any length is allowed, so this cannot fail.
    let Ok(mut mac) = Hmac::<Sha1>::new_from_slice(salt) else {
        return Vec::new();
    };
    mac.update(name.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// Writes a line that says that `name` has this key; the name is hashed where `salt` is given.
pub fn write_line(name: &str, key: &PublicKey, salt: Option<&[u8]>) -> Option<String> {
    let mut plain = PublicKey::new(key.key_data().clone(), "");
    plain.set_comment("");
    let key = plain.to_openssh().ok()?;
    let name = match salt {
        Some(salt) => format!(
            "|1|{}|{}",
            STANDARD.encode(salt),
            STANDARD.encode(hash_name(salt, name))
        ),
        None => name.to_owned(),
    };
    Some(format!("{name} {}\n", key.trim()))
}

/// A list of patterns matches if one of them does and none that begins with `!` does.
fn matches_list(patterns: &[String], name: &str) -> bool {
    let mut found = false;
    for pattern in patterns {
        match pattern.strip_prefix('!') {
            Some(not) if matches_pattern(not, name) => return false,
            Some(_) => {}
            None => found |= matches_pattern(pattern, name),
        }
    }
    found
}

/// OpenSSH's patterns: `*` is any text, `?` any one character; nothing else is special.
pub fn matches_pattern(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    // Where to go on if the last star has to take one more character.
    let mut back: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                back = Some((p + 1, t));
                p += 1;
            }
            Some(c) if *c == b'?' || Some(c) == text.get(t) => {
                p += 1;
                t += 1;
            }
            _ => match back {
                Some((star, taken)) => {
                    back = Some((star, taken + 1));
                    p = star;
                    t = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern
        .get(p..)
        .is_some_and(|rest| rest.iter().all(|c| *c == b'*'))
}

/// Several files, in their order, asked about one name.
pub struct Question<'a> {
    pub files: &'a [Arc<KnownHosts>],
    /// As [`name_of`] writes it.
    pub name: &'a str,
    /// The host's name without the port, as a certificate's principals have it.
    pub host: &'a str,
}

impl Question<'_> {
    fn lines(&self, marker: Marker) -> impl Iterator<Item = (&KnownHosts, &Line)> {
        self.files
            .iter()
            .flat_map(|file| file.lines.iter().map(move |line| (&**file, line)))
            .filter(move |(_, line)| line.marker == marker && self.is_about(line))
    }

    /// With a port that is not 22, OpenSSH looks for the name without the port as well. A line
    /// with an ordinary key is then only good for saying yes: see [`Question::judge_key`].
    fn is_about(&self, line: &Line) -> bool {
        line.is_about(self.name)
            || (self.name != self.host && line.is_about(&self.host.to_ascii_lowercase()))
    }

    /// The types of keys that are known for the name.
    pub fn known_types(&self) -> Vec<Algorithm> {
        let exact: Vec<Algorithm> = self
            .lines(Marker::None)
            .filter(|(_, line)| line.is_about(self.name))
            .map(|(_, line)| line.key.algorithm())
            .collect();
        if !exact.is_empty() {
            return exact;
        }
        self.lines(Marker::None)
            .map(|(_, line)| line.key.algorithm())
            .collect()
    }

    /// Whether some authority is trusted for the name.
    pub fn has_authority(&self) -> bool {
        self.lines(Marker::CertAuthority).next().is_some()
    }

    fn revoked(&self, key: &KeyData) -> Option<Place> {
        self.lines(Marker::Revoked)
            .find(|(_, line)| line.key == *key)
            .map(|(file, line)| file.place(line))
    }

    /// What the files say about a plain key.
    pub fn judge_key(&self, key: &KeyData) -> Verdict {
        if let Some(place) = self.revoked(key) {
            return Verdict::Revoked(place);
        }
        let mut changed = None;
        let mut other = None;
        let mut without_port = None;
        for (file, line) in self.lines(Marker::None) {
            let exact = line.is_about(self.name);
            if line.key == *key {
                if exact {
                    return Verdict::Trusted(file.place(line));
                }
                without_port.get_or_insert_with(|| file.place(line));
            }
            if !exact {
                continue;
            }
            let slot = if line.key.algorithm() == key.algorithm() {
                &mut changed
            } else {
                &mut other
            };
            slot.get_or_insert_with(|| file.place(line));
        }
        match (changed, without_port) {
            (Some(place), _) => Verdict::Changed(place),
            (None, Some(place)) => Verdict::Trusted(place),
            (None, None) => Verdict::Unknown { other },
        }
    }

    /// What the files say about a host certificate. Where no certificate helps, the key in it is
    /// judged as a plain one, as OpenSSH does.
    pub fn judge_certificate(&self, certificate: &Certificate, now: SystemTime) -> Verdict {
        for key in [certificate.public_key(), certificate.signature_key()] {
            if let Some(place) = self.revoked(key) {
                return Verdict::Revoked(place);
            }
        }
        let authority = self
            .lines(Marker::CertAuthority)
            .find(|(_, line)| line.key == *certificate.signature_key());
        let plain = self.judge_key(certificate.public_key());
        let Some((file, line)) = authority else {
            return plain;
        };
        let place = file.place(line);
        match check_certificate(certificate, self.host, now) {
            Ok(()) => Verdict::TrustedByCa {
                place,
                key_id: certificate.key_id().to_owned(),
            },
            Err(_) if matches!(plain, Verdict::Trusted(_)) => plain,
            Err(reason) => Verdict::BadCertificate { place, reason },
        }
    }
}

/// Everything but the trust in the authority.
fn check_certificate(certificate: &Certificate, host: &str, now: SystemTime) -> Result<(), String> {
    if certificate.cert_type() != CertType::Host {
        return Err("it is a certificate for a user, not for a host".into());
    }
    let principals = certificate.valid_principals();
    let host = host.to_ascii_lowercase();
    if principals.is_empty() {
        return Err("it names no host".into());
    }
    if !principals
        .iter()
        .any(|p| matches_pattern(&p.to_ascii_lowercase(), &host))
    {
        return Err(format!("it is not for the name {host}"));
    }
    if let Some(option) = certificate.critical_options().keys().next() {
        return Err(format!(
            "it has a critical option that is not known: {option}"
        ));
    }
    if matches!(
        certificate.signature().algorithm(),
        Algorithm::Rsa { hash: None } | Algorithm::Dsa
    ) {
        return Err("its authority signed it with an algorithm that is too old".into());
    }
    let now = now
        .duration_since(UNIX_EPOCH)
        .map(|d| d.as_secs())
        .unwrap_or(0);
    if now < certificate.valid_after() {
        return Err("it is not valid yet".into());
    }
    if now >= certificate.valid_before() {
        return Err("it has expired".into());
    }
    let authority = certificate.signature_key().fingerprint(HashAlg::Sha256);
    certificate
        .validate_at(now, std::iter::once(&authority))
        .map_err(|_| "its signature is wrong".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use russh::keys::PrivateKey;
    use russh::keys::key::safe_rng;
    use russh::keys::ssh_key::certificate::Builder;
    use std::time::Duration;

    fn key() -> PrivateKey {
        PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519).unwrap()
    }

    /// A host's certificate, with what `change` adds to it.
    fn signed(ca: &PrivateKey, change: impl FnOnce(&mut Builder)) -> Certificate {
        built(ca, |b| {
            b.cert_type(CertType::Host).unwrap();
            change(b);
        })
    }

    fn built(ca: &PrivateKey, change: impl FnOnce(&mut Builder)) -> Certificate {
        let host = key();
        let mut builder =
            Builder::new_with_random_nonce(&mut safe_rng(), host.public_key(), 1000, 2000).unwrap();
        builder.key_id("id").unwrap();
        change(&mut builder);
        builder.sign(ca).unwrap()
    }

    fn judge(text: &str, certificate: &Certificate, now: u64) -> Verdict {
        let file = [Arc::new(KnownHosts::parse(Path::new("/k"), text))];
        let question = Question {
            files: &file,
            name: "web",
            host: "web",
        };
        question.judge_certificate(certificate, UNIX_EPOCH + Duration::from_secs(now))
    }

    fn reason(text: &str, certificate: &Certificate, now: u64) -> String {
        match judge(text, certificate, now) {
            Verdict::BadCertificate { reason, .. } => reason,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_certificate_counts_only_if_everything_about_it_is_right() {
        let ca = key();
        let public = ca.public_key().to_openssh().unwrap();
        let trust = format!("@cert-authority web {public}\n");
        let for_web = |b: &mut Builder| {
            b.valid_principal("w?b").unwrap();
        };
        let good = signed(&ca, for_web);
        for now in [1000, 1500, 1999] {
            assert!(matches!(
                judge(&trust, &good, now),
                Verdict::TrustedByCa { .. }
            ));
        }
        assert!(reason(&trust, &good, 999).contains("not valid yet"));
        assert!(reason(&trust, &good, 2000).contains("expired"));
        let user = built(&ca, |b| {
            for_web(b);
            b.cert_type(CertType::User).unwrap();
        });
        assert!(reason(&trust, &user, 1500).contains("for a user"));
        let other = signed(&ca, |b| {
            b.valid_principal("web1").unwrap();
        });
        assert!(reason(&trust, &other, 1500).contains("not for the name"));
        let anyone = signed(&ca, |b| {
            b.all_principals_valid().unwrap();
        });
        assert!(reason(&trust, &anyone, 1500).contains("names no host"));
        let critical = signed(&ca, |b| {
            for_web(b);
            b.critical_option("force-moon", "full").unwrap();
        });
        assert!(reason(&trust, &critical, 1500).contains("force-moon"));
    }

    #[test]
    fn an_authority_counts_only_where_it_is_trusted_and_never_once_it_is_revoked() {
        let ca = key();
        let public = ca.public_key().to_openssh().unwrap();
        let good = signed(&ca, |b| {
            b.valid_principal("web").unwrap();
        });
        let own = PublicKey::new(good.public_key().clone(), "");
        let own = own.to_openssh().unwrap();
        let is_unknown = |text: &str| matches!(judge(text, &good, 1500), Verdict::Unknown { .. });
        assert!(is_unknown(""));
        assert!(is_unknown(&format!("@cert-authority other {public}\n")));
        // A line without the marker trusts a key, not what it signs.
        assert!(!matches!(
            judge(&format!("web {public}\n"), &good, 1500),
            Verdict::TrustedByCa { .. }
        ));
        let trust = format!("@cert-authority * {public}\n");
        for revoked in [&public, &own] {
            let text = format!("{trust}web {own}\n@revoked * {revoked}\n");
            assert!(matches!(judge(&text, &good, 1500), Verdict::Revoked(_)));
        }
        // The key in a certificate that no longer holds may be known by itself.
        assert!(matches!(
            judge(&format!("{trust}web {own}\n"), &good, 5000),
            Verdict::Trusted(_)
        ));
    }
}
