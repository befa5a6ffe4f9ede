use super::*;
use crate::journal::Event;
use crate::report::drill::fixture;

fn page(events: &[Event]) -> String {
    html(&fixture::fold(events), &fixture::history()).unwrap()
}

/// Writes pages to look at: `SEAWALL_PAGES=dir cargo test --lib drill::html`.
#[test]
fn every_drill_has_a_page() {
    let drills = [
        ("met", fixture::met()),
        ("missed", fixture::missed()),
        ("inconclusive", fixture::inconclusive()),
        ("aborted", fixture::aborted()),
        ("cloud", fixture::cloud()),
        ("one", fixture::one()),
        ("twelve", fixture::many(12, 4)),
        ("two-hundred", fixture::many(200, 16)),
        ("hostile", fixture::hostile(40)),
        ("empty", Vec::new()),
    ];
    for (name, events) in drills {
        let view = fixture::fold(&events);
        let trend = match name {
            "one" | "empty" => Vec::new(),
            _ => fixture::history(),
        };
        let html = html(&view, &trend).unwrap();
        assert!(html.trim_end().ends_with("</html>"), "{name}");
        if let Some(dir) = std::env::var_os("SEAWALL_PAGES") {
            let path = std::path::Path::new(&dir).join(format!("{name}.html"));
            std::fs::write(path, html).unwrap();
        }
    }
}

#[test]
fn the_page_says_what_a_reader_looks_for() {
    let html = page(&fixture::missed());
    for text in [
        "Objectives missed",
        "1 h 41 min</b> measured",
        "40 min</b> assumed",
        "21 min 04 s over",
        "attempt 1 failed at 6 min 00 s: the store closed the connection",
        "missing blob 9d0e6c1f, 41822 commits",
        "fsck without a fault, at least 40000 commits",
        "the oldest data is that of",
        "the page cache of this machine is warm",
        "what a restored service does by itself",
        "s3.eu-north-1.example.net",
        "process 4711 (app), born 8122011",
        "NOT GONE",
        "seawall verify 20261120-073514-k3f9",
        "ssh-keygen -Y verify",
        "latest of 7 before the disaster",
        "all of it restored",
        "49 min 38 s less: met",
    ] {
        assert!(html.contains(text), "{text}");
    }
    let html = page(&fixture::inconclusive());
    for text in [
        "Inconclusive",
        "PROVES NOTHING",
        "it passed on an empty scratch",
        "primary&#x2f;app&#x2f;config.toml",
        "nobody says",
        "s is faster than this disk: it was cached",
    ] {
        assert!(html.contains(text), "{text}");
    }
    let html = page(&fixture::aborted());
    assert!(html.contains("it did not come to its end"));
    assert!(html.contains("<code>seawall drill sweep 20261120-073514-k3f9</code>"));
}

#[test]
fn a_drill_in_a_cloud_tells_available_from_usable_and_whole() {
    let html = page(&fixture::cloud());
    for text in [
        "How far each thing had come",
        "cold: 43 % fetched",
        "m6g.large for m7g.large: InsufficientInstanceCapacity",
        "<title>available at ",
        "as the vault says",
        "144 requests: 61 by step db",
    ] {
        assert!(html.contains(text), "{text}");
    }
    let html = page(&fixture::met());
    assert!(!html.contains("How far each thing"));
}

#[test]
fn nothing_is_loaded_from_anywhere_and_no_script_runs() {
    let html = page(&fixture::met());
    for text in [
        " src=", "@import", "http://", "https://", "<link", "href", "<script",
    ] {
        assert!(!html.contains(text), "{text}");
    }
    let urls = html.matches("url(").count();
    assert_eq!(urls, html.matches("url(#hatch)").count());
    assert!(html.contains("default-src 'none'; style-src 'unsafe-inline'; base-uri"));
}

/// The tags of a page, as a browser would see them: names only, attributes dropped.
fn tags(html: &str) -> Vec<String> {
    html.split('<')
        .skip(1)
        .map(|tag| {
            tag.chars()
                .take_while(|c| c.is_ascii_alphanumeric() || "/!-".contains(*c))
                .collect()
        })
        .collect()
}

#[test]
fn hostile_text_breaks_out_of_nothing() {
    let events = fixture::hostile(30);
    let trend: Vec<TrendPoint> = fixture::history()
        .into_iter()
        .map(|mut point| {
            point.run = fixture::BAD.into();
            point.started = fixture::BAD.into();
            point.reason = Some(fixture::BAD.into());
            point
        })
        .collect();
    let bad = html(&fixture::fold(&events), &trend).unwrap();
    assert!(!bad.contains("<script") && !bad.contains("alert(1)</script>"));
    assert_eq!(bad.matches("</style").count(), 1);
    assert!(bad.contains("{{7*7}}") && !bad.contains(">49<"));
    assert!(!bad.contains('\u{1b}') && !bad.contains('\u{202e}'));
    assert!(bad.contains("seawall verify RUN\n"));
    // The same run with harmless words has the same markup, tag for tag.
    let quoted = serde_json::to_string(fixture::BAD).unwrap();
    let quoted = quoted.trim_matches('"').to_owned() + "\"";
    let quoted = quoted.trim_end_matches('"');
    let harmless = serde_json::to_string(&events).unwrap();
    let harmless = harmless.replace(quoted, "~good words");
    assert!(!harmless.contains("script"));
    let events: Vec<Event> = serde_json::from_str(&harmless).unwrap();
    let trend: Vec<TrendPoint> = trend
        .into_iter()
        .map(|mut point| {
            point.run = "~good words".into();
            point.started = "~good words".into();
            point.reason = Some("~good words".into());
            point
        })
        .collect();
    assert_eq!(
        tags(&html(&fixture::fold(&events), &trend).unwrap()),
        tags(&bad)
    );
}

#[test]
fn a_page_is_bounded_whatever_the_journal_says() {
    let html = page(&fixture::hostile(3000));
    assert!(html.len() < 12_000_000, "{}", html.len());
    assert!(html.contains("… and 2,605 more"), "rows of the chart");
    assert!(html.contains("… and 2,005 more"), "rows of the tables");
    for line in html.lines() {
        assert!(!line.contains(&"x".repeat(1001)));
    }
}
