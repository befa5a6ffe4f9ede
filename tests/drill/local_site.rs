//! A site that is backed up, lost, and restored by the local provider: real archives, a real
//! PostgreSQL, real git, real programs. The engine's part (order, clock, verdict) is the test's.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use seawall::backup::Progress;
use seawall::backup::age::{Identities, IdentitySources, Recipients, generate_identity};
use seawall::backup::create::{Creation, create};
use seawall::backup::sidecar::Sidecar;
use seawall::document::drill::{Proof, Step};
use seawall::document::{Disk, load_drill};
use seawall::drill::clock::{DrillClock, boottime_ms};
use seawall::drill::ledger::{self, Ledger, LedgerEntry};
use seawall::drill::local::{LocalProvider, LocalSetup};
use seawall::drill::provider::{
    DrillContext, Leftover, PhaseDone, ProofSaid, Provider, Readiness, StepContext, StepError,
};
use seawall::journal::{Journal, JournalReader, JournalWriter, Record, SystemClock};
use seawall::model::drill::ProofOutcome;
use seawall::sign::SigningKey;

/// What a test works with. Everything is below one folder, which goes when this is dropped.
pub struct Site {
    dir: tempfile::TempDir,
    identity: secrecy::SecretString,
    recipient: String,
    signer: SigningKey,
    database: bool,
    pub runtime: tokio::runtime::Runtime,
}

/// One run of one drill.
pub struct Run<'s> {
    site: &'s Site,
    pub provider: LocalProvider,
    pub context: DrillContext,
    pub steps: Vec<Step>,
    journal: PathBuf,
}

