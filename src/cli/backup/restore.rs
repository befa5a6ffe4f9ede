//! `seawall backup restore POLICY SOURCE --into DIR`, and of a file that others made.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context;
use indicatif::HumanBytes;
use jiff::Timestamp;

use crate::backup::Progress;
use crate::backup::age::Identities;
use crate::backup::catalog::{Backup, backups};
use crate::backup::restore::{Limits, Restored, directory, stream};
use crate::backup::store::{self, Blob};
use crate::document::policy::{ByteSize, SourceDocument};
use crate::host::run::code;
use crate::shell::clean;

use super::ground::Ground;
use super::keys::Keys;
use super::work::{Shown, Work, carry_out};

/// Restore a backup: files into a new directory, a stream (a dump, a bundle, a program's output)
/// into a new file
///
/// Nothing is there under the name that was given before the last byte was authenticated. Exit codes:
/// 0 it is restored; 2 it is not, and nothing is left.
#[derive(clap::Args)]
#[command(
    override_usage = "seawall backup restore [OPTIONS] <POLICY> <SOURCE> --into <DIR>
       seawall backup restore [OPTIONS] <POLICY> <SOURCE> --output <FILE|->
       seawall backup restore [OPTIONS] --file <ARCHIVE> --into <DIR>"
)]
pub struct Args {
    /// The backup policy
    #[arg(required_unless_present = "file", requires = "source")]
    policy: Option<PathBuf>,
    /// The source
    source: Option<String>,
    /// Instead: this archive, whoever made it
    #[arg(long, value_name = "ARCHIVE", conflicts_with_all = ["policy", "source", "name", "before", "store"])]
    file: Option<PathBuf>,
    /// Where the files go: a directory that is not there yet
    #[arg(
        long,
        value_name = "DIR",
        conflicts_with = "output",
        required_unless_present = "output"
    )]
    into: Option<PathBuf>,
    /// Where the stream goes: a file that is not there yet, or - for standard output (believe
    /// nothing of it before this has ended well)
    #[arg(long, value_name = "FILE|-")]
    output: Option<PathBuf>,
    /// This backup, as `list` names it, also where nobody vouches for it. Default: the newest that
    /// is vouched for
    #[arg(long, value_name = "NAME", conflicts_with = "before")]
    name: Option<String>,
    /// The newest whose data is of this time (RFC 3339) or before
    #[arg(long, value_name = "TIME")]
    before: Option<Timestamp>,
    /// From this store. Default: the first of the source's that holds one
    #[arg(long, value_name = "NAME")]
    store: Option<String>,
    #[command(flatten)]
    keys: Keys,
    /// Make symbolic links that lead out of the directory, too
    #[arg(long)]
    outward_links: bool,
    /// Refuse an archive with more plaintext than this, e.g. 500G
    #[arg(long, value_name = "SIZE")]
    most: Option<ByteSize>,
    /// No progress
    #[arg(short, long)]
    quiet: bool,
}

/// What is to be restored.
struct Chosen {
    blob: Box<dyn Blob>,
    what: String,
    /// Of the ciphertext, where someone vouches for it.
    sha256: Option<String>,
    /// The source that it must be of.
    source: Option<String>,
}

pub fn run(args: Args) -> anyhow::Result<u8> {
    let (chosen, passphrase) = match (&args.file, &args.policy, &args.source) {
        (Some(file), _, _) => (
            Chosen {
                blob: store::file(file)?,
                what: clean(&file.display().to_string(), 200),
                sha256: None,
                source: None,
            },
            None,
        ),
        (None, Some(policy), Some(source)) => {
            let ground = Ground::read(policy)?;
            let passphrase = ground.policy().passphrase_env.clone();
            (choose(&args, &ground, source)?, passphrase)
        }
        _ => anyhow::bail!("which backup? Give a policy and a source, or --file ARCHIVE"),
    };
    let identities = args.keys.all(passphrase.as_deref())?;
    let limits = Limits {
        bytes: args.most.map_or(Limits::default().bytes, |most| most.0),
        outward_links: args.outward_links,
        sha256: chosen.sha256.clone(),
        ..Limits::default()
    };
    let begun = Instant::now();
    let work = Work::default();
    let shown = if args.quiet {
        Shown::Nothing
    } else {
        Shown::Live
    };
    let (what, source) = (chosen.what.clone(), chosen.source.clone());
    let (done, signal) = carry_out(&work, shown, || {
        let progress = work.next(&what);
        progress
            .total
            .store(chosen.blob.size(), std::sync::atomic::Ordering::Relaxed);
        restore(&args, chosen.blob, &identities, &limits, &progress)
    })?;
    if let (Some(signal), Err(_)) = (signal, &done) {
        eprintln!("seawall: {signal}; nothing was restored, and nothing is left");
        return Ok(code::NOT_RUN);
    }
    let restored = done.with_context(|| format!("restoring {what}"))?;
    if let (Some(header), Some(source)) = (&restored.header, &source)
        && header.source != *source
    {
        anyhow::bail!(
            "what was restored is a backup of {}, and not of {source}: it stood under another's name",
            clean(&header.source, 80)
        );
    }
    if !args.quiet {
        let seconds = begun.elapsed().as_secs_f64().max(0.001);
        eprintln!(
            "restored {what}: {} files, {}, {seconds:.2} s, {}/s{}",
            restored.files,
            HumanBytes(restored.bytes),
            HumanBytes((restored.bytes as f64 / seconds) as u64),
            match &restored.header {
                Some(header) => format!(", data of {}", clean(&header.data_time, 40)),
                None => String::new(),
            }
        );
    }
    Ok(code::WELL)
}

