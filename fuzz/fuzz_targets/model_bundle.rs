//! A bundle and the statement in it: no bytes make a panic, and a statement that is read is read the same
//! after it was written.
#![no_main]

use hybridge_seal::signature::bundle::Bundle;
use hybridge_seal::signature::manifest::Manifest;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(bundle) = Bundle::read(data) {
        check(&bundle.payload);
    }
    check(data);
});

fn check(payload: &[u8]) {
    let Ok(manifest) = Manifest::read(payload) else {
        return;
    };
    for name in manifest.files.keys() {
        assert!(name == "." || name.split('/').all(|part| !["", ".", ".."].contains(&part)));
    }
    let written = manifest.write().unwrap();
    assert_eq!(Manifest::read(&written).unwrap(), manifest);
}
