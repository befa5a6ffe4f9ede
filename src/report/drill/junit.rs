//! JUnit XML of a drill, for the pages that show test results: a step is a suite; a proof, and an
//! objective, is a case. The drill as a whole is the first suite.

use std::fmt::Write;

use super::cloud::{Arrival, Data, requests, requests_of};
use super::figures::Standing;
use super::words::{short_span, span, verdict_word};
use super::{DrillView, StepView};
use crate::model::drill::{Measure, ProofOutcome, Verdict, VerdictWord};
use crate::report::junit::attribute;

/// One test case.
struct Case {
    name: String,
    came_out: CameOut,
}

enum CameOut {
    Well,
    Failure(String),
    /// Not known: never a pass.
    Error(String),
}

struct Suite {
    name: String,
    millis: u64,
    /// What is worth knowing and no case.
    properties: Vec<(&'static str, String)>,
    cases: Vec<Case>,
}

/// The drill as JUnit XML. What is missed is a failure; what is unknown, was never tried or proves
/// nothing is an error.
pub fn text(view: &DrillView) -> String {
    let verdict = view.verdict();
    let mut suites = vec![whole(view, &verdict)];
    suites.extend(view.steps.iter().map(|step| suite(view, &verdict, step)));
    let all = |test: fn(&CameOut) -> bool| -> usize { suites.iter().map(|s| s.count(test)).sum() };
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(
        out,
        "<testsuites name={} tests=\"{}\" failures=\"{}\" errors=\"{}\">",
        attribute(&format!("seawall drill {}", view.drill)),
        all(|_| true),
        all(is_failure),
        all(is_error),
    );
    for suite in &suites {
        suite.write(&mut out, &view.started);
    }
    out.push_str("</testsuites>\n");
    out
}

fn is_failure(came_out: &CameOut) -> bool {
    matches!(came_out, CameOut::Failure(_))
}

fn is_error(came_out: &CameOut) -> bool {
    matches!(came_out, CameOut::Error(_))
}

impl Suite {
    fn count(&self, test: fn(&CameOut) -> bool) -> usize {
        self.cases.iter().filter(|c| test(&c.came_out)).count()
    }

