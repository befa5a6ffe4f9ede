use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

/// Part of each URL here; it may turn up nowhere.
const SECRET: &str = "T0PSECRET";

const QUICK: Patience = Patience {
    connect: Duration::from_secs(5),
    total: Duration::from_secs(5),
    pause: Duration::from_millis(5),
};

fn one(shape: Shape) -> Notify {
    Notify {
        url_env: "HOOK".into(),
        shape,
        on: vec![Occasion::Failure, Occasion::Missed],
    }
}

fn message() -> Message {
    Message {
        title: "Drill <yearly> missed its RTO".into(),
        lines: vec!["RTO 5h, objective 4h & a half".into(), "\u{1b}[2Jx".into()],
        report: Some("/srv/reports/x.html".into()),
        run: Some("20261120-073514-k3f9".into()),
    }
}

/// A server that gives these answers in turn (an empty one: none at all), and keeps what it got.
async fn server(answers: &'static [&'static str]) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook/{SECRET}", listener.local_addr().unwrap());
    let got = Arc::new(Mutex::new(Vec::new()));
    let kept = got.clone();
    tokio::spawn(async move {
        let mut held = Vec::new();
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            loop {
                let mut part = [0; 4096];
                let count = stream.read(&mut part).await.unwrap();
                request.extend(&part[..count]);
                if count == 0 || is_whole(&request) {
                    break;
                }
            }
            let text = String::from_utf8(request).unwrap();
            kept.lock().unwrap().push(text);
            if answer.is_empty() {
                held.push(stream);
                continue;
            }
            let head =
                format!("HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            stream.write_all(head.as_bytes()).await.unwrap();
        }
        std::future::pending::<()>().await;
    });
    (url, got)
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .and_then(|length| length.parse::<usize>().ok());
    length.is_some_and(|length| body.len() >= length)
}

async fn told(shape: Shape, url: Option<&str>, patience: &Patience) -> Told {
    let env = |name: &str| {
        assert_eq!(name, "HOOK");
        url.map(str::to_owned)
    };
    let mut told = tell_with(&[one(shape)], Occasion::Failure, &message(), env, patience).await;
    assert_eq!(told.len(), 1);
    let told = told.remove(0);
    assert_eq!(told.whom, "HOOK");
    assert!(!told.detail.contains(SECRET), "{told:?}");
    told
}

fn body_of(request: &str) -> serde_json::Value {
    serde_json::from_str(request.split_once("\r\n\r\n").unwrap().1).unwrap()
}

#[tokio::test]
async fn the_generic_shape_is_an_object_of_ours() {
    let (url, got) = server(&["200 OK"]).await;
    let told = told(Shape::Generic, Some(&url), &QUICK).await;
    assert!(told.well, "{told:?}");
    let got = got.lock().unwrap();
    assert!(got[0].starts_with(&format!("POST /hook/{SECRET} HTTP/1.1\r\n")));
    assert!(
        got[0]
            .to_lowercase()
            .contains("content-type: application/json")
    );
    let body = body_of(&got[0]);
    assert_eq!(body["occasion"], "failure");
    assert_eq!(body["title"], "Drill <yearly> missed its RTO");
    assert_eq!(body["run"], "20261120-073514-k3f9");
    assert_eq!(body["report"], "/srv/reports/x.html");
    assert!(!body["lines"].to_string().contains("\\u001b"), "{body}");
}

#[tokio::test]
async fn slack_gets_one_text_in_which_nothing_is_markup() {
    let (url, got) = server(&["200 OK"]).await;
    assert!(told(Shape::Slack, Some(&url), &QUICK).await.well);
    let body = body_of(&got.lock().unwrap()[0]);
    let text = body["text"].as_str().unwrap();
    assert!(
        text.starts_with(
            "*Drill &lt;yearly&gt; missed its RTO*\nRTO 5h, objective 4h &amp; a half\n"
        )
    );
    assert!(text.contains("\nreport: /srv/reports/x.html"), "{text}");
    assert_eq!(body.as_object().unwrap().len(), 1);
}

