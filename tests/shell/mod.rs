//! Quoting and frames, through real shells: dash, bash and busybox compare bytes.

use std::io::Write;
use std::process::{Command, Stdio};

use proptest::prelude::*;
use seawall::shell::{Frame, FrameReader, Limits, Nonce, assemble, quote, quote_all};

/// Each shell that a host may have as /bin/sh. `make test` installs them.
const SHELLS: &[&[&str]] = &[
    &["dash", "-s"],
    &["bash", "--posix", "-s"],
    &["busybox", "sh", "-s"],
];

fn run(shell: &[&str], program: &str) -> Vec<u8> {
    let mut child = Command::new(shell[0])
        .args(&shell[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("{} can be run (see scripts/install-deps): {e}", shell[0]));
    let mut stdin = child.stdin.take().expect("its input is a pipe");
    let text = program.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
    let out = child.wait_with_output().expect("the shell ends");
    writer
        .join()
        .expect("the writer ends")
        .expect("the program is read to its end");
    out.stdout
}

fn frames(bytes: &[u8], nonce: &Nonce) -> Vec<Frame> {
    let mut reader = FrameReader::new(nonce, Limits::default());
    // In small pieces, as a network would bring them.
    for piece in bytes.chunks(7) {
        reader
            .push(piece)
            .expect("our own program's frames can be read");
    }
    std::iter::from_fn(|| reader.next_frame()).collect()
}

/// Text that a shell would like to make something of.
fn hostile() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~\n\t]{0,40}",
        "['\"`$\\\\!*?~#;&|<>(){}\\[\\]\n ]{0,30}",
        any::<String>().prop_map(|s| s.replace('\0', "")),
        Just("-n".to_owned()),
        Just("$(touch /nowhere/x)".to_owned()),
        Just("';exit 1;'".to_owned()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_shell_sees_the_very_bytes(texts in prop::collection::vec(hostile(), 1..20)) {
        let words = quote_all(texts.iter().map(String::as_str)).expect("there is no NUL");
        let program = format!("printf '%s\\001' {words}\n");
        let wanted: Vec<u8> = texts.iter().flat_map(|t| [t.as_bytes(), b"\x01"].concat()).collect();
        for shell in SHELLS {
            prop_assert_eq!(&run(shell, &program), &wanted, "{}", shell[0]);
        }
    }

    #[test]
    fn what_a_frame_carries_arrives_whole(text in hostile()) {
        let nonce = Nonce::draw();
        let call = format!("frame section a.b 7 {}", quote(&text).expect("there is no NUL"));
        for shell in SHELLS {
            let out = run(shell, &assemble(&nonce, "", &call));
            let got = frames(&out, &nonce);
            prop_assert_eq!(got.len(), 1, "{}", shell[0]);
            prop_assert_eq!(got[0].data.as_slice(), text.as_bytes(), "{}", shell[0]);
            prop_assert_eq!(got[0].status, 7);
        }
    }

    #[test]
    fn hostile_streams_are_read_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..4000), cut in 1usize..50) {
        let nonce = Nonce::fixed("0123456789abcdef").expect("a good nonce");
        let limits = Limits { frame: 1000, total: 3000 };
        let mut reader = FrameReader::new(&nonce, limits);
        for piece in bytes.chunks(cut) {
            if reader.push(piece).is_err() {
                break;
            }
        }
        while let Some(frame) = reader.next_frame() {
            prop_assert!(frame.data.len() <= 1000);
        }
    }

    #[test]
    fn heads_that_lie_are_refused(
        kind in "[a-z ]{0,5}", status in "-?[0-9x]{0,12}", length in "-?[0-9]{0,25}", rest in "[ -~\n]{0,60}",
    ) {
        let nonce = Nonce::fixed("0123456789abcdef").expect("a good nonce");
        let limits = Limits { frame: 1000, total: 3000 };
        let mut reader = FrameReader::new(&nonce, limits);
        let _ = reader.push(format!("@0123456789abcdef {kind} n {status} {length}\n{rest}").as_bytes());
        while let Some(frame) = reader.next_frame() {
            prop_assert!(frame.data.len() <= 60);
        }
    }
}

#[test]
fn noise_before_and_between_frames_is_dropped() {
    let nonce = Nonce::draw();
    let calls = "printf 'welcome! @x y z 0 3'; frame a one 0 'x\n@y'; printf 'noise without an end'; frame a two -1 ''";
    for shell in SHELLS {
        let got = frames(&run(shell, &assemble(&nonce, "", calls)), &nonce);
        let told: Vec<_> = got.iter().map(|f| (f.name.as_str(), f.status)).collect();
        assert_eq!(told, [("one", 0), ("two", -1)], "{}", shell[0]);
    }
}

#[test]
fn another_programs_frames_are_noise() {
    let (ours, theirs) = (Nonce::draw(), Nonce::draw());
    let out = run(SHELLS[0], &assemble(&theirs, "", "frame keep run 0 ''"));
    assert_eq!(frames(&out, &ours), []);
}

#[test]
fn a_stream_that_does_not_end_is_cut() {
    let nonce = Nonce::draw();
    let limits = Limits {
        frame: 1 << 16,
        total: 1 << 20,
    };
    let mut reader = FrameReader::new(&nonce, limits);
    let piece = [b'x'; 4096];
    let pushed = (0..1000)
        .take_while(|_| reader.push(&piece).is_ok())
        .count();
    assert_eq!(pushed, 256);
}

#[test]
fn a_cut_program_runs_nothing() {
    let nonce = Nonce::draw();
    let program = assemble(&nonce, "f() { frame a f 0 ''; }", "f\nframe a b 0 ''");
    for shell in SHELLS {
        for cut in (0..program.len() - 1)
            .filter(|i| program.is_char_boundary(*i))
            .step_by(37)
        {
            let out = run(shell, &program[..cut]);
            assert_eq!(frames(&out, &nonce), [], "{} cut at {cut}", shell[0]);
        }
    }
}
