//! What an agent sends means the same however the stream is cut, and never more than was sent.
#![no_main]

use hybridge::spiffe::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((step, wire)) = data.split_first() else {
        return;
    };
    let whole = fuzzing::answers(wire, wire.len());
    let pieces = fuzzing::answers(wire, usize::from(*step));
    assert_eq!(whole, pieces);
});
