//! What the probes share: finding their frame among those that came.

use crate::host::snapshot::Seen;
use crate::shell::Frame;

/// The frame of one section. The first counts: a probe says its section once.
pub(crate) fn find<'a>(frames: &'a [Frame], name: &str) -> Option<&'a Frame> {
    frames
        .iter()
        .find(|f| f.kind == "section" && f.name == name)
}

/// The frame of one section if it ended well; otherwise why it cannot be believed: what the host
/// said in the frame, or that it said nothing.
pub(crate) fn answered<'a>(frames: &'a [Frame], name: &str) -> Result<&'a Frame, String> {
    match find(frames, name) {
        None => Err("the host did not answer".into()),
        Some(frame) if frame.status == 0 => Ok(frame),
        Some(frame) => Err(match frame.text().trim() {
            "" => format!("observing it failed with status {}", frame.status),
            why => crate::shell::clean(why, 200),
        }),
    }
}

/// The same, for a thing that is seen whole or not at all.
pub(crate) fn seen<T>(
    frames: &[Frame],
    name: &str,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Seen<T> {
    match answered(frames, name).and_then(|frame| parse(&frame.text())) {
        Ok(value) => Seen::Yes(value),
        Err(why) => Seen::No(why),
    }
}

#[cfg(test)]
pub(crate) mod testing {
    //! Runs programs for real, under each shell that a host may have.

    use crate::shell::{Frame, FrameReader, Limits, Nonce, assemble};
    use std::io::Write;
    use std::process::{Command, Stdio};

    /// The shells. All three must be there: a test that skips one would say nothing.
    pub const SHELLS: &[&[&str]] = &[
        &["dash", "-s"],
        &["bash", "--posix", "-s"],
        &["busybox", "sh", "-s"],
    ];

    /// Feeds a whole program to a shell; its standard output, and whether it ended well.
    pub fn run(shell: &[&str], program: &str) -> (Vec<u8>, bool) {
        let mut child = Command::new(shell[0])
            .args(&shell[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{} cannot be run: {error}", shell[0]));
        let mut stdin = child.stdin.take().unwrap();
        let text = program.to_owned();
        let writer = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap().unwrap();
        (output.stdout, output.status.success())
    }

    /// Runs the body of one probe and cuts what it says into frames.
    pub fn frames(shell: &[&str], body: &str) -> Vec<Frame> {
        let nonce = Nonce::draw();
        let program = assemble(&nonce, &format!("probe() {{\n{body}\n}}"), "probe");
        let (said, _) = run(shell, &program);
        let mut reader = FrameReader::new(&nonce, Limits::default());
        reader.push(&said).unwrap();
        std::iter::from_fn(|| reader.next_frame()).collect()
    }

    /// One frame, as a host would send it.
    pub fn frame(name: &str, status: i32, data: &str) -> Frame {
        Frame {
            kind: "section".into(),
            name: name.into(),
            status,
            data: data.as_bytes().to_vec(),
        }
    }

    /// Runs a snippet of an intent as the acting program does: in a function, under `set -u`,
    /// with `$store` and `$step`. Whether it ended well, and what it said.
    pub fn snippet(shell: &[&str], store: &std::path::Path, text: &str) -> (bool, String) {
        let store = crate::shell::quote(&store.display().to_string()).unwrap();
        let nonce = Nonce::draw();
        let functions = format!("store={store}\nstep=1\nsnippet() {{\n{text}\n}}");
        let calls = "snippet 2>&1; exit $?";
        let (said, ok) = run(shell, &assemble(&nonce, &functions, calls));
        (ok, String::from_utf8_lossy(&said).into_owned())
    }
}
