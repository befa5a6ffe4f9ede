//! A double of AWS Backup and of what a drill asks of EC2, RDS, DynamoDB, EFS, KMS, STS and Service
//! Quotas: for tests, and nothing else. Served over HTTP, so that the real SDK signs, encodes and
//! retries.
//!
//! It is held to the published service models (botocore's): `model` reads them, `protocol` decodes
//! requests and encodes answers by them, and what a model rejects is rejected. Handlers see and give
//! JSON in the models' own member names; a time is a number of seconds.
//!
//! - `server`: the double in a thread; `http`, `turn`: one request, from signature (`sigv4`) to answer;
//!   `log`: all of them; `control`: what tests ask of it. `clock`: its own, faster clock.
//! - `script`: what goes wrong when. `seed`: what is there at the beginning. `world`: what there is,
//!   per account and region.
//! - `ask`: what the handlers share. `held`: what they hold of EC2's network.
//! - `ec2`, `backup`, `rds`, `dynamodb`, `efs`, `kms`, `sts`, `quotas`: the handlers.

// Some of it only the tests use, and some only the program.
#![allow(dead_code)]

pub mod ask;
pub mod backup;
pub mod clock;
mod control;
pub mod dynamodb;
pub mod ec2;
pub mod efs;
pub mod held;
pub mod http;
pub mod kms;
pub mod log;
pub mod model;
pub mod protocol;
pub mod quotas;
pub mod rds;
pub mod script;
pub mod seed;
pub mod server;
pub mod sigv4;
pub mod sts;
#[cfg(test)]
mod tests;
mod turn;
pub mod world;
