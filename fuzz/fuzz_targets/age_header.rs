//! The header of a sealed file: read the same however the bytes arrive, and, if it is read, no identity
//! makes a panic of it and no MAC holds that nobody made.
#![no_main]

use std::io::{BufReader, Read};

use hybridge_seal::age::header::Header;
use hybridge_seal::age::keys::Identity;
use libfuzzer_sys::fuzz_target;

const IDENTITY: &str =
    "AGE-SECRET-KEY-PQ-1HZLGZUPT4ETPKDEV8HSGFDCYZ4E522W0A7PU2LHT8EH9W6YLNC3SW78XKG";

fuzz_target!(|data: &[u8]| {
    let whole = Header::read(&mut &*data).unwrap();
    let pieces = Header::read(&mut BufReader::with_capacity(1, data)).unwrap();
    match (&whole, &pieces) {
        (Ok(one), Ok(other)) => assert_eq!((one.length, &one.stanzas), (other.length, &other.stanzas)),
        (Err(one), Err(other)) => assert_eq!(one, other),
        _ => panic!("{whole:?} is not {pieces:?}"),
    }
    let Ok(header) = whole else { return };
    assert!(header.length as usize <= data.len());
    let mut rest = Vec::new();
    (&data[header.length as usize..]).read_to_end(&mut rest).unwrap();
    let _ = (header.recipients(), header.resistance());
    let identity = Identity::parse(IDENTITY).unwrap();
    let _ = header.unwrap(&[identity]);
});
