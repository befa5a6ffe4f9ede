//! Restored buckets, in a real S3 server.

use super::*;
use crate::backup::weed;
use crate::fake_aws::server::Options;

fn of_documents(trouble: JobTrouble) -> Ran {
    let stage = Stage::with(Options {
        // A real server needs real time.
        speed: 300.0,
        script: every_job(trouble),
        s3: Some(format!("http://127.0.0.1:{}", weed::port())),
        ..Options::default()
    });
    let step = "  - step: documents
    aws: {resource: \"arn:aws:s3:::shop-documents\", s3: {}}
    proofs:
      - {proof: there are documents, objects: {at_least: 12}}
";
    let plan = stage.plan(&(head("") + step));
    on(stage, plan)
}

#[test]
fn a_bucket_with_its_objects_goes_with_all_of_them() {
    let ran = of_documents(JobTrouble::default());
    ran.ends(VerdictWord::Met);
}

#[test]
fn a_bucket_without_objects() {
    let ran = of_documents(JobTrouble {
        empty: true,
        ..JobTrouble::default()
    });
    ran.ends(VerdictWord::Missed);
    ran.says("AWS Backup says COMPLETED, and the bucket is empty");
}
