//! A real S3 server for all tests of this binary: SeaweedFS on loopback, with one account.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use seawall::backup::store::{S3Store, Store, StoreError};
use seawall::document::policy::S3;

use crate::fake_aws::server;

pub const KEY: &str = "seawall-tests";
pub const SECRET: &str = "a-secret-of-the-tests";

/// Where the server listens. It is started once, and dies with this process.
pub fn port() -> u16 {
    static PORT: OnceLock<Result<u16, String>> = OnceLock::new();
    match PORT.get_or_init(start) {
        Ok(port) => *port,
        Err(why) => panic!("{why}"),
    }
}

/// What the environment says of credentials.
pub fn env(name: &str) -> Option<OsString> {
    match name {
        "AWS_ACCESS_KEY_ID" => Some(KEY.into()),
        "AWS_SECRET_ACCESS_KEY" => Some(SECRET.into()),
        _ => None,
    }
}

/// A document of a store in the server's bucket; each prefix is a store of its own.
pub fn document(port: u16, prefix: &str) -> S3 {
    S3 {
        bucket: "backups".into(),
        prefix: Some(prefix.into()),
        region: "us-east-1".into(),
        endpoint: Some(format!("http://127.0.0.1:{port}")),
    }
}

pub fn store(port: u16, prefix: &str) -> S3Store {
    S3Store::new(&document(port, prefix), &env, 3).expect("a store can be described")
}

fn program() -> Result<PathBuf, String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/weed");
    match path.exists() {
        true => Ok(path),
        false => Err(format!(
            "{} is missing: run scripts/test-tools, which fetches it",
            path.display()
        )),
    }
}

/// A port that is free, and whose neighbour 10,000 above (the server's own habit) is too.
fn free_port(taken: &mut Vec<u16>) -> u16 {
    loop {
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|l| l.local_addr())
            .expect("a port is free")
            .port();
        let port = 20_000 + port % 25_000;
        let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
        if !taken.contains(&port) && free(port) && free(port + 10_000) {
            taken.push(port);
            return port;
        }
    }
}

/// Where servers keep their data, each below the number of its process.
fn folder() -> PathBuf {
    let all = Path::new(env!("CARGO_TARGET_TMPDIR")).join("weed");
    // What a test that was killed has left.
    for entry in std::fs::read_dir(&all).into_iter().flatten().flatten() {
        let dead = !Path::new("/proc").join(entry.file_name()).exists();
        if dead {
            take_away(&entry.path());
        }
    }
    let own = all.join(std::process::id().to_string());
    std::fs::create_dir_all(&own).expect("a folder for the server can be made");
    own
}

/// What goes when this process does: the server, its folder, and the sockets that it puts into /tmp
/// under its ports' numbers and never takes away.
static GOES: Mutex<Option<(u32, PathBuf)>> = Mutex::new(None);

extern "C" fn at_exit() {
    let Some((pid, folder)) = GOES.lock().ok().and_then(|mut goes| goes.take()) else {
        return;
    };
    // SAFETY: our own child, which nobody has waited for.
    unsafe {
        libc::kill(pid as i32, libc::SIGKILL);
        libc::waitpid(pid as i32, std::ptr::null_mut(), 0);
    }
    take_away(&folder);
}

/// A server's folder and its sockets. `ports` in it has the numbers.
fn take_away(folder: &Path) {
    let ports = std::fs::read_to_string(folder.join("ports")).unwrap_or_default();
    for port in ports
        .split_whitespace()
        .filter_map(|port| port.parse::<u32>().ok())
    {
        for kind in ["master", "volume", "filer", "s3"] {
            let _ = std::fs::remove_file(format!("/tmp/seaweedfs-{kind}-{port}.sock"));
            let _ =
                std::fs::remove_file(format!("/tmp/seaweedfs-{kind}-grpc-{}.sock", port + 10_000));
        }
    }
    let _ = std::fs::remove_dir_all(folder);
}

