//! Our matching against OpenSSH's own: generated files are asked about by `ssh-keygen -F` too.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use russh::keys::{HashAlg, PublicKey};
use seawall::reach::known_hosts::{KnownHosts, Question, Verdict, name_of};

use super::support::{keygen, tool};

/// The names that are asked about, and of which the files are made.
const HOSTS: &[&str] = &["web", "web1", "db.example.com", "Web", "10.0.0.9", "::1"];
const PORTS: &[u16] = &[22, 2222];
const PATTERNS: &[&str] = &[
    "web",
    "web?",
    "w*b*",
    "*",
    "!web1",
    "!*.example.com",
    "*.example.com",
    "WEB",
    "10.0.0.?",
    "10.*",
    "[web]:2222",
    "[web*]:2222",
    "[*]:*",
    "![web1]:2222",
    "::1",
    "[::1]:2222",
    "db.example.com",
    "a*a*a*a*b",
];

/// What is wrong with a line, if anything.
#[derive(Clone, Debug)]
struct Line {
    marker: &'static str,
    patterns: Vec<&'static str>,
    key: usize,
    separator: &'static str,
    lead: &'static str,
    comment: &'static str,
}

fn a_line() -> impl Strategy<Value = Line> {
    (
        prop::sample::select(vec!["", "", "", "", "@cert-authority", "@revoked"]),
        prop::collection::vec(prop::sample::select(PATTERNS), 1..4),
        0..3usize,
        prop::sample::select(vec![" ", "\t", "  ", " \t "]),
        prop::sample::select(vec!["", "", " ", "\t"]),
        prop::sample::select(vec!["", " me@here", " # not a comment"]),
    )
        .prop_map(|(marker, patterns, key, separator, lead, comment)| Line {
            marker,
            patterns,
            key,
            separator,
            lead,
            comment,
        })
}

fn text_of(lines: &[Line], keys: &[String]) -> String {
    let mut text = String::from("# a comment\n\n");
    for line in lines {
        text.push_str(line.lead);
        if !line.marker.is_empty() {
            // OpenSSH takes a tab here only where no space follows in the whole line, and else
            // drops the line; we take it always, so that what is revoked stays revoked.
            let _ = write!(text, "{} ", line.marker);
        }
        let _ = writeln!(
            text,
            "{}{}{}{}",
            line.patterns.join(","),
            line.separator,
            keys[line.key],
            line.comment
        );
    }
    text
}

/// The lines that `ssh-keygen -F` finds, by number and marker.
fn openssh_finds(file: &Path, name: &str) -> Vec<(usize, &'static str)> {
    let output = Command::new("ssh-keygen")
        .args(["-F", name, "-f"])
        .arg(file)
        .output()
        .expect("ssh-keygen must be there: install openssh-client");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines()
        .filter_map(|l| l.strip_prefix("# Host ")?.split(" found: line ").nth(1))
        .map(|rest| {
            let mut words = rest.split(' ');
            let number = words.next().unwrap().parse().unwrap();
            let marker = match words.next() {
                Some("CA") => "@cert-authority",
                Some("REVOKED") => "@revoked",
                _ => "",
            };
            (number, marker)
        })
        .collect()
}

struct Keys {
    _folder: tempfile::TempDir,
    file: PathBuf,
    texts: Vec<String>,
    keys: Vec<PublicKey>,
}

fn keys() -> Keys {
    let folder = tempfile::tempdir().unwrap();
    let mut texts = Vec::new();
    for (name, kind) in [("a", "ed25519"), ("b", "ed25519"), ("c", "ecdsa")] {
        let path = folder.path().join(name);
        keygen(&path, kind, "");
        let public = std::fs::read_to_string(path.with_extension("pub")).unwrap();
        let words: Vec<&str> = public.split(' ').take(2).collect();
        texts.push(words.join(" "));
    }
    let keys = texts
        .iter()
        .map(|t| PublicKey::from_openssh(t).unwrap())
        .collect();
    Keys {
        file: folder.path().join("known_hosts"),
        _folder: folder,
        texts,
        keys,
    }
}

/// What OpenSSH's client makes of the lines that were found, for a plain key and one name.
fn expected(
    found: &[(usize, &str)],
    lines: &[Line],
    key: usize,
    same_type: &[usize],
) -> &'static str {
    // Two lines stand before the first generated one.
    let line = |number: usize| &lines[number - 3];
    let with = |marker: &str| {
        found
            .iter()
            .filter(move |(_, m)| *m == marker)
            .map(|(n, _)| line(*n))
            .collect::<Vec<_>>()
    };
    if with("@revoked").iter().any(|l| l.key == key) {
        "revoked"
    } else if with("").iter().any(|l| l.key == key) {
        "trusted"
    } else if with("").iter().any(|l| same_type.contains(&l.key)) {
        "changed"
    } else {
        "unknown"
    }
}

