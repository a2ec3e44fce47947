//! One question on one connection, bounded in time: connect, send, read the first answer, close.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::answer::{Answer, Reader};
use crate::hello::{Hello, records};
use crate::target::Target;

/// Why an endpoint was not examined.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unreachable {
    /// The name has no address.
    NotResolved,
    /// The kernel or the host refused the connection.
    Refused,
    /// No answer to the connection within the timeout.
    ConnectTimeout,
    /// Any other error of connect(2).
    ConnectFailed,
    /// It accepts the connection and says nothing.
    Silent,
    /// It accepts the connection and closes it.
    Closed,
    /// It speaks HTTP without TLS.
    PlainHttp,
    /// It speaks something else than TLS.
    NotTls,
    /// It sent more than an answer can be.
    Flood,
}

impl Unreachable {
    /// The reason of an answer that shows no TLS.
    pub fn of(answer: Answer) -> Option<Self> {
        match answer {
            Answer::Http => Some(Self::PlainHttp),
            Answer::NotTls => Some(Self::NotTls),
            Answer::Flood => Some(Self::Flood),
            Answer::Closed => Some(Self::Closed),
            Answer::Silent => Some(Self::Silent),
            Answer::ServerHello { .. } | Answer::Retry { .. } | Answer::Alert(_) => None,
        }
    }

    /// In words.
    pub fn text(self) -> &'static str {
        match self {
            Self::NotResolved => "the name has no address",
            Self::Refused => "the connection is refused",
            Self::ConnectTimeout => "no connection within the timeout",
            Self::ConnectFailed => "the connection fails",
            Self::Silent => "accepts connections and says nothing",
            Self::Closed => "closes every connection without an answer",
            Self::PlainHttp => "speaks HTTP without TLS",
            Self::NotTls => "does not speak TLS",
            Self::Flood => "answers with more than an answer can be",
        }
    }
}

/// A connection was not made because this process, or the system, has no file descriptor left.
static STARVED: AtomicBool = AtomicBool::new(false);

/// Whether that happened: what was then taken for silence says nothing of an endpoint.
pub fn is_starved() -> bool {
    STARVED.load(Ordering::Relaxed)
}

/// Notes what is no fault of the endpoint.
fn looked_at(error: io::Error) -> io::Error {
    if matches!(error.raw_os_error(), Some(EMFILE | ENFILE)) {
        STARVED.store(true, Ordering::Relaxed);
    }
    error
}

/// Their numbers on Linux (errno(3)).
const ENFILE: i32 = 23;
const EMFILE: i32 = 24;

/// Where and how long.
#[derive(Clone, Copy, Debug)]
pub struct Dial {
    /// The address that answered first.
    pub address: SocketAddr,
    /// For each of: the connection, the answer.
    pub timeout: Duration,
    /// Addresses of the name behind that one, which nobody tried.
    pub others: usize,
}

impl Dial {
    /// The first address of the target that takes a connection.
    pub fn find(target: &Target, timeout: Duration) -> Result<Self, Unreachable> {
        let addresses = target.addresses().map_err(looked_at).unwrap_or_default();
        let mut left = addresses.len();
        let mut reason = Unreachable::NotResolved;
        for address in addresses {
            left -= 1;
            match TcpStream::connect_timeout(&address, timeout).map_err(looked_at) {
                Ok(_) => {
                    return Ok(Self {
                        address,
                        timeout,
                        others: left,
                    });
                }
                Err(error) => {
                    reason = match error.kind() {
                        ErrorKind::ConnectionRefused => Unreachable::Refused,
                        ErrorKind::TimedOut | ErrorKind::WouldBlock => Unreachable::ConnectTimeout,
                        _ => Unreachable::ConnectFailed,
                    }
                }
            }
        }
        Err(reason)
    }

    /// A connection; `None` if there is none any more.
    pub fn connect(&self) -> Option<TcpStream> {
        let stream = TcpStream::connect_timeout(&self.address, self.timeout);
        let stream = stream.map_err(looked_at).ok()?;
        stream.set_nodelay(true).ok()?;
        stream.set_read_timeout(Some(self.timeout)).ok()?;
        stream.set_write_timeout(Some(self.timeout)).ok()?;
        Some(stream)
    }

    /// The answer to a hello sent in one write.
    pub fn ask(&self, hello: &Hello<'_>) -> Answer {
        match hello.message() {
            Some(message) => self.ask_pieces(&[records(&message, usize::MAX)], Duration::ZERO),
            None => Answer::Closed,
        }
    }

    /// The answer to bytes sent in so many writes with a pause between them.
    pub fn ask_pieces(&self, pieces: &[Vec<u8>], pause: Duration) -> Answer {
        let Some(mut stream) = self.connect() else {
            return Answer::Closed;
        };
        for (number, piece) in pieces.iter().enumerate() {
            if number > 0 {
                std::thread::sleep(pause);
            }
            if stream.write_all(piece).is_err() {
                // The answer may be there all the same.
                break;
            }
        }
        read_answer(&mut stream, self.timeout)
    }
}

fn read_answer(stream: &mut TcpStream, timeout: Duration) -> Answer {
    let (end, mut reader) = (Instant::now() + timeout, Reader::default());
    let mut buffer = [0; 4096];
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() || stream.set_read_timeout(Some(left)).is_err() {
            return Answer::Silent;
        }
        match stream.read(&mut buffer) {
            Ok(0) => return Answer::Closed,
            Ok(count) => {
                if let Some(answer) = reader.take(&buffer[..count]) {
                    return answer;
                }
            }
            Err(error) => match error.kind() {
                ErrorKind::Interrupted => {}
                ErrorKind::WouldBlock | ErrorKind::TimedOut => return Answer::Silent,
                _ => return Answer::Closed,
            },
        }
    }
}
