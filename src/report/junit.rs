//! JUnit XML, for the pages that show test results: a host is a suite, a rule is a case.

use std::fmt::Write;

use super::{Counts, HostView, RunView};
use crate::model::{Finding, Status};
use crate::shell::clean;

/// The run as JUnit XML. `fail` is a failure; `unknown`, and a host that was not seen, is an
/// error; what is waived, manual or not applicable is skipped, with its reason.
pub fn text(view: &RunView) -> String {
    let counts = Counts::of(view.findings());
    let missing = view.not_seen().count();
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(
        out,
        "<testsuites name={} tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\">",
        attribute(&format!("seawall {} {}", view.verb, view.playbook)),
        view.findings().count() + missing,
        counts.fail,
        counts.unknown + missing,
        skipped(counts),
    );
    for host in &view.hosts {
        suite(&mut out, view, host);
    }
    out.push_str("</testsuites>\n");
    out
}

fn suite(out: &mut String, view: &RunView, host: &HostView) {
    let counts = Counts::of(&host.findings);
    let missing = usize::from(!host.was_seen());
    let _ = writeln!(
        out,
        "  <testsuite name={} tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\" time=\"{}.{:03}\" timestamp={}>",
        attribute(&host.name),
        host.findings.len() + missing,
        counts.fail,
        counts.unknown + missing,
        skipped(counts),
        host.millis / 1000,
        host.millis % 1000,
        attribute(&view.started),
    );
    if missing == 1 {
        let reason = host.story().unwrap_or_else(|| "not seen".to_owned());
        let _ = writeln!(
            out,
            "    <testcase classname={} name=\"the host is seen\"><error message={}/></testcase>",
            attribute(&host.name),
            attribute(&reason)
        );
    }
    for finding in &host.findings {
        case(out, finding);
    }
    out.push_str("  </testsuite>\n");
}

fn case(out: &mut String, finding: &Finding) {
    let _ = write!(
        out,
        "    <testcase classname={} name={}",
        attribute(&format!("{}.{}", finding.host, finding.area)),
        attribute(&finding.rule)
    );
    let element = match finding.status {
        Status::Pass | Status::Changed => {
            out.push_str("/>\n");
            return;
        }
        Status::Fail => "failure",
        Status::Unknown => "error",
        Status::Waived | Status::Manual | Status::NotApplicable => "skipped",
    };
    let message = match (finding.status, &finding.reason, &finding.waiver) {
        (Status::Fail, ..) => format!(
            "{} ({}): expected {}, is {}{}",
            finding.title,
            finding.severity.word(),
            finding.expected,
            finding.actual,
            match &finding.reason {
                Some(reason) => format!(" ({reason})"),
                None => String::new(),
            }
        ),
        (Status::Waived, _, Some(waiver)) => format!(
            "waived until {} by {}: {}",
            waiver.expires, waiver.approver, waiver.reason
        ),
        (status, Some(reason), _) => format!("{}: {reason}", status.word()),
        (status, None, _) => status.word().to_owned(),
    };
    let _ = writeln!(
        out,
        "><{element} message={}/></testcase>",
        attribute(&message)
    );
}

fn skipped(counts: Counts) -> usize {
    counts.waived + counts.manual + counts.not_applicable
}

/// An attribute's value, quotes and all. Characters that XML cannot carry are gone after `clean`.
pub(super) fn attribute(text: &str) -> String {
    let mut out = String::from("\"");
    for c in clean(text, 2000).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\u{fffe}' | '\u{ffff}' => out.push('·'),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn the_figures_are_those_of_the_cases() {
        for events in [fixture::check(), fixture::apply(), fixture::fifty()] {
            let xml = text(&fixture::fold(&events));
            let head = xml.lines().nth(1).unwrap();
            for (name, element) in [
                ("tests", "<testcase "),
                ("failures", "<failure "),
                ("errors", "<error "),
                ("skipped", "<skipped "),
            ] {
                let figure = format!(" {name}=\"{}\"", xml.matches(element).count());
                assert!(head.contains(&figure), "{figure} in {head}");
            }
        }
    }

    #[test]
    fn small_run() {
        let mut events = fixture::check();
        events.retain(|event| crate::report::fold::host_of(event) != Some("db-1"));
        for event in &mut events {
            if let crate::journal::Event::Judged { findings, .. } = event {
                findings.retain(|f| f.area == "mounts" || f.area == "fs-modules");
            }
        }
        insta::assert_snapshot!(text(&fixture::fold(&events)));
    }

    #[test]
    fn hostile_text_stays_within_its_quotes() {
        let xml = text(&fixture::fold(&fixture::hostile()));
        assert!(!xml.contains("<script"));
        for line in xml.lines() {
            let quotes = line.matches('"').count();
            assert!(quotes % 2 == 0, "{line}");
            let outside: String = line.split('"').step_by(2).collect();
            let fit = |c: char| c.is_ascii_lowercase() || " =</>?".contains(c);
            assert!(outside.chars().all(fit), "{outside}");
        }
    }
}
