use super::*;
use crate::report::fixture;

fn page(events: &[crate::journal::Event]) -> String {
    text(&fixture::fold(events)).unwrap()
}

/// Writes pages to look at: `SEAWALL_PAGES=dir cargo test --lib html`.
#[test]
fn every_run_has_a_page() {
    let runs = [
        ("check", fixture::check()),
        ("apply", fixture::apply()),
        ("rollback", fixture::rollback()),
        ("fifty", fixture::fifty()),
        ("hostile", fixture::hostile()),
        ("empty", Vec::new()),
    ];
    for (name, events) in runs {
        let html = page(&events);
        assert!(
            html.ends_with("</html>\n") || html.ends_with("</html>"),
            "{name}"
        );
        if let Some(dir) = std::env::var_os("SEAWALL_PAGES") {
            std::fs::write(
                std::path::Path::new(&dir).join(format!("{name}.html")),
                html,
            )
            .unwrap();
        }
    }
}

#[test]
fn the_page_says_what_a_reader_looks_for() {
    let html = page(&fixture::apply());
    for text in [
        "20 November 2026, 07:35 UTC",
        "anna@controller",
        "Not all went well",
        "ssh-keygen -R 10.20.0.12",
        "+PermitRootLogin no",
        "post-quantum",
        "Mara Lind",
        "ISO&#x2f;IEC 27001 Annex A",
        "the status database is locked",
        "a person has to review the list of modules",
    ] {
        assert!(html.contains(text), "{text}");
    }
    let view = fixture::fold(&fixture::apply());
    assert!(html.contains(&view.last_hash));
    let checked = page(&fixture::check());
    assert!(checked.contains("expired on 2026-10-31"));
    assert!(!checked.contains("<h2>Changes</h2>"));
    let taken_back = page(&fixture::rollback());
    assert!(taken_back.contains("6 changes were undone."));
    assert!(!taken_back.contains("As demanded"));
}

#[test]
fn nothing_is_loaded_from_anywhere() {
    let html = page(&fixture::apply());
    for text in [" src=", "@import", "url(", "http://", "https://", "<link"] {
        assert!(!html.contains(text), "{text}");
    }
}

#[test]
fn only_our_script_may_run() {
    let html = page(&fixture::check());
    let start = html.find("<script>").unwrap() + "<script>".len();
    let end = html.find("</script>").unwrap();
    let hash = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(&html[start..end]));
    assert!(html.contains(&format!("script-src 'sha256-{hash}'")));
    assert_eq!(html.matches("<script").count(), 1);
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
    let events = fixture::hostile();
    let html = page(&events);
    assert_eq!(html.matches("<script").count(), 1);
    assert_eq!(html.matches("</style").count(), 1);
    assert!(!html.contains("alert(1)</script>"));
    assert!(html.contains("{{7*7}}") && !html.contains(">49<"));
    assert!(!html.contains('\u{1b}') && !html.contains('\u{202e}'));
    // The same run with harmless words has the same markup, tag for tag.
    let quoted = serde_json::to_string(fixture::BAD).unwrap();
    let bad = quoted.strip_prefix('"').and_then(|q| q.strip_suffix('"'));
    let harmless = serde_json::to_string(&events)
        .unwrap()
        .replace(bad.unwrap(), "good words");
    assert!(!harmless.contains("script"));
    let events: Vec<crate::journal::Event> = serde_json::from_str(&harmless).unwrap();
    assert_eq!(tags(&page(&events)), tags(&html));
}
