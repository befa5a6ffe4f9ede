//! Drills through the program itself.

mod engine;
