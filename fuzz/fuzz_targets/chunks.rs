//! A chunked body means the same however the network cuts it into pieces. The first byte of the input
//! says how; the rest is the body.
#![no_main]

use hybridge::proxy::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((step, wire)) = data.split_first() else {
        return;
    };
    let whole = fuzzing::decode_chunked([wire]);
    let pieces = fuzzing::decode_chunked(wire.chunks(usize::from(*step).max(1)));
    assert_eq!(whole, pieces);
});
