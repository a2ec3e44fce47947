//! `signature-input`, `signature` and `content-digest` of any head: what is accepted is what the keys signed, once.
#![no_main]

use std::sync::LazyLock;

use hybridge::proxy::fuzzing::judge;
use hybridge::signature::fuzzing::Client;
use libfuzzer_sys::fuzz_target;

static CLIENT: LazyLock<Client> = LazyLock::new(|| Client::new().expect("randomness"));

fuzz_target!(|data: &[u8]| {
    let Some(judged) = judge(&CLIENT, data) else {
        return;
    };
    let [first, again] = &judged.outcomes;
    if first.result == "ok" {
        assert!(judged.is_as_signed, "{}", data.escape_ascii());
        assert_eq!(first.body, judged.body_is_as_signed, "{}", data.escape_ascii());
        assert_eq!(again.result, "replayed");
    } else {
        assert_eq!(first, again, "{}", data.escape_ascii());
    }
});
