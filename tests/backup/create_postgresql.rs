//! Making backups of a real PostgreSQL.

use std::fs;
use std::process::Command;

use super::support::{Site, script};
use crate::recovery::world::{Database, run};

/// A name that is wrong wherever it is not quoted.
const ODD: &str = "it's \"odd\" $(x) host=evil";

struct Server {
    site: Site,
    database: Database,
}

impl Server {
    fn new() -> Server {
        let site = Site::new();
        let database = Database::start(&site.path("db"));
        Server { site, database }
    }

    fn ask(&self, database: &str, sql: &str) -> String {
        let out = run(Command::new("psql")
            .args([
                "-X",
                "-A",
                "-t",
                "-q",
                "-v",
                "ON_ERROR_STOP=1",
                "-U",
                "postgres",
            ])
            .arg("-h")
            .arg(&self.database.folder)
            .env("PGDATABASE", database)
            .args(["-c", sql]));
        String::from_utf8_lossy(&out.stdout).trim().to_owned()
    }

    fn source(&self, database: &str, more: &str) -> String {
        let database = serde_json::to_string(database).unwrap();
        let folder = self.database.folder.display();
        format!("postgresql: {{database: {database}, host: {folder}, user: postgres{more}}}")
    }
}

#[test]
fn a_database_is_dumped_with_its_canary_and_restored() {
    let server = Server::new();
    let site = &server.site;
    server.ask(
        "postgres",
        &format!("CREATE DATABASE \"{}\"", ODD.replace('"', "\"\"")),
    );
    server.ask(
        ODD,
        "CREATE TABLE orders AS SELECT n, repeat('x', 100) FROM generate_series(1, 50000) n",
    );
    let table = "evil\"; DROP TABLE orders; --";
    let canary = format!(
        ", canary: {{table: {}}}",
        serde_json::to_string(table).unwrap()
    );
    let source = server.source(ODD, "") + &canary;
    let mut last = None;
    for _ in 0..12 {
        let (backup, warnings) = site.create(&source);
        assert_eq!(warnings, Vec::<String>::new());
        last = Some(backup);
    }
    let backup = last.unwrap();
    let extracted = site.extract(&backup, "out");
    fs::write(site.path("s.dump"), site.joined(&extracted)).unwrap();
    let list = run(Command::new("pg_restore")
        .arg("--list")
        .arg(site.path("s.dump")));
    assert!(String::from_utf8_lossy(&list.stdout).contains("TABLE DATA public orders"));
    server.ask("postgres", "CREATE DATABASE restored");
    run(Command::new("pg_restore")
        .args(["--exit-on-error", "-U", "postgres", "-d", "restored", "-h"])
        .arg(&server.database.folder)
        .arg(site.path("s.dump")));
    assert_eq!(
        server.ask("restored", "SELECT count(*) FROM orders"),
        "50000"
    );
    let rows = "FROM \"evil\"\"; DROP TABLE orders; --\"";
    assert_eq!(
        server.ask("restored", &format!("SELECT count(*) {rows}")),
        "10"
    );
    let token = server.ask(
        "restored",
        &format!("SELECT token {rows} ORDER BY at DESC LIMIT 1"),
    );
    let claim = backup.canary.expect("a claim");
    assert_eq!(
        claim.token_sha256,
        seawall::model::sha256_hex(token.as_bytes())
    );
    assert_eq!((claim.at, claim.place.as_str()), (backup.data_time, table));
}

#[test]
fn a_table_of_somebody_elses_is_no_place_for_a_canary() {
    let server = Server::new();
    server.ask(
        "postgres",
        "CREATE TABLE users (token text, at timestamptz, name text)",
    );
    server.ask(
        "postgres",
        "INSERT INTO users SELECT 'x', now(), 'y' FROM generate_series(1, 20)",
    );
    let source = server.source("postgres", "") + ", canary: {table: users}";
    let error = server.site.fails(&source);
    assert!(error.contains("has other columns"), "{error}");
    assert_eq!(server.ask("postgres", "SELECT count(*) FROM users"), "20");
}

#[test]
fn a_dump_that_is_cut_off_is_no_backup() {
    let mut server = Server::new();
    let real = server.site.programs.pg_dump.clone();
    let cut = format!("{real} \"$@\" | head -c 20000\nkill -9 $$");
    server.site.programs.pg_dump = script(&server.site.path("cut"), &cut);
    let error = server.site.fails(&server.source("postgres", ""));
    assert!(error.contains("signal 9"), "{error}");
    // Even where it says that all is well.
    server.site.programs.pg_dump = script(&server.site.path("liar"), "echo hello");
    let error = server.site.fails(&server.source("postgres", ""));
    assert!(error.contains("no dump"), "{error}");
    server.site.programs.pg_dump = real;
    let error = server.site.fails(&server.source("none", ""));
    assert!(error.contains("\"none\" does not exist"), "{error}");
    let error = server.site.fails(&server.source("postgres", ", port: 1"));
    assert!(error.contains("exit code 1"), "{error}");
}

#[test]
fn over_ssh_no_password_is_in_an_argument() {
    let mut server = Server::new();
    let log = server.site.path("log");
    // What sshd does: the last word goes to the account's shell.
    let ssh = format!(
        "printf '%s\\n' \"$@\" >>{log}; for last; do :; done
         exec sh -c \"unset PGPASSWORD; $last\"",
        log = log.display()
    );
    server.site.programs.ssh = script(&server.site.path("ssh"), &ssh);
    let printed = server.site.path("password");
    let spy = format!(
        "printf %s \"$PGPASSWORD\" >{}; exec pg_dump \"$@\"",
        printed.display()
    );
    server.site.programs.pg_dump = script(&server.site.path("spy"), &spy);
    // SAFETY: no other test reads or writes the environment's variable of this name.
    unsafe { std::env::set_var("SEAWALL_TEST_PGPASSWORD", "s3cret 'quoted'") };
    let more = ", ssh: db.example, password_env: SEAWALL_TEST_PGPASSWORD";
    let source = server.source("postgres", more) + ", canary: {table: ops_canary}";
    let (backup, warnings) = server.site.create(&source);
    assert_eq!(warnings, Vec::<String>::new());
    assert_eq!(fs::read_to_string(&printed).unwrap(), "s3cret 'quoted'");
    let said = fs::read_to_string(&log).unwrap();
    assert!(
        said.contains("BatchMode=yes") && said.contains("--\ndb.example\n"),
        "{said}"
    );
    assert!(!said.contains("s3cret"), "{said}");
    let extracted = server.site.extract(&backup, "out");
    fs::write(server.site.path("s.dump"), server.site.joined(&extracted)).unwrap();
    let list = run(Command::new("pg_restore")
        .arg("--list")
        .arg(server.site.path("s.dump")));
    assert!(String::from_utf8_lossy(&list.stdout).contains("ops_canary"));
    let gone = ", ssh: db.example, password_env: SEAWALL_TEST_NO_SUCH_VARIABLE";
    let error = server.site.fails(&server.source("postgres", gone));
    assert!(error.contains("SEAWALL_TEST_NO_SUCH_VARIABLE"), "{error}");
}
