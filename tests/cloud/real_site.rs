//! A shop that has lost its region, and what is real of what it is restored to: behind the double
//! stand an SSH server, an S3 server, a PostgreSQL and a web server of this machine.

use std::fs;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use serde_json::{Value, json};

use super::stage::{LOST, SCRATCH};
use crate::backup::weed;
use crate::fake_aws::server::{ACCOUNT, FakeAws, Options};
use crate::fake_aws::sigv4::Keys;
use crate::reach::support::{keygen, me};
use crate::recovery::world::{Database, as_postgres, run};

/// The database's.
pub const PASSWORD: &str = "an-open-sesame-of-the-tests";
const IMAGE: &str = "ami-0000000000000f001";
const SPEED: f64 = 600.0;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Parts {
    All,
    /// A machine, a volume, a restored machine, a bucket.
    Few,
}

pub struct Site {
    pub aws: Arc<FakeAws>,
    _machine: Machine,
    _web: Option<Web>,
    _database: Option<Database>,
    // Last: the folder goes when everything else is gone.
    dir: tempfile::TempDir,
}

impl Site {
    pub fn new(parts: Parts) -> Site {
        // A socket's path may have 107 characters, and the database runs as another account.
        let dir = tempfile::Builder::new()
            .prefix("sw-")
            .permissions(fs::Permissions::from_mode(0o711))
            .tempdir_in("/tmp")
            .expect("a folder for the test");
        let root = dir.path();
        for folder in ["primary/site", "near", "state", "instance/srv"] {
            fs::create_dir_all(root.join(folder)).expect("a folder");
        }
        for page in 0..60 {
            let path = root.join(format!("primary/site/{page}.html"));
            fs::write(path, format!("<h1>Order {page}</h1>\n")).expect("a page");
        }
        for key in ["host_key", "shop_ed25519"] {
            keygen(&root.join(key), "ed25519", "");
        }
        let (database, sql) = match parts {
            Parts::All => {
                let (database, port) = database(&root.join("db"));
                (Some(database), port)
            }
            Parts::Few => (None, 5432),
        };
        let aws = Arc::new(FakeAws::start(Options {
            speed: SPEED,
            seed: Some(seed(root, sql)),
            s3: Some(format!("http://127.0.0.1:{}", weed::port())),
            keys: vec![Keys {
                account: ACCOUNT.into(),
                access_key: weed::KEY.into(),
                secret: weed::SECRET.into(),
            }],
            ..Options::default()
        }));
        let machine = Machine::start(root, aws.clone());
        let web = (parts == Parts::All).then(|| Web::start(&root.join("instance")));
        let site = Site {
            aws,
            _machine: machine,
            _web: web,
            _database: database,
            dir,
        };
        for arguments in [
            &["keygen"][..],
            &["keygen", "--age", "--out", "recovery-key.txt"][..],
        ] {
            run(&mut site.command(arguments));
        }
        site.write_documents(parts);
        site
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The program, with this site's state and credentials, and nothing of the user's.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_seawall"));
        for name in [
            "AWS_PROFILE",
            "AWS_SESSION_TOKEN",
            "AWS_REGION",
            "AWS_DEFAULT_REGION",
        ] {
            command.env_remove(name);
        }
        command
            .args(args)
            .current_dir(self.dir.path())
            .env_remove("SEAWALL_AGE_IDENTITY")
            .env_remove("SEAWALL_SIGNING_KEY")
            .env("SEAWALL_STATE_DIR", self.path("state"))
            .env("SEAWALL_TEST_PACE", SPEED.to_string())
            .env("SEAWALL_ORDERS_PASSWORD", PASSWORD)
            .env("AWS_CONFIG_FILE", "/dev/null")
            .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_ENDPOINT_URL", self.aws.url())
            .env(
                "AWS_ENDPOINT_URL_S3",
                format!("http://127.0.0.1:{}", weed::port()),
            )
            .env("AWS_ACCESS_KEY_ID", weed::KEY)
            .env("AWS_SECRET_ACCESS_KEY", weed::SECRET)
            .stdin(Stdio::null());
        command
    }

    pub fn seawall(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("the program can be run")
    }

    /// The disaster.
    pub fn lose(&self) {
        for folder in ["primary", "near"] {
            fs::remove_dir_all(self.path(folder)).expect("what is lost can be removed");
        }
    }

