//! Words, lengths and figures that the readers share.
