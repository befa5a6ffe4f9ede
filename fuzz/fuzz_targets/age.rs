//! Whatever a store gives us as an age file: nothing panics, nothing hangs, and nothing opens that
//! was not sealed.
#![no_main]

use std::io::{Cursor, Read};
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use seawall::backup::age::{
    DecryptReader, Identities, IdentitySources, Recipients, generate_identity, inspect,
};

static IDENTITIES: LazyLock<Identities> = LazyLock::new(|| {
    let sources = IdentitySources {
        text: Some(generate_identity().0),
        ..IdentitySources::default()
    };
    Identities::gather(sources, &|_| None).expect("a new identity can be read")
});

fuzz_target!(|data: (u8, Vec<u8>)| {
    let (kind, bytes) = data;
    // Most inputs begin as a header does, so that what follows is reached.
    let beginning: &[u8] = match kind % 4 {
        0 => b"",
        1 => b"age-encryption.org/v1\n-> X25519 ",
        2 => b"age-encryption.org/v1\n-> scrypt ",
        _ => b"-----BEGIN AGE ENCRYPTED FILE-----\n",
    };
    let file = [beginning, &bytes].concat();
    let _ = inspect(&file);
    if let Ok(mut reader) = DecryptReader::new(Box::new(Cursor::new(file)), &IDENTITIES) {
        // The identity is a new one: nobody has sealed anything for it.
        assert!(reader.read(&mut [0; 64]).is_err());
    }
    if let Ok(line) = String::from_utf8(bytes) {
        // Plugins are started only when something is encrypted.
        let _ = Recipients::parse(&[line.clone()]);
        let _ = Recipients::parse(&[format!("ssh-rsa {line}")]);
    }
});
