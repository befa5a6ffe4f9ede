//! Drills through the program itself, and the local provider with real parts.

mod engine;
mod local;
mod local_lies;
mod local_site;
