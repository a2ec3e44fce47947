//! What the server sends: read, cut into records, and refused where rustls would wait for more or pass over it.

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};

use super::{Progress, unexpected};
use crate::tls::client::error::ClientError;
use crate::tls::record::{
    UNEXPECTED, is_too_long_ciphertext, is_too_long_plaintext, record_length, warning,
};
use rustls::AlertDescription;

/// Records in which a server may send its side of a handshake: each may be a byte.
const MAX_RECORDS: usize = 4096;

impl Progress {
    /// The next whole record. Anything that cannot be one is handed on for rustls to refuse. What we have to
    /// say leaves before it waits, so that all of a flight is one write.
    pub(super) async fn record<IO>(&mut self, io: &mut IO) -> Result<BytesMut, ClientError>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        loop {
            // rustls waits for the rest of it.
            if self.is_too_long() {
                return Err(ClientError::Oversized);
            }
            if let Some(length) = record_length(&self.received) {
                self.records += 1;
                if self.records > MAX_RECORDS {
                    return Err(ClientError::Malformed);
                }
                self.cost.bytes_in += length as u64;
                let refused = self.rules.refuses(&self.received, self.keyed);
                let record = self.received.split_to(length);
                return self.admitted(record, refused);
            }
            self.send(io).await?;
            self.received.reserve(4096);
            match io.read_buf(&mut self.received).await {
                Ok(0) | Err(_) => return Err(ClientError::Vanished),
                Ok(_) => {}
            }
        }
    }

    /// The record as rustls gets it. Behind the ServerHello only rustls has the keys for an alert.
    fn admitted(&mut self, record: BytesMut, refused: bool) -> Result<BytesMut, ClientError> {
        if refused && !self.keyed {
            return Err(unexpected());
        }
        if refused {
            self.unexpected = true;
            return Ok(UNEXPECTED[..].into());
        }
        // A server may warn that it does not know the name, and go on (RFC 6066 §3). Between the records of a
        // message an alert is unexpected, as rustls says (RFC 8446 §5.1).
        let warned = warning(&record).filter(|alert| {
            !self.keyed
                && self.flight.incoming.is_empty()
                && *alert != AlertDescription::UnrecognisedName
        });
        match warned {
            Some(alert) => Err(rustls::Error::AlertReceived(alert).into()),
            None => Ok(record),
        }
    }

    /// Whether the next record is longer than one may be (RFC 8446 §5.1, §5.2).
    fn is_too_long(&self) -> bool {
        is_too_long_plaintext(&self.received)
            && (!self.keyed || is_too_long_ciphertext(&self.received))
    }
}
