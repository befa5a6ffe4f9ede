//! Drills in AWS, against the double.

mod faults;
mod guard;
mod moto;
mod plan;
mod site;
mod stage;
mod troubles;
mod whole;
