//! The SDK's clients, all behind one guard.

use std::sync::Arc;
use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::identity::IdentityCache;
use aws_sdk_ec2::config::retry::{RetryConfig, RetryPartition};
use aws_sdk_ec2::config::timeout::TimeoutConfig;
use aws_sdk_ec2::config::{
    AsyncSleep, Credentials, ProvideCredentials, Region, Sleep, StalledStreamProtectionConfig,
};
use secrecy::ExposeSecret;

use super::access::Access;
use super::fault::{Fault, FaultKind};
use super::guard::{self, Guard, Refused};
use super::poll::Pace;
use crate::document::drill::aws::AwsScratch;
use crate::shell::clean;

/// One client for each service that a drill speaks to. Cheap to clone.
#[derive(Clone)]
pub struct Clients {
    pub backup: aws_sdk_backup::Client,
    pub ec2: aws_sdk_ec2::Client,
    pub rds: aws_sdk_rds::Client,
    pub s3: aws_sdk_s3::Client,
    pub dynamodb: aws_sdk_dynamodb::Client,
    pub efs: aws_sdk_efs::Client,
    pub kms: aws_sdk_kms::Client,
    pub sts: aws_sdk_sts::Client,
    pub quotas: aws_sdk_servicequotas::Client,
    pub guard: Arc<Guard>,
    pub pace: Pace,
    pub region: String,
    pub life: Life,
}

/// The first attempt and seven more: with full jitter and at most 20 s between two, about a minute.
/// What lasts longer is waited out by `poll`, which asks ever more rarely.
const ATTEMPTS: u32 = 8;
/// Of one attempt, and of a connection, in real time.
const ATTEMPT: Duration = Duration::from_secs(30);
const CONNECT: Duration = Duration::from_secs(5);
/// Of fetching credentials: SSO and role chains are several requests.
const CREDENTIALS: Duration = Duration::from_secs(30);

/// Makes a service's client with a retry quota of its own. The SDK's default quota is the whole
/// process's: two drills would use up each other's.
macro_rules! client {
    ($service:ident, $config:expr) => {{
        let config = $service::config::Builder::from($config)
            .retry_partition(RetryPartition::custom(stringify!($service)).build())
            .build();
        $service::Client::from_conf(config)
    }};
}

impl Clients {
    /// Reads credentials (without sending anything that is not needed for that), and makes the
    /// clients: eight attempts, time limits on each attempt, waits at the pace of `access`.
    ///
    /// The SDK's standard retries and not its adaptive ones: those hold back *all* calls of a
    /// service's client, down to one in two seconds, while EC2 counts each operation by itself. A
    /// storm on RunInstances would keep a teardown from asking. What adapts is `poll::until`: each
    /// waiter asks more rarely as long as it is throttled.
    ///
    /// # Errors
    /// Where there are no credentials, they are over, or the guard refused to fetch them.
    pub async fn new(
        scratch: &AwsScratch,
        access: &Access,
        guard: Arc<Guard>,
    ) -> Result<Clients, Fault> {
        let pace = Pace(access.pace);
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .region(Region::new(scratch.region.clone()))
            .http_client(guard::client(guard.clone()))
            .sleep_impl(PacedSleep(pace))
            .retry_config(
                RetryConfig::standard()
                    .with_max_attempts(ATTEMPTS)
                    .with_max_backoff(Duration::from_secs(20)),
            )
            // The SDK waits for these with the sleep above, which is so much shorter.
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(pace.stretched(CONNECT))
                    .operation_attempt_timeout(pace.stretched(ATTEMPT))
                    .build(),
            )
            .identity_cache(
                IdentityCache::lazy()
                    .load_timeout(pace.stretched(CREDENTIALS))
                    .build(),
            );
        if access.pace > 1.0 {
            // Its grace periods would shrink with every other wait.
            loader = loader.stalled_stream_protection(StalledStreamProtectionConfig::disabled());
        }
        if let Some(profile) = &scratch.profile {
            loader = loader.profile_name(profile);
        }
        if let Some(endpoint) = &access.endpoint {
            loader = loader.endpoint_url(endpoint);
        }
        if let Some(keys) = &access.keys {
            let session = keys.session.as_ref().map(|s| s.expose_secret().to_owned());
            let secret = keys.secret.expose_secret();
            let given = Credentials::new(&keys.id, secret, session, None, "seawall");
            loader = loader.credentials_provider(given);
        }
        let config = loader.load().await;
        let life = life(&config, scratch, pace).await?;
        let s3 = aws_sdk_s3::config::Builder::from(&config)
            .retry_partition(RetryPartition::custom("aws_sdk_s3").build())
            // A double has no wildcard name for buckets.
            .force_path_style(access.s3().is_some());
        let s3 = match access.s3() {
            Some(endpoint) => s3.endpoint_url(endpoint),
            None => s3,
        };
        let ec2 = aws_sdk_ec2::config::Builder::from(&config)
            .retry_partition(RetryPartition::custom("aws_sdk_ec2").build());
        let ec2 = match access.ec2() {
            Some(endpoint) => ec2.endpoint_url(endpoint),
            None => ec2,
        };
        Ok(Clients {
            backup: client!(aws_sdk_backup, &config),
            ec2: aws_sdk_ec2::Client::from_conf(ec2.build()),
            rds: client!(aws_sdk_rds, &config),
            s3: aws_sdk_s3::Client::from_conf(s3.build()),
            dynamodb: client!(aws_sdk_dynamodb, &config),
            efs: client!(aws_sdk_efs, &config),
            kms: client!(aws_sdk_kms, &config),
            sts: client!(aws_sdk_sts, &config),
            quotas: client!(aws_sdk_servicequotas, &config),
            guard,
            pace,
            region: scratch.region.clone(),
            life,
        })
    }
}

