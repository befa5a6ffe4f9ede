//! Tells people by webhook that something failed, was missed, or went well. The URL is a secret:
//! it comes from the environment and reaches no log.
