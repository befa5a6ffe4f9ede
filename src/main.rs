//! Exit codes, nothing else.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(seawall::cli::main())
}
