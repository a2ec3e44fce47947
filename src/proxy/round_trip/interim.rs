//! The bound on interim responses (RFC 9110 §15.2).

use crate::proxy::codec::h1::head_error::HeadError;
use crate::proxy::error::UpstreamError;

/// Interim responses of one request (RFC 9110 §15.2), and their bytes: no progress takes more, and over
/// HTTP/2 they wait for a client that does not read.
const MAX_INTERIM: usize = 32;
const MAX_INTERIM_BYTES: usize = 16 * 1024;

/// The interim responses of a request so far.
#[derive(Default)]
pub(super) struct Interim {
    count: usize,
    bytes: usize,
}

impl Interim {
    pub(super) fn count(&mut self, bytes: usize) -> Result<(), UpstreamError> {
        self.count += 1;
        self.bytes += bytes;
        if self.count > MAX_INTERIM || self.bytes > MAX_INTERIM_BYTES {
            return Err(UpstreamError::BadResponse(HeadError::TooManyInterim));
        }
        Ok(())
    }
}
