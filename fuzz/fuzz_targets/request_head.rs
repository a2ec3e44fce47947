//! A request head that is accepted says the same after it was rewritten for the upstream, and
//! holds no line end that another parser could read as one more field or request.
#![no_main]

use hybridge::proxy::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some(first) = fuzzing::rewrite(data, 100) else {
        return;
    };
    assert!(fuzzing::says_the_same(data));
    let head = &first.rewritten;
    let ends = |(at, byte): (usize, &u8)| match byte {
        b'\r' => head.get(at + 1) == Some(&b'\n'),
        b'\n' => at > 0 && head[at - 1] == b'\r',
        byte => *byte != 0,
    };
    assert!(head.iter().enumerate().all(ends), "{}", head.escape_ascii());
    let blank = head.windows(4).position(|four| four == b"\r\n\r\n");
    assert_eq!(blank, Some(head.len() - 4), "{}", head.escape_ascii());
});
