//! What a backup is called: `SOURCE/20261120T023000.123Z-k3f9.tar.zst.age`, so that names sort by
//! the data's time; `….json` and `….json.sig` beside it are the sidecar and its signature.
