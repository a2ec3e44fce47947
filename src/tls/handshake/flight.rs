//! Between rustls and the socket during a handshake: records in, whole flights out.

use std::io;

use bytes::{Buf, BytesMut};
use rustls::client::{ClientConnectionData, UnbufferedClientConnection};
use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, InsufficientSizeError, UnbufferedStatus,
};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use crate::tls::hello;

/// rustls's connection of either side: what differs is the type only.
pub(in crate::tls) trait Side {
    /// What rustls tells the sides apart by.
    type Data;

    /// Lets rustls work on these records.
    fn process<'c, 'i>(
        &'c mut self,
        incoming: &'i mut [u8],
    ) -> UnbufferedStatus<'c, 'i, Self::Data>;

    /// Whether something is queued to be sent.
    fn wants_write(&self) -> bool;
}

impl Side for UnbufferedServerConnection {
    type Data = ServerConnectionData;

    fn process<'c, 'i>(
        &'c mut self,
        incoming: &'i mut [u8],
    ) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(incoming)
    }

    fn wants_write(&self) -> bool {
        (**self).wants_write()
    }
}

impl Side for UnbufferedClientConnection {
    type Data = ClientConnectionData;

    fn process<'c, 'i>(
        &'c mut self,
        incoming: &'i mut [u8],
    ) -> UnbufferedStatus<'c, 'i, Self::Data> {
        self.process_tls_records(incoming)
    }

    fn wants_write(&self) -> bool {
        (**self).wants_write()
    }
}

/// The bytes of a handshake that are under way.
#[derive(Default)]
pub(in crate::tls) struct Flight {
    /// Records for rustls; it decrypts them where they lie.
    pub(in crate::tls) incoming: BytesMut,
    /// What it wants to say: everything up to the point where it waits, to be sent as one.
    pub(in crate::tls) outgoing: BytesMut,
    /// A HelloRetryRequest was among it.
    pub(super) retried: bool,
    /// A ServerHello was among it: everything behind it is encrypted.
    keyed: bool,
    /// rustls sent an alert of its own.
    alerted: bool,
}

impl Flight {
    /// Lets rustls work until it waits for the peer. After an error the alert is in `outgoing`.
    pub(in crate::tls) fn advance(&mut self, conn: &mut impl Side) -> Result<(), rustls::Error> {
        loop {
            let UnbufferedStatus { discard, state } = conn.process(&mut self.incoming);
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
    fn collect_alert(&mut self, conn: &mut impl Side) {
        while conn.wants_write() {
            let UnbufferedStatus { discard, state } = conn.process(&mut self.incoming);
            let Ok(ConnectionState::EncodeTlsData(message)) = state else {
                return;
            };
            self.encode(message);
            self.alerted = true;
            self.incoming.advance(discard);
        }
    }

    /// Sends what rustls has to say, in one go if the socket takes it; `sent` counts it, before an error too.
    pub(in crate::tls) async fn send<IO: AsyncWrite + Unpin>(
        &mut self,
        io: &mut IO,
        sent: &mut u64,
    ) -> io::Result<()> {
        while !self.outgoing.is_empty() {
            let count = io.write(&self.outgoing).await?;
            if count == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            *sent += count as u64;
            self.outgoing.advance(count);
        }
        io.flush().await
    }

    fn encode<Data>(&mut self, message: EncodeTlsData<'_, Data>) {
        let begin = encode(message, &mut self.outgoing);
        let record = &self.outgoing[begin..];
        let retry = hello::is_retry_request(record);
        self.retried |= retry;
        self.keyed |= !retry && hello::is_server_hello(record);
    }

    /// Takes back what was not sent: rustls had begun to answer, and cannot end it.
    pub(super) fn retract(&mut self) {
        self.outgoing.clear();
        self.keyed = false;
        self.alerted = false;
    }

    /// Whether the client's next message is a ClientHello.
    pub(super) fn awaits_hello(&self) -> bool {
        !self.keyed
    }

    /// Whether nothing said why the handshake ends, and it can still be said in plaintext: rustls
    /// sends no alert for errors of its deframer, and sees none of ours.
    pub(in crate::tls) fn owes_alert(&self) -> bool {
        !self.alerted && !self.keyed
    }
}

/// Appends a message; where it begins.
fn encode<Data>(mut message: EncodeTlsData<'_, Data>, outgoing: &mut BytesMut) -> usize {
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
