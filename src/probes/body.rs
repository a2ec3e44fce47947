//! The body of a response. The kubelet reads the beginning of it before a probe counts (`DoHTTPProbe`).

use std::io;

use bytes::{Buf, BytesMut};
use httparse::{Header, Status};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

use super::error::CheckError;

/// Bytes of a body that are waited for (`maxRespBodyLength` of the kubelet).
const MOST: usize = 10 << 10;
/// For a line with the size of a chunk, and for trailers.
const LINES_LIMIT: usize = 16 << 10;

/// How a body ends (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Framing {
    Length(u64),
    Chunked,
    UntilClose,
}

/// By the head, as net/http decides it.
pub(super) fn framing(
    status: u16,
    version: Option<u8>,
    headers: &[Header<'_>],
) -> Result<Framing, CheckError> {
    if matches!(status, 100..=199 | 204 | 304) {
        return Ok(Framing::Length(0));
    }
    let of = |name: &'static str| {
        let named = headers.iter().filter(|h| h.name.eq_ignore_ascii_case(name));
        named.map(|h| h.value.trim_ascii())
    };
    let mut encodings = of("transfer-encoding");
    if let Some(encoding) = encodings.next().filter(|_| version != Some(0)) {
        let chunked = encoding.eq_ignore_ascii_case(b"chunked") && encodings.next().is_none();
        return chunked
            .then_some(Framing::Chunked)
            .ok_or(CheckError::NotHttp);
    }
    let mut lengths = of("content-length");
    let Some(length) = lengths.next() else {
        return Ok(Framing::UntilClose);
    };
    let digits = length.iter().all(u8::is_ascii_digit) && lengths.all(|other| other == length);
    let length = std::str::from_utf8(length).ok().filter(|_| digits);
    let length = length.and_then(|length| length.parse().ok());
    length.map(Framing::Length).ok_or(CheckError::NotHttp)
}

/// What is still to come of a response.
#[derive(Debug)]
pub(super) struct Rest {
    pub(super) stream: TcpStream,
    /// Of the body, or of its framing.
    pub(super) received: BytesMut,
    pub(super) framing: Framing,
}

impl Rest {
    /// Waits for the end of the body, or for as much of it as the kubelet reads.
    pub(super) async fn end(mut self) -> io::Result<()> {
        match self.framing {
            Framing::Length(length) => {
                let length = usize::try_from(length).unwrap_or(MOST);
                self.pass(length.min(MOST)).await
            }
            Framing::UntilClose => {
                while self.received.len() < MOST {
                    if self.stream.read_buf(&mut self.received).await? == 0 {
                        break;
                    }
                }
                Ok(())
            }
            Framing::Chunked => self.chunks().await,
        }
    }

    async fn chunks(&mut self) -> io::Result<()> {
        let mut left = MOST;
        loop {
            let size = self.chunk_size().await?;
            if size == 0 {
                return self.trailers().await;
            }
            if size >= left {
                return self.pass(left).await;
            }
            left -= size;
            self.pass(size).await?;
            while self.received.len() < 2 {
                self.read().await?;
            }
            if !self.received.starts_with(b"\r\n") {
                return Err(io::ErrorKind::InvalidData.into());
            }
            self.received.advance(2);
        }
    }

    async fn chunk_size(&mut self) -> io::Result<usize> {
        loop {
            match httparse::parse_chunk_size(&self.received) {
                Ok(Status::Complete((length, size))) => {
                    self.received.advance(length);
                    return Ok(usize::try_from(size).unwrap_or(MOST));
                }
                Ok(Status::Partial) if self.received.len() < LINES_LIMIT => self.read().await?,
                _ => return Err(io::ErrorKind::InvalidData.into()),
            }
        }
    }

    /// Until the empty line.
    async fn trailers(&mut self) -> io::Result<()> {
        loop {
            let lines = &self.received;
            if lines.starts_with(b"\r\n") || lines.windows(4).any(|end| end == b"\r\n\r\n") {
                return Ok(());
            }
            if lines.len() >= LINES_LIMIT {
                return Err(io::ErrorKind::InvalidData.into());
            }
            self.read().await?;
        }
    }

    /// Reads and drops so many bytes.
    async fn pass(&mut self, mut count: usize) -> io::Result<()> {
        loop {
            let part = count.min(self.received.len());
            self.received.advance(part);
            count -= part;
            if count == 0 {
                return Ok(());
            }
            self.read().await?;
        }
    }

    async fn read(&mut self) -> io::Result<()> {
        match self.stream.read_buf(&mut self.received).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}
