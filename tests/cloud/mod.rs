//! Drills in AWS, against the double.

mod faults;
mod real_parts;
mod real_site;
mod stage;
mod whole;
