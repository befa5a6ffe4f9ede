//! The local provider: directories, throwaway PostgreSQL servers and services on this machine.
