//! The region guard through the whole program: whatever an environment, a profile or a document
//! says, nothing goes to the lost region; what was tried is in the journal and in the report.

use std::sync::Arc;

use seawall::cloud::Access;
use seawall::cloud::access::Keys;
use seawall::cloud::client::Clients;
use seawall::cloud::fault::{Fault, FaultKind};
use seawall::cloud::guard::{Guard, Rules, asking};
use seawall::document::drill::aws::AwsScratch;
use serde_json::Value;

use super::site::{Site, above, carts, has_runs, said};
use super::stage::{LOST, SCRATCH};
use crate::fake_aws::server::{ACCESS_KEY, FakeAws, SECRET};

fn regions(aws: &FakeAws) -> Vec<String> {
    let mut regions: Vec<String> = aws.log().into_iter().map(|entry| entry.region).collect();
    regions.sort();
    regions.dedup();
    regions
}

/// A region in the environment, one in the profile, and a profile that names another vault's region:
/// the drill's own stands above them.
#[test]
fn a_profile_and_an_environment_of_the_lost_region_lead_nowhere() {
    let site = Site::new();
    site.write("drill.yaml", &carts(""));
    let keys = format!("aws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET}\n");
    site.write(
        "home/.aws/config",
        &format!("[profile old]\nregion = {LOST}\n{keys}"),
    );
    let mut command = site.command(&["drill", "run", "drill.yaml"]);
    command
        .env_remove("AWS_ACCESS_KEY_ID")
        .env_remove("AWS_SECRET_ACCESS_KEY")
        .env("AWS_PROFILE", "old")
        .env("AWS_REGION", LOST)
        .env("AWS_DEFAULT_REGION", LOST);
    let ran = said(&mut command);
    assert_eq!(ran.code, Some(0), "{}", ran.text);
    assert_eq!(regions(&site.aws), [SCRATCH]);
    assert_eq!(site.aws.left(), Vec::<String>::new());
    assert_eq!(site.refused(), []);

    let report = said(&mut site.command(&["report", "--json"]));
    assert_eq!(report.code, Some(0), "{}", report.text);
    let report: Value = serde_json::from_str(&report.out).expect("a document");
    let host = site.aws.url().replace("http://", "");
    let used = report["guard"]["used"].as_array().expect("places").clone();
    let mine = used.iter().find(|one| one["endpoint"] == host.as_str());
    let by = mine.unwrap_or_else(|| panic!("{used:?}"))["by"].to_string();
    for who in ["preflight", "step carts", "teardown", "sweep"] {
        assert!(by.contains(who), "{who}: {by}");
    }
    let unproved = report["guard"]["not_enforced"].to_string();
    let page = site.page();
    assert!(page.contains(&host), "the page names no endpoint");
    for word in [
        "what restored workloads send",
        "route tables",
        "service control policy",
        "CloudTrail",
        "this was not AWS",
    ] {
        assert!(unproved.contains(word), "{word}: {unproved}");
        assert!(page.contains(word), "the page does not say {word}");
    }
    let enforced = report["guard"]["enforced"].to_string();
    assert!(
        enforced.contains(&format!("none goes to {LOST}")),
        "{enforced}"
    );
    assert!(
        enforced.contains("StartCopyJob is refused by name"),
        "{enforced}"
    );
}

#[test]
fn an_endpoint_in_the_lost_region_is_refused_before_the_clock_and_recorded() {
    for (variable, host, who) in [
        (
            "AWS_ENDPOINT_URL",
            "backup.eu-west-1.amazonaws.com",
            "preflight",
        ),
        (
            "AWS_ENDPOINT_URL_EC2",
            "ec2.eu-west-1.amazonaws.com",
            "preflight",
        ),
    ] {
        let site = Site::new();
        site.write("drill.yaml", &carts(""));
        let mut command = site.command(&["drill", "run", "drill.yaml"]);
        let ran = said(command.env(variable, format!("https://{host}")));
        assert_eq!(ran.code, Some(2), "{}", ran.text);
        let refused = site.refused();
        let told = format!("{host}: it is in {LOST}, which is lost");
        assert!(refused.contains(&(told.clone(), who.into())), "{refused:?}");
        assert!(ran.text.contains(&told), "{}", ran.text);
        let started = |event: &Value| event["drill_event"] == "clock-started";
        assert!(!site.events().iter().any(started), "{}", ran.text);
        assert!(!regions(&site.aws).contains(&LOST.to_owned()));
        assert_eq!(site.aws.left(), Vec::<String>::new());
        let report = said(&mut site.command(&["report", "--json"]));
        let report: Value = serde_json::from_str(&report.out).expect("a document");
        let in_report = report["guard"]["refused"].to_string();
        assert!(
            in_report.contains(&told) && in_report.contains(who),
            "{in_report}"
        );
        assert!(site.page().contains(&told));
    }
}

/// What a profile says of endpoints is no double that was named on purpose: nothing is sent there.
#[test]
fn a_profiles_endpoint_in_the_lost_region_is_refused() {
    let site = Site::new();
    site.write("drill.yaml", &carts("    profile: old\n"));
    let config = format!(
        "[profile old]\nendpoint_url = https://sts.{LOST}.amazonaws.com\n\
         aws_access_key_id = {ACCESS_KEY}\naws_secret_access_key = {SECRET}\n"
    );
    site.write("home/.aws/config", &config);
    let ran = said(&mut site.bare(&["drill", "run", "drill.yaml"]));
    assert_eq!(ran.code, Some(2), "{}", ran.text);
    let refused = site.refused();
    assert!(
        refused
            .iter()
            .any(|(what, _)| what.contains("which is lost")),
        "{refused:?}: {}",
        ran.text
    );
}

