//! The weekly patch run: packages of the operating system and images of containers, in waves, with
//! a way back.
//!
//! `observe` writes the program that looks at a host and reads what it says; `decide`, `gate`,
//! `standing`, `advisories`, `support` and `schedule` are pure; `job` writes what is done on a host
//! (detached there, so that a lost connection never ends the package manager); `containers` does
//! all of that for images; `run` carries it out.
//!
//! **Resume.** Decisions lie in the journal (`Planned`), progress lies on the host: a job is begun
//! once, whoever asks. So a run that is taken up walks the same way again, and each job that has
//! begun or ended is found rather than made.

pub mod advisories;
pub mod containers;
pub mod decide;
pub mod gate;
pub mod job;
pub mod observe;
pub mod run;
pub mod schedule;
pub mod standing;
pub mod support;
