//! The age format, against what others have published and what others run.

mod interop;
mod plugin;
mod testkit;
