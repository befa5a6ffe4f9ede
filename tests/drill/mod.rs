//! Drills through the program itself.

mod engine;
//! Drills: the engine and the local provider.

mod local;
mod local_lies;
mod local_site;
