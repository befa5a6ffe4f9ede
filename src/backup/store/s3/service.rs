//! The service behind a bucket: requests that a thread waits for, and what it says when it refuses.

use std::future::Future;
use std::sync::{OnceLock, mpsc};

use object_store::aws::AmazonS3;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStoreExt};
use tokio::runtime::Runtime;

use super::super::StoreError;

/// What all that is done with one bucket shares.
pub(super) struct Service {
    pub store: AmazonS3,
    pub endpoint: String,
    /// What must never be told: a service repeats what it was sent.
    pub secrets: Vec<String>,
}

/// Why there was no answer.
#[derive(Debug)]
pub(super) enum Trouble {
    Service(object_store::Error),
    /// Of our own runtime.
    Runtime(String),
}

/// Two threads carry all requests: they wait most of the time.
pub(super) fn runtime() -> Result<&'static Runtime, Trouble> {
    static RUNTIME: OnceLock<Result<Runtime, String>> = OnceLock::new();
    RUNTIME
        .get_or_init(|| {
            tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .thread_name("seawall-s3")
                .enable_all()
                .build()
                .map_err(|e| format!("starting threads for requests: {e}"))
        })
        .as_ref()
        .map_err(|why| Trouble::Runtime(why.clone()))
}

/// Runs a request and waits for it, on any thread but those of the runtime itself.
pub(super) fn wait<T: Send + 'static>(
    request: impl Future<Output = Result<T, object_store::Error>> + Send + 'static,
) -> Result<T, Trouble> {
    let (answer, answered) = mpsc::sync_channel(1);
    runtime()?.spawn(async move {
        let _ = answer.send(request.await);
    });
    match answered.recv() {
        Ok(done) => done.map_err(Trouble::Service),
        Err(_) => Err(Trouble::Runtime("a request's task ended badly".into())),
    }
}

impl Service {
    pub fn error(
        &self,
        doing: &'static str,
        name: &str,
        reason: impl std::fmt::Display,
    ) -> StoreError {
        StoreError::new(doing, name, &self.endpoint, reason)
    }

    pub fn told<T>(
        &self,
        doing: &'static str,
        name: &str,
        answer: Result<T, Trouble>,
    ) -> Result<T, StoreError> {
        answer.map_err(|trouble| match trouble {
            Trouble::Runtime(why) => self.error(doing, name, why),
            Trouble::Service(error) => {
                let why = words(&error, &self.secrets);
                let no_bucket = why.contains("NoSuchBucket");
                let absent = matches!(error, object_store::Error::NotFound { .. }) && !no_bucket;
                StoreError {
                    absent,
                    ..self.error(doing, name, format!("{why}{}", hint(&error, &why)))
                }
            }
        })
    }

    /// Size and version of an object; `None`: it is not there.
    pub fn head(
        self: &std::sync::Arc<Self>,
        doing: &'static str,
        name: &str,
        path: &Path,
    ) -> Result<Option<ObjectMeta>, StoreError> {
        let (service, at) = (std::sync::Arc::clone(self), path.clone());
        let head = wait(async move { service.store.head(&at).await });
        match self.told(doing, name, head) {
            Ok(meta) => Ok(Some(meta)),
            // An answer to HEAD has no body: it does not say whether it is the bucket that is
            // missing.
            Err(error) if error.absent => {
                let (service, at) = (std::sync::Arc::clone(self), path.clone());
                let got = wait(async move { service.store.get(&at).await.map(|found| found.meta) });
                match self.told(doing, name, got) {
                    Ok(meta) => Ok(Some(meta)),
                    Err(error) if error.absent => Ok(None),
                    Err(error) => Err(error),
                }
            }
            Err(error) => Err(error),
        }
    }
}

/// What to do. A refusal to list comes without a kind of its own, so its code decides too.
fn hint(error: &object_store::Error, why: &str) -> &'static str {
    use object_store::Error;
    let refused = matches!(
        error,
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. }
    );
    let codes = [
        "SignatureDoesNotMatch",
        "InvalidAccessKeyId",
        "AccessDenied",
        "ExpiredToken",
    ];
    if why.contains("NoSuchBucket") {
        "; make the bucket, or mend its name in the policy"
    } else if refused || codes.iter().any(|code| why.contains(code)) {
        "; see that AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are those of an account that may \
         do this"
    } else {
        ""
    }
}

/// What went wrong, without what is secret. The body of a refusal may repeat the whole request, a
/// session's token with it: of that only code and message are told.
pub(super) fn words(error: &object_store::Error, secrets: &[String]) -> String {
    let mut text = error.to_string();
    if let Some(code) = between(&text, "<Code>", "</Code>") {
        let message = between(&text, "<Message>", "</Message>").unwrap_or("");
        text = format!("the service said {code}: {message}");
    }
    for secret in secrets {
        text = text.replace(secret.as_str(), "…");
    }
    text
}

fn between<'t>(text: &'t str, from: &str, to: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(from)?;
    rest.split_once(to).map(|(inner, _)| inner)
}
