//! How many files there are, how many bytes in them, and the hashes of some: one program.

use super::{BENEATH, Found, View, outcome, quoted};
use crate::document::drill::FilesProof;

const OUTPUT: usize = 1 << 20;

pub async fn prove(view: &View<'_>, demand: &FilesProof) -> Result<Found, String> {
    let directory = view.directory()?;
    let target = view.target()?;
    let (functions, calls) = program(directory, demand)?;
    let ran = view.run(&target, &functions, &calls, OUTPUT).await?;
    let said = ran.text(&format!("reading the files in {directory}"))?;
    judge(demand, &said, view.at(&target, directory))
}

/// Counts stay on one file system: `/proc` is no restored data.
fn program(directory: &str, demand: &FilesProof) -> Result<(String, String), String> {
    let functions = format!(
        r#"{BENEATH}
count() {{
  {{ find "${{top:-/}}" -xdev -type f -exec stat -c %s -- {{}} +; echo "end $?"; }} |
    awk '$1 == "end" {{ e = $2; next }} {{ n++; b += $1 }} END {{ printf "count %.0f %.0f %s\n", n, b, e }}'
}}
one() {{
  beneath "$2" || {{ echo "hash $1 -"; return; }}
  h=$(sha256sum <"$REPLY") || {{ echo "hash $1 ?"; return; }}
  echo "hash $1 ${{h%% *}}"
}}"#
    );
    let mut calls = format!("enter {} || exit $?\n", quoted(directory)?);
    if demand.at_least.is_some() || demand.bytes.is_some() {
        calls.push_str("count\n");
    }
    for (index, path) in demand.sha256.keys().enumerate() {
        calls.push_str(&format!("one {index} {}\n", quoted(path)?));
    }
    calls.push_str("exit 0");
    Ok((functions, calls))
}

/// Pure.
fn judge(demand: &FilesProof, said: &str, at: String) -> Result<Found, String> {
    let (mut expected, mut read, mut passes) = (Vec::new(), Vec::new(), true);
    let lines: Vec<Vec<&str>> = said.lines().map(|l| l.split(' ').collect()).collect();
    if demand.at_least.is_some() || demand.bytes.is_some() {
        let counted = lines.iter().find_map(|words| match words.as_slice() {
            ["count", files, bytes, "0"] => {
                Some((files.parse::<u64>().ok()?, bytes.parse::<u64>().ok()?))
            }
            _ => None,
        });
        let (files, bytes) = counted.ok_or("not all of the directory could be read")?;
        if let Some(least) = demand.at_least {
            expected.push(format!("at least {least} files"));
            passes &= files >= least;
        }
        if let Some(least) = demand.bytes {
            expected.push(format!("at least {} bytes", least.0));
            passes &= bytes >= least.0;
        }
        read.push(format!("{files} files with {bytes} bytes"));
    }
    for (index, (path, wanted)) in demand.sha256.iter().enumerate() {
        expected.push(format!("{path} with SHA-256 {wanted}"));
        let index = index.to_string();
        let found = lines.iter().find_map(|words| match words.as_slice() {
            ["hash", number, hash] if *number == index => Some(*hash),
            _ => None,
        });
        match found {
            Some("-") => {
                passes = false;
                read.push(format!("{path}: it is not there, or no file of this place"));
            }
            Some(hash) if hash.len() == 64 && hash.bytes().all(|b| b.is_ascii_hexdigit()) => {
                passes &= hash.eq_ignore_ascii_case(wanted);
                read.push(format!("{path}: {hash}"));
            }
            _ => return Err(format!("{path} could not be read")),
        }
    }
    if expected.is_empty() {
        return Err("this proof demands nothing of the files".into());
    }
    Ok(Found {
        outcome: outcome(passes),
        expected: expected.join(", "),
        read: read.join(", "),
        at,
    })
}
