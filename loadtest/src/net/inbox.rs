//! What was read from a peer and not used yet, in memory that follows what comes: a page for small responses, four TLS
//! records for bulk, none while nothing is there. Thousands of waiting sessions so cost the generator little, and its
//! caches hold what it works on.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, ReadBuf};

/// The least and the most of one read, bytes.
const LEAST: usize = 4 * 1024;
const MOST: usize = 64 * 1024;

/// Bytes in the order they came.
#[derive(Debug)]
pub struct Inbox {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    /// Bytes of the next read.
    read_size: usize,
}

impl Default for Inbox {
    fn default() -> Self {
        Self {
            bytes: Vec::new(),
            start: 0,
            end: 0,
            read_size: LEAST,
        }
    }
}

impl Inbox {
    pub fn unread(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Takes the first `count` bytes, or all if there are fewer.
    pub fn take(&mut self, count: usize) -> &[u8] {
        let start = self.start;
        self.start = self.end.min(start.saturating_add(count));
        &self.bytes[start..self.start]
    }

    /// Reads once from `stream`: how many bytes came, 0 at its end.
    pub fn poll_fill<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        self.make_room();
        let buf = self.end..self.end + self.read_size;
        let mut buffer = ReadBuf::new(&mut self.bytes[buf]);
        let outcome = Pin::new(stream).poll_read(cx, &mut buffer);
        let read = buffer.filled().len();
        self.end += read;
        match outcome {
            Poll::Pending => {
                if self.unread().is_empty() {
                    self.bytes = Vec::new();
                    (self.start, self.end) = (0, 0);
                }
            }
            Poll::Ready(_) if read == self.read_size => {
                self.read_size = (self.read_size * 2).min(MOST);
            }
            Poll::Ready(_) if read < self.read_size / 4 => {
                self.read_size = (self.read_size / 2).max(LEAST);
            }
            Poll::Ready(_) => {}
        }
        outcome.map_ok(|()| read)
    }

    fn make_room(&mut self) {
        if self.start > 0 {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        let needed = self.end + self.read_size;
        if self.bytes.len() < needed {
            self.bytes.resize(needed, 0);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::future::poll_fn;

    use tokio::io::AsyncWriteExt;

    use super::*;

    #[tokio::test]
    async fn bytes_come_out_in_order_however_they_are_taken() {
        let sent: Vec<u8> = (0..300_000_u32).map(|n| (n % 251) as u8).collect();
        for piece in [1000, 4096, 70_000] {
            let (mut far, mut near) = tokio::io::duplex(100_000);
            let data = sent.clone();
            let sender = tokio::spawn(async move { far.write_all(&data).await });
            let (mut inbox, mut got) = (Inbox::default(), Vec::new());
            while poll_fn(|cx| inbox.poll_fill(&mut near, cx)).await.unwrap() > 0 {
                got.extend_from_slice(inbox.take(piece));
            }
            got.extend_from_slice(inbox.take(usize::MAX));
            sender.await.unwrap().unwrap();
            assert_eq!(got.len(), sent.len(), "by {piece}");
            assert!(got == sent, "by {piece}");
        }
    }

    #[tokio::test]
    async fn memory_follows_what_comes() {
        let (mut far, mut near) = tokio::io::duplex(1 << 20);
        let mut inbox = Inbox::default();
        far.write_all(&vec![1; 1 << 20]).await.unwrap();
        for _ in 0..8 {
            poll_fn(|cx| inbox.poll_fill(&mut near, cx)).await.unwrap();
            inbox.take(usize::MAX);
        }
        assert_eq!(inbox.bytes.len(), MOST, "bulk is read in large pieces");
        while inbox.read_size > LEAST {
            far.write_all(b"token").await.unwrap();
            poll_fn(|cx| inbox.poll_fill(&mut near, cx)).await.unwrap();
            inbox.take(usize::MAX);
        }
        let waiting = poll_fn(|cx| Poll::Ready(inbox.poll_fill(&mut near, cx))).await;
        assert!(waiting.is_pending());
        assert_eq!(
            inbox.bytes.capacity(),
            0,
            "who waits with nothing at hand holds nothing"
        );
    }
}
