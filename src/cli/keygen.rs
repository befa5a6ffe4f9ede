//! `seawall keygen`

use std::fmt::Write;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use secrecy::ExposeSecret;
use zeroize::Zeroizing;

use crate::backup::age::generate_identity;
use crate::sign::{NAMESPACE, SigningKey};

use super::say;
use super::signing::{key_path, make_folder, public_line};

/// Make the key that signs this machine's runs and backups, and say how others check them; with
/// --age, the key that opens backups
#[derive(clap::Args)]
pub struct Args {
    /// Where the private key goes; its public half goes to FILE.pub (default: signing-key in the
    /// state folder, or where $SEAWALL_SIGNING_KEY says)
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// What the public key's line ends with (default: who makes it, and on which machine)
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
    /// Instead: the key that opens backups, an age identity. It belongs in a safe, not on this machine;
    /// its public half, a recipient, goes into the policy
    #[arg(long, requires = "out", conflicts_with_all = ["comment", "show"])]
    age: bool,
    /// Make none: show the public half of the key that is there, and how others check with it
    #[arg(long, conflicts_with = "comment")]
    show: bool,
}

pub fn run(args: Args) -> anyhow::Result<u8> {
    if let (true, Some(path)) = (args.age, &args.out) {
        return recovery_key(path);
    }
    let default = key_path()?.0;
    let path = args.out.unwrap_or_else(|| default.clone());
    if args.show {
        let line = public_line(&path)?;
        say(&instructions(&line))?;
        return Ok(0);
    }
    if path == default {
        make_folder(&path)?;
    }
    let comment = (args.comment).unwrap_or_else(|| format!("seawall {}", super::treat::who()));
    let key = SigningKey::generate(&comment)?;
    key.write(&path)?;
    let mut out = String::new();
    writeln!(out, "private  {}", path.display())?;
    writeln!(out, "public   {}.pub", path.display())?;
    writeln!(out, "print    {}\n", key.fingerprint())?;
    out.push_str(&instructions(&key.public_line()));
    if path != default {
        write!(out, "\n{}", used_by(&path))?;
    }
    say(&out)?;
    Ok(0)
}

/// Makes the key that opens backups: a file as age-keygen makes it, never over another.
fn recovery_key(path: &Path) -> anyhow::Result<u8> {
    let (identity, recipient) = generate_identity();
    let doing = || format!("writing the recovery key to {}", path.display());
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .with_context(doing)?;
    let text = Zeroizing::new(format!(
        "# public key: {recipient}\n{}\n",
        identity.expose_secret()
    ));
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .with_context(doing)?;
    say(&format!(
        "private  {}\npublic   {recipient}\n\nThe public half goes into the policy's `recipients`; \
         the private one into a safe.\n",
        path.display()
    ))?;
    Ok(0)
}

/// How anyone checks a run with plain OpenSSH.
fn instructions(line: &str) -> String {
    let bare: Vec<&str> = line.split(' ').take(2).collect();
    format!(
        "The public key; give it to those who are to check:\n\n  {line}\n\n\
         They check a run's folder with `seawall verify FOLDER --key FILE.pub`, or with OpenSSH \
         alone:\n\n  \
         echo '{NAMESPACE} {}' >allowed_signers\n  \
         ssh-keygen -Y verify -f allowed_signers -I {NAMESPACE} -n {NAMESPACE} \
         -s manifest.json.sig <manifest.json\n",
        bare.join(" ")
    )
}

fn used_by(path: &Path) -> String {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    format!(
        "Runs are signed with it where SEAWALL_SIGNING_KEY is {}\n",
        whole.display()
    )
}
