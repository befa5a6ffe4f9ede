//! The program itself, against real Debian hosts with real sshd and systemd, in the lab.
//! Needs root and what `scripts/install-deps` installs; where that is missing, these fail and say so.

mod confirm;
mod full_circle;
mod rules;
pub mod site;
mod trouble;
mod ways;
