//! The S3 store against a real server, and through a line that cuts, delays and lies.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use seawall::backup::store::{S3Store, Store, StoreError};

use super::weed::{document, env, port, store};

const MIB: usize = 1 << 20;

/// Bytes that differ from place to place, so that mixed-up parts show.
fn pattern(size: usize) -> Vec<u8> {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

fn put(store: &dyn Store, name: &str, bytes: &[u8]) -> Result<(), String> {
    let mut upload = store.create(name).map_err(|e| e.to_string())?;
    for piece in bytes.chunks(700_000) {
        upload.write_all(piece).map_err(|e| e.to_string())?;
    }
    upload.finish().map_err(|e| e.to_string())
}

fn read(store: &dyn Store, name: &str) -> Result<Vec<u8>, String> {
    let mut blob = store.open(name).map_err(|e| e.to_string())?;
    let mut bytes = Vec::new();
    blob.read_to_end(&mut bytes).map_err(|e| e.to_string())?;
    Ok(bytes)
}

fn names(store: &dyn Store, prefix: &str) -> Vec<String> {
    let listed = store.list(prefix).expect("the store can be listed");
    listed.into_iter().map(|o| o.name).collect()
}

#[test]
fn what_was_written_is_listed_and_read_at_every_size() {
    let store = store(port(), "sizes");
    // Around one part, and around one range.
    for size in [
        0,
        1,
        100,
        8 * MIB - 1,
        8 * MIB,
        8 * MIB + 1,
        16 * MIB,
        37 * MIB + 5,
    ] {
        let bytes = pattern(size);
        let name = format!("db/{size}");
        put(&store, &name, &bytes).unwrap();
        assert!(
            read(&store, &name).unwrap() == bytes,
            "{size} bytes come back"
        );
        assert_eq!(store.open(&name).unwrap().size(), size as u64);
    }
    put(&store, "dbs/other", b"x").unwrap();
    let listed = store.list("db/").unwrap();
    assert_eq!(listed.len(), 8);
    assert!(listed.iter().all(|o| o.modified.is_some()));
    assert_eq!(
        names(&store, "db/8388"),
        ["db/8388607", "db/8388608", "db/8388609"]
    );
    assert_eq!(names(&store, "dbs"), ["dbs/other"]);
    assert_eq!(names(&store, "none/"), [""; 0]);
    assert_eq!(store.get("db/100", 100).unwrap(), pattern(100));
    let error = store.get("db/100", 99).unwrap_err();
    assert!(error.to_string().contains("100 bytes"), "{error}");
}

#[test]
fn absent_is_told_apart_from_not_asked() {
    let store = store(port(), "absent");
    for error in [
        store.open("nothing").err().unwrap(),
        store.get("nothing", 10).unwrap_err(),
    ] {
        assert!(error.absent, "{error}");
    }
    let mut elsewhere = document(port(), "absent");
    elsewhere.bucket = "no-such-bucket".into();
    let elsewhere = S3Store::new(&elsewhere, &env, 0).unwrap();
    let errors: [StoreError; 3] = [
        elsewhere.list("").unwrap_err(),
        elsewhere.open("a").err().unwrap(),
        elsewhere.get("a", 10).unwrap_err(),
    ];
    for error in errors {
        assert!(!error.absent, "{error}");
        assert!(error.to_string().contains("make the bucket"), "{error}");
    }
}

#[test]
fn wrong_credentials_are_told_without_the_secret() {
    let wrong = |name: &str| match name {
        "AWS_SECRET_ACCESS_KEY" => Some("not-the-secret".into()),
        other => env(other),
    };
    let store = S3Store::new(&document(port(), "wrong"), &wrong, 0).unwrap();
    let error = store.list("").unwrap_err().to_string();
    assert!(error.contains("AWS_SECRET_ACCESS_KEY are those"), "{error}");
    assert!(!error.contains("not-the-secret"), "{error}");
}

#[test]
fn nothing_is_replaced() {
    let store = store(port(), "replace");
    put(&store, "a", b"one").unwrap();
    let error = store.create("a").err().unwrap();
    assert!(error.to_string().contains("ever replaced"), "{error}");
    // Two writers at once, small and large: the second to end is refused.
    for (name, size) in [("small", 10), ("large", 9 * MIB)] {
        let (one, two) = (pattern(size), vec![7; size + 1]);
        let (mut first, mut second) = (store.create(name).unwrap(), store.create(name).unwrap());
        first.write_all(&one).unwrap();
        second.write_all(&two).unwrap();
        first.finish().unwrap();
        let error = second.finish().unwrap_err();
        assert!(error.to_string().contains("ever replaced"), "{error}");
        assert!(read(&store, name).unwrap() == one);
    }
}

#[test]
fn a_dropped_upload_leaves_nothing() {
    let store = store(port(), "dropped");
    let mut upload = store.create("large").unwrap();
    upload.write_all(&pattern(20 * MIB)).unwrap();
    drop(upload);
    assert_eq!(names(&store, ""), [""; 0]);
}

#[test]
fn a_line_that_breaks_now_and_then_loses_nothing() {
    let line = Line::new(port(), Fault::CutFirst(3, 3 * MIB as i64));
    let bytes = pattern(20 * MIB);
    put(&store(port(), "breaks"), "a", &bytes).unwrap();
    assert!(read(&store(line.port, "breaks"), "a").unwrap() == bytes);
    assert!(line.cuts() >= 1, "the line was cut while it was read");
    let line = Line::new(port(), Fault::CutFirst(2, 3 * MIB as i64));
    put(&store(line.port, "breaks"), "b", &bytes).unwrap();
    assert!(line.cuts() >= 1, "the line was cut while it was written");
    assert!(read(&store(port(), "breaks"), "b").unwrap() == bytes);
}

#[test]
fn a_line_that_always_breaks_is_an_error_and_nothing_is_there() {
    let line = Line::new(port(), Fault::CutFirst(i64::MAX, 3 * MIB as i64));
    let bytes = pattern(20 * MIB);
    put(&store(port(), "cut"), "a", &bytes).unwrap();
    let far = S3Store::new(&document(line.port, "cut"), &env, 1).unwrap();
    let mut blob = far.open("a").unwrap();
    let mut got = Vec::new();
    let error = blob.read_to_end(&mut got).unwrap_err();
    assert!(got.len() < bytes.len() && bytes.starts_with(&got));
    assert!(
        error.to_string().contains("cut/a in s3://backups/cut"),
        "{error}"
    );
    // It stays an error.
    assert!(blob.read(&mut [0; 10]).is_err());
    put(&far, "b", &bytes).unwrap_err();
    assert_eq!(names(&store(port(), "cut"), ""), ["a"]);
}

#[test]
fn a_slow_line_is_only_slow() {
    let line = Line::new(port(), Fault::Delay(Duration::from_millis(20)));
    let (bytes, store) = (pattern(9 * MIB), store(line.port, "slow"));
    put(&store, "a", &bytes).unwrap();
    assert!(read(&store, "a").unwrap() == bytes);
}

#[test]
fn a_service_that_lies_about_a_size_is_caught() {
    // The answer to a ranged request, after a HEAD that said 1000 bytes.
    let short = |range: &str, length: usize, body: usize| {
        let head = format!(
            "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {range}\r\nETag: \"x\"\r\n\
             Last-Modified: Fri, 20 Nov 2026 10:00:00 GMT\r\nContent-Length: {length}\r\n\
             Connection: close\r\n\r\n"
        );
        [head.into_bytes(), vec![b'x'; body]].concat()
    };
    for (answer, told) in [
        (
            short("0-999/1000", 400, 400),
            "the store said 1000 bytes and gave 400",
        ),
        (short("0-399/400", 400, 400), "it says 400"),
        (short("0-399/1000", 400, 400), "got 0..400"),
        (short("0-999/1000", 1000, 400), "s3://backups/lies"),
    ] {
        let liar = Liar::new(answer);
        let store = S3Store::new(&document(liar.port, "lies"), &env, 0).unwrap();
        let error = read(&store, "a").unwrap_err();
        assert!(error.contains(told), "{told}: {error}");
    }
}

#[test]
fn reading_may_stop_at_any_time() {
    let store = store(port(), "stop");
    put(&store, "a", &pattern(30 * MIB)).unwrap();
    let mut blob = store.open("a").unwrap();
    blob.read_exact(&mut [0; 10]).unwrap();
    drop(blob);
    drop(store.open("a").unwrap());
}

#[test]
fn it_may_be_used_from_a_thread_of_another_runtime() {
    let store = store(port(), "threads");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let bytes = pattern(17 * MIB);
        put(&store, "a", &bytes).unwrap();
        assert!(read(&store, "a").unwrap() == bytes);
    });
}

