//! `signature-input`, `signature` and `content-digest` of any head: what is accepted is what the keys signed, once.
#![no_main]

use std::sync::LazyLock;

use hybridge::proxy::fuzzing::verify_twice;
use hybridge::signature::fuzzing::Client;
use libfuzzer_sys::fuzz_target;

static CLIENT: LazyLock<Client> = LazyLock::new(|| Client::new().expect("randomness"));

fuzz_target!(|data: &[u8]| {
    let Some(verified) = verify_twice(&CLIENT, data) else {
        return;
    };
    let [first, again] = &verified.outcomes;
    if first.result == "ok" {
        assert!(verified.is_as_signed, "{}", data.escape_ascii());
        assert_eq!(first.body, verified.body_is_as_signed, "{}", data.escape_ascii());
        assert_eq!(again.result, "replayed");
    } else {
        assert_eq!(first, again, "{}", data.escape_ascii());
    }
});