    /// What drills have made and is still there: in the double, in the S3 server, on the controller.
    pub fn left(&self) -> Vec<String> {
        let mut left = self.aws.left();
        let runs = fs::read_dir(self.path("state/runs")).into_iter().flatten();
        let runs: Vec<String> = (runs.flatten())
            .map(|run| run.file_name().to_string_lossy().into_owned())
            .collect();
        let buckets = format!("http://127.0.0.1:{}/", weed::port());
        let buckets =
            run(Command::new("curl").args(["-q", "-sS", "-f", "--noproxy", "*", &buckets]));
        let buckets = String::from_utf8_lossy(&buckets.stdout).into_owned();
        let ours = runs.iter().filter(|run| buckets.contains(run.as_str()));
        left.extend(ours.map(|run| format!("a bucket of {run}")));
        let drills = fs::read_dir(self.path("state/drills"))
            .into_iter()
            .flatten();
        let folders = (drills.flatten()).filter(|entry| entry.path().is_dir());
        left.extend(folders.map(|entry| entry.path().display().to_string()));
        left
    }

    pub fn nothing_is_left(&self) {
        assert_eq!(self.left(), Vec::<String>::new());
    }

    fn write_documents(&self, parts: Parts) {
        let write = |name: &str, text: String| {
            fs::write(self.path(name), text).expect("a document can be written");
        };
        let root = self.dir.path().display().to_string();
        let key = fs::read_to_string(self.path("recovery-key.txt")).expect("the recovery key");
        let recipient = (key.lines())
            .find_map(|line| line.strip_prefix("# public key: "))
            .expect("its public key");
        let s3 = weed::port();
        let prefix = root.rsplit('/').next().unwrap_or_default();
        write(
            "policy.yaml",
            format!(
                "policy: shop\ntitle: The shop's pages\nrecipients: [{recipient}]\nstores:\n  \
                 near: {{place: {LOST}, directory: {root}/near}}\n  \
                 far: {{place: {SCRATCH}, s3: {{bucket: backups, prefix: {prefix}, region: {SCRATCH}, \
                 endpoint: \"http://127.0.0.1:{s3}\"}}}}\nsources:\n  - source: site\n    \
                 directories: {{paths: [{root}/primary/site]}}\n    schedule: \"15 2 * * *\"\n    \
                 rpo: 26h\n    places: 2\n    canary: {{file: {root}/primary/site/.canary}}\n"
            ),
        );
        write(
            "baseline.yaml",
            format!(
                "baseline: shop\ntitle: What the machine must have\nrules:\n  - id: page.mode\n    \
                 title: The page is as it ought to be\n    why: A page that nobody may read is none.\n    \
                 area: files\n    severity: high\n    level: 1\n    controls: {{iso-27001: A.8.13}}\n    \
                 resources:\n      - file: {{path: {root}/instance/srv/site/site/1.html, mode: \"0644\", \
                 exact: true}}\n"
            ),
        );
        write(
            "playbook.yaml",
            "playbook: shop\ntitle: The machine\nhosts: [all]\nbaselines: [baseline.yaml]\n".into(),
        );
        let mut drill = DRILL.to_owned();
        if parts == Parts::All {
            drill.push_str(MORE);
        }
        let port = self._machine.port.to_string();
        let web = self._web.as_ref().map_or(0, |web| web.port).to_string();
        for (name, value) in [
            ("ACCOUNT", ACCOUNT),
            ("IMAGE", IMAGE),
            ("ROOT", &root),
            ("ME", &me()),
            ("SSH_PORT", &port),
            ("WEB_PORT", &web),
            ("DOUBLE", &self.aws.url()),
            ("DIGEST", SEVENTH),
        ] {
            drill = drill.replace(&format!("<{name}>"), value);
        }
        write("drill.yaml", drill);
    }
}

/// The SHA-256 of `invoice 7` and a line's end.
const SEVENTH: &str = "30cb902ca19367e756914a24a7c27abcf5699805734e48dafb4625b759056551";

const DRILL: &str = r#"drill: real-parts
title: The region eu-west-1 is lost
lost: {what: the region eu-west-1, regions: [eu-west-1], places: [eu-west-1]}
policy: policy.yaml
identities: [recovery-key.txt]
scratch:
  strict: true
  aws:
    account: "<ACCOUNT>"
    region: eu-central-1
    vault: dr-copies
    production: [eu-north-1]
    restore_role: arn:aws:iam::<ACCOUNT>:role/seawall-restore
    network: {gateway: controller, controller: 127.0.0.1/32}
