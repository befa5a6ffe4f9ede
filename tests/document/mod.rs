//! Documents that are wrong, and what a person is told of them; documents that are right, and
//! what comes of them.

mod fixtures;
mod loading;
mod patch;
mod recovery;
mod resource;