/// A bucket is a folder of the server's own file system.
fn make_bucket(filer: u16) -> std::io::Result<()> {
    let mut line = std::net::TcpStream::connect(("127.0.0.1", filer))?;
    line.set_read_timeout(Some(Duration::from_secs(10)))?;
    let request = "POST /buckets/backups/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\
                   Connection: close\r\n\r\n";
    line.write_all(request.as_bytes())?;
    let mut answer = String::new();
    line.read_to_string(&mut answer)?;
    let there = answer.starts_with("HTTP/1.1 20") || answer.starts_with("HTTP/1.1 409");
    match there {
        true => Ok(()),
        false => Err(std::io::Error::other(answer)),
    }
}

fn put_something(store: &S3Store, number: u32) -> Result<(), StoreError> {
    let mut upload = store.create(&format!("ready/{number}"))?;
    let _ = upload.write_all(b"ready");
    upload.finish()
}

/// `Err`: why it did not get ready.
fn start() -> Result<u16, String> {
    let program = program()?;
    let folder = folder();
    let all = ["Admin", "Read", "List", "Write", "Tagging"];
    // The double of AWS fills buckets without a signature; drills sign for the double.
    let accounts = serde_json::json!({"identities": [
        {
            "name": "tests",
            "credentials": [
                {"accessKey": KEY, "secretKey": SECRET},
                {"accessKey": server::ACCESS_KEY, "secretKey": server::SECRET},
            ],
            "actions": all,
        },
        {"name": "anonymous", "actions": all},
    ]});
    std::fs::write(folder.join("s3.json"), accounts.to_string()).map_err(|e| e.to_string())?;
    let mut taken = Vec::new();
    let [master, volume, filer, s3] = [(); 4].map(|()| free_port(&mut taken));
    std::fs::write(
        folder.join("ports"),
        format!("{master} {volume} {filer} {s3}\n"),
    )
    .map_err(|e| e.to_string())?;
    let log = std::fs::File::create(folder.join("log")).map_err(|e| e.to_string())?;
    let mut command = Command::new(program);
    command
        .args([
            "server",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            "-s3",
            "-filer",
        ])
        .args(["-volume.max=20", "-master.volumeSizeLimitMB=256"])
        .args([
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            "-master.telemetry=false",
        ])
        .args(["-dir=.", "-s3.config=s3.json"])
        .arg(format!("-master.port={master}"))
        .arg(format!("-volume.port={volume}"))
        .arg(format!("-filer.port={filer}"))
        .arg(format!("-s3.port={s3}"))
        .current_dir(&folder)
        // It keeps logs of its own there.
        .env("TMPDIR", &folder)
        .stdin(Stdio::null())
        .stdout(log.try_clone().map_err(|e| e.to_string())?)
        .stderr(log);
    // SAFETY: calls into the kernel alone.
    unsafe {
        command.pre_exec(|| {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            Ok(())
        });
    }
    // It dies with the thread that began it, so that one must last as long as the process.
    let (begun, beginning) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let child = command.spawn();
        let _ = begun.send(child.as_ref().map(|c| c.id()).map_err(ToString::to_string));
        let _child = child;
        loop {
            std::thread::park();
        }
    });
    let pid = beginning.recv().map_err(|e| e.to_string())??;
    if let Ok(mut goes) = GOES.lock() {
        *goes = Some((pid, folder.clone()));
    }
    // SAFETY: a function without arguments that does not unwind.
    unsafe { libc::atexit(at_exit) };
    let patience = Instant::now() + Duration::from_secs(60);
    let store = S3Store::new(&document(s3, "begin"), &env, 0).map_err(|e| e.to_string())?;
    let mut number = 0;
    loop {
        std::thread::sleep(Duration::from_millis(200));
        number += 1;
        let ready = make_bucket(filer)
            .map_err(|e| e.to_string())
            .and_then(|()| put_something(&store, number).map_err(|e| e.to_string()));
        match ready {
            Ok(()) => return Ok(s3),
            Err(_) if Instant::now() < patience => {}
            Err(error) => {
                let log = std::fs::read(folder.join("log")).unwrap_or_default();
                let log = String::from_utf8_lossy(&log);
                let end = log.len().saturating_sub(3000);
                let end = (end..log.len()).find(|at| log.is_char_boundary(*at));
                let end = log.get(end.unwrap_or(0)..).unwrap_or_default();
                return Err(format!("weed did not get ready: {error}\n{end}"));
            }
        }
    }
}
