use super::*;
use crate::report::patch::fixture;

#[test]
fn the_document_comes_back_as_it_went() {
    for events in [
        fixture::plan(),
        fixture::run(),
        fixture::aborted(),
        fixture::hostile(20),
    ] {
        let view = fixture::fold(&events);
        let text = text(&view).unwrap();
        assert!(!text.contains('\u{1b}'));
        let back: Document = serde_json::from_str(&text).unwrap();
        assert_eq!(back, document(&view));
    }
}

#[test]
fn the_schema_names_each_field_of_the_document() {
    let schema = schema();
    let value = serde_json::to_value(document(&fixture::fold(&fixture::run()))).unwrap();
    for name in value.as_object().unwrap().keys() {
        assert!(schema["properties"].get(name).is_some(), "{name}");
    }
    assert!(schema["$defs"].get("HostPlan").is_some());
}

#[test]
fn one_host_as_a_document() {
    insta::assert_json_snapshot!(document(&fixture::fold(&fixture::good())));
}

/// What is missing is missing, and not `null` or a zero that could be taken for a figure.
#[test]
fn what_was_not_seen_is_not_there() {
    let value = serde_json::to_value(document(&fixture::fold(&fixture::run()))).unwrap();
    let gone = &value["hosts"][7];
    assert_eq!(gone["host"], "gone1");
    assert_eq!(gone["outcome"], "unknown");
    for missing in ["plan", "before", "after"] {
        assert!(gone.get(missing).is_none(), "{missing}");
    }
    assert_eq!(value["counts"]["went-back"], 1);
    let aborted = serde_json::to_value(document(&fixture::fold(&fixture::aborted()))).unwrap();
    assert!(aborted.get("ended").is_none());
}
