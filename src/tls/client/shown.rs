//! Our certificate for servers that ask for one, and a note where a server admits no signature of its key: rustls
//! sends none then, and does not say so.
//!
//! rustls asks on the thread that drives the handshake, which takes the note before it drives another one.

use std::cell::Cell;
use std::sync::Arc;

use rustls::SignatureScheme;
use rustls::client::ResolvesClientCert;
use rustls::sign::CertifiedKey;

thread_local! {
    static WITHHELD: Cell<bool> = const { Cell::new(false) };
}

/// Whether no certificate was sent since the last call because none of ours would do.
pub(super) fn take_withheld() -> bool {
    WITHHELD.take()
}

/// The one that we have.
#[derive(Debug)]
pub(super) struct Ours(pub(super) Arc<CertifiedKey>);

impl ResolvesClientCert for Ours {
    fn resolve(&self, _: &[&[u8]], schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        let signs = self.0.key.choose_scheme(schemes).is_some();
        WITHHELD.set(!signs);
        signs.then(|| Arc::clone(&self.0))
    }

    fn has_certs(&self) -> bool {
        true
    }
}
