//! A door for the fuzz targets into what parses a peer's records and an operator's files. Built for them and for tests only.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use prometheus::IntCounter;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::Settings;
use super::credentials::{CredentialError, Credentials, PairText};
use super::error::HandshakeError;
use super::handshake;
use super::policy::{Mode, TlsPolicy};
use super::post_handshake::PostHandshake;
use super::record::record_length;
use super::server::TlsServer;
use crate::io::TrafficCounters;

/// There is none: what a client can reach without a certificate is what it can reach unauthenticated.
#[derive(Debug)]
struct NoCertificate;

impl ResolvesServerCert for NoCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        None
    }
}

/// A client that sends bytes in pieces and then ends, and keeps what it hears.
struct Client<'a> {
    sends: &'a [u8],
    piece: usize,
    hears: Vec<u8>,
}

impl AsyncRead for Client<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let count = self.piece.min(self.sends.len()).min(buf.remaining());
        let (now, later) = self.sends.split_at(count);
        buf.put_slice(now);
        self.sends = later;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Client<'_> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.hears.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// The server's handshake with a client that sends these bytes, `piece` at a time, and knows no keys.
/// Needs a runtime with time.
///
/// # Panics
/// If the handshake completes, miscounts what it sent, or refuses without an alert.
pub async fn handshake(server: &TlsServer, counters: TrafficCounters, sends: &[u8], piece: usize) {
    let mut client = Client {
        sends,
        piece: piece.max(1),
        hears: Vec::new(),
    };
    let address = handshake::Client::new([127, 0, 0, 1].into());
    let queue = server.queue(1, Arc::new(|| {}));
    let outcome = handshake::accept(&mut client, address, server, &queue, counters).await;
    let failure = outcome.map(|_| ()).err();
    let failure = failure.unwrap_or_else(|| panic!("completed without a key"));
    assert_eq!(failure.cost.bytes_out, client.hears.len() as u64);
    // The client's end, or its own alert, calls for none.
    let silent = matches!(
        failure.error,
        HandshakeError::NoHello
            | HandshakeError::Vanished
            | HandshakeError::ClientAlert(_)
            | HandshakeError::ClientDistrusts(_)
    );
    let error = failure.error;
    assert!(silent || !client.hears.is_empty(), "{error:?} in silence");
}

/// Counters that nobody reads.
///
/// # Panics
/// If metrics cannot be made.
pub fn counters() -> TrafficCounters {
    let counter = || IntCounter::new("bytes", "bytes").unwrap_or_else(|error| panic!("{error}"));
    TrafficCounters {
        wire_in: counter(),
        wire_out: counter(),
        payload_in: counter(),
        payload_out: counter(),
    }
}

/// What loads a pair, without the files.
pub fn credentials(cert: &[u8], key: &[u8]) -> Result<Credentials, CredentialError> {
    let text = PairText {
        cert: cert.to_vec().into(),
        key: key.to_vec().into(),
    };
    let (cert, key) = (Path::new("tls.crt"), Path::new("tls.key"));
    Credentials::from_text(cert, key, &text, SystemTime::now())
}

/// A server for the handshake driver.
///
/// # Panics
/// If rustls refuses the default policy.
pub fn server() -> TlsServer {
    let policy = TlsPolicy::new(Mode::HybridPreferred, None, None);
    let settings = Settings {
        policy: policy.unwrap_or_else(|error| panic!("{error}")),
        cert: "unused".into(),
        key: "unused".into(),
        certificates: crate::tls::certificates::Settings::default(),
        wait_for_certificate: false,
        handshake_timeout: Duration::from_secs(10),
        max_handshakes: 16,
        handshake_rate_per_source: None,
        tickets: 1,
        ticket_keys: None,
        client_auth: None,
        spiffe: None,
        spiffe_hint: None,
        profile: crate::tls::policy::Profile::Off,
    };
    let certificates: Arc<dyn ResolvesServerCert> = Arc::new(NoCertificate);
    let server = TlsServer::new(&settings, &certificates, None, &[]);
    server.unwrap_or_else(|error| panic!("{error}"))
}

/// What records of a peer come to: how many of each kind were taken, and the alert that ended it.
#[derive(Debug, Default, Eq, PartialEq)]
pub struct Taken {
    /// Bytes of data.
    pub data: usize,
    /// KeyUpdate messages.
    pub updates: usize,
    /// Alerts.
    pub alerts: usize,
    /// The alert it was refused with.
    pub refused: Option<u8>,
}

/// Reads records as if each had been opened: content type and content are taken as they stand.
/// Handshake content is cut into pieces of `step` bytes, as a peer may do.
pub fn records(mut bytes: &[u8], step: usize) -> Taken {
    let mut taken = Taken::default();
    let mut reader = PostHandshake::default();
    while let Some(length) = record_length(bytes) {
        let (record, rest) = bytes.split_at(length);
        bytes = rest;
        let content = record.get(5..).unwrap_or_default();
        let read = match record[0] {
            22 if !content.is_empty() => content.chunks(step).try_for_each(|piece| {
                let update = reader.handshake(piece)?;
                taken.updates += usize::from(update.is_some());
                Ok(())
            }),
            22 => reader.handshake(content).map(|_| ()),
            21 => reader.alert(content).map(|_| taken.alerts += 1),
            _ => reader
                .data(content.len())
                .map(|()| taken.data += content.len()),
        };
        if let Err(alert) = read {
            taken.refused = Some(alert.into());
            break;
        }
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records of every kind, cut anywhere, behind messages that have begun: a short run of what the
    /// fuzz target does at length.
    #[tokio::test]
    async fn the_driver_ends_whatever_it_is_sent() {
        const PARTS: [&[u8]; 12] = [
            &[22, 3, 1, 0, 1, 1],
            &[22, 3, 1, 0, 4, 1, 0, 0, 40],
            &[22, 3, 1, 0, 4, 1, 1, 0, 0],
            &[22, 3, 1, 0, 8, 1, 0, 0, 0, 1, 0, 0, 0],
            &[22, 3, 3, 0, 0],
            &[22, 3, 3, 0, 5, 24, 0, 0, 1, 0],
            &[23, 3, 3, 0, 0],
            &[23, 3, 3, 0, 3, 1, 2, 3],
            &[21, 3, 3, 0, 2, 1, 90],
            &[21, 3, 3, 0, 0],
            &[20, 3, 3, 0, 1, 1],
            &[99, 3, 3, 0],
        ];
        let (server, counters) = (server(), counters());
        let mut seed = 1_u64;
        for _ in 0..4_000 {
            let mut sends = Vec::new();
            let mut number = || {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (seed >> 33) as usize
            };
            for _ in 0..=number() % 5 {
                sends.extend_from_slice(PARTS[number() % PARTS.len()]);
            }
            let at = number() % sends.len();
            sends[at] ^= (number() % 3) as u8;
            handshake(&server, counters.clone(), &sends, number() % 9).await;
        }
    }
}
