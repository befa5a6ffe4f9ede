use super::*;
use crate::journal::Event;
use crate::report::patch::fixture;

fn page(events: &[Event]) -> String {
    html(&fixture::fold(events)).unwrap()
}

/// Writes pages to look at: `SEAWALL_PAGES=dir cargo test --lib patch::html`.
#[test]
fn every_run_has_a_page() {
    for (name, events) in [
        ("plan", fixture::plan()),
        ("run", fixture::run()),
        ("aborted", fixture::aborted()),
        ("good", fixture::good()),
        ("many", fixture::many(300, 3)),
        ("hostile", fixture::hostile(40)),
        ("empty", Vec::new()),
    ] {
        let html = page(&events);
        assert!(html.trim_end().ends_with("</html>"), "{name}");
        if let Some(dir) = std::env::var_os("SEAWALL_PAGES") {
            let path = std::path::Path::new(&dir).join(format!("patch-{name}.html"));
            std::fs::write(path, html).unwrap();
        }
    }
}

#[test]
fn the_page_says_what_a_reader_looks_for() {
    let html = page(&fixture::plan());
    for text in [
        "10 hosts",
        "the same 5 upgrades",
        "CVE-2026-11187",
        "packages.acme.example (third party)",
        "no way back: the archive has no former version",
        "migration in progress (db team), until 2026-12-01",
        "it did not answer: no route to host",
        "401 Unauthorized",
        "<b>Blocked:</b> space",
    ] {
        assert!(html.contains(text), "{text}");
    }
    let html = page(&fixture::run());
    for text in [
        "A person must look",
        "tcp&#x2f;443 listened and does not",
        "<b>To do:</b> dpkg --configure -a",
        "agent.conf.dpkg-dist",
        "rebooted (42s)",
        "it never became healthy",
        "watched for 10 min",
        "not begun",
    ] {
        assert!(html.contains(text), "{text}");
    }
}

#[test]
fn nothing_is_loaded_from_anywhere_and_no_script_runs() {
    let html = page(&fixture::run());
    for text in [
        " src=", "@import", "http://", "https://", "<link", "href", "<script", "url(",
    ] {
        assert!(!html.contains(text), "{text}");
    }
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
    let bad = page(&events);
    assert!(!bad.contains("<script") && !bad.contains("alert(1)</script>"));
    assert_eq!(bad.matches("</style").count(), 1);
    assert!(bad.contains("{{7*7}}"));
    assert!(!bad.contains('\u{1b}') && !bad.contains('\u{202e}'));
    assert!(bad.contains("seawall verify RUN\n"));
    // The same run with harmless words has the same markup, tag for tag.
    let quoted = serde_json::to_string(fixture::BAD).unwrap();
    let quoted = &quoted[1..quoted.len() - 1];
    let harmless = serde_json::to_string(&events).unwrap();
    let harmless = harmless.replace(quoted, "~good words");
    assert!(!harmless.contains("script>"));
    let events: Vec<Event> = serde_json::from_str(&harmless).unwrap();
    assert_eq!(tags(&page(&events)), tags(&bad));
}

#[test]
fn a_page_is_bounded_whatever_the_journal_says() {
    let html = page(&fixture::many(3000, 4));
    assert!(html.len() < 6_000_000, "{}", html.len());
    assert!(html.contains("… and 2,000 more"), "hosts");
}
