/* A library that knows its version. */
const char *sea_version(void) { return "libsea " SEA_VERSION "\n"; }