fn ours(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Trusted(_) => "trusted",
        Verdict::Changed(_) => "changed",
        Verdict::Revoked(_) => "revoked",
        Verdict::Unknown { .. } => "unknown",
        Verdict::TrustedByCa { .. } | Verdict::BadCertificate { .. } => "certificate",
    }
}

#[test]
fn generated_files_are_read_as_openssh_reads_them() {
    let keys = keys();
    let mut runner = TestRunner::new(Config {
        cases: 40,
        failure_persistence: None,
        ..Config::default()
    });
    let strategy = prop::collection::vec(a_line(), 1..6);
    runner
        .run(&strategy, |lines| {
            let text = text_of(&lines, &keys.texts);
            std::fs::write(&keys.file, &text).unwrap();
            let file = [Arc::new(KnownHosts::parse(&keys.file, &text))];
            for host in HOSTS {
                for port in PORTS {
                    let name = name_of(host, *port);
                    let found = openssh_finds(&keys.file, &name);
                    let bare = openssh_finds(&keys.file, &name_of(host, 22));
                    for (i, key) in keys.keys.iter().enumerate() {
                        let same: &[usize] = if i < 2 { &[0, 1] } else { &[2] };
                        let mut want = expected(&found, &lines, i, same);
                        // A revoked key is refused under the bare name as well; OpenSSH's client
                        // looks there only where the name with its port is not known.
                        match expected(&bare, &lines, i, same) {
                            "revoked" => want = "revoked",
                            "trusted" if want == "unknown" => want = "trusted",
                            _ => {}
                        }
                        let question = Question {
                            files: &file,
                            name: &name,
                            host,
                        };
                        let got = question.judge_key(key.key_data());
                        prop_assert_eq!(ours(&got), want, "{} key {} in\n{}", name, i, text);
                    }
                }
            }
            Ok(())
        })
        .unwrap();
}

#[test]
fn hashed_names_are_found_and_written_as_openssh_does() {
    let keys = keys();
    let lines = "web,[web]:2222 ";
    std::fs::write(&keys.file, format!("{lines}{}\n", keys.texts[0])).unwrap();
    tool(
        "ssh-keygen",
        &["-q", "-H", "-f", keys.file.to_str().unwrap()],
    );
    let text = std::fs::read_to_string(&keys.file).unwrap();
    assert!(text.contains("|1|") && !text.contains("web"));
    let file = [Arc::new(KnownHosts::parse(&keys.file, &text))];
    let judge = |host: &str, port: u16, key: usize| {
        let question = Question {
            files: &file,
            name: &name_of(host, port),
            host,
        };
        ours(&question.judge_key(keys.keys[key].key_data()))
    };
    assert_eq!(judge("web", 22, 0), "trusted");
    assert_eq!(judge("WEB", 2222, 0), "trusted");
    assert_eq!(judge("web", 22, 1), "changed");
    assert_eq!(judge("other", 22, 0), "unknown");
    // And the other way round.
    let salt = [7; 20];
    let line = seawall::reach::known_hosts::write_line("[web]:2222", &keys.keys[1], Some(&salt));
    std::fs::write(&keys.file, line.unwrap()).unwrap();
    assert_eq!(openssh_finds(&keys.file, "[web]:2222"), [(1, "")]);
    assert_eq!(openssh_finds(&keys.file, "web"), []);
    let print = tool("ssh-keygen", &["-l", "-f", keys.file.to_str().unwrap()]);
    assert!(print.contains(&keys.keys[1].fingerprint(HashAlg::Sha256).to_string()));
}

#[test]
fn the_line_that_is_named_is_the_one_that_stands_there() {
    let keys = keys();
    let text = format!(
        "# one\n\n\tweb {}\nnonsense\nweb {}\n@revoked\t* {}\n",
        keys.texts[2], keys.texts[0], keys.texts[1]
    );
    let file = [Arc::new(KnownHosts::parse(Path::new("/k"), &text))];
    let question = Question {
        files: &file,
        name: "web",
        host: "web",
    };
    let place = |verdict| match verdict {
        Verdict::Trusted(p) | Verdict::Changed(p) | Verdict::Revoked(p) => p.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(place(question.judge_key(keys.keys[0].key_data())), "/k:5");
    assert_eq!(place(question.judge_key(keys.keys[1].key_data())), "/k:6");
    assert_eq!(place(question.judge_key(keys.keys[2].key_data())), "/k:3");
    let known: Vec<String> = question
        .known_types()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(known, ["ecdsa-sha2-nistp256", "ssh-ed25519"]);
}

proptest! {
    #[test]
    fn nothing_makes_the_parser_panic(text in "\\PC{0,300}", lines in "[@|1a-z*!,\\[\\]: \t\n=]{0,300}") {
        for text in [text, lines] {
            let file = [Arc::new(KnownHosts::parse(Path::new("/k"), &text))];
            let question = Question { files: &file, name: "[web]:2222", host: "web" };
            let _ = question.known_types();
            let _ = question.has_authority();
        }
    }
}
