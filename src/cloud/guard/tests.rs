use super::judge::{is_region, scope};
use super::*;

fn rules() -> Rules {
    Rules {
        lost: vec!["eu-west-1".into()],
        region: "eu-central-1".into(),
        doubles: vec!["127.0.0.1:4566".into(), "double.test:80".into()],
    }
}

fn signed<'a>(host: &'a str, region: &'a str, service: &'a str) -> Request<'a> {
    Request {
        method: "POST",
        host,
        path: "/",
        region: Some(region),
        service: Some(service),
        ..Request::default()
    }
}

fn unsigned(host: &str) -> Request<'_> {
    Request {
        method: "GET",
        host,
        path: "/",
        ..Request::default()
    }
}

fn why(rules: &Rules, request: &Request<'_>) -> String {
    match judge(rules, request) {
        Judged::Refused(why) => why,
        Judged::Allowed(at) => panic!("{at} was allowed: {request:?}"),
    }
}

fn allowed(rules: &Rules, request: &Request<'_>) {
    assert_eq!(
        judge(rules, request),
        Judged::Allowed(request.host.to_owned()),
        "{request:?}"
    );
}

#[test]
fn the_scratch_region_is_spoken_to_under_all_its_names() {
    for (host, service) in [
        ("ec2.eu-central-1.amazonaws.com", "ec2"),
        ("backup.eu-central-1.amazonaws.com", "backup"),
        ("EC2.EU-CENTRAL-1.AMAZONAWS.COM", "ec2"),
        ("ec2.eu-central-1.amazonaws.com:443", "ec2"),
        ("ec2.eu-central-1.api.aws", "ec2"),
        ("ec2-fips.eu-central-1.amazonaws.com", "ec2"),
        ("s3.eu-central-1.amazonaws.com", "s3"),
        ("bucket.s3.eu-central-1.amazonaws.com", "s3"),
        ("bucket.s3.dualstack.eu-central-1.amazonaws.com", "s3"),
        // A bucket that is called like the lost region is in the scratch region all the same.
        ("eu-west-1.s3.eu-central-1.amazonaws.com", "s3"),
        ("bucket.s3-eu-central-1.amazonaws.com", "s3"),
        ("vpce-0a1-x.ec2.eu-central-1.vpce.amazonaws.com", "ec2"),
    ] {
        allowed(&rules(), &signed(host, "eu-central-1", service));
    }
}

#[test]
fn lie_05_the_lost_region_is_refused_by_host_and_by_scope() {
    for host in [
        "ec2.eu-west-1.amazonaws.com",
        "backup.eu-west-1.amazonaws.com",
        "ec2.eu-west-1.amazonaws.com.",
        "EC2.EU-WEST-1.AMAZONAWS.COM",
        "ec2.eu-west-1.api.aws",
        "ec2-fips.eu-west-1.amazonaws.com",
        "s3.eu-west-1.amazonaws.com",
        "s3-eu-west-1.amazonaws.com",
        "bucket.s3.eu-west-1.amazonaws.com",
        "bucket.s3.dualstack.eu-west-1.amazonaws.com",
        "vpce-0a1-x.ec2.eu-west-1.vpce.amazonaws.com",
        "portal.sso.eu-west-1.amazonaws.com",
        "oidc.eu-west-1.amazonaws.com",
        "sts.eu-west-1.amazonaws.com",
    ] {
        // Whatever it is signed for, and if it is not.
        for request in [signed(host, "eu-central-1", "ec2"), unsigned(host)] {
            let why = why(&rules(), &request);
            assert!(why.contains("eu-west-1, which is lost"), "{why}");
        }
    }
    for host in [
        "ec2.eu-central-1.amazonaws.com",
        "127.0.0.1:4566",
        "iam.amazonaws.com",
        "169.254.169.254",
        "elsewhere.test",
    ] {
        let why = why(&rules(), &signed(host, "eu-west-1", "ec2"));
        assert!(why.contains("signed for eu-west-1, which is lost"), "{why}");
    }
}

