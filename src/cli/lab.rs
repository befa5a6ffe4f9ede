//! `seawall lab`: throwaway hosts to rehearse on.

use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use clap::{Args as ClapArgs, Subcommand};

use crate::lab::{HostStatus, Lab, Options};

/// Throwaway Debian 12 hosts on this machine (needs root).
#[derive(Debug, ClapArgs)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Raise a lab of N hosts, and print its inventory's path.
    Up {
        /// How many hosts.
        #[arg(value_name = "N")]
        count: usize,
        #[command(flatten)]
        lab: Which,
        /// What the hosts are called, with a number behind it [default: the lab's name].
        #[arg(long)]
        prefix: Option<String>,
        /// Keep what the hosts change on disk rather than in memory.
        #[arg(long)]
        disk: bool,
        /// A Debian package to put into the base (repeatable; each set makes a base of its own).
        #[arg(long = "package", value_name = "PACKAGE")]
        packages: Vec<String>,
        /// Where bases are kept.
        #[arg(long, value_name = "DIR", env = "SEAWALL_LAB_CACHE")]
        cache: Option<PathBuf>,
    },
    /// Show each host of one lab, or of all.
    Status {
        /// The lab [default: all].
        #[arg(long)]
        name: Option<String>,
    },
    /// Print the lab's inventory.
    Inventory {
        #[command(flatten)]
        lab: Which,
        /// Print the path of the inventory file instead.
        #[arg(long)]
        path: bool,
    },
    /// Run a program in a host as root, from outside: also when nobody can log in any more.
    Exec {
        #[command(flatten)]
        lab: Which,
        host: String,
        #[arg(last = true, required = true, value_name = "COMMAND")]
        command: Vec<String>,
    },
    /// End a host at once, as a power cut does.
    Kill {
        #[command(flatten)]
        lab: Which,
        host: String,
    },
    /// Stop a host where it is: its connections stay open and nothing answers.
    Pause {
        #[command(flatten)]
        lab: Which,
        host: String,
    },
    /// Let a paused host go on.
    Resume {
        #[command(flatten)]
        lab: Which,
        host: String,
    },
    /// Take a lab down. Nothing of it is left, whatever state it was in.
    Down {
        #[command(flatten)]
        lab: Which,
        /// Take all labs down.
        #[arg(long, conflicts_with = "name")]
        all: bool,
    },
}

#[derive(Debug, ClapArgs)]
struct Which {
    /// The lab's name.
    #[arg(long, default_value = "lab")]
    name: String,
}

/// Set by Ctrl-C while a lab is being raised.
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Does what was asked; gives the exit code.
pub fn run(args: Args) -> anyhow::Result<u8> {
    match args.verb {
        Verb::Up {
            count,
            lab,
            prefix,
            disk,
            packages,
            cache,
        } => up(
            count,
            &Options {
                name: lab.name,
                prefix,
                cache,
                disk,
                packages,
                say: &|what| eprintln!("lab: {what}"),
                interrupt: Some(&INTERRUPTED),
            },
        ),
        Verb::Status { name } => status(name),
        Verb::Inventory { lab, path } => inventory(&lab.name, path),
        Verb::Exec { lab, host, command } => exec(&lab.name, &host, &command),
        Verb::Kill { lab, host } => done(Lab::open(&lab.name)?.kill(&host)?),
        Verb::Pause { lab, host } => done(Lab::open(&lab.name)?.pause(&host)?),
        Verb::Resume { lab, host } => done(Lab::open(&lab.name)?.resume(&host)?),
        Verb::Down { lab, all } => down(&lab.name, all),
    }
}

fn done((): ()) -> anyhow::Result<u8> {
    Ok(0)
}

fn up(count: usize, options: &Options) -> anyhow::Result<u8> {
    extern "C" fn interrupt(_: libc::c_int) {
        INTERRUPTED.store(true, Ordering::Relaxed);
    }
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        // SAFETY: the handler only stores to an atomic.
        unsafe {
            libc::signal(
                signal,
                interrupt as extern "C" fn(libc::c_int) as libc::sighandler_t,
            )
        };
    }
    let start = std::time::Instant::now();
    let lab = Lab::up(count, options)?;
    eprintln!(
        "lab: {count} hosts answer after {:.1} s; log in with: ssh -i {} -o UserKnownHostsFile={} admin@{}",
        start.elapsed().as_secs_f64(),
        lab.identity().display(),
        lab.known_hosts().display(),
        lab.hosts().first().map_or("", |h| h.address.as_str()),
    );
    say(&format!("{}\n", lab.inventory().display()))?;
    Ok(0)
}

fn status(name: Option<String>) -> anyhow::Result<u8> {
    let names = match name {
        Some(name) => vec![name],
        None => Lab::names(),
    };
    if names.is_empty() {
        say("no lab is up\n")?;
    }
    for name in names {
        let lab = Lab::open(&name)?;
        let mut text = format!("lab {name}\n");
        text.push_str(&format!(
            "  {:<20} {:<15} {:>8} {:>9} {:>8}  {}\n",
            "host", "address", "pid", "uptime", "memory", "state"
        ));
        for host in lab.status() {
            text.push_str(&line(&host));
        }
        say(&text)?;
    }
    Ok(0)
}

fn line(host: &HostStatus) -> String {
    let state = match (host.process, host.answers) {
        (None, _) => "not running",
        (Some(_), true) => "answers",
        (Some(_), false) => "does not answer",
    };
    let process = host.process.map_or("-".to_owned(), |p| p.to_string());
    let uptime = match host.uptime {
        Some(uptime) => format!("{:.0} s", uptime.as_secs_f64()),
        None => "-".to_owned(),
    };
    format!(
        "  {:<20} {:<15} {:>8} {:>9} {:>5} MB  {}\n",
        host.name,
        host.address,
        process,
        uptime,
        host.memory / 1_000_000,
        state
    )
}

fn inventory(name: &str, path: bool) -> anyhow::Result<u8> {
    let file = Lab::open(name)?.inventory();
    if path {
        say(&format!("{}\n", file.display()))?;
    } else {
        let text = std::fs::read_to_string(&file)
            .with_context(|| format!("while reading {}", file.display()))?;
        say(&text)?;
    }
    Ok(0)
}

/// The exit code is the program's own.
fn exec(name: &str, host: &str, command: &[String]) -> anyhow::Result<u8> {
    let status = Lab::open(name)?
        .command(host, command)?
        .status()
        .context("while running a program in a lab host")?;
    let code = status.code().unwrap_or(255);
    Ok(u8::try_from(code).unwrap_or(255))
}

fn down(name: &str, all: bool) -> anyhow::Result<u8> {
    let names = if all {
        Lab::names()
    } else {
        vec![name.to_owned()]
    };
    for name in names {
        Lab::down(&name)?;
    }
    Ok(0)
}

fn say(text: &str) -> anyhow::Result<()> {
    std::io::stdout()
        .write_all(text.as_bytes())
        .context("while writing to standard output")
}
