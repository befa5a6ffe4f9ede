//! Key pairs that were imported.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::super::world::{Answer, Refusal};
use super::state::{KeyPair, State, Thing};
use super::tags;
use super::turn::{Turn, missing, paged, refuse};

pub fn import(turn: &mut Turn<'_>) -> Answer {
    turn.taggable(&["key-pair"])?;
    let name = turn.needed("KeyName")?;
    let material = turn.needed("PublicKeyMaterial")?;
    let public = STANDARD.decode(material).ok();
    let public = public.and_then(|bytes| String::from_utf8(bytes).ok());
    let Some(public) = public.filter(|text| well_formed(text)) else {
        return refuse(
            "InvalidKey.Format",
            "Key is not in valid OpenSSH public key format",
        );
    };
    if turn.state.keys.values().any(|key| key.name == name) {
        return refuse(
            "InvalidKeyPair.Duplicate",
            format!("The keypair '{name}' already exists."),
        );
    }
    let key = KeyPair {
        base: turn.base::<KeyPair>()?,
        name: name.to_owned(),
        public: public.trim().to_owned(),
    };
    let id = turn.id::<KeyPair>();
    let answer = json!({
        "KeyPairId": id,
        "KeyName": name,
        "KeyFingerprint": fingerprint(&key),
        "Tags": tags::shown(&key.base),
    });
    turn.state.keys.insert(id, key);
    Ok(answer)
}

fn well_formed(text: &str) -> bool {
    let mut words = text.split_whitespace();
    let kind = words.next().unwrap_or_default();
    let data = words.next().and_then(|data| STANDARD.decode(data).ok());
    // EC2 takes no ECDSA.
    ["ssh-ed25519", "ssh-rsa"].contains(&kind)
        && data.is_some_and(|data| {
            data.get(4..)
                .is_some_and(|d| d.starts_with(kind.as_bytes()))
        })
}

/// Stands for a fingerprint: nothing computes with it.
fn fingerprint(key: &KeyPair) -> String {
    let mixed = key.public.bytes().fold(0_u64, |sum, byte| {
        sum.wrapping_mul(1_099_511_628_211) ^ u64::from(byte)
    });
    STANDARD.encode(mixed.to_be_bytes())
}

impl State {
    /// As `authorized_keys` has them.
    pub fn public_keys(&self) -> Vec<String> {
        let keys = self.keys.values();
        keys.map(|key| key.public.clone()).collect()
    }
}

/// By name.
pub fn named<'t>(turn: &'t Turn<'_>, name: &str) -> Result<(&'t str, &'t KeyPair), Refusal> {
    let sight = turn.sight();
    let mut keys = turn.state.keys.iter();
    match keys.find(|(_, key)| key.name == name && key.base.made <= sight) {
        Some((id, key)) => Ok((id, key)),
        None => refuse(
            KeyPair::KIND.not_found,
            format!("The key pair '{name}' does not exist"),
        ),
    }
}

pub fn describe(turn: &mut Turn<'_>) -> Answer {
    let names = turn.texts("KeyNames");
    for name in &names {
        named(turn, name)?;
    }
    let with_key = turn.flag("IncludePublicKey") == Some(true);
    let show = |id: &str, key: &KeyPair| {
        let kind = key.public.split_whitespace().next();
        json!({
            "KeyPairId": id,
            "KeyName": key.name,
            "KeyType": kind.map(|kind| kind.trim_start_matches("ssh-")),
            "KeyFingerprint": fingerprint(key),
            "PublicKey": with_key.then_some(&key.public),
            "CreateTime": key.base.made,
            "Tags": tags::shown(&key.base),
        })
    };
    let listed = |key: &KeyPair| names.is_empty() || names.contains(&key.name.as_str());
    let filters = &[
        ("key-pair-id", "KeyPairId"),
        ("key-name", "KeyName"),
        ("fingerprint", "KeyFingerprint"),
    ];
    let page = turn.list_where(&turn.state.keys, "KeyPairIds", filters, show, listed)?;
    paged("KeyPairs", page)
}

/// One that is not there is deleted without an error where it is named, and is one where its id is
/// given.
pub fn delete(turn: &mut Turn<'_>) -> Answer {
    let id: Option<String> = match (turn.text("KeyPairId"), turn.text("KeyName")) {
        (Some(id), _) if turn.state.keys.contains_key(id) => Some(id.to_owned()),
        (Some(id), _) => return Err(missing::<KeyPair>(id)),
        // Also one that a Describe does not show yet.
        (None, Some(name)) => {
            let mut keys = turn.state.keys.iter();
            let found = keys.find(|(_, key)| key.name == name);
            found.map(|(id, _)| id.clone())
        }
        (None, None) => {
            return refuse(
                "MissingParameter",
                "The request must contain the parameter keyName or keyPairId",
            );
        }
    };
    if let Some(id) = &id {
        turn.slow_delete(id, "DependencyViolation")?;
        if let Some(gone) = turn.state.keys.remove(id) {
            turn.bury(id, &gone);
        }
    }
    Ok(json!({ "Return": true, "KeyPairId": id }))
}
