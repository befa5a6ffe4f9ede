use super::super::access::Keys;
use super::super::guard::{Rules, asking};
use super::*;

async fn clients(region: &str) -> Clients {
    let scratch: AwsScratch = serde_json::from_value(serde_json::json!({
        "account": "111122223333", "region": region, "vault": "dr",
        "restore_role": "arn:aws:iam::111122223333:role/restore",
    }))
    .unwrap();
    let access = Access {
        keys: Some(Keys {
            id: "AKIATEST".into(),
            secret: "x".to_owned().into(),
            session: None,
        }),
        ..Access::default()
    };
    let guard = Guard::new(Rules {
        lost: vec!["eu-west-1".into()],
        region: region.into(),
        doubles: Vec::new(),
    });
    (Clients::new(&scratch, &access, Arc::new(guard)).await).unwrap()
}

/// Nothing of this leaves the machine: the guard is asked before a name is resolved.
#[tokio::test]
async fn lie_05_the_sdks_own_requests_to_the_lost_region_are_refused_and_not_tried_again() {
    let lost = clients("eu-west-1").await;
    let asked = asking("step db", async {
        let sent = lost.rds.describe_db_instances().send().await;
        sent.map_err(|e| Fault::of("listing databases", e))
    });
    let fault = asked.await.unwrap_err();
    assert_eq!(fault.kind, FaultKind::Guarded, "{fault}");
    assert!(fault.refused.unwrap().contains("eu-west-1, which is lost"));
    let watched = lost.guard.watched();
    assert!(watched.used.is_empty());
    let (what, who) = watched.refused.first().unwrap();
    assert!(what.starts_with("rds.eu-west-1.amazonaws.com"), "{what}");
    assert_eq!(who, "step db");
    assert!(lost.guard.requests().is_empty());
}

#[tokio::test]
async fn lie_05_the_sdks_own_start_copy_job_is_refused() {
    let here = clients("eu-central-1").await;
    assert_eq!(here.life, super::Life::Endless);
    let sent = (here.backup.start_copy_job())
        .recovery_point_arn("arn:aws:ec2:eu-west-1::snapshot/snap-1")
        .source_backup_vault_name("prod")
        .destination_backup_vault_arn("arn:aws:backup:eu-central-1:1:backup-vault:dr")
        .iam_role_arn("arn:aws:iam::111122223333:role/restore")
        .send()
        .await;
    let fault = Fault::of("copying", sent.unwrap_err());
    assert_eq!(fault.kind, FaultKind::Guarded, "{fault}");
    assert!(fault.message.contains("StartCopyJob"), "{fault}");
}
