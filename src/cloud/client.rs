//! The SDK's clients, all behind one guard.

use std::sync::Arc;

use super::access::Access;
use super::fault::Fault;
use super::guard::Guard;
use super::poll::Pace;
use crate::document::drill::aws::AwsScratch;

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
    /// When the credentials end, if they do and the SDK knows it.
    pub expiry: Option<jiff::Timestamp>,
}

impl Clients {
    /// Reads credentials (without sending anything that is not needed for that), and makes the
    /// clients: adaptive retries, eight attempts, time limits on each attempt.
    pub async fn new(
        _scratch: &AwsScratch,
        _access: &Access,
        _guard: Arc<Guard>,
    ) -> Result<Clients, Fault> {
        todo!("the core part")
    }
}
