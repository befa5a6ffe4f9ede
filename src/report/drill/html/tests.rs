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