#[derive(Clone, Copy)]
enum Fault {
    /// The first so many connections that carry more than so many bytes are cut there.
    CutFirst(i64, i64),
    /// Each piece waits.
    Delay(Duration),
}

/// A line to the server with a fault in it.
struct Line {
    port: u16,
    left: Arc<AtomicI64>,
    first: i64,
}

impl Line {
    fn new(to: u16, fault: Fault) -> Line {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let first = match fault {
            Fault::CutFirst(count, _) => count,
            Fault::Delay(_) => 0,
        };
        let left = Arc::new(AtomicI64::new(first));
        let cuts = Arc::clone(&left);
        std::thread::spawn(move || {
            for near in listener.incoming().flatten() {
                let Ok(far) = TcpStream::connect(("127.0.0.1", to)) else {
                    continue;
                };
                let carried = Arc::new(AtomicUsize::new(0));
                for (from, to) in [(&near, &far), (&far, &near)] {
                    let pair = (from.try_clone().unwrap(), to.try_clone().unwrap());
                    let (cuts, carried) = (Arc::clone(&cuts), Arc::clone(&carried));
                    std::thread::spawn(move || carry(pair, fault, &cuts, &carried));
                }
            }
        });
        Line { port, left, first }
    }

    fn cuts(&self) -> i64 {
        self.first - self.left.load(Ordering::SeqCst)
    }
}

