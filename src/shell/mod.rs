//! POSIX sh programs: how text enters one ([`quote`]), what each begins with ([`PRELUDE`]), and
//! how what it says comes back ([`FrameReader`]). Pure: nothing here runs anything.

mod clean;
mod frame;
mod prelude;
mod quote;

pub use clean::{clean, is_dangerous};
pub use frame::{Frame, FrameError, FrameReader, Limits};
pub use prelude::{Nonce, assemble};
pub use quote::{NulInText, quote, quote_all};