#[tokio::test]
async fn a_server_in_trouble_is_asked_again() {
    let (url, got) = server(&["500 Oops", "429 Slowly", "200 OK"]).await;
    let once = told(Shape::Generic, Some(&url), &QUICK).await;
    assert!(once.well && once.detail.contains("third"), "{once:?}");
    assert_eq!(got.lock().unwrap().len(), 3);
    let (url, got) = server(&["503 No", "503 No", "503 No", "200 OK"]).await;
    let never = told(Shape::Generic, Some(&url), &QUICK).await;
    assert!(!never.well && never.detail.contains("503"), "{never:?}");
    assert_eq!(got.lock().unwrap().len(), 3, "thrice and no more");
}

#[tokio::test]
async fn who_refuses_is_not_asked_again() {
    let (url, got) = server(&["404 Gone", "200 OK"]).await;
    let refused = told(Shape::Generic, Some(&url), &QUICK).await;
    assert!(
        !refused.well && refused.detail.contains("404"),
        "{refused:?}"
    );
    assert_eq!(got.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (url, got) = server(&["307 There\r\nLocation: /elsewhere", "200 OK"]).await;
    let sent_on = told(Shape::Generic, Some(&url), &QUICK).await;
    assert!(
        !sent_on.well && sent_on.detail.contains("redirect"),
        "{sent_on:?}"
    );
    assert_eq!(got.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_server_that_hangs_is_given_up_and_not_told_twice() {
    let (url, got) = server(&["", "200 OK"]).await;
    let patience = Patience {
        total: Duration::from_millis(300),
        ..QUICK
    };
    let hung = told(Shape::Generic, Some(&url), &patience).await;
    assert!(!hung.well && hung.detail.contains("no answer"), "{hung:?}");
    assert_eq!(got.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn nobody_there_is_a_failure() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/{SECRET}", listener.local_addr().unwrap());
    drop(listener);
    let alone = told(Shape::Generic, Some(&url), &QUICK).await;
    assert!(!alone.well && alone.detail.contains("refused"), "{alone:?}");
}

#[tokio::test]
async fn a_variable_that_is_not_set_is_a_failure_and_not_silence() {
    for url in [None, Some(""), Some(" \n")] {
        let unset = told(Shape::Generic, url, &QUICK).await;
        assert!(!unset.well && unset.detail.contains("not set"), "{unset:?}");
    }
    for url in [
        "T0PSECRET",
        "ftp://x/T0PSECRET",
        "http://",
        "file:///T0PSECRET",
    ] {
        let wrong = told(Shape::Generic, Some(url), &QUICK).await;
        assert!(!wrong.well && wrong.detail.contains("URL"), "{wrong:?}");
    }
}

#[tokio::test]
async fn only_those_are_told_who_want_to_know() {
    let env = |_: &str| None;
    let who = [one(Shape::Generic), one(Shape::Slack)];
    let none = tell_with(&who, Occasion::Success, &message(), env, &QUICK).await;
    assert!(none.is_empty());
    let both = tell_with(&who, Occasion::Missed, &message(), env, &QUICK).await;
    assert_eq!(both.len(), 2);
}

/// Whichever crates are in the tree: TLS has a provider, and a server that speaks none is told.
#[tokio::test]
async fn https_is_spoken() {
    let (url, _) = server(&["200 OK"]).await;
    let https = url.replace("http://", "https://");
    let patience = Patience {
        total: Duration::from_millis(500),
        ..QUICK
    };
    let plain = told(Shape::Generic, Some(&https), &patience).await;
    assert!(!plain.well, "{plain:?}");
    assert!(!plain.detail.contains("client"), "{plain:?}");
}

#[test]
fn a_long_story_is_cut() {
    let long = Message {
        lines: vec!["x".repeat(10_000); 1000],
        ..message()
    };
    for shape in [Shape::Generic, Shape::Slack] {
        let body = body(shape, Occasion::Failure, &long);
        assert!(body.len() < 40_000, "{}", body.len());
        assert!(String::from_utf8(body).unwrap().contains("and 960 more"));
    }
}
