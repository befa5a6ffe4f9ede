//! A bucket, or a part of one, as a store. The calls of the others block; what they wait for runs
//! on a small runtime of our own, so that they may come from any thread.

mod read;
mod service;
mod write;

use std::ffi::OsString;
use std::sync::Arc;

use futures_util::StreamExt;
use jiff::Timestamp;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::path::Path;
use object_store::{ClientOptions, ObjectMeta, ObjectStore, ObjectStoreExt, RetryConfig};

use super::{Blob, NO_NAME, Object, Store, StoreError, Upload, is_name};
use crate::document::policy::S3;
use service::{Service, wait, words};

/// How long a request may take in all, and be silent, in seconds. Parts are sent side by side over
/// what may be a thin line.
const LONGEST: u64 = 15 * 60;
const SILENT: u64 = 5 * 60;
/// How often, and how long in seconds, a request that fails is tried anew.
pub(super) const RETRIES: usize = 6;
const TRIED: u64 = 120;

/// Backups in a bucket.
pub struct S3Store {
    service: Arc<Service>,
    prefix: String,
}

/// What may be given in the environment, and nothing else of it: which bucket, region and endpoint
/// is the document's to say.
const SESSION: [(&str, AmazonS3ConfigKey); 5] = [
    (
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        AmazonS3ConfigKey::ContainerCredentialsRelativeUri,
    ),
    (
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        AmazonS3ConfigKey::ContainerCredentialsFullUri,
    ),
    (
        "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
        AmazonS3ConfigKey::ContainerAuthorizationTokenFile,
    ),
    (
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        AmazonS3ConfigKey::WebIdentityTokenFile,
    ),
    ("AWS_ROLE_ARN", AmazonS3ConfigKey::RoleArn),
];

impl S3Store {
    /// `env` gives environment variables; a request that fails is tried anew so many times.
    /// Nothing is asked of the service yet.
    ///
    /// # Errors
    /// Credentials that are missing or half there; an endpoint or a prefix that is none.
    pub fn new(
        document: &S3,
        env: &dyn Fn(&str) -> Option<OsString>,
        retries: usize,
    ) -> Result<Self, StoreError> {
        let retry = RetryConfig {
            max_retries: retries,
            retry_timeout: std::time::Duration::from_secs(TRIED),
            ..RetryConfig::default()
        };
        let prefix = document.prefix.as_deref().unwrap_or("").trim_matches('/');
        let endpoint = endpoint(document, prefix);
        let wrong = |reason: &dyn std::fmt::Display| {
            StoreError::new("opening", "the store", &endpoint, reason)
        };
        if !prefix.is_empty() && !is_name(prefix) {
            return Err(wrong(&"its prefix has parts that are empty or hidden"));
        }
        let set = |name: &str| {
            env(name)
                .and_then(|value| value.into_string().ok())
                .filter(|value| !value.is_empty())
        };
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&document.bucket)
            .with_region(&document.region)
            .with_retry(retry);
        let mut secrets = Vec::new();
        match (set("AWS_ACCESS_KEY_ID"), set("AWS_SECRET_ACCESS_KEY")) {
            (Some(id), Some(key)) => {
                builder = builder
                    .with_access_key_id(id)
                    .with_secret_access_key(key.clone());
                secrets.push(key);
                if let Some(token) = set("AWS_SESSION_TOKEN") {
                    builder = builder.with_token(token.clone());
                    secrets.push(token);
                }
            }
            (None, None) if document.endpoint.is_some() => {
                return Err(wrong(
                    &"there are no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
                ));
            }
            (None, None) => {
                for (name, key) in SESSION {
                    if let Some(value) = set(name) {
                        builder = builder.with_config(key, value);
                    }
                }
            }
            _ => {
                return Err(wrong(
                    &"only one of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY is set: set both",
                ));
            }
        }
        let mut options = ClientOptions::new()
            .with_connect_timeout(std::time::Duration::from_secs(10))
            .with_timeout(std::time::Duration::from_secs(LONGEST))
            .with_read_timeout(std::time::Duration::from_secs(SILENT));
        if let Some(url) = &document.endpoint {
            if !url.starts_with("https://") && !url.starts_with("http://") {
                return Err(wrong(
                    &"its endpoint begins with neither https:// nor http://",
                ));
            }
            // Only who writes `http://` into the policy speaks in the clear.
            options = options.with_allow_http(url.starts_with("http://"));
            builder = builder.with_endpoint(url.trim_end_matches('/'));
        }
        let store = builder
            .with_client_options(options)
            .build()
            .map_err(|e| wrong(&words(&e, &secrets)))?;
        Ok(S3Store {
            service: Arc::new(Service {
                store,
                endpoint,
                secrets,
            }),
            prefix: prefix.to_owned(),
        })
    }

    /// Where a name is in the bucket.
    fn path(&self, doing: &'static str, name: &str) -> Result<Path, StoreError> {
        if !is_name(name) {
            return Err(self.service.error(doing, name, NO_NAME));
        }
        let full = match self.prefix.is_empty() {
            true => name.to_owned(),
            false => format!("{}/{name}", self.prefix),
        };
        Path::parse(&full).map_err(|e| self.service.error(doing, name, e))
    }

    fn blob(&self, name: &str) -> Result<read::Ranged, StoreError> {
        const DOING: &str = "reading";
        let path = self.path(DOING, name)?;
        let meta = self
            .service
            .head(DOING, name, &path)?
            .ok_or_else(|| StoreError {
                absent: true,
                ..self.service.error(DOING, name, "it is not there")
            })?;
        Ok(read::Ranged::new(Arc::clone(&self.service), path, &meta))
    }
}

