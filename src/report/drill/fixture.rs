//! Drills as they happen, for the tests of every reader.
