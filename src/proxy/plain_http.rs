//! HTTP without TLS on a TLS port: recognised by its method, answered with 400 and a sentence.

use crate::tls::plaintext::{Begins, PlaintextHook};

/// For every listener of this program.
pub(crate) const PLAIN_HTTP: PlaintextHook = PlaintextHook {
    begins,
    reply: b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\nconnection: close\r\ncontent-length: 38\r\n\r\nThis port speaks TLS: use an https URL",
};

/// With the space that follows; `PRI` begins HTTP/2 (RFC 9113 §3.4).
const METHODS: [&[u8]; 9] = [
    b"GET ",
    b"HEAD ",
    b"POST ",
    b"PUT ",
    b"DELETE ",
    b"OPTIONS ",
    b"PATCH ",
    b"CONNECT ",
    b"PRI ",
];

fn begins(first: &[u8]) -> Begins {
    if METHODS.iter().any(|method| first.starts_with(method)) {
        Begins::Yes
    } else if METHODS.iter().any(|method| method.starts_with(first)) {
        Begins::Perhaps
    } else {
        Begins::No
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_and_its_space_are_http() {
        for (first, expected) in [
            (&b""[..], Begins::Perhaps),
            (b"GE", Begins::Perhaps),
            (b"GET", Begins::Perhaps),
            (b"GET ", Begins::Yes),
            (b"PRI * HTTP/2.0", Begins::Yes),
            (b"GETS", Begins::No),
            (b"get ", Begins::No),
            (b"\x16\x03\x01", Begins::No),
        ] {
            assert_eq!(begins(first), expected, "{first:?}");
        }
    }
}
