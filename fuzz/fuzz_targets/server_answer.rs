//! What a scanned server sends: the answer is the same however the bytes arrive, and no bytes of a
//! certificate end the scan.
#![no_main]

use hybridge_scan::answer::{Answer, Reader};
use hybridge_scan::certificate;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let whole = Reader::default().take(data);
    let mut reader = Reader::default();
    let pieces = data.iter().find_map(|byte| reader.take(&[*byte]));
    // A flood is told only when nothing else is.
    if whole != Some(Answer::Flood) {
        assert_eq!(pieces, whole);
    }
    let _ = certificate::describe(data);
});