#[test]
fn lie_05_a_global_endpoint_lives_in_us_east_1() {
    let lost = Rules {
        lost: vec!["us-east-1".into()],
        ..rules()
    };
    for host in [
        "iam.amazonaws.com",
        "sts.amazonaws.com",
        "organizations.amazonaws.com",
        "route53.amazonaws.com",
        "cloudfront.amazonaws.com",
        "s3.amazonaws.com",
        "bucket.s3.amazonaws.com",
    ] {
        let said = why(&lost, &unsigned(host));
        assert!(said.contains("us-east-1, which is lost"), "{said}");
        assert!(why(&rules(), &signed(host, "us-east-1", "iam")).contains("eu-central-1 alone"));
        if !host.starts_with("sts.") {
            let said = why(&rules(), &signed(host, "eu-central-1", "s3"));
            assert!(said.contains("a global endpoint"), "{said}");
        }
    }
    let here = Rules {
        region: "us-east-1".into(),
        ..rules()
    };
    allowed(&here, &signed("iam.amazonaws.com", "us-east-1", "iam"));
    // An old layout with the region in front.
    let old = signed("eu-west-1.queue.amazonaws.com", "us-east-1", "sqs");
    assert!(why(&here, &old).contains("lost"));
    let china = signed("iam.amazonaws.com.cn", "us-east-1", "iam");
    assert!(why(&here, &china).contains("cn-north-1"));
}

#[test]
fn any_other_region_is_refused_too_but_for_credentials() {
    let other = signed("ec2.eu-north-1.amazonaws.com", "eu-north-1", "ec2");
    assert!(why(&rules(), &other).contains("eu-central-1 alone"));
    let mixed = signed("ec2.eu-central-1.amazonaws.com", "eu-north-1", "ec2");
    assert!(why(&rules(), &mixed).contains("eu-central-1 alone"));
    let mixed = signed("ec2.eu-north-1.amazonaws.com", "eu-central-1", "ec2");
    assert!(why(&rules(), &mixed).contains("eu-central-1 alone"));
    for host in [
        "portal.sso.eu-north-1.amazonaws.com",
        "oidc.eu-north-1.amazonaws.com",
        "sts.eu-north-1.amazonaws.com",
        "sts.amazonaws.com",
        "169.254.169.254",
        "[fd00:ec2::254]",
        "169.254.170.2",
        "127.0.0.1:9911",
    ] {
        allowed(&rules(), &unsigned(host));
    }
    let odd = signed("169.254.169.254", "eu-central-1", "ec2");
    assert!(why(&rules(), &odd).contains("source of credentials"));
}

#[test]
fn hosts_that_nobody_knows_are_refused() {
    for host in [
        "",
        "amazonaws.com",
        "eu-central-1.amazonaws.com.evil.test",
        "evilamazonaws.com",
        "10.0.0.1",
        "ec2.eu-central-1.example.test",
        "169.254.169.254.evil.test",
        "[fd00::1]",
    ] {
        let why = why(&rules(), &signed(host, "eu-central-1", "ec2"));
        assert!(why.contains("not known"), "{host}: {why}");
        assert!(matches!(
            judge(&rules(), &unsigned(host)),
            Judged::Refused(_)
        ));
    }
}

#[test]
fn doubles_are_judged_by_what_a_request_is_signed_for() {
    allowed(&rules(), &signed("127.0.0.1:4566", "eu-central-1", "ec2"));
    allowed(&rules(), &signed("double.test", "eu-central-1", "ec2"));
    let other = signed("127.0.0.1:4566", "us-east-1", "ec2");
    assert!(why(&rules(), &other).contains("us-east-1"));
    assert!(why(&rules(), &unsigned("127.0.0.1:4566")).contains("not signed"));
    let other = signed("127.0.0.1:4567", "eu-central-1", "ec2");
    assert!(matches!(judge(&rules(), &other), Judged::Refused(_)));
}

/// `AWS_ENDPOINT_URL` is named on purpose, and may have been named for another purpose.
#[test]
fn lie_05_an_endpoint_of_aws_is_no_double_whoever_named_it() {
    let named = |host: &str| Rules {
        doubles: vec![host.to_owned()],
        ..rules()
    };
    for (host, says) in [
        ("ec2.eu-west-1.amazonaws.com", "eu-west-1, which is lost"),
        ("vpce-1.ec2.eu-west-1.vpce.amazonaws.com", "which is lost"),
        ("ec2.eu-north-1.amazonaws.com", "eu-central-1 alone"),
        ("ec2.amazonaws.com", "a global endpoint"),
    ] {
        let request = signed(host, "eu-central-1", "ec2");
        let why = why(&named(host), &request);
        assert!(why.contains(says), "{why}");
    }
    let host = "vpce-1.ec2.eu-central-1.vpce.amazonaws.com";
    allowed(&named(host), &signed(host, "eu-central-1", "ec2"));
}

