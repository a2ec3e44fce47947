//! What rustls is given: one record at a time until the first application data, so that tickets and data are
//! told apart (RFC 8446 section 5.1).

use std::io;

use rustls::Connection;

use super::counts::Meter;
use super::inbox::Inbox;

const RECORD_HEADER: usize = 5;

/// The TLS side of a stream.
#[derive(Debug)]
pub(super) struct Tls {
    pub(super) connection: Connection,
    /// What rustls has not been given yet.
    pub(super) incoming: Inbox,
    /// Records go in one by one, to tell tickets from data.
    pub(super) stepwise: bool,
    pub(super) ended: bool,
}

impl Tls {
    /// Gives rustls the next whole record; none if it is not here yet, else its length.
    pub(super) fn feed_record(&mut self) -> io::Result<Option<usize>> {
        let rest = self.incoming.unread();
        let Some(header) = rest.get(..RECORD_HEADER) else {
            return Ok(None);
        };
        let length = RECORD_HEADER + usize::from(u16::from_be_bytes([header[3], header[4]]));
        if rest.len() < length {
            return Ok(None);
        }
        self.feed(length)?;
        Ok(Some(length))
    }

    fn feed(&mut self, length: usize) -> io::Result<usize> {
        let mut slice = &self.incoming.unread()[..length];
        let mut taken = 0;
        while !slice.is_empty() {
            let read = self.connection.read_tls(&mut slice)?;
            if read == 0 {
                break;
            }
            taken += read;
            let state = self.connection.process_new_packets();
            let state = state.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            if state.plaintext_bytes_to_read() > 0 && !self.stepwise {
                break;
            }
        }
        self.incoming.take(taken);
        Ok(taken)
    }

    /// Moves on by one step of decryption: 0 when more must come from the socket.
    pub(super) fn advance(&mut self, meter: &Meter) -> io::Result<usize> {
        if !self.stepwise {
            return self.feed(self.incoming.unread().len());
        }
        let Some(length) = self.feed_record()? else {
            return Ok(0);
        };
        let state = self
            .connection
            .process_new_packets()
            .map_err(io::Error::other)?;
        if state.plaintext_bytes_to_read() > 0 {
            self.stepwise = false;
        } else if !state.peer_has_closed() {
            meter.counter().ticket(length);
        }
        Ok(length)
    }
}
