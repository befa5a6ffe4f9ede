//! The guard that apt asks before it acts.

use std::io::Write;
use std::process::{Command, Stdio};

/// What the guard does with apt's words: its status, and what it notes.
fn guard(wanted: &str, said: &str) -> (bool, String) {
    let dir = tempfile::tempdir().expect("the guard can be tried");
    let hook = dir.path().join("hook");
    std::fs::write(
        &hook,
        include_str!("../../src/host/patch/job/sh/apt_hook.sh"),
    )
    .expect("the guard can be tried");
    std::fs::write(dir.path().join("wanted"), wanted).expect("the guard can be tried");
    let mut child = Command::new("sh")
        .arg(&hook)
        .stdin(Stdio::piped())
        .spawn()
        .expect("the guard can be tried");
    child
        .stdin
        .take()
        .expect("the guard can be tried")
        .write_all(said.as_bytes())
        .expect("the guard can be tried");
    let well = child.wait().expect("the guard can be tried").success();
    assert_eq!(well, dir.path().join("agreed").exists());
    let differs = std::fs::read_to_string(dir.path().join("differs")).unwrap_or_default();
    (well, differs)
}

#[test]
fn the_guard_lets_the_plan_through_and_nothing_else() {
    let wanted = "libx amd64 2.0-1\nnew all 3\ngone amd64 -\n";
    // As apt 2.6 of Debian 12 says it, protocol 3.
    let head = "VERSION 3\nAPT::Architecture=amd64\nDir=/\n\n";
    let x =
        "libx 1.0-1 amd64 none < 2.0-1 amd64 none /var/cache/apt/archives/libx_2.0-1_amd64.deb\n";
    let set_up = "libx 1.0-1 amd64 none < 2.0-1 amd64 none **CONFIGURE**\n";
    let new = "new - - none < 3 all none /var/cache/apt/archives/new_3_all.deb\n";
    let gone = "gone 4 amd64 none > - - none **REMOVE**\n";
    assert_eq!(
        guard(wanted, &format!("{head}{gone}{new}{x}{set_up}")),
        (true, String::new())
    );
    for (odd, word) in [
        (
            "libx 1.0-1 amd64 none < 2.1-1 amd64 none /x.deb\n",
            "libx:amd64 would go from 1.0-1 to 2.1-1",
        ),
        (
            "libx 1.0-1 i386 same < 2.0-1 i386 same /x.deb\n",
            "libx:i386 would go",
        ),
        (
            "other - - none < 1 all none /x.deb\n",
            "other:all would go from - to 1",
        ),
        (
            "libx 1.0-1 amd64 none > - - none **REMOVE**\n",
            "libx:amd64 would be taken away",
        ),
        (
            "new 3 all none > - - none **REMOVE**\n",
            "new:all would be taken away",
        ),
        ("libx 1.0-1\n", "libx is not understood"),
    ] {
        let (well, differs) = guard(wanted, &format!("{head}{x}{odd}"));
        assert!(!well && differs.contains(word), "{odd}: {differs}");
    }
    assert!(!guard(wanted, "").0, "no words are no consent");
    assert!(!guard(wanted, x).0, "words of another form are no consent");
}
