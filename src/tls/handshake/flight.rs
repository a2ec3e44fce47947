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
    /// A ServerHello was among it: everything behind it is encrypted.
    keyed: bool,
    /// rustls sent an alert of its own.
    alerted: bool,
}

impl Flight {
    /// Lets rustls work until it waits for the client. After an error the alert is in `outgoing`.
    pub(super) fn advance(
        &mut self,
        conn: &mut UnbufferedServerConnection,
    ) -> Result<(), rustls::Error> {
        loop {
            let UnbufferedStatus { discard, state } = conn.process_tls_records(&mut self.incoming);
            let goes_on = match state {
                Ok(ConnectionState::EncodeTlsData(message)) => {
                    self.encode(message);
                    true
                }
                Ok(ConnectionState::TransmitTlsData(transmit)) => {
                    transmit.done();
                    true
                }
                Ok(_) => false,
                Err(error) => {
                    self.incoming.advance(discard);
                    self.collect_alert(conn);
                    return Err(error);
                }
            };
            self.incoming.advance(discard);
            if !goes_on {
                return Ok(());
            }
        }
    }

    /// Takes out what rustls queued before it failed. It hands that out before it looks at any input,
    /// and must not be led to look at input again: its deframer still points into messages that were
    /// begun, and panics if it is called after an error with other bytes than before.
    fn collect_alert(&mut self, conn: &mut UnbufferedServerConnection) {
        while conn.wants_write() {
            let UnbufferedStatus { discard, state } = conn.process_tls_records(&mut self.incoming);
            let Ok(ConnectionState::EncodeTlsData(message)) = state else {
                return;
            };
            self.encode(message);
            self.alerted = true;
            self.incoming.advance(discard);
        }
    }

    fn encode(&mut self, message: EncodeTlsData<'_, ServerConnectionData>) {
        let begin = encode(message, &mut self.outgoing);
        let record = &self.outgoing[begin..];
        let retry = hello::is_retry_request(record);
        self.retried |= retry;
        self.keyed |= !retry && hello::is_server_hello(record);
    }

    /// Whether the client's next message is a ClientHello.
    pub(super) fn awaits_hello(&self) -> bool {
        !self.keyed
    }

    /// Whether nothing said why the handshake ends, and it can still be said in plaintext: rustls
    /// sends no alert for errors of its deframer, and sees none of ours.
    pub(super) fn owes_alert(&self) -> bool {
        !self.alerted && !self.keyed
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
