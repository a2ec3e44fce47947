//! What the policy decides on is what rustls saw: of every ClientHello that rustls accepts, our
//! reading lists the same groups, and there is a fingerprint (JA4).
#![no_main]

use hybridge::tls::hello;
use libfuzzer_sys::fuzz_target;
use rustls::server::{Accepted, Acceptor};

fuzz_target!(|data: &[u8]| {
    let _ = hello::inspect(data);
    if let Some(fingerprint) = hello::ja4(data) {
        well_formed(&fingerprint.to_string());
    }
    let Some((accepted, flight)) = accept(data) else {
        return;
    };
    let theirs = accepted.client_hello().named_groups().unwrap_or_default().to_vec();
    let ours = hello::inspect(&flight).map(|offer| offer.groups);
    assert_eq!(ours, Some(theirs), "flight: {}", flight.escape_ascii());
    assert!(hello::ja4(&flight).is_some(), "flight: {}", flight.escape_ascii());
});

/// `t13d1516h2_8daaf6152771_e5627efa2ab1`
fn well_formed(fingerprint: &str) {
    let parts: Vec<&str> = fingerprint.split('_').collect();
    let [form, suites, extensions] = parts[..] else {
        panic!("{fingerprint}");
    };
    assert!(form.len() == 10 && form.starts_with('t'), "{fingerprint}");
    assert!(form.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{fingerprint}");
    for hash in [suites, extensions] {
        assert!(hash.len() == 12 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()), "{fingerprint}");
    }
}

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
