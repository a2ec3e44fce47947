//! TLS over any byte stream, once the handshake is done: plaintext out of records, records out of
//! plaintext, every byte counted on both sides (RFC 8446 §5).
//!
//! Records are opened and sealed in memory of the thread, not of the connection: an idle connection
//! holds keys and no buffer. rustls made the keys and makes their successors.

mod io_vec_cursor;
mod outbound;
mod traits;

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use rustls::AlertDescription;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::post_handshake::{AlertEffect, KeyUpdate, PostHandshake};
use super::protection::{KeyError, Keys, OVERHEAD};
use super::record::{ALERT, APPLICATION_DATA, HANDSHAKE, MAX_CONTENT, record_length};
use super::secrets::Secrets;
use crate::io::Traffic;

/// Ciphertext read from the socket in one go, and the records written to it in one go.
const BATCH: usize = 4 * (MAX_CONTENT + OVERHEAD);

thread_local! {
    /// Where ciphertext lands and is opened: one a thread, so that a connection holds none.
    static DECRYPT_BUF: RefCell<Box<[u8]>> = RefCell::new(vec![0; BATCH].into());
    /// Where plaintext is sealed.
    static ENCRYPT_BUF: RefCell<Box<[u8]>> = RefCell::new(vec![0; BATCH].into());
}

/// The keys of an established connection and what rustls keeps to make the next ones.
pub(super) struct Established {
    pub(super) opener: Keys,
    pub(super) sealer: Keys,
    pub(super) secrets: Secrets,
    /// Records after which our key is replaced (RFC 8446 §5.5).
    pub(super) limit: u64,
}

/// An established TLS connection.
pub struct TlsStream<IO> {
    io: IO,
    keys: Established,
    post_handshake: PostHandshake,
    inbound: Inbound,
    /// The peer asked for a new key of ours; one answer serves any number of such requests.
    update_asked: bool,
    /// How far the end of our direction got.
    end: End,
    /// Ciphertext received that is no whole record yet.
    pending: BytesMut,
    /// Opened, and more than a reader had room for.
    plaintext: BytesMut,
    /// Sealed, and more than the socket had room for.
    unsent: BytesMut,
    /// So much of it is of the handshake, which counts it.
    flight: usize,
    traffic: Traffic,
}

/// The end of our direction.
#[derive(Clone, Copy, Eq, PartialEq)]
enum End {
    Open,
    /// close_notify is queued, or will not be sent: a fatal alert of either side ended it.
    Queued,
    /// FIN is sent.
    Sent,
}

/// What the peer may still send.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Inbound {
    Open,
    /// It said close_notify.
    Ended,
    /// Something that ends the connection was told.
    Broken(io::ErrorKind),
}

impl<IO: AsyncRead + AsyncWrite + Unpin> TlsStream<IO> {
    /// Takes over a connection whose handshake is complete; `pending` is what was read beyond it.
    pub(super) fn new(io: IO, keys: Established, pending: BytesMut, traffic: Traffic) -> Self {
        traffic.add_wire_in(pending.len());
        Self {
            io,
            keys,
            post_handshake: PostHandshake::default(),
            inbound: Inbound::Open,
            update_asked: false,
            end: End::Open,
            pending,
            plaintext: BytesMut::new(),
            unsent: BytesMut::new(),
            flight: 0,
            traffic,
        }
    }

    /// Begins with the last flight of a handshake: one write with the first data, if that is there.
    pub(super) fn behind(mut self, flight: BytesMut) -> Self {
        self.flight = flight.len();
        self.unsent = flight;
        self
    }

    /// Bytes so far, after the handshake.
    pub fn traffic(&self) -> &Traffic {
        &self.traffic
    }

    /// The socket below.
    pub fn get_ref(&self) -> &IO {
        &self.io
    }

    /// What the server ended the connection with, if that was an alert; `None` on the server's side.
    pub fn fatal_alert(&self) -> Option<AlertDescription> {
        self.keys.secrets.client()?.fatal
    }

    /// What the peer was told when it broke the protocol.
    pub fn alert_sent(&self) -> Option<AlertDescription> {
        self.traffic.refused().map(AlertDescription::from)
    }

    /// Session tickets received; none on the server's side.
    pub fn tickets(&self) -> u64 {
        let client = self.keys.secrets.client();
        client.map_or(0, |client| client.tickets)
    }

    /// Opens what has arrived and hands it to `take`; how many bytes that was, 0 at the end.
    fn poll_open(
        &mut self,
        cx: &mut Context<'_>,
        take: &mut impl FnMut(&[u8]),
    ) -> Poll<io::Result<usize>> {
        if self.flight > 0 {
            // The peer says nothing before it has it.
            let _ = self.poll_send(cx);
        }
        loop {
            match self.inbound {
                Inbound::Open => {}
                Inbound::Ended => return Poll::Ready(Ok(0)),
                Inbound::Broken(kind) => {
                    let told = self.alert_sent();
                    return Poll::Ready(Err(told.map_or_else(|| kind.into(), refused)));
                }
            }
            let opened = DECRYPT_BUF.with_borrow_mut(|scratch| self.poll_batch(cx, scratch, take));
            let count = ready!(opened)?;
            // A new key and an alert want to leave even if the application writes nothing.
            if self.update_asked || self.inbound != Inbound::Open {
                let _ = self.poll_send(cx);
            }
            if count > 0 {
                self.traffic.add_payload_in(count);
                return Poll::Ready(Ok(count));
            }
        }
    }

