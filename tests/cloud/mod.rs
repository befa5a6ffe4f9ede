//! Drills in AWS, against the double.

mod faults;
mod stage;
mod troubles;
mod whole;
