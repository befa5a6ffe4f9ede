//! Restored buckets: whether there is anything in them, and how they go, with every version of
//! every object.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use aws_sdk_s3::types::{Delete, ObjectIdentifier};

use super::client::Clients;
use super::fault::{Fault, FaultKind};
use super::make::{PATIENCE, asks};
use super::poll::{Asked, Schedule, until};

/// Whether it is there and has at least one object.
pub(super) async fn has_objects(clients: &Clients, name: &str) -> Result<bool, Fault> {
    let what = "looking into the restored bucket";
    let call = clients.s3.list_objects_v2().bucket(name).max_keys(1);
    let answer = call.send().await.map_err(|e| Fault::of(what, e))?;
    Ok(!answer.contents().is_empty())
}

pub(super) async fn is_there(clients: &Clients, name: &str) -> Result<bool, Fault> {
    let what = "asking for the bucket";
    let answer = clients.s3.head_bucket().bucket(name).send().await;
    match answer {
        Ok(_) => Ok(true),
        Err(error) => {
            // HEAD has no body: S3 gives no code with it, and the status is all that there is.
            let status = error.raw_response().map(|r| r.status().as_u16());
            let fault = Fault::of(what, error);
            match fault.kind {
                FaultKind::NotFound => Ok(false),
                _ if status == Some(404) => Ok(false),
                _ => Err(fault),
            }
        }
    }
}

/// One page of what is in it, deleted. `true`: there was nothing.
async fn empty(clients: &Clients, name: &str) -> Result<bool, Fault> {
    let what = "emptying the bucket";
    let answer = clients.s3.list_object_versions().bucket(name).send().await;
    let answer = answer.map_err(|e| Fault::of(what, e))?;
    let versions = (answer.versions().iter()).map(|v| (v.key(), v.version_id()));
    let markers = (answer.delete_markers().iter()).map(|m| (m.key(), m.version_id()));
    let mut objects = Vec::new();
    for (key, version) in versions.chain(markers) {
        let Some(key) = key else { continue };
        let object = ObjectIdentifier::builder().key(key);
        let object = object.set_version_id(version.map(str::to_owned)).build();
        objects.push(object.map_err(|e| Fault::ours(what, &e.to_string()))?);
    }
    if objects.is_empty() {
        return Ok(true);
    }
    let delete = Delete::builder().set_objects(Some(objects)).quiet(true);
    let delete = delete
        .build()
        .map_err(|e| Fault::ours(what, &e.to_string()))?;
    let call = clients.s3.delete_objects().bucket(name).delete(delete);
    let answer = call.send().await.map_err(|e| Fault::of(what, e))?;
    match answer.errors().first() {
        Some(error) => {
            let message = error
                .message()
                .or(error.code())
                .unwrap_or("no reason given");
            Err(Fault {
                code: error.code().map(|code| crate::shell::clean(code, 80)),
                ..Fault::ours(what, message)
            })
        }
        None => Ok(false),
    }
}

async fn abort_uploads(clients: &Clients, name: &str) -> Result<(), Fault> {
    let what = "ending uploads to the bucket";
    let call = clients.s3.list_multipart_uploads().bucket(name).send();
    let answer = call.await.map_err(|e| Fault::of(what, e))?;
    for upload in answer.uploads() {
        let call = clients.s3.abort_multipart_upload().bucket(name);
        let call = call.set_key(upload.key().map(str::to_owned));
        let call = call.set_upload_id(upload.upload_id().map(str::to_owned));
        super::volume::quietly(call.send().await.map_err(|e| Fault::of(what, e)))?;
    }
    Ok(())
}

/// Empties and deletes it, and waits until S3 knows it no more.
pub(super) async fn delete(clients: &Clients, name: &str, young: bool) -> Result<(), Fault> {
    let what = "deleting the bucket";
    let unknown = AtomicU32::new(0);
    until(
        clients.pace,
        Schedule::QUICK,
        PATIENCE,
        what,
        false,
        || async {
            if !is_there(clients, name).await? {
                return Ok(match unknown.fetch_add(1, Relaxed) + 1 >= asks(young) {
                    true => Asked::Ready(()),
                    false => Asked::Wait(None),
                });
            }
            let emptied = async {
                while !empty(clients, name).await? {}
                abort_uploads(clients, name).await?;
                let call = clients.s3.delete_bucket().bucket(name).send().await;
                call.map(drop).map_err(|e| Fault::of(what, e))
            };
            match emptied.await {
                // Gone since; or something was written into it since: it is asked again.
                Err(fault) if fault.kind == FaultKind::NotFound => {}
                Err(fault) if fault.code.as_deref() == Some("BucketNotEmpty") => {}
                Err(fault) => return Err(fault),
                Ok(()) => {}
            }
            Ok(Asked::Wait(None))
        },
    )
    .await
}
