//! What people write, as checked types, with diagnostics that point at the line. Pure: files come
//! in as text through [`Files`].
//!
//! Generic over `R`, the resource documents that `host::resource` defines: this room does not
//! know what a sysctl is.

pub mod baseline;
mod checks;
mod demand;
pub mod diagnostic;
mod documents;
pub mod drill;
mod files;
pub mod inventory;
mod load;
pub mod patch;
mod patching;
pub mod playbook;
pub mod policy;
mod recovery;
mod scalar;
mod schema;
mod spans;
mod structure;
pub mod variables;
mod yaml;

pub use demand::Demand;
pub use diagnostic::{Diagnostic, Grade, Place, Source, render_all};
pub use files::{Disk, Files};
pub use load::{
    Loaded, LoadedBaseline, LoadedRule, Loading, ResourceDocument, ResourcePlace, load_baseline,
    load_playbook,
};
pub use patching::{LoadedPatch, load_patch};
pub use recovery::{LoadedDrill, LoadedPolicy, load_drill, load_policy};
pub use scalar::Words;
pub use schema::{
    schema_for_baseline, schema_for_drill, schema_for_inventory, schema_for_patch,
    schema_for_playbook, schema_for_policy,
};
pub use spans::{SpanIndex, Spans};
