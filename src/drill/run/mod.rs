//! The engine: run, resume, sweep. It knows no kind of target.

mod live;

pub use live::{Live, Reading};
