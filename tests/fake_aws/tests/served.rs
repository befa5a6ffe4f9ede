//! The double as it is served: troubles, credentials, mistakes, the log, its clock.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::super::http::Request;
use super::super::script::{RequestTrouble, Script, Troubles, WrongAnswer};
use super::super::server::{ACCOUNT, FakeAws, Options};
use super::super::world::{Answer, Call, Refusal, World};
use super::{connect, exchange, form_request, json_request, parsed, rest_request, send, signed};

/// Answers what the tests below ask, rightly and wrongly.
fn handler(world: &mut World, call: &Call) -> Answer {
    world.new_id("x");
    match call.operation.as_str() {
        "ListTables" => Ok(json!({"TableNames": [call.region]})),
        "GetCallerIdentity" => Ok(json!({"Account": call.account, "Arn": "a", "UserId": "u"})),
        "DescribeVolumes" => Ok(json!({"NoSuchMember": 1})),
        "ListBackupVaults" => Err(Refusal::new(400, "NoSuchError", "x")),
        "DescribeKey" => panic!("no key at all"),
        _ => Ok(json!({})),
    }
}

fn double(script: Value) -> FakeAws {
    FakeAws::start(Options {
        speed: 0.0,
        start: Some(1_767_225_600.0),
        script: serde_json::from_value(script).expect("a script"),
        handler,
        ..Options::default()
    })
}

fn tables(region: &str) -> Request {
    signed(
        json_request("DynamoDB_20120810.ListTables", "{}"),
        region,
        "dynamodb",
    )
}

fn volumes() -> Request {
    let form = form_request("Action=DescribeVolumes&Version=2016-11-15");
    signed(form, "eu-central-1", "ec2")
}

fn identity() -> Request {
    let form = form_request("Action=GetCallerIdentity&Version=2011-06-15");
    signed(form, "eu-central-1", "sts")
}

fn control(double: &FakeAws, method: &str, target: &str, body: &str) -> Value {
    let request = rest_request(method, &format!("/_fake/{target}"), body);
    let (status, _, body) = send(&double.url(), &request).expect("an answer");
    assert_eq!(status, 200, "{body}");
    parsed(&body)
}

#[test]
fn the_scope_tells_account_region_and_service_and_all_is_logged() {
    let double = double(json!({}));
    let mut kept = connect(&double.url());
    for region in ["eu-central-1", "eu-west-1"] {
        let (status, _, body) = exchange(&mut kept, &tables(region)).expect("an answer");
        assert_eq!(
            (status, parsed(&body)),
            (200, json!({"TableNames": [region]}))
        );
    }
    let (_, _, body) = send(&double.url(), &identity()).expect("an answer");
    assert!(
        body.contains(&format!("<Account>{ACCOUNT}</Account>")),
        "{body}"
    );

    double.clock().advance(60.0);
    let create = "Action=CreateVolume&Version=2016-11-15&AvailabilityZone=eu-central-1a";
    let create = signed(form_request(create), "eu-central-1", "ec2");
    assert_eq!(send(&double.url(), &create).expect("an answer").0, 200);
    let log = control(&double, "GET", "log", "");
    assert_eq!(
        log[1],
        json!({
            "at": 0.0, "account": ACCOUNT, "region": "eu-west-1", "service": "dynamodb",
            "operation": "ListTables", "status": 200,
        })
    );
    assert_eq!(log[3]["at"], 60.0);
    assert_eq!(
        log[3]["params"],
        json!({"AvailabilityZone": "eu-central-1a"})
    );
    assert_eq!(double.log().len(), 4);
}

#[test]
fn who_is_not_known_is_refused_and_logged_without_an_account() {
    let double = double(json!({}));
    let mut request = tables("eu-central-1");
    request.body.push(b' ');
    let (status, _, body) = send(&double.url(), &request).expect("an answer");
    assert_eq!(
        (status, &parsed(&body)["__type"]),
        (400, &"InvalidSignatureException".into())
    );

    let unsigned = json_request("DynamoDB_20120810.ListTables", "{}");
    let (status, _, body) = send(&double.url(), &unsigned).expect("an answer");
    assert_eq!(status, 403, "{body}");
    let (status, _, body) =
        send(&double.url(), &signed(form_request(""), "x", "iam")).expect("an answer");
    assert_eq!(
        (status, &parsed(&body)["__type"]),
        (404, &"UnknownService".into())
    );

    let log = double.log();
    assert_eq!(
        (log[0].account.as_str(), log[0].region.as_str()),
        ("", "eu-central-1")
    );
    assert_eq!(log[0].error.as_deref(), Some("InvalidSignatureException"));
    assert_eq!((log[2].service.as_str(), log[2].status), ("iam", 404));
}

