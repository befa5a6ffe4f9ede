//! JUnit XML of a plan or a run, for the pages that show test results: a host is a suite. What
//! failed is a failure; what is unknown or was never begun is an error.

use std::fmt::Write;

use super::fold::{HostView, PatchView};
use super::words::{job_outcome, outcome_word, versions};
use crate::model::patch::{JobOutcome, PatchOutcome};
use crate::report::junit::attribute;

pub(super) struct Case {
    pub name: String,
    pub came_out: CameOut,
}

pub(super) enum CameOut {
    Well,
    Failure(String),
    /// Not known: never a pass.
    Error(String),
}

pub(super) struct Suite {
    pub name: String,
    pub millis: u64,
    /// RFC 3339.
    pub time: String,
    /// What is worth knowing and no case.
    pub properties: Vec<(&'static str, String)>,
    pub cases: Vec<Case>,
}

fn is_failure(came_out: &CameOut) -> bool {
    matches!(came_out, CameOut::Failure(_))
}

fn is_error(came_out: &CameOut) -> bool {
    matches!(came_out, CameOut::Error(_))
}

/// All suites under one name.
pub(super) fn write(name: &str, suites: &[Suite]) -> String {
    let all = |test: fn(&CameOut) -> bool| -> usize { suites.iter().map(|s| s.count(test)).sum() };
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(
        out,
        "<testsuites name={} tests=\"{}\" failures=\"{}\" errors=\"{}\">",
        attribute(name),
        all(|_| true),
        all(is_failure),
        all(is_error),
    );
    for suite in suites {
        suite.write(&mut out);
    }
    out.push_str("</testsuites>\n");
    out
}

impl Suite {
    fn count(&self, test: fn(&CameOut) -> bool) -> usize {
        self.cases.iter().filter(|c| test(&c.came_out)).count()
    }