fn carry(
    (mut from, mut to): (TcpStream, TcpStream),
    fault: Fault,
    cuts: &AtomicI64,
    carried: &AtomicUsize,
) {
    let mut buffer = vec![0; 256 << 10];
    loop {
        let count = match from.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(count) => count,
        };
        match fault {
            Fault::Delay(time) => std::thread::sleep(time),
            Fault::CutFirst(_, most) => {
                let all = carried.fetch_add(count, Ordering::SeqCst) + count;
                if all as i64 > most && cuts.fetch_sub(1, Ordering::SeqCst) > 0 {
                    break;
                }
            }
        }
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

/// A service that says that every object has 1000 bytes, and answers as it was told.
struct Liar {
    port: u16,
}

impl Liar {
    fn new(answer: Vec<u8>) -> Liar {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for mut line in listener.incoming().flatten() {
                let mut request = Vec::new();
                let mut byte = [0; 1];
                while !request.ends_with(b"\r\n\r\n") {
                    match line.read(&mut byte) {
                        Ok(1) => request.push(byte[0]),
                        Err(error) if error.kind() == ErrorKind::Interrupted => {}
                        _ => break,
                    }
                }
                let said: &[u8] = if request.starts_with(b"HEAD") {
                    b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\nETag: \"x\"\r\n\
                      Last-Modified: Fri, 20 Nov 2026 10:00:00 GMT\r\nConnection: close\r\n\r\n"
                } else {
                    &answer
                };
                let _ = line.write_all(said);
            }
        });
        Liar { port }
    }
}
