//! A double of AWS Backup and of what a drill asks of EC2, RDS, DynamoDB, EFS, KMS, STS and Service
//! Quotas: for tests, and nothing else. Served over HTTP, so that the real SDK signs, encodes and
//! retries.
//!
//! It is held to the published service models (botocore's): `model` reads them, `protocol` decodes
//! requests and encodes answers by them, and what a model rejects is rejected. Handlers see and give
//! JSON in the models' own member names; a time is a number of seconds.
//!
//! - `server`: HTTP, signatures, the log of requests. `clock`: its own, faster clock.
//! - `script`: what goes wrong when. `seed`: what is there at the beginning. `world`: what there is,
//!   per account and region.
//! - `ask`: what the handlers share. `held`: what they hold of EC2's network.
//! - `ec2`, `backup`, `rds`, `dynamodb`, `efs`, `kms`, `sts`, `quotas`: the handlers.

pub mod ask;
pub mod backup;
pub mod dynamodb;
pub mod ec2;
pub mod efs;
pub mod held;
pub mod kms;
pub mod quotas;
pub mod rds;
pub mod script;
pub mod seed;
pub mod sts;
pub mod world;
