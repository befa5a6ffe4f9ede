//! Backups with the programs that others use, and on disks that are full.

mod restore;