    fn write(&self, out: &mut String) {
        let _ = writeln!(
            out,
            "  <testsuite name={} tests=\"{}\" failures=\"{}\" errors=\"{}\" time=\"{}.{:03}\" timestamp={}>",
            attribute(&self.name),
            self.cases.len(),
            self.count(is_failure),
            self.count(is_error),
            self.millis / 1000,
            self.millis % 1000,
            attribute(&self.time),
        );
        if !self.properties.is_empty() {
            out.push_str("    <properties>\n");
            for (name, value) in &self.properties {
                let (name, value) = (attribute(name), attribute(value));
                let _ = writeln!(out, "      <property name={name} value={value}/>");
            }
            out.push_str("    </properties>\n");
        }
        for case in &self.cases {
            let _ = write!(
                out,
                "    <testcase classname={} name={}",
                attribute(&self.name),
                attribute(&case.name)
            );
            let (element, message) = match &case.came_out {
                CameOut::Well => {
                    out.push_str("/>\n");
                    continue;
                }
                CameOut::Failure(message) => ("failure", message),
                CameOut::Error(message) => ("error", message),
            };
            let message = attribute(message);
            let _ = writeln!(out, "><{element} message={message}/></testcase>");
        }
        out.push_str("  </testsuite>\n");
    }
}

/// The plan or the run as JUnit XML.
pub fn text(view: &PatchView) -> String {
    let mut suites = vec![whole(view)];
    suites.extend(view.hosts.iter().map(|host| suite(view, host)));
    let verb = if view.is_plan() { "plan" } else { "run" };
    write(&format!("seawall patch {verb} {}", view.patch), &suites)
}

fn case(name: impl Into<String>, came_out: CameOut) -> Case {
    Case {
        name: name.into(),
        came_out,
    }
}

fn whole(view: &PatchView) -> Suite {
    let came_out = match &view.ended {
        None => CameOut::Error("it did not come to its end".into()),
        Some(ended) => match &ended.stopped {
            Some(why) => CameOut::Failure(format!("it was stopped early: {why}")),
            None => CameOut::Well,
        },
    };
    Suite {
        name: format!("patch {}", view.patch),
        millis: view.ended.as_ref().map_or(0, |e| e.millis),
        time: view.started.clone(),
        properties: vec![("run", view.run.clone())],
        cases: vec![case("it comes to its end", came_out)],
    }
}

fn suite(view: &PatchView, host: &HostView) -> Suite {
    let is_plan = view.is_plan();
    let outcome = host.outcome(is_plan);
    let story = host.story(is_plan).unwrap_or_default();
    let said = format!("{}: {story}", outcome_word(outcome));
    let said = said.trim_end_matches([':', ' ']).to_owned();
    let came_out = match outcome {
        PatchOutcome::Unknown | PatchOutcome::NotStarted => CameOut::Error(said),
        PatchOutcome::Current | PatchOutcome::Patched | PatchOutcome::Waiting => CameOut::Well,
        PatchOutcome::Behind if is_plan => CameOut::Well,
        _ => CameOut::Failure(said),
    };
    let name = match is_plan {
        true => "it is seen, and its plan is made",
        false => "it is patched and healthy",
    };
    let mut cases = vec![case(name, came_out)];
    if let Some(plan) = &host.plan {
        let blocked: Vec<String> = (plan.blockers.iter())
            .map(|b| format!("{}: {}", b.what, b.why))
            .collect();
        cases.push(case(
            "nothing keeps it from being begun",
            match blocked.is_empty() {
                true => CameOut::Well,
                false => CameOut::Failure(blocked.join("; ")),
            },
        ));
    }
    for gate in &host.gates {
        let note = &gate.gate;
        let came_out = match (note.passed, note.broken.is_empty()) {
            (true, _) => CameOut::Well,
            (false, false) => CameOut::Failure(note.broken.join("; ")),
            (false, true) => CameOut::Error(format!("not seen: {}", note.unseen.join("; "))),
        };
        cases.push(case(format!("health gate: {}", gate.when), came_out));
    }
    for job in &host.jobs {
        let said = format!("{}: {}", job_outcome(job.outcome.as_ref()), job.detail);
        let came_out = match &job.outcome {
            Some(JobOutcome::Well) => CameOut::Well,
            None => CameOut::Error(said),
            Some(_) => CameOut::Failure(said),
        };
        cases.push(case(format!("job: {}", job.what), came_out));
    }
    for image in &host.images {
        let came_out = match image.outcome.as_str() {
            "updated" | "unchanged" => CameOut::Well,
            other => CameOut::Failure(format!("{other}: {}", image.detail)),
        };
        cases.push(case(format!("image: {}", image.container), came_out));
    }
    let mut properties = Vec::new();
    for change in host.changed.iter().take(2000) {
        let text = format!("{} {}", change.package, versions(&change.from, &change.to));
        properties.push(("changed", text));
    }
    properties.extend(host.to_do.iter().take(50).map(|t| ("to do", t.clone())));
    Suite {
        name: format!("host {}", host.name),
        millis: host.millis,
        time: view.started.clone(),
        properties,
        cases,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::patch::fixture;

    #[test]
    fn run() {
        insta::assert_snapshot!(text(&fixture::fold(&fixture::run())));
    }

    #[test]
    fn the_figures_are_those_of_the_cases() {
        for events in [fixture::plan(), fixture::run(), fixture::hostile(20)] {
            let xml = text(&fixture::fold(&events));
            let head = xml.lines().nth(1).unwrap();
            for (name, element) in [
                ("tests", "<testcase "),
                ("failures", "<failure "),
                ("errors", "<error "),
            ] {
                let figure = format!(" {name}=\"{}\"", xml.matches(element).count());
                assert!(head.contains(&figure), "{figure} in {head}");
            }
        }
    }

    #[test]
    fn only_what_went_well_has_no_failure_and_no_error() {
        let xml = text(&fixture::fold(&fixture::good()));
        assert!(
            !xml.contains("<failure") && !xml.contains("<error"),
            "{xml}"
        );
        for events in [fixture::run(), fixture::aborted(), Vec::new()] {
            let xml = text(&fixture::fold(&events));
            assert!(xml.contains("<failure") || xml.contains("<error"), "{xml}");
        }
    }

    /// A host of which nothing is known is an error, in a plan too.
    #[test]
    fn unknown_is_an_error() {
        let xml = text(&fixture::fold(&fixture::plan()));
        assert!(
            xml.contains(r#"<error message="unknown: it did not answer: no route to host"/>"#),
            "{xml}"
        );
    }

    #[test]
    fn hostile_text_stays_within_its_quotes() {
        let xml = text(&fixture::fold(&fixture::hostile(30)));
        assert!(!xml.contains("<script"));
        for line in xml.lines() {
            assert!(line.matches('"').count() % 2 == 0, "{line}");
            let outside: String = line.split('"').step_by(2).collect();
            let fit = |c: char| c.is_ascii_lowercase() || " =</>?".contains(c);
            assert!(outside.chars().all(fit), "{outside}");
        }
    }
}
