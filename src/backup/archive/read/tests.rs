//! What a tar stream may be, and what it may not.
