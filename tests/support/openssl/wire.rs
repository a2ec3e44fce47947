//! What lies between OpenSSL and the socket.

use std::io::{self, Read, Write};
use std::net::TcpStream;

/// The socket below OpenSSL, counted beside it.
#[derive(Debug)]
pub struct Wire {
    pub(super) socket: TcpStream,
    pub(super) byte_by_byte: bool,
    pub(super) received: Vec<u8>,
    pub(super) sent: u64,
}

impl Read for Wire {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        // With a timeout on the socket a stopped process finds its read interrupted, which OpenSSL takes for a failure.
        let count = loop {
            match self.socket.read(buf) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read?,
            }
        };
        self.received.extend_from_slice(&buf[..count]);
        Ok(count)
    }
}

impl Write for Wire {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let end = if self.byte_by_byte { 1 } else { buf.len() };
        let count = self.socket.write(&buf[..end])?;
        self.sent += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}
