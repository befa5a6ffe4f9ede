//! A small site that can be backed up, lost and recovered: files, a repository and (where a test
//! wants it) a PostgreSQL database, two stores in two places, and keys.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// What a test wants to have.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum With {
    FilesOnly,
    Database,
}

pub struct World {
    // Last: the folder goes when everything else is gone.
    dir: tempfile::TempDir,
    with: With,
    database: Option<Database>,
}

/// A PostgreSQL server of the primary's, stopped when dropped.
pub struct Database {
    pub folder: PathBuf,
}

impl World {
    pub fn new(with: With) -> World {
        // A socket's path may have 107 characters, and the server runs as another account.
        let dir = tempfile::Builder::new()
            .prefix("sw-")
            .tempdir_in("/tmp")
            .expect("a folder for the test");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o711)).expect("its mode");
        let mut world = World {
            dir,
            with,
            database: None,
        };
        for folder in ["primary/site", "near", "far", "state"] {
            fs::create_dir_all(world.path(folder)).expect("a folder");
        }
        for page in 0..60 {
            world.write(
                &format!("primary/site/{page}.html"),
                &format!("<h1>Order {page}</h1>\n"),
            );
        }
        let noise: Vec<u8> = (0..3_000_000_u32)
            .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect();
        fs::write(world.path("primary/site/picture.bin"), noise).expect("a file");
        world.repository();
        if with == With::Database {
            world.database = Some(Database::start(&world.path("primary/db")));
        }
        world.keys();
        world.write_policy("");
        world.write_drill("");
        world
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap_or_else(|e| panic!("writing {name}: {e}"));
    }

    fn repository(&self) {
        let git = |args: &[&str]| {
            run(Command::new("git")
                .args([
                    "-c",
                    "user.name=t",
                    "-c",
                    "user.email=t@localhost",
                    "-c",
                    "commit.gpgsign=false",
                ])
                .args(["-c", "init.defaultBranch=main", "-c", "safe.directory=*"])
                .args(args)
                .current_dir(self.dir.path()))
        };
        git(&["init", "-q", "--bare", "primary/site.git"]);
        git(&["init", "-q", "work"]);
        self.write("work/README", "serve it\n");
        git(&["-C", "work", "add", "README"]);
        git(&["-C", "work", "commit", "-q", "-m", "A site"]);
        git(&[
            "-C",
            "work",
            "push",
            "-q",
            "../primary/site.git",
            "HEAD:refs/heads/main",
        ]);
    }

    fn keys(&self) {
        run(Command::new("age-keygen")
            .arg("-o")
            .arg(self.path("recovery-key.txt")));
        fs::set_permissions(
            self.path("recovery-key.txt"),
            fs::Permissions::from_mode(0o600),
        )
        .expect("the key's mode");
        let out = self.seawall(&["keygen"]);
        assert!(out.status.success(), "{}", said(&out));
    }

    fn recipient(&self) -> String {
        let out = run(Command::new("age-keygen")
            .arg("-y")
            .arg(self.path("recovery-key.txt")));
        String::from_utf8_lossy(&out.stdout).trim().to_owned()
    }

    /// The policy, with more lines at its end.
    pub fn write_policy(&self, more: &str) {
        let root = self.dir.path().display();
        let database = match self.with {
            With::FilesOnly => String::new(),
            With::Database => format!(
                "  - source: database\n    postgresql: {{database: postgres, host: {root}/primary/db, user: postgres}}\n    schedule: \"15 * * * *\"\n    rpo: 2h\n    places: 2\n    canary: {{table: seawall_canary}}\n"
            ),
        };
        let text = format!(
            "policy: test\ntitle: A test's backups\nrecipients: [{}]\nstores:\n  near: {{place: room, directory: {root}/near}}\n  far: {{place: hill, directory: {root}/far}}\nsources:\n  - source: files\n    directories: {{paths: [{root}/primary/site]}}\n    schedule: \"15 2 * * *\"\n    rpo: 26h\n    places: 2\n    canary: {{file: {root}/primary/site/.canary}}\n  - source: code\n    git: {{repository: {root}/primary/site.git}}\n    schedule: \"15 2 * * *\"\n    rpo: 26h\n    places: 2\n{database}{more}",
            self.recipient(),
        );
        self.write("policy.yaml", &text);
    }

    /// The drill, with more steps at its end.
    pub fn write_drill(&self, more: &str) {
        let root = self.dir.path().display();
        let (database, needs) = match self.with {
            With::FilesOnly => ("", "[files]"),
            With::Database => (
                "  - step: database\n    restore: {source: database, postgresql: {database: site}}\n    objectives: {rto: 30m, rpo: 2h}\n    proofs:\n      - {proof: all orders, sql: {query: SELECT count(*) FROM orders, equals: \"5000\"}}\n      - {proof: canary, canary: true}\n",
                "[files, database]",
            ),
        };
        let text = format!(
            "drill: test\ntitle: The room is lost\nlost:\n  what: the room\n  paths: [{root}/primary, {root}/near]\n  places: [room]\npolicy: policy.yaml\nidentities: [{root}/recovery-key.txt]\nscratch: {{directory: {root}/scratch}}\nobjectives: {{rto: 1h, rpo: 2h}}\nassumed:\n  - {{what: detection, takes: 10m, why: monitoring}}\nsteps:\n  - step: files\n    restore: {{source: files, directory: files}}\n    proofs:\n      - {{proof: whole, manifest: true}}\n      - {{proof: canary, canary: true}}\n  - step: code\n    restore: {{source: code, repository: site.git}}\n    proofs:\n      - {{proof: whole, git: {{commits: 1}}}}\n{database}  - step: site\n    needs: {needs}\n    start:\n      run: [busybox, httpd, -f, -p, \"127.0.0.1:{{{{ steps.site.ports.http }}}}\", -h, \"{{{{ steps.files.directory }}}}/site\"]\n      ports: [http]\n      health: {{http: \"http://127.0.0.1:{{{{ steps.site.ports.http }}}}/1.html\"}}\n    proofs:\n      - proof: an order\n        http: {{url: \"http://127.0.0.1:{{{{ steps.site.ports.http }}}}/42.html\", contains: Order 42}}\n{more}",
        );
        self.write("drill.yaml", &text);
    }

    /// The program, with this world's state and nothing of the user's.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_seawall"));
        command
            .args(args)
            .current_dir(self.dir.path())
            .env("SEAWALL_STATE_DIR", self.path("state"))
            .env_remove("SEAWALL_AGE_IDENTITY")
            .env_remove("SEAWALL_SIGNING_KEY")
            .stdin(Stdio::null());
        command
    }

    pub fn seawall(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("the program can be run")
    }

    /// Backs everything up; that must go well.
    pub fn backup(&self) {
        let out = self.seawall(&["backup", "create", "policy.yaml"]);
        assert_eq!(out.status.code(), Some(0), "{}", said(&out));
    }

    /// The disaster: the primary and the near store are gone.
    pub fn lose(&mut self) {
        self.database = None;
        for folder in ["primary", "near"] {
            fs::remove_dir_all(self.path(folder)).expect("what is lost can be removed");
        }
    }

    /// The ids of the runs, the latest first.
    pub fn runs(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path("state/runs"));
        let mut runs: Vec<String> = entries
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .filter(|name| name.len() == 20)
            .collect();
        runs.sort_by(|a, b| b.cmp(a));
        runs
    }

    /// The only run that is a drill's.
    pub fn drill_run(&self) -> String {
        let drills: Vec<String> = self
            .runs()
            .into_iter()
            .filter(|run| !self.verdict(run).is_null())
            .collect();
        assert_eq!(drills.len(), 1, "{drills:?}");
        drills.into_iter().next().unwrap_or_default()
    }

    /// The last verdict in a run's journal, as JSON; null where there is none.
    pub fn verdict(&self, run: &str) -> Value {
        let journal = fs::read_to_string(self.path("state/runs").join(run).join("journal.jsonl"));
        let journal = journal.unwrap_or_default();
        let judged = |line: &str| {
            let event: Value = serde_json::from_str(line).ok()?;
            (event["drill_event"] == "judged").then(|| event["verdict"].clone())
        };
        journal
            .lines()
            .filter_map(judged)
            .next_back()
            .unwrap_or(Value::Null)
    }

    /// What a drill may not leave: its scratch, or a process that bears its tag.
    pub fn left_behind(&self) -> Vec<String> {
        let mut left = Vec::new();
        for entry in fs::read_dir(self.path("")).expect("the world").flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.contains("scratch") {
                let inside = fs::read_dir(entry.path()).into_iter().flatten().flatten();
                let inside: Vec<String> = inside
                    .map(|e| e.file_name().to_string_lossy().into_owned())
                    .collect();
                left.push(format!("{name}: {inside:?}"));
            }
        }
        left.extend(tagged(&self.path("").display().to_string()));
        left
    }
}

