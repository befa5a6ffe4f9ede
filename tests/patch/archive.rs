//! The archive that lab hosts are patched from: built once by `packages/build`, and served from this
//! process.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::path::{Component, Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

const BUILD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/patch/packages/build");
/// All that makes another archive when it changes.
const RECIPE: [&str; 3] = [
    include_str!("packages/build"),
    include_str!("packages/libsea.c"),
    include_str!("packages/serve.c"),
];

/// Where the archive lies; the first one who asks builds it. Kept with the build, for the next time.
fn built() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let mut hasher = DefaultHasher::new();
        RECIPE.hash(&mut hasher);
        let above = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let place = above.join(format!("patch-archive-{:016x}", hasher.finish()));
        if !place.exists() {
            let building = above.join(format!(".patch-archive-{}", std::process::id()));
            let out = Command::new(BUILD)
                .arg(&building)
                .output()
                .expect("the archive's builder can be run");
            let errors = String::from_utf8_lossy(&out.stderr);
            assert!(
                out.status.success(),
                "the archive cannot be built: {errors}"
            );
            // Another process may have been quicker: then its one is there.
            if fs::rename(&building, &place).is_err() {
                fs::remove_dir_all(&building).expect("ours can be removed");
            }
        }
        place
    })
}

/// An HTTP server with the archive, as it was last week until it is told to publish. Gone when dropped.
pub struct Archive {
    pub address: SocketAddr,
    state: Arc<State>,
    listener: Option<JoinHandle<()>>,
}

struct State {
    root: PathBuf,
    published: AtomicBool,
    silent: AtomicBool,
    over: AtomicBool,
}

impl Archive {
    pub fn serve(address: IpAddr) -> Archive {
        let listener = TcpListener::bind((address, 0)).expect("the bridge's address can be used");
        let address = listener.local_addr().expect("a listener has an address");
        let state = Arc::new(State {
            root: built().to_owned(),
            published: AtomicBool::new(false),
            silent: AtomicBool::new(false),
            over: AtomicBool::new(false),
        });
        let shared = Arc::clone(&state);
        let listener = std::thread::spawn(move || {
            for guest in listener.incoming().flatten() {
                if shared.over.load(Ordering::SeqCst) {
                    return;
                }
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || {
                    // A guest that leaves in the middle is its own affair.
                    let _ = attend(&shared, guest);
                });
            }
        });
        Archive {
            address,
            state,
            listener: Some(listener),
        }
    }

    /// From now on it has the second versions.
    pub fn publish(&self) {
        self.state.published.store(true, Ordering::SeqCst);
    }

    /// Whether it answers nothing but errors.
    pub fn break_down(&self, down: bool) {
        self.state.silent.store(down, Ordering::SeqCst);
    }

    /// What a host has in its sources.list.
    pub fn sources(&self) -> String {
        let place = self.address;
        format!(
            "deb [trusted=yes] http://{place}/debian bookworm main\n\
             deb [trusted=yes] http://{place}/security bookworm-security main\n\
             deb [trusted=yes] http://{place}/acme stable main\n"
        )
    }
}

impl Drop for Archive {
    fn drop(&mut self) {
        self.state.over.store(true, Ordering::SeqCst);
        // The one that wakes it up.
        let _ = TcpStream::connect_timeout(&self.address, Duration::from_secs(1));
        if let Some(listener) = self.listener.take() {
            let _ = listener.join();
        }
    }
}

/// What of a request matters.
#[derive(Default)]
struct Request {
    head: bool,
    path: String,
    since: String,
    from: u64,
}

fn attend(state: &State, guest: TcpStream) -> std::io::Result<()> {
    let mut out = guest.try_clone()?;
    let mut lines = BufReader::new(guest);
    while let Some(request) = request(&mut lines)? {
        answer(state, &request, &mut out)?;
    }
    Ok(())
}

fn request(lines: &mut impl BufRead) -> std::io::Result<Option<Request>> {
    let mut request = Request::default();
    let mut line = String::new();
    if lines.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace();
    request.head = words.next() == Some("HEAD");
    request.path = words.next().unwrap_or_default().to_owned();
    loop {
        line.clear();
        if lines.read_line(&mut line)? == 0 || line.trim().is_empty() {
            return Ok(Some(request));
        }
        let (name, value) = line.split_once(':').unwrap_or((&line, ""));
        match name.to_ascii_lowercase().as_str() {
            "if-modified-since" => request.since = value.trim().to_owned(),
            "range" => {
                let from = value.trim().strip_prefix("bytes=").unwrap_or_default();
                request.from = from.trim_end_matches('-').parse().unwrap_or(0);
            }
            _ => {}
        }
    }
}

fn answer(state: &State, request: &Request, out: &mut TcpStream) -> std::io::Result<()> {
    if state.silent.load(Ordering::SeqCst) {
        return out.write_all(b"HTTP/1.1 503 Down\r\nContent-Length: 0\r\n\r\n");
    }
    // Times of their own, so that what a host has of one is not taken for the other.
    let (when, modified) = match state.published.load(Ordering::SeqCst) {
        false => ("before", "Fri, 06 Nov 2026 10:00:00 GMT"),
        true => ("after", "Fri, 13 Nov 2026 10:00:00 GMT"),
    };
    let path = Path::new(request.path.trim_start_matches('/'));
    let plain = path.components().all(|c| matches!(c, Component::Normal(_)));
    let file = match plain {
        true => fs::File::open(state.root.join(when).join(path)).ok(),
        false => None,
    };
    let Some(mut file) = file.filter(|f| f.metadata().is_ok_and(|m| m.is_file())) else {
        return out.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    };
    let whole = file.metadata()?.len();
    if request.since == modified && request.from == 0 {
        return out.write_all(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 0\r\n\r\n");
    }
    let from = request.from.min(whole);
    let first = match from {
        0 => "HTTP/1.1 200 OK\r\n".to_owned(),
        _ => format!(
            "HTTP/1.1 206 Part\r\nContent-Range: bytes {from}-{}/{whole}\r\n",
            whole - 1
        ),
    };
    let length = whole - from;
    let mut bytes = format!("{first}Content-Length: {length}\r\nLast-Modified: {modified}\r\n\r\n")
        .into_bytes();
    if !request.head {
        file.seek(SeekFrom::Start(from))?;
        file.read_to_end(&mut bytes)?;
    }
    out.write_all(&bytes)
}
