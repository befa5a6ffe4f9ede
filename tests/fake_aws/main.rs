//! The double of AWS as a program, for tests and demonstrations that run other programs against it.
//! It is built with the tests, and never installed.

#[path = "mod.rs"]
mod fake_aws;

use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use fake_aws::server::{ACCESS_KEY, ACCOUNT, FakeAws, Options, SECRET};
use fake_aws::sigv4::Keys;
use fake_aws::{model, seed};

/// A double of AWS Backup and of what a drill asks of other services. For tests.
///
/// Serves until its standard input ends.
#[derive(Parser)]
#[command(name = "fake-aws")]
struct Flags {
    /// On 127.0.0.1; 0: any that is free
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Seconds of its clock per real second
    #[arg(long, default_value_t = 1.0)]
    speed: f64,
    /// When its clock begins: 2026-01-01T00:00:00Z
    #[arg(long, value_name = "RFC3339")]
    start: Option<jiff::Timestamp>,
    /// What goes wrong (JSON)
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
    /// What is there at the beginning (JSON)
    #[arg(long, value_name = "FILE")]
    seed: Option<PathBuf>,
    /// Begins with the example's account, vaults and recovery points
    #[arg(long, conflicts_with = "seed")]
    example: bool,
    /// botocore's data folder
    #[arg(long, value_name = "DIR")]
    models: Option<PathBuf>,
    /// A real S3 server, for restored buckets
    #[arg(long, value_name = "URL")]
    s3: Option<String>,
    /// Keys that are known, in place of those of the tests; may be repeated
    #[arg(long, value_name = "ID:KEY:SECRET", value_parser = keys)]
    account: Vec<Keys>,
}

fn keys(text: &str) -> Result<Keys, String> {
    let mut parts = text.splitn(3, ':').map(str::to_owned);
    match (parts.next(), parts.next(), parts.next()) {
        (Some(account), Some(access_key), Some(secret)) => Ok(Keys {
            account,
            access_key,
            secret,
        }),
        _ => Err(format!(
            "not ID:KEY:SECRET, as {ACCOUNT}:{ACCESS_KEY}:{SECRET} is"
        )),
    }
}

fn read<T: serde::de::DeserializeOwned>(path: &PathBuf) -> Result<T, String> {
    let text = std::fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
    serde_json::from_slice(&text).map_err(|e| format!("{}: {e}", path.display()))
}

fn run(flags: Flags) -> Result<(), String> {
    let mut options = Options {
        port: flags.port,
        speed: flags.speed,
        start: flags.start.map(|at| at.as_millisecond() as f64 / 1000.0),
        s3: flags.s3,
        models: flags.models.unwrap_or_else(model::default_folder),
        ..Options::default()
    };
    if let Some(path) = &flags.script {
        options.script = read(path)?;
    }
    if let Some(path) = &flags.seed {
        options.seed = Some(read(path)?);
    }
    if flags.example {
        options.seed = Some(seed::example());
    }
    if !flags.account.is_empty() {
        options.keys = flags.account;
    }
    let double = FakeAws::try_start(options)?;
    println!("listening on {}", double.url());
    let mut input = std::io::stdin().lock();
    let mut ignored = [0; 1024];
    while input.read(&mut ignored).map_err(|e| e.to_string())? > 0 {}
    Ok(())
}

fn main() -> ExitCode {
    match run(Flags::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("fake-aws: {why}");
            ExitCode::FAILURE
        }
    }
}