impl Site {
    pub fn new() -> Site {
        // The server's account must get here, and its socket's path is short.
        let dir = tempfile::Builder::new()
            .prefix("sw")
            .tempdir_in("/tmp")
            .unwrap();
        mode(dir.path(), 0o711);
        for folder in ["primary/data", "far", "near", "runs"] {
            std::fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        let (identity, recipient) = generate_identity();
        let site = Site {
            dir,
            identity,
            recipient,
            signer: SigningKey::generate("test").unwrap(),
            database: false,
            runtime: tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()
                .unwrap(),
        };
        for page in 0..20 {
            site.write(
                &format!("primary/data/{page}.html"),
                &format!("Order {page}\n"),
            );
        }
        site
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// A primary with 5000 orders. Needs PostgreSQL: `scripts/install-deps`.
    pub fn with_database(mut self) -> Site {
        let folder = self.path("primary/db");
        std::fs::create_dir_all(&folder).unwrap();
        mode(&folder, 0o777);
        as_postgres(
            "initdb",
            &[
                "-D",
                &text(&folder.join("data")),
                "-U",
                "postgres",
                "-A",
                "trust",
                "--no-sync",
            ],
        );
        let options = format!(
            "-k {} -c listen_addresses='' -c fsync=off",
            folder.display()
        );
        as_postgres(
            "pg_ctl",
            &[
                "-D",
                &text(&folder.join("data")),
                "-w",
                "-o",
                &options,
                "-l",
                &text(&folder.join("log")),
                "start",
            ],
        );
        self.database = true;
        self.sql(
            "CREATE TABLE orders (id int PRIMARY KEY, item text, placed timestamptz DEFAULT now());
             INSERT INTO orders (id, item) SELECT n, 'item ' || n FROM generate_series(1, 5000) n",
        );
        self
    }

    pub fn sql(&self, query: &str) {
        let folder = text(&self.path("primary/db"));
        tool(
            "psql",
            &[
                "-q",
                "-X",
                "-v",
                "ON_ERROR_STOP=1",
                "-U",
                "postgres",
                "-h",
                &folder,
                "-c",
                query,
            ],
        );
    }

    pub fn with_repository(self) -> Site {
        let at = |name: &str| text(&self.path(name));
        let git = |args: &[&str]| {
            let mut all = vec![
                "-c",
                "user.name=t",
                "-c",
                "user.email=t@localhost",
                "-c",
                "init.defaultBranch=main",
            ];
            all.extend(args);
            tool("git", &all);
        };
        git(&["init", "-q", &at("work")]);
        for commit in 0..3 {
            self.write("work/README", &format!("{commit}\n"));
            git(&["-C", &at("work"), "add", "."]);
            git(&["-C", &at("work"), "commit", "-q", "-m", "x"]);
        }
        git(&[
            "clone",
            "-q",
            "--bare",
            &at("work"),
            &at("primary/code.git"),
        ]);
        self
    }

    fn policy(&self) -> String {
        let root = self.dir.path().display();
        let mut sources = format!(
            "  - {{source: files, directories: {{paths: [{root}/primary/data]}}, schedule: '0 2 * * *', rpo: 26h, to: [near, far], canary: {{file: {root}/primary/data/.canary}}}}\n  - {{source: zones, command: {{run: [sh, -c, 'seq 1 5000'], file: zones.txt}}, schedule: '0 2 * * *', rpo: 26h, to: [far]}}\n  - {{source: code, git: {{repository: {root}/primary/code.git}}, schedule: '0 2 * * *', rpo: 26h, to: [far]}}\n"
        );
        sources.push_str(&format!(
            "  - {{source: db, postgresql: {{database: postgres, host: {root}/primary/db, user: postgres}}, schedule: '0 2 * * *', rpo: 2h, to: [far], canary: {{table: seawall_canary}}}}\n"
        ));
        format!(
            "policy: test\ntitle: A test's\nrecipients: [{}]\nstores:\n  near: {{place: room, directory: {root}/near}}\n  far: {{place: hill, directory: {root}/far}}\nsources:\n{sources}",
            self.recipient
        )
    }

    /// Backs one source up.
    pub fn back_up(&self, source: &str) -> Sidecar {
        self.write("policy.yaml", &self.policy());
        let loaded = seawall::document::load_policy(&self.path("policy.yaml"), &Disk)
            .unwrap_or_else(|found| panic!("{}", seawall::document::render_all(&found, false)));
        let document = loaded
            .policy
            .sources
            .iter()
            .find(|s| s.source == source)
            .unwrap();
        let stores = document.to.iter().map(|name| {
            let store = loaded.policy.stores.get(name).unwrap();
            (
                name.clone(),
                seawall::backup::store::open(store, self.dir.path()).unwrap(),
            )
        });
        let (sidecar, _) = create(&Creation {
            policy: &loaded.policy,
            source: document,
            recipients: &Recipients::parse(&loaded.policy.recipients).unwrap(),
            stores: stores.collect::<BTreeMap<_, _>>(),
            signer: &self.signer,
            random: 7,
            progress: &Progress::default(),
        })
        .unwrap_or_else(|e| panic!("backing up {source}: {e}"));
        sidecar
    }

    /// Puts something into the far store as others would: encrypted, and nothing else.
    pub fn encrypt_as(&self, source: &str, plain: &[u8]) {
        use std::io::Write;
        let name = seawall::backup::name::archive(source, jiff::Timestamp::now(), 9);
        let path = self.path("far").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let recipients = Recipients::parse(std::slice::from_ref(&self.recipient)).unwrap();
        let file = std::fs::File::create(path).unwrap();
        let mut writer = seawall::backup::age::EncryptWriter::new(&recipients, file).unwrap();
        writer.write_all(plain).unwrap();
        writer.finish().unwrap();
    }

    /// A run of a drill with these steps; `more` goes to the document's top.
    pub fn run(&self, id: &str, more: &str, steps: &str) -> Run<'_> {
        self.run_in("scratch", id, more, steps)
    }

    pub fn run_in(&self, scratch: &str, id: &str, more: &str, steps: &str) -> Run<'_> {
        let root = self.dir.path().display();
        self.write("policy.yaml", &self.policy());
        let scratch_document = match more.contains("scratch:") {
            true => String::new(),
            false => format!("scratch: {{directory: {root}/{scratch}}}\n"),
        };
        let document = format!(
            "drill: test\ntitle: The room is lost\nlost: {{what: the room, paths: [{root}/primary, {root}/near], hosts: [192.0.2.1], places: [room]}}\npolicy: policy.yaml\n{scratch_document}objectives: {{rto: 1h}}\n{more}steps:\n{steps}"
        );
        self.write("drill.yaml", &document);
        let loaded = load_drill(&self.path("drill.yaml"), &Disk)
            .unwrap_or_else(|found| panic!("{}", seawall::document::render_all(&found, false)));
        let journal = self.path("runs").join(id);
        let clock: Arc<SystemClock> = Arc::new(SystemClock);
        // A second process of one run goes on in a journal of its own: the ledger's tokens count.
        let mut folder = journal.clone();
        while folder.exists() {
            folder = folder.with_extension(format!(
                "{}x",
                folder.extension().map_or("", |e| e.to_str().unwrap())
            ));
        }
        let writer = JournalWriter::create(&folder, clock).unwrap();
        let ledger = Ledger::new(Journal::new(writer), Arc::new(DrillClock::new(boottime_ms)));
        let sources = IdentitySources {
            text: Some(self.identity.clone()),
            ..IdentitySources::default()
        };
        Run {
            site: self,
            provider: LocalProvider::new(LocalSetup {
                drill: loaded.drill.clone(),
                drill_path: self.path("drill.yaml"),
                policy: loaded.policy,
                policy_path: self.path("policy.yaml"),
                identities: Arc::new(Identities::gather(sources, &|_| None).unwrap()),
                trusted: self.signer.trusted().unwrap(),
                random: Arc::new(|count| count / 2),
            }),
            context: DrillContext {
                run: id.to_owned(),
                disaster: jiff::Timestamp::now(),
                scratch: self.path(scratch),
                ledger,
                again: false,
            },
            steps: loaded.drill.steps,
            journal: folder,
        }
    }