/// How long credentials hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// A user's own keys.
    Endless,
    /// A session whose end is told to nobody but AWS: that of the environment, mostly.
    NotKnown,
    /// They end then, and come from a source that the SDK asks for new ones (a role, an instance, a
    /// container, a process).
    Renewed(jiff::Timestamp),
    /// They end then, and nothing renews them.
    Until(jiff::Timestamp),
}

/// Fetches credentials once: that there are some, and how long they hold.
async fn life(
    config: &aws_config::SdkConfig,
    scratch: &AwsScratch,
    pace: Pace,
) -> Result<Life, Fault> {
    let what = match &scratch.profile {
        Some(profile) => format!("reading credentials (profile {})", clean(profile, 80)),
        None => "reading credentials (environment, default profile, web identity, container, \
                 instance)"
            .to_owned(),
    };
    let Some(provider) = config.credentials_provider() else {
        return Err(Fault::ours(&what, "no source of credentials is known"));
    };
    let limit = CREDENTIALS.max(pace.scaled(CREDENTIALS));
    let asked = tokio::time::timeout(limit, provider.provide_credentials()).await;
    match asked {
        Ok(Ok(credentials)) => {
            let ends = (credentials.expiry()).and_then(|at| jiff::Timestamp::try_from(at).ok());
            Ok(match (ends, credentials.session_token()) {
                (Some(ends), _) => Life::Renewed(ends),
                (None, Some(_)) => Life::NotKnown,
                (None, None) => Life::Endless,
            })
        }
        Ok(Err(error)) => Err(no_credentials(&what, &error)),
        Err(_) => Err(Fault::ours(&what, "nobody answered within 30 seconds")),
    }
}

fn no_credentials(what: &str, error: &(dyn std::error::Error + 'static)) -> Fault {
    let mut text = error.to_string();
    let mut refused = None;
    let mut source = error.source();
    while let Some(inner) = source {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        if let Some(Refused(what)) = inner.downcast_ref() {
            refused = Some(what.clone());
        }
        source = inner.source();
    }
    if let Some(refused) = refused {
        return Fault {
            kind: FaultKind::Guarded,
            refused: Some(refused.clone()),
            ..Fault::ours(
                what,
                &format!(
                    "the region guard did not ask for them: {refused}; in a real loss they could \
                     not be had either: name a `profile` in the scratch whose credentials come \
                     from elsewhere"
                ),
            )
        };
    }
    let over = text.to_ascii_lowercase().contains("expired");
    Fault {
        kind: match over {
            true => FaultKind::Expired,
            false => FaultKind::Ours,
        },
        ..Fault::ours(
            what,
            &format!(
                "{text}; name a `profile` in the scratch, or set AWS_PROFILE or \
                 AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            ),
        )
    }
}

/// The SDK's waits, at the drill's pace.
#[derive(Clone, Copy, Debug)]
struct PacedSleep(Pace);

impl AsyncSleep for PacedSleep {
    fn sleep(&self, duration: Duration) -> Sleep {
        let pace = self.0;
        Sleep::new(async move { pace.sleep(duration).await })
    }
}

#[cfg(test)]
mod tests;
