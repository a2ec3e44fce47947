//! One HTTP/1.1 connection, client side (RFC 9112): request out, head in, body in by pieces as they arrive,
//! so that each token of a stream gets its own time stamp. Also reads requests, for the tool's own stub.

mod head;

use std::future::poll_fn;
use std::io::{self, ErrorKind};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use crate::net::inbox::Inbox;
pub use head::{Body, Head};
use head::{invalid, parse};

/// Filler goes out in pieces of this length.
const PIECE: usize = 64 * 1024;
const HEAD_LIMIT: usize = 64 * 1024;
static ZEROS: [u8; PIECE] = [b'0'; PIECE];

/// A connection with what was read ahead.
#[derive(Debug)]
pub struct H1<S> {
    pub stream: S,
    inbox: Inbox,
    /// The last response was the last on this connection.
    is_last: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> H1<S> {
    pub fn new(stream: S) -> Self {
        Self {
            stream,
            inbox: Inbox::default(),
            is_last: false,
        }
    }

    /// Whether the server has said that it ends the connection behind its response.
    pub fn is_last(&self) -> bool {
        self.is_last
    }

    /// Sends a request and reads the head of its response; a server that refuses a body may answer before it has it all,
    /// and then takes no more of it.
    pub async fn ask(&mut self, head: &[u8], body: u64) -> io::Result<Head> {
        let Err(error) = self.send(head, body).await else {
            return self.response().await;
        };
        match self.response().await {
            Ok(response) if !response.is_success() => Ok(response),
            _ => Err(error),
        }
    }

    /// Whether the peer's next bytes are these; reads on until that is decided.
    pub async fn begins_with(&mut self, expected: &[u8]) -> io::Result<bool> {
        loop {
            let unread = self.inbox.unread();
            let seen = unread.len().min(expected.len());
            if unread[..seen] != expected[..seen] {
                return Ok(false);
            }
            if seen == expected.len() {
                return Ok(true);
            }
            if self.fill().await? == 0 {
                return Ok(false);
            }
        }
    }

    /// The stream, and what was read of it but not used.
    pub fn into_parts(self) -> (S, Vec<u8>) {
        let unread = self.inbox.unread().to_vec();
        (self.stream, unread)
    }

    /// Sends a ready head and `body` filler bytes.
    pub async fn send(&mut self, head: &[u8], body: u64) -> io::Result<()> {
        let first = (ZEROS.len() - head.len().min(ZEROS.len())).min(body as usize);
        if first > 0 {
            // Head and small body in one write: one record, one segment.
            self.stream
                .write_all(&[head, &ZEROS[..first]].concat())
                .await?;
        } else {
            self.stream.write_all(head).await?;
        }
        let mut left = body - first as u64;
        while left > 0 {
            let piece = left.min(PIECE as u64) as usize;
            self.stream.write_all(&ZEROS[..piece]).await?;
            left -= piece as u64;
        }
        self.stream.flush().await
    }

    /// Reads the head of a response that must come.
    pub async fn response(&mut self) -> io::Result<Head> {
        let head = self.head(false).await?;
        let head = head.ok_or(ErrorKind::UnexpectedEof)?;
        self.is_last = !head.keep_alive || head.body == Body::UntilClose;
        Ok(head)
    }

    /// Reads the next message head; none where the peer closed between messages.
    pub async fn head(&mut self, request: bool) -> io::Result<Option<Head>> {
        loop {
            let unread = self.inbox.unread();
            if let Some((head, length)) = parse(unread, request)? {
                self.inbox.take(length);
                if head.is_interim() {
                    continue;
                }
                return Ok(Some(head));
            }
            if unread.len() > HEAD_LIMIT {
                return Err(invalid("message head longer than 64 KiB"));
            }
            let empty = unread.is_empty();
            if self.fill().await? == 0 {
                return if empty {
                    Ok(None)
                } else {
                    Err(ErrorKind::UnexpectedEof.into())
                };
            }
        }
    }

    /// The next piece of the body as it arrived; none at its end.
    pub async fn piece(&mut self, body: &mut Body) -> io::Result<Option<&[u8]>> {
        let Some(left) = self.left(body).await? else {
            return Ok(None);
        };
        if self.inbox.unread().is_empty() && self.fill().await? == 0 {
            return match body {
                Body::UntilClose => Ok(None),
                _ => Err(ErrorKind::UnexpectedEof.into()),
            };
        }
        let piece = self.inbox.take(usize::try_from(left).unwrap_or(usize::MAX));
        match body {
            Body::Length(left) | Body::Chunk(Some(left)) => *left -= piece.len() as u64,
            _ => {}
        }
        Ok(Some(piece))
    }

    /// Reads the body to its end and returns its length in bytes.
    pub async fn drain(&mut self, mut body: Body) -> io::Result<u64> {
        let mut total = 0;
        while let Some(piece) = self.piece(&mut body).await? {
            total += piece.len() as u64;
        }
        Ok(total)
    }

    /// Bytes until the next boundary of the body; reads chunk sizes as they come.
    async fn left(&mut self, body: &mut Body) -> io::Result<Option<u64>> {
        loop {
            match body {
                Body::Done | Body::Length(0) => return Ok(None),
                Body::Length(left) => return Ok(Some(*left)),
                Body::UntilClose => return Ok(Some(u64::MAX)),
                Body::Chunk(Some(left)) if *left > 0 => return Ok(Some(*left)),
                Body::Chunk(state) => {
                    if state.is_some() && !self.line().await?.is_empty() {
                        return Err(invalid("chunk not followed by an empty line"));
                    }
                    let line = self.line().await?;
                    let size = line.split(|c| *c == b';').next().unwrap_or_default();
                    let size = std::str::from_utf8(size)
                        .ok()
                        .and_then(|s| u64::from_str_radix(s.trim(), 16).ok());
                    match size.ok_or_else(|| invalid("chunk size is not hexadecimal"))? {
                        0 => {
                            while !self.line().await?.is_empty() {}
                            *body = Body::Done;
                        }
                        size => *body = Body::Chunk(Some(size)),
                    }
                }
            }
        }
    }

    async fn line(&mut self) -> io::Result<Vec<u8>> {
        loop {
            let unread = self.inbox.unread();
            if let Some(end) = unread.windows(2).position(|pair| pair == b"\r\n") {
                let line = unread[..end].to_vec();
                self.inbox.take(end + 2);
                return Ok(line);
            }
            if unread.len() > HEAD_LIMIT {
                return Err(invalid("line longer than 64 KiB"));
            }
            if self.fill().await? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
    }

    async fn fill(&mut self) -> io::Result<usize> {
        let Self { stream, inbox, .. } = self;
        poll_fn(|cx| inbox.poll_fill(stream, cx)).await
    }
}

#[cfg(test)]
mod tests;