#[test]
fn lie_05_start_copy_job_is_refused_by_name_wherever_it_goes() {
    for (host, region) in [
        ("backup.eu-central-1.amazonaws.com", "eu-central-1"),
        ("backup.eu-west-1.amazonaws.com", "eu-west-1"),
        ("127.0.0.1:4566", "eu-central-1"),
    ] {
        for path in ["/copy-jobs", "/copy-jobs/", "/copy-jobs?x=y"] {
            let request = Request {
                method: "PUT",
                path,
                ..signed(host, region, "backup")
            };
            assert!(why(&rules(), &request).contains("StartCopyJob"));
        }
        let listed = Request {
            method: "GET",
            path: "/copy-jobs",
            ..signed("127.0.0.1:4566", "eu-central-1", "backup")
        };
        allowed(&rules(), &listed);
    }
    let bucket = Request {
        method: "PUT",
        path: "/copy-jobs",
        ..signed("s3.eu-central-1.amazonaws.com", "eu-central-1", "s3")
    };
    allowed(&rules(), &bucket);
}

#[test]
fn scopes_are_read_from_signatures_of_both_kinds() {
    let header = "AWS4-HMAC-SHA256 Credential=AKIA/20261120/eu-central-1/ec2/aws4_request, \
                  SignedHeaders=host, Signature=ab";
    assert_eq!(scope(header, None), Some(("eu-central-1", "ec2")));
    let both = "AWS4-ECDSA-P256-SHA256 Credential=AKIA/20261120/s3/aws4_request, Signature=ab";
    assert_eq!(
        scope(both, Some("eu-central-1")),
        Some(("eu-central-1", "s3"))
    );
    assert_eq!(scope("Bearer abc", None), None);
    for broken in [
        "AWS4-HMAC-SHA256 x",
        "AWS4-HMAC-SHA256 Credential=",
        "AWS4-HMAC-SHA256 Credential=a/b/c/d/e",
        "AWS4-ECDSA-P256-SHA256 Credential=AKIA/20261120/s3/aws4_request",
    ] {
        let (region, service) = scope(broken, None).unwrap();
        let request = signed("ec2.eu-central-1.amazonaws.com", region, service);
        assert!(
            matches!(judge(&rules(), &request), Judged::Refused(_)),
            "{broken}"
        );
    }
}

#[test]
fn words_that_look_like_regions() {
    for word in [
        "eu-west-1",
        "us-gov-west-1",
        "eusc-de-east-1",
        "ap-southeast-12",
    ] {
        assert!(is_region(word), "{word}");
    }
    for word in [
        "",
        "eu",
        "eu-west",
        "eu-1",
        "s3-eu",
        "eu-west-x",
        "eu-west-123",
        "EU-west-1",
    ] {
        assert!(!is_region(word), "{word}");
    }
}

#[tokio::test]
async fn lie_05_what_was_used_and_refused_is_told_once_for_each_who_asked() {
    let guard = Guard::new(rules());
    let here = "ec2.eu-central-1.amazonaws.com";
    let good = signed(here, "eu-central-1", "ec2");
    let bad = signed("ec2.eu-west-1.amazonaws.com", "eu-west-1", "ec2");
    asking("step a", async {
        guard.pass(&good).unwrap();
        guard.pass(&good).unwrap();
        guard.pass(&bad).unwrap_err();
        guard.pass(&bad).unwrap_err();
    })
    .await;
    asking("step b", async { guard.pass(&good).unwrap() }).await;
    guard.pass(&good).unwrap();
    let of = |who: &str| (here.to_owned(), who.to_owned());
    let watched = guard.watched();
    assert_eq!(
        watched.used,
        [of("step a"), of("step b"), of("credentials")]
    );
    assert_eq!(watched.refused.len(), 1);
    let (what, who) = watched.refused.first().unwrap();
    assert!(
        what.contains("eu-west-1") && who == "step a",
        "{what} {who}"
    );
    let requests = guard.requests();
    assert_eq!(requests.get("step a"), Some(&2));
    assert_eq!(requests.get("step b"), Some(&1));
    asking("step a", async {
        guard.pass(&good).unwrap();
        guard.pass(&bad).unwrap_err();
        guard.pass(&unsigned("169.254.169.254")).unwrap();
    })
    .await;
    let watched = guard.watched();
    assert_eq!(
        watched.used,
        [("169.254.169.254".to_owned(), "credentials".to_owned())]
    );
    assert_eq!(watched.refused.len(), 1);
    assert_eq!(guard.watched(), Watched::default());
}