#[test]
fn credentials_from_the_lost_regions_sso_portal_are_refused_before_the_clock() {
    let site = Site::new();
    site.write("drill.yaml", &carts("    profile: sso\n"));
    let start = "https://example.awsapps.com/start";
    let config = format!(
        "[profile sso]\nsso_start_url = {start}\nsso_region = {LOST}\n\
         sso_account_id = 111122223333\nsso_role_name = drill\n"
    );
    site.write("home/.aws/config", &config);
    // The SHA-1 of the address above.
    site.write(
        "home/.aws/sso/cache/e8be5486177c5b5392bd9aa76563515b29358e6e.json",
        &format!(
            "{{\"startUrl\": \"{start}\", \"region\": \"{LOST}\", \"accessToken\": \"t\", \
             \"expiresAt\": \"2099-01-01T00:00:00Z\"}}"
        ),
    );
    let mut command = site.bare(&["drill", "run", "drill.yaml"]);
    command
        .env_remove("AWS_ACCESS_KEY_ID")
        .env_remove("AWS_SECRET_ACCESS_KEY");
    let ran = said(&mut command);
    assert_eq!(ran.code, Some(2), "{}", ran.text);
    let portal = format!("portal.sso.{LOST}.amazonaws.com: it is in {LOST}, which is lost");
    assert!(
        ran.text.contains("reading credentials (profile sso)"),
        "{}",
        ran.text
    );
    assert!(
        ran.text.contains("the region guard did not ask for them"),
        "{}",
        ran.text
    );
    assert_eq!(site.refused(), [(portal, "credentials".to_owned())]);
    // Nothing was made, so nothing can be left.
    assert!(!ran.text.contains("left behind"), "{}", ran.text);
}

#[test]
fn a_scratch_in_the_lost_region_is_a_mistake_in_the_document() {
    let site = Site::new();
    site.write(
        "drill.yaml",
        &carts("").replace(&above(SCRATCH, ""), &above(LOST, "")),
    );
    for verb in ["plan", "run"] {
        let ran = said(&mut site.command(&["drill", verb, "drill.yaml"]));
        assert_eq!(ran.code, Some(2), "{}", ran.text);
        for word in [
            "error[scratch-is-lost]",
            "drill.yaml:7:13",
            "the scratch is in the region that is lost",
        ] {
            assert!(ran.text.contains(word), "{word}: {}", ran.text);
        }
    }
    assert!(site.aws.log().is_empty());
    assert!(!has_runs(&site.path("state")));
}

/// Requests that a drill never sends, sent with its own clients.
#[tokio::test]
async fn a_copy_another_region_and_a_global_endpoint_are_refused_by_name() {
    let aws = FakeAws::start(Default::default());
    let scratch: AwsScratch = serde_json::from_value(serde_json::json!({
        "account": "111122223333", "region": SCRATCH, "vault": "dr-copies",
        "restore_role": "arn:aws:iam::111122223333:role/seawall-restore",
    }))
    .expect("a scratch");
    let access = Access {
        endpoint: Some(aws.url()),
        keys: Some(Keys {
            id: ACCESS_KEY.into(),
            secret: SECRET.to_owned().into(),
            session: None,
        }),
        ..Access::default()
    };
    let guard = Arc::new(Guard::new(Rules {
        lost: vec![LOST.into()],
        region: SCRATCH.into(),
        doubles: vec![aws.url().replace("http://", "")],
    }));
    let clients = Clients::new(&scratch, &access, guard.clone())
        .await
        .expect("clients");

    let copy = clients.backup.start_copy_job();
    let copy = copy
        .recovery_point_arn("arn:aws:ec2:eu-west-1::snapshot/snap-1")
        .source_backup_vault_name("prod")
        .destination_backup_vault_arn("arn:aws:backup:eu-central-1:111122223333:backup-vault:dr")
        .iam_role_arn("arn:aws:iam::111122223333:role/seawall-restore");
    let sent = asking("step db", copy.send()).await;
    refused(
        Fault::of("copying", sent.expect_err("it is refused")),
        "backup:StartCopyJob",
    );

    for (region, says) in [
        (LOST, "which is lost"),
        ("eu-north-1", "eu-central-1 alone"),
    ] {
        let config = clients.ec2.config().to_builder();
        let config = config
            .region(aws_sdk_ec2::config::Region::new(region))
            .build();
        let elsewhere = aws_sdk_ec2::Client::from_conf(config);
        let sent = asking("step web", elsewhere.describe_vpcs().send()).await;
        refused(Fault::of("listing", sent.expect_err("it is refused")), says);
    }
    let config = clients.ec2.config().to_builder();
    let config = config.endpoint_url("https://ec2.amazonaws.com").build();
    let global = aws_sdk_ec2::Client::from_conf(config);
    let sent = asking("step web", global.describe_vpcs().send()).await;
    refused(
        Fault::of("listing", sent.expect_err("it is refused")),
        "a global endpoint",
    );

    assert!(aws.log().is_empty(), "something was sent");
    let watched = guard.watched();
    assert!(watched.used.is_empty(), "{:?}", watched.used);
    let by: Vec<&str> = watched.refused.iter().map(|(_, by)| by.as_str()).collect();
    assert_eq!(by, ["step db", "step web", "step web", "step web"]);
}

fn refused(fault: Fault, says: &str) {
    assert_eq!(fault.kind, FaultKind::Guarded, "{fault}");
    assert!(fault.to_string().contains(says), "{fault}");
}
