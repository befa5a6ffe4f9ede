//! The status as JUnit XML: a host is a suite, what the policy asks of it a case. Overdue is a
//! failure, unknown an error; what is behind and still has time is a property.

use super::{HostStatus, Status, Word};
use crate::report::patch::junit::{CameOut, Case, Suite, write};

/// The status as JUnit XML.
pub fn junit(status: &Status) -> String {
    let mut suites: Vec<Suite> = status.hosts.iter().map(|h| suite(status, h)).collect();
    if !status.problems.is_empty() || suites.is_empty() {
        let came_out = match status.problems.is_empty() {
            true => CameOut::Error("no host is known".into()),
            false => CameOut::Error(status.problems.join("; ")),
        };
        suites.insert(
            0,
            Suite {
                name: "patch runs".into(),
                millis: 0,
                time: status.now.clone(),
                properties: Vec::new(),
                cases: vec![Case {
                    name: "all runs that are kept can be believed".into(),
                    came_out,
                }],
            },
        );
    }
    write("seawall patch status", &suites)
}

fn suite(status: &Status, host: &HostStatus) -> Suite {
    let of = |word: Word| -> Vec<String> {
        let fit = host.reasons.iter().filter(|r| r.verdict == word);
        fit.map(|r| r.text.clone()).collect()
    };
    let (unknown, overdue) = (of(Word::Unknown), of(Word::Overdue));
    let mut properties = Vec::new();
    properties.extend(host.patched.clone().map(|at| ("patched", at)));
    properties.extend(of(Word::Behind).into_iter().map(|text| ("behind", text)));
    Suite {
        name: format!("host {}", host.host),
        millis: 0,
        time: status.now.clone(),
        properties,
        cases: vec![
            Case {
                name: "it was seen".into(),
                came_out: match unknown.is_empty() {
                    true => CameOut::Well,
                    false => CameOut::Error(unknown.join("; ")),
                },
            },
            Case {
                name: "nothing is overdue".into(),
                came_out: match (overdue.is_empty(), host.standing.is_some()) {
                    (false, _) => CameOut::Failure(overdue.join("; ")),
                    (true, false) => CameOut::Error("it was never seen".into()),
                    (true, true) if !unknown.is_empty() => {
                        CameOut::Error("not all of it was seen".into())
                    }
                    (true, true) => CameOut::Well,
                },
            },
        ],
    }
}