    fn write(&self, out: &mut String, started: &str) {
        let _ = writeln!(
            out,
            "  <testsuite name={} tests=\"{}\" failures=\"{}\" errors=\"{}\" time=\"{}.{:03}\" timestamp={}>",
            attribute(&self.name),
            self.cases.len(),
            self.count(is_failure),
            self.count(is_error),
            self.millis / 1000,
            self.millis % 1000,
            attribute(started),
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

fn case(name: impl Into<String>, came_out: CameOut) -> Case {
    Case {
        name: name.into(),
        came_out,
    }
}

fn whole(view: &DrillView, verdict: &Verdict) -> Suite {
    let reasons = verdict.reasons.join("; ");
    let mut cases = vec![case(
        "the verdict is met",
        match verdict.word {
            VerdictWord::Met => CameOut::Well,
            VerdictWord::Missed => CameOut::Failure(format!("missed: {reasons}")),
            VerdictWord::Inconclusive => CameOut::Error(format!("inconclusive: {reasons}")),
        },
    )];
    cases.extend(objective("RTO", &verdict.rto));
    cases.extend(objective("RPO", &verdict.rpo));
    cases.push(case(
        "nothing is left behind",
        match &view.left {
            None => CameOut::Error("nobody looked".into()),
            Some(left) if left.is_empty() => CameOut::Well,
            Some(left) => CameOut::Failure(left.join("; ")),
        },
    ));
    for check in view.preflight.iter().filter(|c| !c.met) {
        cases.push(case(
            format!("before the clock: {}", check.check),
            CameOut::Error(check.detail.clone()),
        ));
    }
    Suite {
        name: format!("drill {}", view.drill),
        millis: view.stopped_ms.unwrap_or(0),
        properties: requests(view)
            .map(|r| ("requests", r))
            .into_iter()
            .collect(),
        cases,
    }
}

fn objective(name: &str, measure: &Measure) -> Option<Case> {
    let target = measure.target_ms?;
    let came_out = match measure.measured_ms {
        None => CameOut::Error("it was not measured".into()),
        Some(ms) if ms <= target => CameOut::Well,
        Some(ms) => CameOut::Failure(format!(
            "{}, which is {} more than {}",
            span(ms),
            span(ms - target),
            short_span(target)
        )),
    };
    let name = format!("{name} is at most {}", short_span(target));
    Some(case(name, came_out))
}

fn suite(view: &DrillView, verdict: &Verdict, step: &StepView) -> Suite {
    let standing = Standing::of(verdict, step);
    let reasons = standing.reasons.join("; ");
    let mut cases = vec![case(
        "it recovers",
        match standing.verdict {
            _ if step.recovered() => CameOut::Well,
            Some(VerdictWord::Missed) => CameOut::Failure(format!("missed: {reasons}")),
            Some(word) => CameOut::Error(format!("{}: {reasons}", verdict_word(word))),
            None => CameOut::Error(format!("{}: {reasons}", standing.word)),
        },
    )];
    cases.extend(objective("RTO", &standing.rto));
    cases.extend(objective("RPO", &standing.rpo));
    for (proof, said) in step.proofs() {
        let control = step.control(proof);
        let came_out = match said {
            None => CameOut::Error("it was not tried".into()),
            Some(p) => {
                let said = format!("expected {}, read {}", p.expected, p.read);
                match (p.outcome, control.map(|c| c.can_fail)) {
                    (ProofOutcome::Fail, _) => CameOut::Failure(said),
                    (ProofOutcome::Unknown, _) => CameOut::Error(format!("unknown: {said}")),
                    (ProofOutcome::Pass, Some(true)) => CameOut::Well,
                    (ProofOutcome::Pass, Some(false)) => {
                        CameOut::Error("it proves nothing: it passes on nothing too".into())
                    }
                    (ProofOutcome::Pass, None) => {
                        CameOut::Error("it was not tried on nothing".into())
                    }
                }
            }
        };
        cases.push(case(format!("proof: {proof}"), came_out));
    }
    Suite {
        name: format!("step {}", step.name),
        millis: standing.own_ms,
        properties: properties(view, step),
        cases,
    }
}

/// How far it came in a cloud, what was taken in another's place, and how often that was asked.
fn properties(view: &DrillView, step: &StepView) -> Vec<(&'static str, String)> {
    let mut out = Vec::new();
    if let Some(arrival) = Arrival::of(step) {
        out.extend(arrival.available_ms.map(|at| ("available", span(at))));
        out.extend(arrival.works_ms.map(|at| ("works", span(at))));
        match arrival.data {
            Data::Whole(at) => out.push(("initialised", span(at))),
            Data::Cold(far) => out.push(("cold", far)),
            Data::Unsaid => {}
        }
    }
    for other in step.substituted.iter().take(10) {
        let text = format!("{} for {}: {}", other.taken, other.wanted, other.why);
        out.push(("substituted", text));
    }
    out.extend(requests_of(view, &step.name).map(|n| ("requests", n.to_string())));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::drill::fixture;

    #[test]
    fn the_figures_are_those_of_the_cases() {
        for events in [
            fixture::met(),
            fixture::missed(),
            fixture::inconclusive(),
            fixture::aborted(),
            fixture::hostile(20),
        ] {
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
    fn only_what_is_met_has_no_failure_and_no_error() {
        let xml = text(&fixture::fold(&fixture::met()));
        assert!(!xml.contains("<failure") && !xml.contains("<error"));
        for events in [
            fixture::missed(),
            fixture::inconclusive(),
            fixture::aborted(),
            Vec::new(),
        ] {
            let xml = text(&fixture::fold(&events));
            assert!(xml.contains("<failure") || xml.contains("<error"), "{xml}");
        }
    }

    /// What is cold or of another type is said, and is no failure.
    #[test]
    fn what_a_cloud_did_is_told_beside_the_cases() {
        let xml = text(&fixture::fold(&fixture::cloud()));
        assert!(
            xml.contains(r#"<property name="cold" value="43 % fetched"/>"#),
            "{xml}"
        );
        assert!(xml.contains(r#"<property name="substituted" value="m6g.large for m7g.large"#));
        assert!(!xml.contains("<failure") && !xml.contains("<error"));
    }

    #[test]
    fn missed() {
        insta::assert_snapshot!(text(&fixture::fold(&fixture::missed())));
    }

    #[test]
    fn inconclusive() {
        insta::assert_snapshot!(text(&fixture::fold(&fixture::inconclusive())));
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
