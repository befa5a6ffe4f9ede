//! Where plaintext comes from: directories, pg_dump, git, any program.
