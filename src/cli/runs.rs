//! `seawall runs`

use std::fmt::Write;

use crate::report;

use super::say;
use super::treat::runs;

/// List the runs that are kept, the latest first
#[derive(clap::Args)]
pub struct Args {
    /// How many
    #[arg(short = 'n', long, default_value_t = 20)]
    count: usize,
}

pub fn run(args: Args) -> anyhow::Result<u8> {
    let mut out = String::new();
    for folder in runs()?.list()?.into_iter().take(args.count) {
        match report::load(&folder.path) {
            Ok(view) => {
                let end = match (&view.ended, folder.is_sealed()) {
                    (Some(end), _) => format!("exit {}", end.code),
                    (None, _) => "did not come to its end".to_owned(),
                };
                writeln!(
                    out,
                    "{}  {:8}  {:3} hosts  {end}  {}",
                    folder.id,
                    view.verb,
                    view.hosts.len(),
                    crate::shell::clean(&view.playbook, 80)
                )?;
            }
            Err(error) => writeln!(out, "{}  cannot be read: {error}", folder.id)?,
        }
    }
    if out.is_empty() {
        let state = crate::journal::state_dir(|name| std::env::var_os(name))?;
        writeln!(out, "no run is kept yet in {}", state.display())?;
    }
    say(&out)?;
    Ok(0)
}
