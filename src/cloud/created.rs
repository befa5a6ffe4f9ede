//! What AWS Backup has created: whose it is, said in the ledger and on the thing itself as soon as
//! its ARN is known. Nothing else covers the time before.

use super::client::Clients;
use super::fault::Fault;
use super::make::Label;
use super::names::Kind;
use super::provider::Work;
use super::teardown::noted_name;
use crate::drill::provider::StepError;

/// What an ARN names, and its id. Pure.
pub(super) fn parse(arn: &str) -> Option<(Kind, String)> {
    let mut parts = arn.splitn(6, ':').skip(2);
    let service = parts.next()?;
    let resource = parts.nth(2)?;
    let (kind, id) = match service {
        "ec2" => match resource.split_once('/')? {
            ("volume", id) => (Kind::Volume, id),
            ("instance", id) => (Kind::Instance, id),
            _ => return None,
        },
        "rds" => match resource.split_once(':')? {
            ("db", id) => (Kind::DbInstance, id),
            ("cluster", id) => (Kind::DbCluster, id),
            _ => return None,
        },
        "dynamodb" => (Kind::Table, resource.strip_prefix("table/")?),
        "elasticfilesystem" => (Kind::FileSystem, resource.strip_prefix("file-system/")?),
        "s3" => (Kind::Bucket, resource),
        _ => return None,
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let good = !id.is_empty() && id.len() <= 255 && id.chars().all(plain);
    good.then(|| (kind, id.to_owned()))
}

/// What a step's recovery point becomes. Pure.
pub(super) fn expected(work: &Work<'_>) -> Result<Kind, StepError> {
    let aws = work.aws()?;
    Ok(if aws.volume.is_some() {
        Kind::Volume
    } else if aws.instance.is_some() {
        Kind::Instance
    } else if aws.rds.is_some() {
        Kind::DbInstance
    } else if aws.aurora.is_some() {
        Kind::DbCluster
    } else if aws.s3.is_some() {
        Kind::Bucket
    } else if aws.dynamodb.is_some() {
        Kind::Table
    } else {
        Kind::FileSystem
    })
}

/// Whether the thing bears the name that was asked for, where such things have names. What a
/// service says is not taken on trust: what stands in the ledger is destroyed in the end.
pub(super) fn is_ours(kind: Kind, id: &str, name: &str) -> bool {
    match kind {
        Kind::DbInstance | Kind::DbCluster | Kind::Bucket | Kind::Table => id == name,
        _ => true,
    }
}

/// Writes it down: intent and id, one after the other, since it is there already.
pub(super) fn note(work: &Work<'_>, kind: Kind, id: &str) -> Result<Label, StepError> {
    let label = work.intend(kind, &noted_name(&work.name(), id))?;
    work.made(&label, id)?;
    Ok(label)
}

/// Tags it. Twice is as good as once.
pub(super) async fn tag(
    clients: &Clients,
    kind: Kind,
    id: &str,
    arn: &str,
    label: &Label,
) -> Result<(), Fault> {
    let what = "tagging what was restored";
    match kind {
        Kind::Bucket => {
            let tags = label.tags.iter().map(|(key, value)| {
                let tag = aws_sdk_s3::types::Tag::builder().key(key).value(value);
                tag.build().map_err(|e| Fault::ours(what, &e.to_string()))
            });
            let tagging = aws_sdk_s3::types::Tagging::builder()
                .set_tag_set(Some(tags.collect::<Result<_, _>>()?))
                .build()
                .map_err(|e| Fault::ours(what, &e.to_string()))?;
            let call = clients.s3.put_bucket_tagging().bucket(id).tagging(tagging);
            call.send().await.map(drop).map_err(|e| Fault::of(what, e))
        }
        Kind::Table => {
            let tags = label.tags.iter().map(|(key, value)| {
                let tag = aws_sdk_dynamodb::types::Tag::builder();
                let tag = tag.key(key).value(value).build();
                tag.map_err(|e| Fault::ours(what, &e.to_string()))
            });
            let call = clients.dynamodb.tag_resource().resource_arn(arn);
            let call = call.set_tags(Some(tags.collect::<Result<_, _>>()?));
            call.send().await.map(drop).map_err(|e| Fault::of(what, e))
        }
        Kind::FileSystem => {
            let tags = label.tags.iter().map(|(key, value)| {
                let tag = aws_sdk_efs::types::Tag::builder().key(key).value(value);
                tag.build().map_err(|e| Fault::ours(what, &e.to_string()))
            });
            let call = clients.efs.tag_resource().resource_id(id);
            let call = call.set_tags(Some(tags.collect::<Result<_, _>>()?));
            call.send().await.map(drop).map_err(|e| Fault::of(what, e))
        }
        Kind::DbInstance | Kind::DbCluster => {
            let call = clients.rds.add_tags_to_resource().resource_name(arn);
            let call = call.set_tags(Some(rds_tags(label)));
            call.send().await.map(drop).map_err(|e| Fault::of(what, e))
        }
        _ => {
            let call = clients.ec2.create_tags().resources(id);
            let call = call.set_tags(Some(label.ec2_tags()));
            call.send().await.map(drop).map_err(|e| Fault::of(what, e))
        }
    }
}

pub(super) fn rds_tags(label: &Label) -> Vec<aws_sdk_rds::types::Tag> {
    (label.tags.iter())
        .map(|(key, value)| {
            let tag = aws_sdk_rds::types::Tag::builder();
            tag.key(key).value(value).build()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_says_what_was_created() {
        let kind = |arn: &str| parse(arn);
        let some = |kind, id: &str| Some((kind, id.to_owned()));
        let r = "eu-central-1:111122223333";
        assert_eq!(
            kind(&format!("arn:aws:ec2:{r}:volume/vol-1")),
            some(Kind::Volume, "vol-1")
        );
        assert_eq!(
            kind(&format!("arn:aws:ec2:{r}:instance/i-1")),
            some(Kind::Instance, "i-1")
        );
        assert_eq!(
            kind(&format!("arn:aws:rds:{r}:db:one")),
            some(Kind::DbInstance, "one")
        );
        assert_eq!(
            kind(&format!("arn:aws:rds:{r}:cluster:one")),
            some(Kind::DbCluster, "one")
        );
        assert_eq!(
            kind(&format!("arn:aws:dynamodb:{r}:table/one")),
            some(Kind::Table, "one")
        );
        assert_eq!(
            kind(&format!("arn:aws:elasticfilesystem:{r}:file-system/fs-1")),
            some(Kind::FileSystem, "fs-1")
        );
        assert_eq!(kind("arn:aws:s3:::one"), some(Kind::Bucket, "one"));
        for wrong in [
            "",
            "arn:aws:s3:::",
            "arn:aws:s3:::a/b",
            "arn:aws:iam::1:role/x",
            "arn:aws:ec2:r:1:image/ami-1",
            "arn:aws:dynamodb:r:1:table/a b",
        ] {
            assert_eq!(kind(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_named_thing_must_bear_the_name_that_was_asked_for() {
        assert!(is_ours(Kind::Bucket, "seawall-x", "seawall-x"));
        assert!(!is_ours(Kind::Bucket, "production", "seawall-x"));
        assert!(!is_ours(Kind::DbInstance, "production", "seawall-x"));
        assert!(is_ours(Kind::Volume, "vol-1", "seawall-x"));
    }
}