objectives: {rto: 1h, rpo: 26h}
steps:
  - step: jump
    aws: {fresh: {image: <IMAGE>, type: m7g.large, ssh: {user: <ME>, port: <SSH_PORT>, sudo: false}}}
    proofs:
      - {proof: it answers, command: {run: [uname, -s], contains: Linux}}
  - step: documents
    needs: [jump]
    aws:
      resource: arn:aws:ec2:eu-west-1:<ACCOUNT>:volume/vol-0000000000000d001
      volume: {attach: {to: jump, device: /dev/sdf}}
    proofs:
      - proof: there is data on it
        on: jump
        command: {run: [busybox, wget, -qO-, "<DOUBLE>/_fake/data?id={{ steps.documents.volume }}"], contains: full}
  - step: shop
    aws:
      resource: arn:aws:ec2:eu-west-1:<ACCOUNT>:instance/i-0000000000000a001
      instance:
        type: m7g.large
        ssh: {user: <ME>, port: <SSH_PORT>, identity: shop_ed25519, sudo: false}
    proofs:
      - proof: there is data on it
        command: {run: [busybox, wget, -qO-, "<DOUBLE>/_fake/data?id={{ steps.shop.instance }}"], contains: full}
  - step: media
    aws: {resource: "arn:aws:s3:::shop-documents", s3: {}}
    proofs:
      - {proof: they are what they were, objects: {at_least: 24, bytes: 200, sha256: {invoices/7.txt: <DIGEST>}}}
"#;

const MORE: &str = r#"  - step: orders
    needs: [jump]
    aws:
      resource: arn:aws:rds:eu-west-1:<ACCOUNT>:db:orders
      rds: {login: {user: shop, database: postgres, password_env: SEAWALL_ORDERS_PASSWORD}}
    proofs:
      - {proof: all orders are there, on: jump, sql: {query: SELECT count(*) FROM orders, equals: "5000"}}
      - {proof: the last is recent, on: jump, sql: {query: SELECT max(placed_at) FROM orders, newer_than: 1d}}
  - step: carts
    aws: {resource: arn:aws:dynamodb:eu-west-1:<ACCOUNT>:table/carts, dynamodb: {}}
    proofs:
      - {proof: a known cart is there, items: {at_least: 60, key: {id: cart-7}, has: {total: 35}}}
  - step: site
    needs: [jump]
    restore: {source: site, store: far, directory: <ROOT>/instance/srv/site, onto: jump}
    proofs:
      - {proof: whole, manifest: true}
      - {proof: of its moment, canary: true}
      - {proof: a page is served, http: {url: "http://127.0.0.1:<WEB_PORT>/srv/site/site/42.html", contains: Order 42}}
      - {proof: as hard as it was, meets: {playbook: playbook.yaml}}
"#;

/// What the scratch region has.
fn seed(root: &Path, sql: u16) -> Value {
    let arn = |service: &str, rest: &str| format!("arn:aws:{service}:{LOST}:{ACCOUNT}:{rest}");
    let objects: Vec<Value> = (1..=24)
        .map(|n| json!({"key": format!("invoices/{n}.txt"), "body": format!("invoice {n}\n")}))
        .collect();
    let carts: Vec<Value> = (1..=60)
        .map(|n| json!({"id": {"S": format!("cart-{n}")}, "total": {"N": (n * 5).to_string()}}))
        .collect();
    let mut points = vec![
        json!({"resource": arn("ec2", "volume/vol-0000000000000d001"), "type": "EBS", "gib": 50}),
        json!({"resource": arn("ec2", "instance/i-0000000000000a001"), "type": "EC2", "gib": 16,
            "instance_type": "m7g.large"}),
        json!({"resource": arn("rds", "db:orders"), "type": "RDS", "engine": "postgres",
            "class": "db.m7g.large", "address": "127.0.0.1", "port": sql}),
        json!({"resource": "arn:aws:s3:::shop-documents", "type": "S3", "objects": objects}),
        json!({"resource": arn("dynamodb", "table/carts"), "type": "DynamoDB", "items": carts,
            "table_key": [{"name": "id", "type": "S"}]}),
    ];
    for point in &mut points {
        point["created"] = json!(-4800);
        point["data_time"] = json!(-7200);
        point["data_time_tag"] = json!(true);
        point["source_vault"] = json!(arn("backup", "backup-vault:prod"));
    }
    let key = format!("arn:aws:kms:{SCRATCH}:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555");
    let host_key = fs::read_to_string(root.join("host_key.pub")).expect("the host's key");
    json!({"accounts": {ACCOUNT: {"regions": {SCRATCH: {
        "vaults": [{"name": "dr-copies", "key": key, "points": points,
            "tags": {"seawall:scratch": "yes"}}],
        "keys": [{"arn": key, "alias": "alias/dr"}],
        "ec2": {
            "images": [{"id": IMAGE, "name": "debian", "architecture": "arm64",
                "owner": "136693071363"}],
            "addresses": ["127.0.0.1"],
            "host_keys": {"127.0.0.1": [host_key.trim()]},
        },
    }}}}})
}