fn endpoint(document: &S3, prefix: &str) -> String {
    let mut text = format!("s3://{}", document.bucket);
    if !prefix.is_empty() {
        text = format!("{text}/{prefix}");
    }
    match &document.endpoint {
        Some(url) => text = format!("{text} at {}", without_password(url)),
        None => text = format!("{text} in {}", document.region),
    }
    crate::shell::clean(&text, 300)
}

/// A URL without what stands before `@` in it.
fn without_password(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
            let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
            let path = if path.is_empty() {
                String::new()
            } else {
                format!("/{path}")
            };
            format!("{scheme}://{host}{path}")
        }
        None => url.to_owned(),
    }
}

impl Store for S3Store {
    fn endpoint(&self) -> String {
        self.service.endpoint.clone()
    }

    fn list(&self, prefix: &str) -> Result<Vec<Object>, StoreError> {
        const DOING: &str = "listing";
        let folder = prefix.rsplit_once('/').map_or("", |(folder, _)| folder);
        let base = [self.prefix.as_str(), folder]
            .iter()
            .filter(|part| !part.is_empty())
            .copied()
            .collect::<Vec<_>>()
            .join("/");
        let below = Path::parse(&base).map_err(|e| self.service.error(DOING, prefix, e))?;
        let service = Arc::clone(&self.service);
        let listed = wait(async move {
            let mut found = Vec::new();
            let mut all = service.store.list(Some(&below));
            while let Some(meta) = all.next().await {
                found.push(meta?);
            }
            Ok::<Vec<ObjectMeta>, object_store::Error>(found)
        });
        let own = match self.prefix.is_empty() {
            true => String::new(),
            false => format!("{}/", self.prefix),
        };
        let mut found: Vec<Object> = self
            .service
            .told(DOING, prefix, listed)?
            .into_iter()
            .filter_map(|meta| {
                let name = meta.location.as_ref().strip_prefix(&own)?.to_owned();
                (is_name(&name) && name.starts_with(prefix)).then(|| Object {
                    name,
                    size: meta.size,
                    modified: Timestamp::from_second(meta.last_modified.timestamp()).ok(),
                })
            })
            .collect();
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    fn open(&self, name: &str) -> Result<Box<dyn Blob>, StoreError> {
        Ok(Box::new(self.blob(name)?))
    }

    fn create(&self, name: &str) -> Result<Box<dyn Upload>, StoreError> {
        const DOING: &str = "writing";
        let path = self.path(DOING, name)?;
        if self.service.head(DOING, name, &path)?.is_some() {
            return Err(self.service.error(DOING, name, write::TAKEN));
        }
        Ok(Box::new(write::Parts::new(
            Arc::clone(&self.service),
            name,
            path,
        )))
    }

    fn get(&self, name: &str, limit: u64) -> Result<Vec<u8>, StoreError> {
        const DOING: &str = "reading";
        // One request where it is small, as it nearly always is.
        let path = self.path(DOING, name)?;
        let service = Arc::clone(&self.service);
        let at = path.clone();
        let got = wait(async move {
            let found = service.store.get(&at).await?;
            let size = found.meta.size;
            match size <= limit {
                true => Ok((size, Some(found.bytes().await?))),
                false => Ok((size, None)),
            }
        });
        let wrong = |why: &dyn std::fmt::Display| self.service.error(DOING, name, why);
        match self.service.told(DOING, name, got)? {
            (size, Some(bytes)) if bytes.len() as u64 == size => Ok(bytes.to_vec()),
            (size, Some(bytes)) => Err(wrong(&super::short(size, bytes.len() as u64))),
            (size, None) => Err(wrong(&super::too_large(size, limit))),
        }
    }
}

#[cfg(test)]
mod tests;