    /// Reads once from the socket if no whole record is there, and opens every record that is.
    fn poll_batch(
        &mut self,
        cx: &mut Context<'_>,
        scratch: &mut [u8],
        take: &mut impl FnMut(&[u8]),
    ) -> Poll<io::Result<usize>> {
        let mut filled = self.pending.len().min(scratch.len());
        if record_length(&self.pending).is_none() {
            let mut buf = ReadBuf::new(&mut scratch[filled..]);
            ready!(Pin::new(&mut self.io).poll_read(cx, &mut buf))?;
            let count = buf.filled().len();
            if count == 0 {
                // Without close_notify it may have been cut off by anybody (RFC 8446 §6.1).
                self.inbound = Inbound::Broken(io::ErrorKind::UnexpectedEof);
                return Poll::Ready(Ok(0));
            }
            self.traffic.add_wire_in(count);
            scratch[..filled].copy_from_slice(&self.pending);
            self.pending = BytesMut::new();
            filled += count;
        } else {
            scratch[..filled].copy_from_slice(&self.pending[..filled]);
            self.pending.advance(filled);
        }
        let (mut used, mut count) = (0, 0);
        while self.inbound == Inbound::Open
            && let Some(length) = record_length(&scratch[used..filled])
        {
            count += self.open(&mut scratch[used..used + length], take);
            used += length;
        }
        self.keep(&scratch[used..filled]);
        Poll::Ready(Ok(count))
    }

    /// Keeps the beginning of a record until the rest of it is there.
    fn keep(&mut self, begun: &[u8]) {
        if self.inbound != Inbound::Open {
            self.pending = BytesMut::new();
        } else if self.pending.is_empty() {
            self.pending = BytesMut::from(begun);
        } else {
            let behind = std::mem::replace(&mut self.pending, BytesMut::from(begun));
            self.pending.extend_from_slice(&behind);
        }
    }

    /// Opens one record and does what it says; how many bytes of data it held.
    fn open(&mut self, record: &mut [u8], take: &mut impl FnMut(&[u8])) -> usize {
        let read = match self.keys.opener.open(record) {
            Ok((APPLICATION_DATA, content)) => self.post_handshake.data(content.len()).map(|()| {
                if !content.is_empty() {
                    take(content);
                }
                content.len()
            }),
            Ok((HANDSHAKE, content)) => self.handshake(content).map(|()| 0),
            Ok((ALERT, content)) => self.alert(content).map(|()| 0),
            Ok(_) => Err(AlertDescription::UnexpectedMessage),
            Err(alert) => Err(alert),
        };
        read.unwrap_or_else(|alert| {
            self.refuse(alert);
            0
        })
    }

    fn handshake(&mut self, content: &[u8]) -> Result<(), AlertDescription> {
        let update = match &mut self.keys.secrets {
            Secrets::Server(_) => self.post_handshake.handshake(content)?,
            Secrets::Client(client) => client.handshake(content, &mut self.post_handshake)?,
        };
        let Some(update) = update else {
            return Ok(());
        };
        let next = self.keys.secrets.update_rx_secret();
        let next = next.map_err(|_| AlertDescription::InternalError)?;
        self.keys.opener = Keys::new(next).map_err(|_| AlertDescription::InternalError)?;
        self.update_asked |= update == KeyUpdate::Both;
        Ok(())
    }

    fn alert(&mut self, content: &[u8]) -> Result<(), AlertDescription> {
        match self.post_handshake.alert(content)? {
            AlertEffect::CloseNotify => self.inbound = Inbound::Ended,
            AlertEffect::Nothing => {}
            AlertEffect::Fatal(alert) => {
                if let Secrets::Client(client) = &mut self.keys.secrets {
                    client.fatal = Some(alert);
                }
                self.inbound = Inbound::Broken(io::ErrorKind::ConnectionAborted);
                self.end = End::Queued;
            }
        }
        Ok(())
    }

    /// Ends the connection with an alert, sent if the socket takes it: nothing follows a fatal one,
    /// no close_notify either (RFC 8446 §6.2).
    fn refuse(&mut self, alert: AlertDescription) {
        const FATAL: u8 = 2;
        self.inbound = Inbound::Broken(io::ErrorKind::InvalidData);
        self.traffic.refuse(alert.into());
        self.end = End::Queued;
        let _ = self.queue(ALERT, &[FATAL, alert.into()]);
    }
}

/// A peer that broke the protocol.
#[cold]
fn refused(alert: AlertDescription) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, broke_tls(alert))
}

/// What is said of a peer that got this alert.
pub(crate) fn broke_tls(alert: AlertDescription) -> String {
    format!("its TLS is broken, which ended with the alert {alert:?}")
}

impl From<KeyError> for io::Error {
    fn from(_: KeyError) -> Self {
        Self::other("the keys of the connection are of no more use")
    }
}

#[cfg(test)]
mod tests;
