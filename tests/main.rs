//! All integration tests, in one binary: one link, and no test file that is forgotten
//! (`architecture.rs` looks for those).

mod act;
mod age;
mod architecture;
mod backup;
mod cli;
#[cfg(feature = "aws")]
mod cloud;
mod document;
mod drill;
mod end_to_end;
mod evidence;
mod fake_aws;
mod iam;
mod job;
mod lab;
mod patch;
mod patch_containers;
mod reach;
mod recovery;
mod report;
mod schemas;
mod shell;
