//! Backups and drills through the program itself, with a real database, a real repository, a real
//! service, and everything that can go wrong on the way.

mod full_circle;
mod kills;
mod meets;
pub mod world;
