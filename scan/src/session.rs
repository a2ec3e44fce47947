//! A rustls client on a blocking socket: a handshake and what comes after it, each bounded in time.

use std::io::{self, Read as _};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use rustls::ClientConnection;

/// For the server to end a connection that we have ended.
const FAREWELL: Duration = Duration::from_millis(500);

/// A connection, and what it took in bytes.
pub(crate) struct Session {
    pub(crate) tls: ClientConnection,
    stream: TcpStream,
    pub(crate) sent: usize,
    pub(crate) received: usize,
    /// The server ended it with an alert.
    pub(crate) alerted: bool,
}

impl Session {
    pub(crate) fn new(tls: ClientConnection, stream: TcpStream) -> Self {
        Self {
            tls,
            stream,
            sent: 0,
            received: 0,
            alerted: false,
        }
    }

    /// Until the handshake is complete.
    pub(crate) fn handshake(&mut self, timeout: Duration) -> Result<(), String> {
        let late = "the handshake is not complete within the timeout";
        self.until(timeout, late, |session| !session.tls.is_handshaking())
    }

    /// Writes and reads until `done` says so; an error says that it is `late`, or what went wrong.
    pub(crate) fn until(
        &mut self,
        timeout: Duration,
        late: &str,
        mut done: impl FnMut(&mut Self) -> bool,
    ) -> Result<(), String> {
        let end = Instant::now() + timeout;
        loop {
            while self.tls.wants_write() {
                self.sent += self.tls.write_tls(&mut self.stream).map_err(text)?;
            }
            if done(self) {
                return Ok(());
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(late.to_owned());
            }
            self.stream.set_read_timeout(Some(left)).map_err(text)?;
            self.read()?;
        }
    }

    /// Says that nothing more will be sent, and drops what the server still sends, such as tickets: a socket closed with
    /// bytes unread is reset, which overtakes what was said.
    pub(crate) fn close(&mut self) {
        self.tls.send_close_notify();
        // The server may be gone already.
        let _ = self.tls.write_tls(&mut self.stream);
        let _ = self.stream.shutdown(Shutdown::Write);
        let end = Instant::now() + FAREWELL;
        let mut unread = [0; 4096];
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() || self.stream.set_read_timeout(Some(left)).is_err() {
                return;
            }
            if !matches!(self.stream.read(&mut unread), Ok(1..)) {
                return;
            }
        }
    }

    fn read(&mut self) -> Result<(), String> {
        // Nothing: the end of the stream, or a close_notify that came before.
        let count = match self.tls.read_tls(&mut self.stream) {
            Ok(0) => return Err("the server closed the connection".to_owned()),
            Ok(count) => count,
            // The caller says that it is late.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::Interrupted
                        | io::ErrorKind::WouldBlock
                        | io::ErrorKind::TimedOut
                ) =>
            {
                return Ok(());
            }
            Err(error) => return Err(text(error)),
        };
        self.received += count;
        self.tls.process_new_packets().map(drop).map_err(|error| {
            self.alerted = matches!(error, rustls::Error::AlertReceived(_));
            // The alert that is due.
            let _ = self.tls.write_tls(&mut self.stream);
            error.to_string()
        })
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn text(error: io::Error) -> String {
    error.to_string()
}