    /// The primary is gone.
    pub fn lose(&mut self) {
        self.stop_database();
        std::fs::remove_dir_all(self.path("primary")).unwrap();
    }

    fn stop_database(&mut self) {
        if std::mem::take(&mut self.database) {
            as_postgres(
                "pg_ctl",
                &[
                    "-D",
                    &text(&self.path("primary/db/data")),
                    "-m",
                    "immediate",
                    "stop",
                ],
            );
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.stop_database();
    }
}

impl Run<'_> {
    pub fn step(&self, name: &str) -> &Step {
        self.steps.iter().find(|s| s.step == name).unwrap()
    }

    pub fn prepare(&self) -> Readiness {
        self.site
            .runtime
            .block_on(self.provider.prepare(&self.context))
    }

    /// What preflight says is not met.
    pub fn unmet(&self) -> Vec<String> {
        let checks = self.prepare().checks.into_iter();
        checks
            .filter(|c| !c.1)
            .map(|c| format!("{}: {}", c.0, c.2))
            .collect()
    }

    /// All phases of a step.
    pub fn carry_out(&self, name: &str) -> Result<Vec<PhaseDone>, StepError> {
        self.carry_out_with(name, Arc::new(Progress::default()))
    }

    pub fn carry_out_with(
        &self,
        name: &str,
        progress: Arc<Progress>,
    ) -> Result<Vec<PhaseDone>, StepError> {
        let context = StepContext {
            drill: &self.context,
            step: self.step(name),
            attempt: 1,
            progress,
        };
        let phases = self.provider.phases(context.step);
        phases
            .into_iter()
            .map(|phase| {
                self.site
                    .runtime
                    .block_on(self.provider.carry_out(phase, &context))
            })
            .collect()
    }

    pub fn recovers(&self, name: &str) -> Vec<PhaseDone> {
        self.carry_out(name)
            .unwrap_or_else(|e| panic!("{name}: {e}"))
    }

    pub fn fails(&self, name: &str) -> StepError {
        match self.carry_out(name) {
            Ok(done) => panic!("{name} was restored: {done:?}"),
            Err(error) => error,
        }
    }

    fn proof(&self, step: &str, proof: &str) -> Proof {
        self.step(step)
            .proofs
            .iter()
            .find(|p| p.proof == proof)
            .unwrap()
            .clone()
    }

