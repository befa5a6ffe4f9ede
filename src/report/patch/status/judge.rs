//! How a host is judged.