#[test]
fn a_handlers_mistake_is_a_500_that_says_so() {
    let double = double(json!({}));
    let vaults = signed(rest_request("GET", "/backup-vaults/", ""), "r", "backup");
    let key = json_request("TrentService.DescribeKey", r#"{"KeyId": "k"}"#);
    for request in [volumes(), vaults, signed(key, "r", "kms")] {
        let (status, _, body) = send(&double.url(), &request).expect("an answer");
        assert_eq!(status, 500);
        assert!(body.contains("a mistake in the double's"), "{body}");
    }
    let mistakes = double.mistakes();
    let about: Vec<bool> = ["NoSuchMember", "NoSuchError", "no key at all"]
        .iter()
        .zip(&mistakes)
        .map(|(what, said)| said.contains(what))
        .collect();
    assert_eq!(about, [true, true, true], "{mistakes:?}");
    // It goes on after a panic.
    assert_eq!(send(&double.url(), &tables("r")).expect("an answer").0, 200);
}

#[test]
fn troubles_are_those_of_the_script() {
    let trouble = |operation: &str, answer: Value| json!({"service": "*", "operation": operation, "times": 1, "answer": answer});
    let double = double(json!({"requests": [
        trouble("DescribeVolumes", json!("throttle")),
        trouble("DescribeVolumes", json!("unavailable")),
        trouble("ListTables", json!("throttle")),
        trouble("ListTables", json!({"error": {
            "status": 418, "code": "ResourceNotFoundException", "message": "m"}})),
        trouble("ListTables", json!("hangup")),
        trouble("ListTables", json!("lose_answer")),
    ]}));
    let ids = |double: &FakeAws| double.with_world(|world| world.new_id("x"));
    for (status, code) in [(503, "RequestLimitExceeded"), (503, "Unavailable")] {
        let (got, _, body) = send(&double.url(), &volumes()).expect("an answer");
        assert_eq!(got, status);
        assert!(body.contains(code), "{body}");
    }
    for (status, code) in [
        (400, "ThrottlingException"),
        (418, "ResourceNotFoundException"),
    ] {
        let (got, head, body) = send(&double.url(), &tables("r")).expect("an answer");
        assert_eq!((got, &parsed(&body)["__type"]), (status, &code.into()));
        assert!(
            head.contains(&format!("x-amzn-ErrorType: {code}")),
            "{head}"
        );
    }
    // The handler takes an id for each request that it sees.
    let mut counted = World::default();
    let steps: Vec<String> = (0..3).map(|_| counted.new_id("x")).collect();
    assert_eq!(send(&double.url(), &tables("r")), None);
    assert_eq!(ids(&double), steps[0], "nothing was done before it hung up");
    assert_eq!(send(&double.url(), &tables("r")), None);
    assert_eq!(ids(&double), steps[2], "it was done, and the answer lost");
    assert_eq!(send(&double.url(), &tables("r")).expect("an answer").0, 200);

    let log = double.log();
    let told: Vec<&str> = log.iter().filter_map(|e| e.trouble.as_deref()).collect();
    assert_eq!(
        told,
        [
            "throttle",
            "unavailable",
            "throttle",
            "error",
            "hangup",
            "lose_answer"
        ]
    );
    assert_eq!((log[4].status, log[5].status), (0, 0));
}

#[test]
fn a_slow_answer_comes_by_the_doubles_clock() {
    let slow = json!({"requests": [
        {"service": "dynamodb", "operation": "*", "answer": {"slow": 600.0}},
    ]});
    let double = double(slow);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| send(&double.url(), &tables("r")));
        let since = Instant::now();
        while double.log().is_empty() && since.elapsed() < Duration::from_secs(10) {
            std::thread::yield_now();
        }
        // Others do not wait for it.
        assert_eq!(send(&double.url(), &identity()).expect("an answer").0, 200);
        assert!(!waiting.is_finished());
        double.clock().advance(600.0);
        let answer = waiting.join().expect("no panic").expect("an answer");
        assert_eq!(answer.0, 200);
    });
}