/// Processes that a drill started and whose environment or command line names this place.
fn tagged(place: &str) -> Vec<String> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return vec!["/proc cannot be read".to_owned()];
    };
    let mut found = Vec::new();
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.bytes().all(|b| b.is_ascii_digit()) {
            continue;
        }
        let read = |file: &str| fs::read(entry.path().join(file)).unwrap_or_default();
        let environment = read("environ");
        let drill = contains(&environment, b"SEAWALL_DRILL=");
        if drill
            && (contains(&environment, place.as_bytes())
                || contains(&read("cmdline"), place.as_bytes()))
        {
            let command = String::from_utf8_lossy(&read("cmdline")).replace('\0', " ");
            found.push(format!("process {name}: {command}"));
        }
    }
    found
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

impl Database {
    pub fn start(folder: &Path) -> Database {
        fs::create_dir_all(folder).expect("a folder for the database");
        let mode = fs::Permissions::from_mode(0o777);
        fs::set_permissions(folder, mode).expect("its mode");
        let database = Database {
            folder: folder.to_owned(),
        };
        let data = folder.join("data");
        run(as_postgres("initdb").arg("-D").arg(&data).args([
            "-U",
            "postgres",
            "--auth-local=trust",
            "--no-sync",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
        ]));
        run(as_postgres("pg_ctl")
            .arg("-D")
            .arg(&data)
            .arg("-w")
            .arg("-o")
            .arg(format!(
                "-k {} -c listen_addresses='' -c fsync=off",
                folder.display()
            ))
            .arg("-l")
            .arg(folder.join("log"))
            .arg("start")
            .stdout(Stdio::null()));
        database.sql(
            "CREATE TABLE orders (id int PRIMARY KEY, item text, placed_at timestamptz); \
             INSERT INTO orders SELECT n, 'item ' || n, now() FROM generate_series(1, 5000) n;",
        );
        database
    }