/// A PostgreSQL that listens on loopback and wants a password, and its port.
fn database(folder: &Path) -> (Database, u16) {
    fs::create_dir_all(folder).expect("a folder for the database");
    fs::set_permissions(folder, fs::Permissions::from_mode(0o777)).expect("its mode");
    let password = folder.join("password");
    fs::write(&password, PASSWORD).expect("its password");
    let data = folder.join("data");
    run(as_postgres("initdb")
        .arg("-D")
        .arg(&data)
        .arg("--pwfile")
        .arg(&password)
        .args([
            "-U",
            "shop",
            "--auth=scram-sha-256",
            "--no-sync",
            "-E",
            "UTF8",
            "--locale=C.UTF-8",
        ]));
    fs::remove_file(&password).expect("it is not needed any more");
    let port = free_port();
    let database = Database {
        folder: folder.to_owned(),
    };
    let options = format!(
        "-k {} -p {port} -c listen_addresses=127.0.0.1 -c fsync=off",
        folder.display()
    );
    run(as_postgres("pg_ctl")
        .arg("-D")
        .arg(&data)
        .args(["-w", "-o", &options, "-l"])
        .arg(folder.join("log"))
        .arg("start")
        .stdout(Stdio::null()));
    run(Command::new("psql")
        .env("PGPASSWORD", PASSWORD)
        .args([
            "-q",
            "-X",
            "-v",
            "ON_ERROR_STOP=1",
            "-h",
            "127.0.0.1",
            "-U",
            "shop",
            "-d",
        ])
        .args(["postgres", "-p", &port.to_string(), "-c"])
        .arg(
            "CREATE TABLE orders (id int PRIMARY KEY, placed_at timestamptz); \
             INSERT INTO orders SELECT n, now() FROM generate_series(1, 5000) n;",
        ));
    (database, port)
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("its address").port()
}

/// All instances in one: an sshd that is started anew for each connection. It lets in whom the
/// restored machine knew, and the key pairs that the double has: what cloud-init would see to.
struct Machine {
    port: u16,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Machine {
    fn start(root: &Path, aws: Arc<FakeAws>) -> Machine {
        if me() == "root" {
            fs::create_dir_all("/run/sshd").expect("sshd's empty place");
        }
        let shown = root.display();
        let config = root.join("sshd_config");
        let text = format!(
            "HostKey {shown}/host_key\nAuthorizedKeysFile {shown}/authorized\nStrictModes no\n\
             UsePAM no\nPermitRootLogin yes\nPasswordAuthentication no\n\
             KbdInteractiveAuthentication no\nPidFile none\nLogLevel ERROR\n"
        );
        fs::write(&config, text).expect("its configuration");
        let known = fs::read_to_string(root.join("shop_ed25519.pub")).expect("a public key");
        let authorized = root.join("authorized");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = listener.local_addr().expect("its address").port();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut children: Vec<Child> = Vec::new();
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    break;
                }
                let stream = OwnedFd::from(stream.expect("a connection"));
                let made = aws.with_world(|world| world.public_keys()).join("\n");
                let new = authorized.with_extension("new");
                fs::write(&new, format!("{known}{made}\n")).expect("who may come in");
                fs::rename(&new, &authorized).expect("who may come in");
                let child = Command::new("/usr/sbin/sshd")
                    .args(["-i", "-e", "-f"])
                    .arg(&config)
                    .stdin(stream.try_clone().expect("both ways"))
                    .stdout(stream)
                    .stderr(Stdio::null())
                    .spawn();
                children.push(child.expect("openssh-server is installed: scripts/install-deps"));
                children.retain_mut(|child| !matches!(child.try_wait(), Ok(Some(_))));
            }
            for mut child in children {
                let _ = child.kill();
                let _ = child.wait();
            }
        });
        Machine {
            port,
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // Wakes the thread that waits for connections.
        let _ = std::net::TcpStream::connect(("127.0.0.1", self.port));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A web server on the instance.
struct Web {
    port: u16,
    child: Child,
}

impl Web {
    fn start(folder: &Path) -> Web {
        let port = free_port();
        let child = Command::new("busybox")
            .args(["httpd", "-f", "-p", &format!("127.0.0.1:{port}"), "-h"])
            .arg(folder)
            .stdin(Stdio::null())
            .spawn()
            .expect("busybox is installed: scripts/install-deps");
        Web { port, child }
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