#[test]
fn credentials_end_and_come_back() {
    let double = double(json!({"credentials_end_s": 10.0, "credentials_back_s": 20.0}));
    let status = |request: &Request| send(&double.url(), request).expect("an answer");
    assert_eq!(status(&tables("r")).0, 200);
    double.clock().advance(10.0);
    let (code, _, body) = status(&tables("r"));
    assert_eq!(
        (code, &parsed(&body)["__type"]),
        (400, &"ExpiredTokenException".into())
    );
    assert!(status(&volumes()).2.contains("<Code>RequestExpired</Code>"));
    assert!(status(&identity()).2.contains("<Code>ExpiredToken</Code>"));
    double.clock().advance(10.0);
    assert_eq!(status(&tables("r")).0, 200);
}

#[test]
fn the_double_is_moved_and_told_while_it_runs() {
    let double = double(json!({}));
    let moved = control(&double, "POST", "advance?s=90.5", "");
    assert_eq!(moved, json!({"at": 90.5, "now": 1_767_225_690.5}));
    let script = Script {
        requests: vec![RequestTrouble {
            service: "dynamodb".into(),
            operation: "*".into(),
            from_s: 0.0,
            until_s: f64::INFINITY,
            share: 1.0,
            times: Some(1),
            answer: WrongAnswer::Unavailable,
        }],
        ..Script::default()
    };
    // What has no end is null in JSON, and has none again when it is read.
    let script = serde_json::to_string(&script).expect("JSON");
    for _ in 0..2 {
        control(&double, "POST", "script", &script);
        assert_eq!(send(&double.url(), &tables("r")).expect("an answer").0, 503);
        assert_eq!(send(&double.url(), &tables("r")).expect("an answer").0, 200);
    }
    assert_eq!(control(&double, "GET", "left", ""), json!([]));
    assert_eq!(control(&double, "GET", "mistakes", ""), json!([]));
    let wrong = rest_request("POST", "/_fake/script", r#"{"request": []}"#);
    assert_eq!(send(&double.url(), &wrong).expect("an answer").0, 400);
}

#[test]
fn a_share_of_requests_is_the_same_for_the_same_seed() {
    let script = |seed: u64, share: f64| -> Script {
        serde_json::from_value(json!({"seed": seed, "requests": [
            {"service": "*", "operation": "*", "share": share, "answer": "throttle"},
            {"service": "ec2", "operation": "X", "from_s": 10.0, "until_s": 20.0,
             "answer": "hangup"},
        ]}))
        .expect("a script")
    };
    let run = |script: &Script| -> Vec<bool> {
        let mut troubles = Troubles::default();
        (0..1000)
            .map(|_| troubles.pick(script, "ec2", "Y", 0.0).is_some())
            .collect()
    };
    let some = run(&script(7, 0.3));
    let count = some.iter().filter(|hit| **hit).count();
    assert!((250..350).contains(&count), "{count} of 1000");
    assert_eq!(some, run(&script(7, 0.3)));
    assert_ne!(some, run(&script(8, 0.3)));
    let none = script(7, 0.0);
    let picked = |at: f64| Troubles::default().pick(&none, "ec2", "X", at).is_some();
    assert_eq!(
        [9.9, 10.0, 19.9, 20.0].map(picked),
        [false, true, true, false]
    );
}

#[test]
fn many_are_served_at_once_and_quickly() {
    let double = double(json!({}));
    let since = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                let mut kept = connect(&double.url());
                for _ in 0..25 {
                    let answer = exchange(&mut kept, &tables("r")).expect("an answer");
                    assert_eq!(answer.0, 200);
                }
            });
        }
    });
    assert_eq!(double.log().len(), 500);
    // Hundreds in a second where nothing else runs; no more than a smoke test where much does.
    assert!(
        since.elapsed() < Duration::from_secs(20),
        "{:?}",
        since.elapsed()
    );
}
