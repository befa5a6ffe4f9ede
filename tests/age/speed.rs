//! How fast decryption is, beside `age -d`, in one run. Nothing is asserted of times; the cipher is
//! C and assembler, so that even a test build tells. Run it with
//! `cargo test --release --test all age::speed -- --ignored --nocapture`.

use std::fs::File;
use std::io::{BufRead, Write};
use std::process::{Command, Stdio};
use std::time::Instant;

use seawall::backup::age::{
    DecryptOptions, DecryptReader, EncryptWriter, Identities, IdentitySources, Recipients,
    generate_identity,
};
use secrecy::ExposeSecret;

const BYTES: usize = 1_000_000_000;

/// User and system seconds so far, of this process or of its children that have ended.
fn cpu(whose: libc::c_int) -> f64 {
    // SAFETY: all zeros is a value of this struct, and getrusage fills it.
    let usage = unsafe {
        let mut usage = std::mem::zeroed::<libc::rusage>();
        libc::getrusage(whose, &raw mut usage);
        usage
    };
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}

#[test]
#[ignore = "a measurement"]
fn decryption_beside_age() {
    let folder = tempfile::tempdir().expect("a folder");
    let (key, file) = (folder.path().join("key"), folder.path().join("file"));
    let (identity, recipient) = generate_identity();
    std::fs::write(&key, identity.expose_secret()).expect("a key");
    let recipients = Recipients::parse(&[recipient]).expect("a recipient");
    let out = File::create(&file).expect("a file");
    let block: Vec<u8> = (0..1_000_000u32).map(|at| (at / 3) as u8).collect();
    let (start, before) = (Instant::now(), cpu(libc::RUSAGE_SELF));
    let mut writer = EncryptWriter::new(&recipients, out).expect("a header");
    for _ in 0..BYTES / block.len() {
        writer.write_all(&block).expect("a payload");
    }
    writer.finish().expect("an end");
    println!(
        "encrypt, ours       {:5.2} s, {:5.2} CPU s",
        start.elapsed().as_secs_f64(),
        cpu(libc::RUSAGE_SELF) - before
    );
    for _ in 0..3 {
        let (start, before) = (Instant::now(), cpu(libc::RUSAGE_CHILDREN));
        let end = Command::new("age")
            .arg("-d")
            .arg("-i")
            .arg(&key)
            .arg(&file)
            .stdout(Stdio::null())
            .status();
        assert!(end.expect("scripts/install-deps installs age").success());
        let theirs = (
            start.elapsed().as_secs_f64(),
            cpu(libc::RUSAGE_CHILDREN) - before,
        );
        println!(
            "age -d              {:5.2} s, {:5.2} CPU s",
            theirs.0, theirs.1
        );
        for (hash, what) in [(false, "ours"), (true, "ours, hashed too")] {
            let sources = IdentitySources {
                text: Some(identity.clone()),
                ..IdentitySources::default()
            };
            let identities = Identities::gather(sources, &|_| None).expect("a key");
            let (start, before) = (Instant::now(), cpu(libc::RUSAGE_SELF));
            let input = Box::new(File::open(&file).expect("the file"));
            let options = DecryptOptions { hash, threads: 0 };
            let mut reader = DecryptReader::open(input, &identities, options).expect("it opens");
            let mut bytes = 0;
            loop {
                let count = reader.fill_buf().expect("more").len();
                if count == 0 {
                    break;
                }
                bytes += count;
                reader.consume(count);
            }
            assert_eq!(bytes, BYTES);
            let ours = (
                start.elapsed().as_secs_f64(),
                cpu(libc::RUSAGE_SELF) - before,
            );
            println!(
                "{what:19} {:5.2} s, {:5.2} CPU s: {:.2} times as fast, {:.2} times the work",
                ours.0,
                ours.1,
                theirs.0 / ours.0,
                ours.1 / theirs.1
            );
        }
    }
}
