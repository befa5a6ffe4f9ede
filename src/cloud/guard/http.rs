//! The guard in the SDK's request path: a wrapper around the HTTP client that every service's client
//! and every source of credentials uses.

use std::sync::Arc;

use aws_smithy_http_client::{Builder, tls};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::{
    RuntimeComponents, RuntimeComponentsBuilder,
};
use aws_smithy_types::config_bag::ConfigBag;

use super::judge::scope;
use super::{Guard, Request};

/// The guard's refusal, as it comes back through the SDK.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the region guard did not send it: {0}")]
pub struct Refused(pub String);

/// The SDK's own HTTP client (rustls), with the guard in front.
pub fn client(guard: Arc<Guard>) -> SharedHttpClient {
    let inner = Builder::new()
        .tls_provider(tls::Provider::Rustls(
            tls::rustls_provider::CryptoMode::AwsLc,
        ))
        .build_https();
    SharedHttpClient::new(Guarded { guard, inner })
}

#[derive(Debug)]
struct Guarded<T> {
    guard: Arc<Guard>,
    inner: T,
}

impl HttpClient for Guarded<SharedHttpClient> {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(Guarded {
            guard: self.guard.clone(),
            inner: self.inner.http_connector(settings, components),
        })
    }

    fn validate_base_client_config(
        &self,
        components: &RuntimeComponentsBuilder,
        config: &ConfigBag,
    ) -> Result<(), BoxError> {
        self.inner.validate_base_client_config(components, config)
    }

    fn validate_final_config(
        &self,
        components: &RuntimeComponents,
        config: &ConfigBag,
    ) -> Result<(), BoxError> {
        self.inner.validate_final_config(components, config)
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        self.inner.connector_metadata()
    }
}

impl HttpConnector for Guarded<SharedHttpConnector> {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        match look(&self.guard, &request) {
            Ok(()) => self.inner.call(request),
            // A user's error is not retried.
            Err(refused) => HttpConnectorFuture::ready(Err(ConnectorError::user(refused.into()))),
        }
    }
}

fn look(guard: &Guard, request: &HttpRequest) -> Result<(), Refused> {
    let url = reqwest::Url::parse(request.uri())
        .map_err(|error| Refused(format!("an address that cannot be read ({error})")))?;
    let host = match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (Some(host), None) => host.to_owned(),
        (None, _) => String::new(),
    };
    let header = |name: &str| request.headers().get(name);
    let presigned = (url.query_pairs())
        .find(|(key, _)| key.eq_ignore_ascii_case("X-Amz-Credential"))
        .map(|(_, value)| format!("AWS4- Credential={value}"));
    let scope = (header("authorization").or(presigned.as_deref()))
        .and_then(|text| scope(text, header("x-amz-region-set")));
    guard
        .pass(&Request {
            method: request.method(),
            host: &host,
            path: url.path(),
            target: header("x-amz-target"),
            region: scope.map(|(region, _)| region),
            service: scope.map(|(_, service)| service),
        })
        .map_err(Refused)
}
