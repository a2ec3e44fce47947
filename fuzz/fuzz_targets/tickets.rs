//! What a ticket says and a file of ticket keys are read or refused, never with a panic, and what was read
//! is written the same again.
#![no_main]

use hybridge::tls::tickets::fuzzing::read;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| read(data));
