//! `seawall completions SHELL`

use super::say;

/// Print the completion script for a shell.
#[derive(clap::Args)]
pub struct Args {
    shell: clap_complete::Shell,
}

pub fn run(args: Args) -> anyhow::Result<u8> {
    let mut out = Vec::new();
    clap_complete::generate(args.shell, &mut super::command(), "seawall", &mut out);
    say(&String::from_utf8_lossy(&out))?;
    Ok(0)
}
