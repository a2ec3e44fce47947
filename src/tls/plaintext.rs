//! What is said to a client that speaks another protocol on the TLS port, whatever that protocol is.

/// Recognises a protocol without TLS by its first bytes, and answers in it.
#[derive(Clone, Copy, Debug)]
pub struct PlaintextHook {
    /// Whether a connection that begins with these bytes speaks it.
    pub begins: fn(&[u8]) -> Begins,
    /// Sent before the connection is closed.
    pub reply: &'static [u8],
}

/// How the first bytes of a connection look.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Begins {
    /// It speaks something else.
    No,
    /// Too few bytes to tell.
    Perhaps,
    /// It speaks that protocol.
    Yes,
}
