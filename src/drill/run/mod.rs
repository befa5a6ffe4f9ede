//! The engine: run, resume, sweep. It knows no kind of target.
