//! The double in a thread of its own: HTTP, signatures, the script's troubles, the log.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;

use serde_json::Value;
use tokio::sync::oneshot;

use super::clock::Clock;
use super::http::{self, Response};
use super::log::Entry;
use super::model;
use super::script::{Script, Troubles};
use super::sigv4::Keys;
use super::world::{self, Answer, Call, World};
use super::{control, seed, turn};

/// The account, the access key and the secret that are known if nobody says others.
pub const ACCOUNT: &str = "111122223333";
pub const ACCESS_KEY: &str = "AKIADOUBLEFORTESTS00";
pub const SECRET: &str = "a-secret-for-tests-and-nothing-else";

/// How a double is to be.
#[derive(Clone, Debug)]
pub struct Options {
    /// Seconds of its clock per real second; 0: it stands, and is moved by hand.
    pub speed: f64,
    /// Its clock's beginning in seconds since 1970. None: now.
    pub start: Option<f64>,
    pub script: Script,
    /// What is there at the beginning, for `seed::apply`.
    pub seed: Option<Value>,
    /// A real S3 server: `http://127.0.0.1:8333`.
    pub s3: Option<String>,
    pub keys: Vec<Keys>,
    /// On 127.0.0.1. 0: any that is free.
    pub port: u16,
    /// Where botocore's models are.
    pub models: PathBuf,
    /// What answers decoded requests.
    pub handler: fn(&mut World, &Call) -> Answer,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            speed: 1.0,
            start: None,
            script: Script::default(),
            seed: None,
            s3: None,
            keys: vec![Keys {
                account: ACCOUNT.into(),
                access_key: ACCESS_KEY.into(),
                secret: SECRET.into(),
            }],
            port: 0,
            models: model::default_folder(),
            handler: world::handle,
        }
    }
}

/// A double that serves until it is dropped.
pub struct FakeAws {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl FakeAws {
    /// Panics if it cannot start: a test has nothing to go on with then.
    pub fn start(options: Options) -> FakeAws {
        FakeAws::try_start(options).unwrap_or_else(|why| panic!("the double of AWS: {why}"))
    }

    pub fn try_start(options: Options) -> Result<FakeAws, String> {
        // A missing model is told at once; and to read one takes long on a fast clock.
        for (service, _) in model::SERVICES {
            model::load(&options.models, service)?;
        }
        let listener = TcpListener::bind(("127.0.0.1", options.port))
            .map_err(|e| format!("cannot listen on port {}: {e}", options.port))?;
        let address = listener.local_addr().map_err(|e| e.to_string())?;
        listener.set_nonblocking(true).map_err(|e| e.to_string())?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| e.to_string())?;
        let shared = Arc::new(Shared::new(options)?);
        let (stop, stopped) = oneshot::channel();
        let served = shared.clone();
        let thread = std::thread::Builder::new()
            .name("fake-aws".into())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        () = accept(listener, served) => {}
                        _ = stopped => {}
                    }
                });
            })
            .map_err(|e| e.to_string())?;
        Ok(FakeAws {
            address,
            shared,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// `http://127.0.0.1:PORT`, for every service.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every request so far, in the order in which they came.
    pub fn log(&self) -> Vec<Entry> {
        lock(&self.shared.log).clone()
    }

    /// What was made and is still there.
    pub fn left(&self) -> Vec<String> {
        lock(&self.shared.world).left()
    }

    /// Mistakes in the double's own handlers: what they answered is not in the model, or they
    /// panicked. Whoever sent the request got a 500.
    pub fn mistakes(&self) -> Vec<String> {
        lock(&self.shared.mistakes).clone()
    }

    pub fn with_world<T>(&self, with: impl FnOnce(&mut World) -> T) -> T {
        with(&mut lock(&self.shared.world))
    }

    /// Replaces the script; troubles are counted anew.
    pub fn set_script(&self, script: Script) {
        self.shared.set_script(script);
    }

    pub fn clock(&self) -> &Clock {
        &self.shared.clock
    }
}

impl Drop for FakeAws {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // The thread may have ended by itself.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A handler that panicked leaves the rest as it was.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
}

pub struct Shared {
    pub world: Mutex<World>,
    pub clock: Clock,
    pub log: Mutex<Vec<Entry>>,
    pub mistakes: Mutex<Vec<String>>,
    pub troubles: Mutex<Troubles>,
    pub keys: Vec<Keys>,
    pub models: PathBuf,
    pub handler: fn(&mut World, &Call) -> Answer,
    /// How many came so far: request ids are made of it.
    pub requests: AtomicU64,
}

impl Shared {
    fn new(options: Options) -> Result<Shared, String> {
        let clock = Clock::new(options.start, options.speed);
        let mut world = World::default();
        world.script = options.script;
        world.s3 = options.s3;
        world.began = clock.start();
        if let Some(spec) = &options.seed {
            seed::apply(&mut world, spec).map_err(|why| format!("the seed: {why}"))?;
        }
        Ok(Shared {
            world: Mutex::new(world),
            clock,
            log: Mutex::default(),
            mistakes: Mutex::default(),
            troubles: Mutex::default(),
            keys: options.keys,
            models: options.models,
            handler: options.handler,
            requests: AtomicU64::new(0),
        })
    }

    pub fn set_script(&self, script: Script) {
        lock(&self.world).script = script;
        *lock(&self.troubles) = Troubles::default();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else {
        return;
    };
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            // Without it, small answers wait for the client's acknowledgement.
            let _ = stream.set_nodelay(true);
            tokio::spawn(converse(stream, shared.clone()));
        }
    }
}

/// One connection. An error of it is the client's to see.
async fn converse(stream: tokio::net::TcpStream, shared: Arc<Shared>) {
    let mut stream = tokio::io::BufStream::new(stream);
    loop {
        let request = match http::read(&mut stream).await {
            Ok(Some(request)) => request,
            Ok(None) => return,
            Err(e) => {
                let told = Response::new(400, "text/plain", e.to_string());
                let _ = http::write(&mut stream, &told, false).await;
                return;
            }
        };
        let response = match request.path.strip_prefix("/_fake/") {
            Some(what) => control::answer(&shared, what, &request),
            None => {
                let turn = turn::take(&shared, &request);
                shared.clock.sleep(turn.after).await;
                match turn.response {
                    Some(response) => response,
                    None => return,
                }
            }
        };
        if http::write(&mut stream, &response, request.keep)
            .await
            .is_err()
            || !request.keep
        {
            return;
        }
    }
}
