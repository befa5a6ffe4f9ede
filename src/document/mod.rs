//! What people write, as checked types, with diagnostics that point at the line. Pure: files come
//! in as text.
//!
//! Generic over `R`, the resource documents that `host::resource` defines: this room does not
//! know what a sysctl is.

pub mod baseline;
mod demand;
pub mod inventory;
pub mod playbook;
mod scalar;

pub use demand::Demand;
pub use scalar::Words;
