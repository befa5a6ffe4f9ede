//! Hosts that share one plan.
