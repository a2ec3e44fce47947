//! A PROXY protocol header is read the same whether it arrives in pieces or at once, and never beyond
//! its end or its bound.
#![no_main]

use hybridge::proxy_protocol::read;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let whole = read(data);
    let first = (1..=data.len()).find_map(|end| match read(&data[..end]) {
        Ok(None) => None,
        decided => Some((end, decided)),
    });
    match (whole, first) {
        (Ok(Some(header)), Some((end, first))) => {
            assert_eq!(first, Ok(Some(header)));
            assert_eq!(header.length, end);
            assert!(header.length <= 16 + 4096);
        }
        (Err(error), Some((_, first))) => assert_eq!(first, Err(error)),
        (whole, first) => assert_eq!((whole, first), (Ok(None), None)),
    }
});
