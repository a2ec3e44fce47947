//! What the client sends: read, cut into records, and refused where rustls would wait for more.

use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::pin;
use std::task::Poll;
use std::time::Instant;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt};

use super::{Progress, unexpected};
use crate::tls::error::HandshakeError;
use crate::tls::hello;
use crate::tls::plaintext::Begins;
use crate::tls::record::{UNEXPECTED, is_too_long_plaintext, record_length, warning};
use crate::tls::server::TlsServer;

/// Records in which a client may send its side of a handshake: each may be a byte, and putting a
/// message together out of them is work.
const MAX_RECORDS: usize = 4096;

impl Progress {
    /// Collects the ClientHello, however many records and reads it takes.
    pub(super) async fn client_hello<IO>(
        &mut self,
        io: &mut IO,
        client: IpAddr,
        server: &TlsServer,
    ) -> Result<(), HandshakeError>
    where
        IO: AsyncRead + Unpin,
    {
        let mut collected = hello::HelloAssembler::default();
        loop {
            let record = self.record(io, client, server).await?;
            let incoming = &mut self.flight.incoming;
            incoming.extend_from_slice(&record);
            if server.plaintext_begins(incoming) == Begins::Yes {
                return Err(HandshakeError::Plaintext);
            }
            // A hello behind it would not be looked at: the client gave up before. Between the records of a
            // hello it is unexpected, as rustls says (RFC 8446 §5.1).
            let is_first = incoming.len() == record.len();
            if let Some(alert) = warning(&record).filter(|_| is_first) {
                return Err(rustls::Error::AlertReceived(alert).into());
            }
            if !collected.wants_more(&record) {
                return Ok(());
            }
        }
    }

    /// The next whole record. Anything that cannot be one is handed on for rustls to refuse.
    pub(super) async fn record<IO: AsyncRead + Unpin>(
        &mut self,
        io: &mut IO,
        client: IpAddr,
        server: &TlsServer,
    ) -> Result<BytesMut, HandshakeError> {
        loop {
            if self.flight.awaits_hello() && is_too_long_plaintext(&self.received) {
                return Err(HandshakeError::Oversized);
            }
            let undecided = self.cost.bytes_in == 0
                && server.plaintext_begins(&self.received) == Begins::Perhaps;
            if let Some(length) = record_length(&self.received).filter(|_| !undecided) {
                self.records += 1;
                if self.records > MAX_RECORDS {
                    return Err(HandshakeError::Malformed);
                }
                self.cost.bytes_in += length as u64;
                let refused = self
                    .rules
                    .refuses(&self.received, !self.flight.awaits_hello());
                if refused && self.flight.owes_alert() {
                    return Err(unexpected());
                }
                self.unexpected |= refused;
                let record = self.received.split_to(length);
                return Ok(if refused {
                    UNEXPECTED[..].into()
                } else {
                    record
                });
            }
            self.received.reserve(2048);
            if self.first_byte.is_some() {
                let enter = || server.half_open.enter(client);
                self.half_open.get_or_insert_with(enter);
            }
            match self.read(io).await? {
                Ok(0) | Err(_) if self.first_byte.is_none() => {
                    return Err(HandshakeError::NoHello);
                }
                Ok(0) | Err(_) => return Err(HandshakeError::Vanished),
                Ok(_) => {
                    self.first_byte.get_or_insert_with(Instant::now);
                }
            }
        }
    }

    /// Reads, or learns that another handshake needs the room. The socket comes first: a client whose
    /// bytes are there has not kept us waiting.
    async fn read<IO: AsyncRead + Unpin>(
        &mut self,
        io: &mut IO,
    ) -> Result<std::io::Result<usize>, HandshakeError> {
        let mut reading = pin!(io.read_buf(&mut self.received));
        let (half_open, overdue) = (&mut self.half_open, &mut self.overdue);
        poll_fn(|cx| {
            if let Poll::Ready(read) = reading.as_mut().poll(cx) {
                *overdue = None;
                return Poll::Ready(Ok(read));
            }
            if let Some(overdue) = overdue
                && overdue.as_mut().poll(cx).is_ready()
            {
                return Poll::Ready(Err(HandshakeError::NoHello));
            }
            match half_open.as_mut().map(|member| member.poll_evicted(cx)) {
                Some(Poll::Ready(())) => Poll::Ready(Err(HandshakeError::Shed)),
                _ => Poll::Pending,
            }
        })
        .await
    }
}
