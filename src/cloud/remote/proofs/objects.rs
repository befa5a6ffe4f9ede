//! Objects in a restored bucket, asked of S3 itself.

use super::{Found, View, outcome};
use crate::cloud::client::Clients;
use crate::cloud::fault::{Fault, FaultKind};
use crate::cloud::make::PATIENCE;
use crate::cloud::poll::persist;
use crate::document::drill::aws::ObjectsProof;
use crate::model::hex;
use crate::shell::clean;

/// Pages of a thousand that are asked for at most.
const PAGES: u32 = 20_000;

pub async fn prove(view: &View<'_>, demand: &ObjectsProof) -> Result<Found, String> {
    let bucket = (view.own.bucket.as_deref()).ok_or("this step has no restored bucket")?;
    let clients = view.inner.clients().await.map_err(|e| e.to_string())?;
    let mut counted = None;
    if demand.at_least.is_some() || demand.bytes.is_some() {
        match count(clients, bucket, demand).await {
            Ok(count) => counted = Some(count),
            Err(fault) if fault.kind == FaultKind::NotFound => {
                return Ok(absent(demand, bucket));
            }
            Err(fault) => return Err(fault.to_string()),
        }
    }
    let mut hashes = Vec::new();
    for key in demand.sha256.keys() {
        hashes.push(match hash(clients, bucket, key).await {
            Ok(hash) => Some(hash),
            Err(fault) if fault.kind == FaultKind::NotFound => None,
            Err(fault) => return Err(fault.to_string()),
        });
    }
    judge(demand, counted, &hashes, bucket)
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counted {
    objects: u64,
    bytes: u64,
    /// There are more: what is demanded was reached before the end.
    more: bool,
}

async fn count(clients: &Clients, bucket: &str, demand: &ObjectsProof) -> Result<Counted, Fault> {
    let what = format!("listing the bucket {bucket}");
    let mut counted = Counted::default();
    let mut token: Option<String> = None;
    for _ in 0..PAGES {
        let page = persist(clients.pace, PATIENCE, &what, || {
            let call = clients.s3.list_objects_v2().bucket(bucket);
            let call = call.set_continuation_token(token.clone());
            async { call.send().await.map_err(|e| Fault::of(&what, e)) }
        })
        .await?;
        for object in page.contents() {
            counted.objects += 1;
            let size = object.size().unwrap_or_default();
            counted.bytes = counted
                .bytes
                .saturating_add(u64::try_from(size).unwrap_or(0));
        }
        if page.is_truncated() != Some(true) {
            return Ok(counted);
        }
        let enough = demand.at_least.is_none_or(|least| counted.objects >= least)
            && demand.bytes.is_none_or(|least| counted.bytes >= least.0);
        token = page.next_continuation_token().map(str::to_owned);
        if enough {
            counted.more = true;
            return Ok(counted);
        }
        if token.is_none() {
            return Err(Fault::ours(
                &what,
                "S3 says that there is more, and not where",
            ));
        }
    }
    Err(Fault::ours(
        &what,
        "it has more objects than are counted here",
    ))
}

/// SHA-256 of an object, in pieces as they come.
async fn hash(clients: &Clients, bucket: &str, key: &str) -> Result<String, Fault> {
    let what = format!("reading {} of the bucket {bucket}", clean(key, 200));
    let answer = persist(clients.pace, PATIENCE, &what, || {
        let call = clients.s3.get_object().bucket(bucket).key(key);
        async { call.send().await.map_err(|e| Fault::of(&what, e)) }
    })
    .await?;
    let (announced, mut length) = (answer.content_length(), 0_i64);
    let mut body = answer.body;
    let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(|e| Fault::ours(&what, &e.to_string()))?;
        context.update(&piece);
        length = length.saturating_add(i64::try_from(piece.len()).unwrap_or(i64::MAX));
    }
    if announced.is_some_and(|announced| announced != length) {
        return Err(Fault::ours(&what, "it ended before its end"));
    }
    Ok(hex(context.finish().as_ref()))
}

fn expected(demand: &ObjectsProof) -> String {
    let mut expected = Vec::new();
    expected.extend(
        demand
            .at_least
            .map(|least| format!("at least {least} objects")),
    );
    expected.extend(
        demand
            .bytes
            .map(|least| format!("at least {} bytes", least.0)),
    );
    let hashes = demand.sha256.iter();
    expected.extend(hashes.map(|(key, hash)| format!("{key} with SHA-256 {hash}")));
    expected.join(", ")
}

fn absent(demand: &ObjectsProof, bucket: &str) -> Found {
    Found {
        outcome: outcome(false),
        expected: expected(demand),
        read: "there is no such bucket".into(),
        at: format!("s3://{bucket}"),
    }
}

/// Pure. `hashes`: in the demand's order; `None`: the object is not there.
fn judge(
    demand: &ObjectsProof,
    counted: Option<Counted>,
    hashes: &[Option<String>],
    bucket: &str,
) -> Result<Found, String> {
    let (mut read, mut passes) = (Vec::new(), true);
    if let Some(counted) = counted {
        passes &= demand.at_least.is_none_or(|least| counted.objects >= least);
        passes &= demand.bytes.is_none_or(|least| counted.bytes >= least.0);
        let more = if counted.more { " at least" } else { "" };
        read.push(format!(
            "{}{more} objects with {} bytes",
            counted.objects, counted.bytes
        ));
    }
    for ((key, wanted), found) in demand.sha256.iter().zip(hashes) {
        match found {
            Some(hash) => {
                passes &= hash.eq_ignore_ascii_case(wanted);
                read.push(format!("{key}: {hash}"));
            }
            None => {
                passes = false;
                read.push(format!("{key}: it is not there"));
            }
        }
    }
    if read.is_empty() || hashes.len() != demand.sha256.len() {
        return Err("this proof demands nothing of the objects".into());
    }
    Ok(Found {
        outcome: outcome(passes),
        expected: expected(demand),
        read: read.join(", "),
        at: format!("s3://{bucket}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::policy::ByteSize;
    use crate::model::drill::ProofOutcome;

    #[test]
    fn counts_sizes_and_hashes_are_each_demanded() {
        let demand = ObjectsProof {
            at_least: Some(10),
            bytes: Some(ByteSize(1000)),
            sha256: [("a".to_owned(), "AB".repeat(32))].into(),
        };
        let try_with = |objects, bytes, hash: Option<&str>| {
            let counted = Counted {
                objects,
                bytes,
                more: false,
            };
            let hashes = [hash.map(str::to_owned)];
            judge(&demand, Some(counted), &hashes, "b").unwrap().outcome
        };
        let hash = "ab".repeat(32);
        assert_eq!(try_with(10, 1000, Some(&hash)), ProofOutcome::Pass);
        assert_eq!(try_with(9, 1000, Some(&hash)), ProofOutcome::Fail);
        assert_eq!(try_with(10, 999, Some(&hash)), ProofOutcome::Fail);
        assert_eq!(try_with(10, 1000, Some("cd")), ProofOutcome::Fail);
        assert_eq!(try_with(10, 1000, None), ProofOutcome::Fail);
        assert!(judge(&ObjectsProof::default(), None, &[], "b").is_err());
    }
}
