use super::*;

fn document(endpoint: Option<&str>) -> S3 {
    S3 {
        bucket: "backups".into(),
        prefix: Some("/one/two/".into()),
        region: "eu-central-1".into(),
        endpoint: endpoint.map(str::to_owned),
    }
}

fn keys(name: &str) -> Option<OsString> {
    match name {
        "AWS_ACCESS_KEY_ID" => Some("id".into()),
        "AWS_SECRET_ACCESS_KEY" => Some("hush-hush".into()),
        _ => None,
    }
}

#[test]
fn where_it_is_is_told_without_a_password() {
    let store = S3Store::new(&document(Some("http://me:pw@127.0.0.1:1/")), &keys, 0).unwrap();
    assert_eq!(
        store.endpoint(),
        "s3://backups/one/two at http://127.0.0.1:1"
    );
    // A client for https:// is made without a panic: it has its certificates and its cipher.
    let store = S3Store::new(&document(None), &keys, 0).unwrap();
    assert_eq!(store.endpoint(), "s3://backups/one/two in eu-central-1");
}

#[test]
fn half_of_the_credentials_is_none() {
    let half = |name: &str| keys(name).filter(|_| name == "AWS_ACCESS_KEY_ID");
    let error = S3Store::new(&document(None), &half, 0).err().unwrap();
    assert!(error.to_string().contains("set both"), "{error}");
    let none = |_: &str| None;
    let error = S3Store::new(&document(Some("http://127.0.0.1:1")), &none, 0)
        .err()
        .unwrap();
    assert!(error.to_string().contains("AWS_ACCESS_KEY_ID"), "{error}");
    let error = S3Store::new(&document(Some("127.0.0.1:1")), &keys, 0)
        .err()
        .unwrap();
    assert!(error.to_string().contains("http://"), "{error}");
}

#[test]
fn names_stay_below_the_prefix() {
    let store = S3Store::new(&document(None), &keys, 0).unwrap();
    let path = store.path("reading", "db/a.age").unwrap();
    assert_eq!(path.as_ref(), "one/two/db/a.age");
    for name in ["../a", "/a", "a//b", ""] {
        assert!(store.path("reading", name).is_err(), "{name}");
    }
}

#[test]
fn a_refusal_is_told_without_what_it_repeats() {
    let error = |text: &str| object_store::Error::Generic {
        store: "S3",
        source: text.to_owned().into(),
    };
    let secrets = ["hush-hush".to_owned()];
    let body = "403: <Error><Code>SignatureDoesNotMatch</Code><Message>No hush-hush here.\
                </Message><CanonicalRequest>x-amz-security-token:TOKEN</CanonicalRequest></Error>";
    assert_eq!(
        words(&error(body), &secrets),
        "the service said SignatureDoesNotMatch: No … here."
    );
    assert!(!words(&error("key=hush-hush"), &secrets).contains("hush"));
}

#[test]
fn nobody_there_is_told_and_is_not_an_absence() {
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let url = format!("http://127.0.0.1:{port}");
    let store = S3Store::new(&document(Some(&url)), &keys, 0).unwrap();
    for error in [
        store.list("").unwrap_err(),
        store.open("a").err().unwrap(),
        store.get("a", 10).unwrap_err(),
        store.create("a").err().unwrap(),
    ] {
        assert!(!error.absent);
        let text = error.to_string();
        assert!(text.contains(&url) && !text.contains("hush"), "{text}");
    }
}
