//! Messages: nothing in them that may be a key or a password, and nothing that drives a terminal. Every one passes
//! here, because a plan, an argument or a server's answer may be repeated in it.

use std::ffi::OsString;
use std::io::{self, Write};

use hybridge_redact as redact;

/// The flag whose value names what is written.
const OUTPUTS: [&str; 1] = ["--out"];

/// The refusal if an argument is a key or certificate as a whole.
pub fn refusal(arguments: impl Iterator<Item = OsString>) -> Option<String> {
    redact::refuse_key_text(arguments, &OUTPUTS)
}

/// A text as it may be shown.
pub fn shown(text: &str) -> String {
    redact::lines(&redact::clean(text))
}

/// Standard error, for progress and errors. A closed one must not end the run.
pub fn say(text: &str) {
    writeln!(io::stderr(), "{}", shown(text)).ok();
}