fn choose(args: &Args, ground: &Ground, source: &str) -> anyhow::Result<Chosen> {
    let trusted = ground.trusted()?;
    let names = [source.to_owned()];
    let sources = ground.sources(&names)?;
    let source: &SourceDocument = sources.first().context("there is no such source")?;
    let mut not = Vec::new();
    for (label, document) in ground.stores(source, args.store.as_deref())? {
        let found = ground.open(document).and_then(|store| {
            let all = backups(&*store, &source.source, &trusted)?;
            Ok((store, all))
        });
        let (store, all) = match found {
            Ok(found) => found,
            Err(error) => {
                not.push(format!("{label}: {}", super::super::told(&error)));
                continue;
            }
        };
        let Some(backup) = pick(&all, args.name.as_deref(), args.before) else {
            not.push(format!("{label}: {}", none(&all)));
            continue;
        };
        for why in &not {
            eprintln!("seawall: passed over {}", clean(why, 500));
        }
        let blob = store.open(&backup.name)?;
        if let Some(why) = backup.vouched.why_not() {
            eprintln!(
                "seawall: WARNING: nobody vouches for {}: {}",
                backup.name,
                clean(why, 300)
            );
        }
        return Ok(Chosen {
            blob,
            what: format!("{} from {label}", backup.name),
            sha256: backup.vouched.signed().map(|s| s.sha256.clone()),
            source: Some(source.source.clone()),
        });
    }
    anyhow::bail!("there is nothing to restore: {}", not.join("; "))
}

/// By its name, or the newest that counts.
fn pick<'a>(
    all: &'a [Backup],
    name: Option<&str>,
    before: Option<Timestamp>,
) -> Option<&'a Backup> {
    match name {
        Some(name) => all.iter().find(|backup| backup.name == name),
        None => all.iter().rev().find(|backup| {
            backup.vouched.signed().is_some()
                && before.is_none_or(|before| backup.data_time.is_some_and(|time| time <= before))
        }),
    }
}

fn none(all: &[Backup]) -> String {
    let unsigned = all.iter().filter(|b| b.vouched.signed().is_none()).count();
    match (all.len(), unsigned) {
        (0, _) => "it holds none".to_owned(),
        (n, unsigned) if unsigned == n => format!(
            "it holds {n}, and nobody vouches for one; --name takes one all the same (`seawall \
             backup list` has the names)"
        ),
        (n, _) => format!("it holds {n}, and none is what was asked for"),
    }
}

fn restore(
    args: &Args,
    blob: Box<dyn Blob>,
    identities: &Identities,
    limits: &Limits,
    progress: &Progress,
) -> anyhow::Result<Restored> {
    match (&args.into, &args.output) {
        (Some(into), _) => Ok(directory(blob, identities, into, limits, progress)?),
        (None, Some(output)) if output.as_os_str() == "-" => {
            let mut out = std::io::stdout();
            Ok(stream(blob, identities, &mut out, limits, progress)?)
        }
        (None, Some(output)) => to_file(output, |out| {
            Ok(stream(blob, identities, out, limits, progress)?)
        }),
        (None, None) => anyhow::bail!("where to? Give --into DIR or --output FILE"),
    }
}

/// Writes a file under a hidden name of its own, which becomes the real one only if all went well.
fn to_file(
    output: &Path,
    write: impl FnOnce(&mut (dyn Write + Send)) -> anyhow::Result<Restored>,
) -> anyhow::Result<Restored> {
    let shown = clean(&output.display().to_string(), 200);
    let folder = match output.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    anyhow::ensure!(
        output.symlink_metadata().is_err(),
        "{shown} is there already, and nothing is ever replaced"
    );
    let file = tempfile::Builder::new()
        .prefix(".seawall-")
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .tempfile_in(folder)
        .with_context(|| format!("writing beside {shown}"))?;
    let mut out = std::io::BufWriter::with_capacity(1 << 20, file);
    let restored = write(&mut out)?;
    let file = out
        .into_inner()
        .map_err(|e| anyhow::anyhow!("writing {shown}: {}", e.error()))?;
    file.as_file()
        .sync_all()
        .with_context(|| format!("writing {shown}"))?;
    file.persist_noclobber(output)
        .map_err(|e| anyhow::anyhow!("{shown}: {}", e.error))?;
    let synced = std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_DIRECTORY)
        .open(folder)
        .and_then(|folder| folder.sync_all());
    synced.with_context(|| format!("writing {shown}"))?;
    Ok(restored)
}
