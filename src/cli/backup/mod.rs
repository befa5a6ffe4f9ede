//! `seawall backup create | list | verify | restore`

mod create;
mod ground;
mod keys;
mod list;
mod look;
mod restore;
mod verify;
mod work;

use clap::Subcommand;

/// Make, list, verify and restore encrypted backups, as a policy says
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    Create(create::Args),
    List(list::Args),
    Verify(verify::Args),
    Restore(restore::Args),
}

pub fn run(args: Args) -> anyhow::Result<u8> {
    match args.verb {
        Verb::Create(args) => create::run(args),
        Verb::List(args) => list::run(args),
        Verb::Verify(args) => verify::run(args),
        Verb::Restore(args) => restore::run(args),
    }
}
