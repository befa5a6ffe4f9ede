//! Patch runs of the program itself, on real Debian hosts with real apt, dpkg and systemd, from an
//! archive of our own. Needs root and what `scripts/install-deps` installs; where that is missing,
//! these fail and say so.

mod archive;
mod cuts;
mod kills;
mod plan;
mod trouble;
mod upgrades;
mod yard;
