//! What each program begins and ends with.

/// The word that makes this program's frames its own: 128 random bits in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nonce(String);

impl Nonce {
    /// Draws a new one.
    pub fn draw() -> Nonce {
        Nonce(uuid::Uuid::new_v4().simple().to_string())
    }

    /// For tests that compare whole programs.
    pub fn fixed(text: &str) -> Option<Nonce> {
        let ok = text.len() >= 8 && text.bytes().all(|b| b.is_ascii_hexdigit());
        ok.then(|| Nonce(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The functions that every program has.
///
/// * `frame KIND NAME STATUS DATA` says one frame. Under `LC_ALL=C`, `${#4}` counts bytes.
/// * `have PROGRAM` asks whether a program is there, without a fork.
/// * `slurp FILE` reads a small text file into `$REPLY` without a fork (no trailing newline).
const PRELUDE: &str = r#"set -u
umask 077
LC_ALL=C; export LC_ALL
unset LANG LANGUAGE CDPATH ENV BASH_ENV GREP_OPTIONS POSIXLY_CORRECT 2>/dev/null
IFS=' 	
'
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin; export PATH
frame() { printf '\n@%s %s %s %s %s\n%s\n' "$NONCE" "$1" "$2" "$3" "${#4}" "$4"; }
have() { command -v "$1" >/dev/null 2>&1; }
slurp() {
  REPLY=
  [ -r "$1" ] || return 1
  while IFS= read -r _l || [ -n "$_l" ]; do REPLY="$REPLY${REPLY:+
}$_l"; done 2>/dev/null <"$1"
}
"#;

/// Makes a whole program of function definitions and the calls of `main`.
///
/// Nothing runs before the last line has arrived, so a stream that is cut runs nothing; and
/// nothing in the program can read the program's own text as its input. `functions` must hold
/// definitions only.
pub fn assemble(nonce: &Nonce, functions: &str, calls: &str) -> String {
    format!(
        "{PRELUDE}NONCE={}\n{functions}\nmain() {{\n{calls}\n:\n}}\nmain </dev/null\n",
        nonce.as_str()
    )
}
