//! Archives on their way to a tar program that is not ours.

use std::process::{Command, Stdio};

use super::*;

fn limits() -> Limits {
    Limits {
        outward_links: true,
        ..Limits::default()
    }
}

fn relayed(bytes: Vec<u8>) -> (Result<Restored, RestoreError>, Vec<u8>) {
    let mut out = Vec::new();
    let progress = Progress::default();
    let result = relay(
        Given::boxed(bytes),
        &keys().0,
        &mut out,
        &limits(),
        &progress,
    );
    (result, out)
}

fn refused(members: &[Vec<u8>]) -> String {
    let (result, out) = relayed(packed(&tar_of(members)));
    assert!(!out.ends_with(&[0; 1024]), "it has its end mark");
    result.expect_err("it must be refused").to_string()
}

#[test]
fn another_tar_makes_what_the_manifest_says() {
    let (result, out) = relayed(packed(&sample()));
    let restored = result.unwrap();
    let target = Target::new();
    fs::create_dir(target.goal()).unwrap();
    let mut tar = Command::new("tar")
        .args(["-x", "-p", "--numeric-owner", "-f", "-", "-C"])
        .arg(target.goal())
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    tar.stdin.take().unwrap().write_all(&out).unwrap();
    assert!(tar.wait().unwrap().success());
    let differences = compare(&target.goal(), &restored.manifest.unwrap()).unwrap();
    assert_eq!(differences, [""; 0]);
    assert_eq!((restored.files, restored.bytes), (3, 3_000_005));
}

#[test]
fn what_was_damaged_has_no_end_mark() {
    let mut bytes = packed(&sample());
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    let (result, out) = relayed(bytes);
    assert!(result.is_err());
    assert!(!out.ends_with(&[0; 1024]));
}

#[test]
fn nothing_goes_through_a_link() {
    let link = block(b"d", b'2', 0, b"/etc");
    let said = refused(&[link.clone(), file_of(b"d/evil", b"x")]);
    assert!(said.contains("behind a link"), "{said}");
    let said = refused(&[link.clone(), file_of(b"./d/e/evil", b"x")]);
    assert!(said.contains("behind a link"), "{said}");
    let said = refused(&[link.clone(), block(b"h", b'1', 0, b"d/passwd")]);
    assert!(said.contains("behind a link"), "{said}");
    let said = refused(&[link.clone(), file_of(b"d", b"over the link")]);
    assert!(said.contains("twice"), "{said}");
    // A link beside is none on the way.
    let (result, _) = relayed(packed(&tar_of(&[link, file_of(b"dd/good", b"x")])));
    result.unwrap();
}

#[test]
fn paths_that_escape_and_strangers_owners_stay_behind() {
    assert!(refused(&[file_of(b"/x", b"x")]).contains("absolute"));
    assert!(refused(&[file_of(b"../x", b"x")]).contains("leads upwards"));
    assert!(refused(&[block(b"h", b'1', 0, b"../x")]).contains("leads upwards"));
    let mut odd = file_of(b"odd", b"x");
    let mut header = tar::Header::from_byte_slice(&odd[..512]).clone();
    header.set_mode(0o4755);
    header.set_uid(1234);
    header.set_cksum();
    odd[..512].copy_from_slice(header.as_bytes());
    let (result, out) = relayed(packed(&tar_of(&[odd])));
    result.unwrap();
    let header = tar::Header::from_byte_slice(&out[..512]);
    assert_eq!((header.mode().unwrap(), header.uid().unwrap()), (0o755, 0));
}
