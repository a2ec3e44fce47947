//! Records behind a handshake are read without a panic, in bounded number without data, and a KeyUpdate
//! is one however it is cut. The first byte of the input says how; the rest is records.
#![no_main]

use hybridge::tls::fuzzing;
use libfuzzer_sys::fuzz_target;

/// Records without data in a row before a peer is refused.
const MAX_IDLE_RECORDS: usize = 32;

fuzz_target!(|data: &[u8]| {
    let Some((step, records)) = data.split_first() else {
        return;
    };
    let whole = fuzzing::records(records, usize::MAX);
    if whole.data == 0 {
        assert!(whole.updates + whole.alerts <= MAX_IDLE_RECORDS);
    }
    let cut = fuzzing::records(records, usize::from(*step).max(1));
    // Each piece counts as a record, and may end where a whole message may not: either can be refused by itself.
    if whole.refused.is_none() && cut.refused.is_none() {
        assert_eq!(cut, whole);
    }
});
