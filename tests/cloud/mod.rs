//! Drills in AWS, against the double.

mod faults;
mod guard;
mod moto;
mod plan;
mod real_parts;
mod real_site;
mod site;
mod stage;
mod troubles;
mod whole;
