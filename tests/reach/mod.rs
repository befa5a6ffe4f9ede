//! The `reach` room against the real OpenSSH, and against servers that wish us ill.

mod feeding;
mod hostile;
mod known_hosts;
mod logins;
mod openssh;
mod programs;
pub mod support;
