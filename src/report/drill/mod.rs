//! Reports of drills: the fold, and its readers.
