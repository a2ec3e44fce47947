//! What the policy decides on is what rustls saw: of every ClientHello that rustls accepts, our
//! reading lists the same groups.
#![no_main]

use hybridge::tls::hello;
use libfuzzer_sys::fuzz_target;
use rustls::server::{Accepted, Acceptor};

fuzz_target!(|data: &[u8]| {
    let _ = hello::inspect(data);
    let Some((accepted, flight)) = accept(data) else {
        return;
    };
    let theirs = accepted.client_hello().named_groups().unwrap_or_default().to_vec();
    let ours = hello::inspect(&flight).map(|offer| offer.groups);
    assert_eq!(ours, Some(theirs), "flight: {}", flight.escape_ascii());
});

/// Feeds record by record, as the handshake does; the hello, and the records it came in.
fn accept(mut data: &[u8]) -> Option<(Accepted, Vec<u8>)> {
    let mut acceptor = Acceptor::default();
    let mut flight = Vec::new();
    loop {
        let header = data.get(..5)?;
        let length = 5 + usize::from(u16::from_be_bytes([header[3], header[4]]));
        let (mut record, rest) = data.split_at_checked(length)?;
        flight.extend_from_slice(record);
        data = rest;
        acceptor.read_tls(&mut record).ok()?;
        if let Some(accepted) = acceptor.accept().ok()? {
            return Some((accepted, flight));
        }
    }
}