    pub fn sql(&self, text: &str) {
        run(Command::new("psql")
            .args([
                "-q",
                "-X",
                "-v",
                "ON_ERROR_STOP=1",
                "-U",
                "postgres",
                "-d",
                "postgres",
                "-c",
                text,
            ])
            .arg("-h")
            .arg(&self.folder));
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let _ = as_postgres("pg_ctl")
            .arg("-D")
            .arg(self.folder.join("data"))
            .args(["stop", "-m", "immediate"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
    }
}

/// One of PostgreSQL's server programs, which refuse to run as root.
pub fn as_postgres(program: &str) -> Command {
    let mut folders: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .expect("PostgreSQL is installed: scripts/install-deps does it")
        .flatten()
        .map(|entry| entry.path().join("bin").join(program))
        .filter(|path| path.exists())
        .collect();
    folders.sort();
    let program = folders
        .pop()
        .expect("PostgreSQL's server programs: scripts/install-deps");
    // SAFETY: geteuid has no arguments and cannot fail.
    if unsafe { libc::geteuid() } == 0 {
        let mut command = Command::new("runuser");
        command
            .args(["-u", "postgres", "--"])
            .arg(program)
            .current_dir("/");
        command
    } else {
        Command::new(program)
    }
}

pub fn run(command: &mut Command) -> Output {
    let out = command.output().unwrap_or_else(|e| {
        panic!("{command:?} cannot be run ({e}): scripts/install-deps has what tests need")
    });
    assert!(out.status.success(), "{command:?}: {}", said(&out));
    out
}

pub fn said(out: &Output) -> String {
    format!(
        "{}\n{}\n{}",
        out.status,
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr)
    )
}
