//! Archives that are whole, and every way in which they are not.
