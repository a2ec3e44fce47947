//! Between rustls and the socket during a handshake: records in, whole flights out.

use bytes::{Buf, BytesMut};
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, InsufficientSizeError, UnbufferedStatus,
};

use crate::tls::hello;

/// The bytes of a handshake that are under way.
#[derive(Default)]
pub(super) struct Flight {
    /// Records for rustls; it decrypts them where they lie.
    pub(super) incoming: BytesMut,
    /// What it wants to say: everything up to the point where it waits, to be sent as one.
    pub(super) outgoing: BytesMut,
    /// A HelloRetryRequest was among it.
    pub(super) retried: bool,
}

impl Flight {
    /// Lets rustls work until it waits for the client. After an error the alert is in `outgoing`.
    pub(super) fn advance(
        &mut self,
        conn: &mut UnbufferedServerConnection,
    ) -> Result<(), rustls::Error> {
        let mut failed = Ok(());
        loop {
            let UnbufferedStatus { discard, state } = conn.process_tls_records(&mut self.incoming);
            let goes_on = match state {
                Ok(ConnectionState::EncodeTlsData(message)) => {
                    let sent = encode(message, &mut self.outgoing);
                    self.retried |= hello::is_retry_request(&self.outgoing[sent..]);
                    true
                }
                Ok(ConnectionState::TransmitTlsData(transmit)) => {
                    transmit.done();
                    true
                }
                Ok(_) => false,
                Err(error) => {
                    let first = failed.is_ok();
                    if first {
                        failed = Err(error);
                    }
                    first
                }
            };
            // What led to an error is not looked at again: only the alert is still to be had.
            let discard = if failed.is_ok() {
                discard
            } else {
                self.incoming.len()
            };
            self.incoming.advance(discard);
            if !goes_on {
                return failed;
            }
        }
    }
}

/// Appends a message; where it begins.
fn encode(mut message: EncodeTlsData<'_, ServerConnectionData>, outgoing: &mut BytesMut) -> usize {
    let begin = outgoing.len();
    if let Err(EncodeError::InsufficientSize(InsufficientSizeError { required_size })) =
        message.encode(&mut [])
    {
        outgoing.resize(begin + required_size, 0);
        // It said itself how much room it needs.
        let encoded = message.encode(&mut outgoing[begin..]);
        outgoing.truncate(begin + encoded.unwrap_or(0));
    }
    begin
}