    pub fn prove(&self, step: &str, proof: &str) -> ProofSaid {
        let context = StepContext {
            drill: &self.context,
            step: self.step(step),
            attempt: 1,
            progress: Arc::new(Progress::default()),
        };
        let proof = self.proof(step, proof);
        self.site
            .runtime
            .block_on(self.provider.prove(&context, &proof))
    }

    pub fn control(&self, step: &str, proof: &str) -> ProofSaid {
        let proof = self.proof(step, proof);
        let step = self.step(step);
        self.site
            .runtime
            .block_on(self.provider.control(&self.context, step, &proof))
    }

    /// All controls of all steps: each that passes on nothing.
    pub fn controls_that_pass(&self) -> Vec<String> {
        let mut passed = Vec::new();
        for step in &self.steps {
            for proof in &step.proofs {
                if self.control(&step.step, &proof.proof).outcome == ProofOutcome::Pass {
                    passed.push(proof.proof.clone());
                }
            }
        }
        passed
    }

    pub fn all_proofs_pass(&self) {
        for step in &self.steps {
            for proof in &step.proofs {
                let said = self.prove(&step.step, &proof.proof);
                assert_eq!(
                    said.outcome,
                    ProofOutcome::Pass,
                    "{}: {said:?}",
                    proof.proof
                );
                assert!(!said.read.is_empty() && !said.at.is_empty(), "{said:?}");
            }
        }
    }

    pub fn ledger(&self) -> Vec<LedgerEntry> {
        let records: Vec<Record> = JournalReader::open(&self.journal)
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        ledger::read(&records)
    }

    pub fn leftovers(&self) -> Vec<Leftover> {
        self.site
            .runtime
            .block_on(self.provider.leftovers(&self.context))
    }

    /// Destroys what the ledger names, as the engine does, and looks that nothing is left.
    pub fn tear_down(&self) {
        self.destroy(&self.ledger());
    }

    pub fn destroy(&self, entries: &[LedgerEntry]) {
        let runtime = &self.site.runtime;
        for entry in entries.iter().rev() {
            // Twice is no error.
            for _ in 0..2 {
                let done = runtime.block_on(self.provider.destroy(&self.context, entry));
                assert_eq!(done, Ok(()), "{entry:?}");
            }
        }
        assert_eq!(self.leftovers(), []);
        assert_eq!(
            runtime.block_on(self.provider.release(&self.context)),
            Ok(())
        );
    }

    pub fn adopt(&self, step: &str, made: &[LedgerEntry]) -> Result<(), String> {
        let made: Vec<LedgerEntry> = made
            .iter()
            .filter(|e| e.step.as_deref() == Some(step))
            .cloned()
            .collect();
        let step = self.step(step);
        self.site
            .runtime
            .block_on(self.provider.adopt(&self.context, step, &made))
    }
}

pub fn mode(path: &Path, bits: u32) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(bits)).unwrap();
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

pub fn tool(program: &str, args: &[&str]) {
    let out = Command::new(program)
        .args(args)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|e| panic!("{program} cannot be run ({e}): scripts/install-deps has it"));
    assert!(
        out.status.success(),
        "{program} {args:?}: {}{}",
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr)
    );
}

/// One of the server's programs, as an account that it accepts.
fn as_postgres(program: &str, args: &[&str]) {
    let mut found: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .expect("PostgreSQL is installed: scripts/install-deps")
        .flatten()
        .map(|entry| entry.path().join("bin").join(program))
        .filter(|path| path.exists())
        .collect();
    found.sort();
    let program = text(
        &found
            .pop()
            .expect("PostgreSQL's programs: scripts/install-deps"),
    );
    // SAFETY: it has no arguments and cannot fail.
    let is_root = unsafe { libc::geteuid() } == 0;
    let mut command = match is_root {
        true => {
            let mut command = Command::new("runuser");
            command.args(["-u", "nobody", "--", &program]);
            command
        }
        false => Command::new(&program),
    };
    // Not piped: the server keeps what it inherits.
    let status = command
        .args(args)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("runuser is installed");
    assert!(status.success(), "{program} {args:?}: {status}");
}
