//! Large pages: one is rendered for each client, until clients that read slowly hold as many as there may be.
//! Further ones get the newest of them.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::{Body, Frame, SizeHint};

/// Pages of a kind that are held at most.
const MOST: usize = 4;
/// How long one is held for those who read it before a newer one takes its place.
const HELD: Duration = Duration::from_secs(10);
/// Bytes of a page that a connection has of its own.
const PIECE: usize = 16 << 10;

/// The large pages of an admin port.
#[derive(Default)]
pub struct Pages {
    pub(super) metrics: Arc<SharedPage>,
    pub(super) status: Arc<SharedPage>,
}

/// Pages of one kind, the oldest first.
#[derive(Default)]
pub(super) struct SharedPage(Mutex<VecDeque<Arc<Page>>>);

struct Page {
    text: Vec<u8>,
    rendered: Instant,
    readers: AtomicUsize,
}

/// A client's copy, which ends with an error when a newer page takes the place of its own.
struct Reader {
    page: Weak<Page>,
    at: usize,
    length: usize,
    all: Arc<SharedPage>,
}

impl SharedPage {
    fn held(&self) -> MutexGuard<'_, VecDeque<Arc<Page>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest page, if there are as many as there may be and none of them is old.
    fn newest(&self) -> Option<Arc<Page>> {
        let mut held = self.held();
        if held.len() < MOST {
            return None;
        }
        if held.front()?.rendered.elapsed() >= HELD {
            held.pop_front();
            return None;
        }
        let newest = held.back()?;
        newest.readers.fetch_add(1, Ordering::Relaxed);
        Some(Arc::clone(newest))
    }

    /// A page for one more client.
    pub(super) fn body<E>(
        self: &Arc<Self>,
        render: impl FnOnce() -> Result<Vec<u8>, E>,
    ) -> Result<UnsyncBoxBody<Bytes, io::Error>, E> {
        let page = match self.newest() {
            Some(page) => page,
            None => self.add(render()?),
        };
        Ok(UnsyncBoxBody::new(Reader {
            page: Arc::downgrade(&page),
            at: 0,
            length: page.text.len(),
            all: Arc::clone(self),
        }))
    }

    fn add(&self, text: Vec<u8>) -> Arc<Page> {
        let page = Arc::new(Page {
            text,
            rendered: Instant::now(),
            readers: AtomicUsize::new(1),
        });
        self.held().push_back(Arc::clone(&page));
        page
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let Some(page) = self.page.upgrade()
            && page.readers.fetch_sub(1, Ordering::Relaxed) == 1
        {
            let read = |page: &Arc<Page>| page.readers.load(Ordering::Relaxed) > 0;
            self.all.held().retain(read);
        }
    }
}

impl Body for Reader {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.is_end_stream() {
            return Poll::Ready(None);
        }
        let Some(page) = self.page.upgrade() else {
            return Poll::Ready(Some(Err(io::ErrorKind::TimedOut.into())));
        };
        let rest = page.text.get(self.at..).unwrap_or_default();
        let piece = Bytes::copy_from_slice(&rest[..rest.len().min(PIECE)]);
        self.at += piece.len();
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.at >= self.length
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact((self.length - self.at) as u64)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::convert::Infallible;

    use http_body_util::{BodyExt as _, Collected};

    use super::*;

    #[tokio::test]
    async fn slow_readers_hold_few_pages_and_others_get_the_newest() {
        let pages = Arc::<SharedPage>::default();
        let page = |text: String| {
            pages
                .body(|| Ok::<_, Infallible>(text.into_bytes()))
                .unwrap()
        };
        let read = async |body: UnsyncBoxBody<Bytes, io::Error>| {
            let read = body.collect().await.map(Collected::to_bytes);
            read.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        };
        let large = |of: usize| of.to_string().repeat(3 * PIECE);
        assert_eq!(read(page(large(9))).await.unwrap(), large(9));
        assert!(pages.held().is_empty());
        let mut held: VecDeque<_> = (0..MOST).map(|of| page(large(of))).collect();
        let size = held[0].size_hint().exact();
        assert_eq!(size, Some(3 * PIECE as u64));
        // As many as there may be: the newest, and none is rendered.
        assert_eq!(read(page(large(7))).await.unwrap(), large(MOST - 1));
        // The oldest was held long enough.
        let oldest = Arc::clone(&pages.held()[0]);
        let (text, rendered) = (oldest.text.clone(), oldest.rendered.checked_sub(HELD));
        let readers = AtomicUsize::new(1);
        drop(oldest);
        pages.held()[0] = Arc::new(Page {
            text,
            rendered: rendered.unwrap(),
            readers,
        });
        assert_eq!(read(page(large(8))).await.unwrap(), large(8));
        assert!(read(held.pop_front().unwrap()).await.is_err());
        for (of, body) in held.into_iter().enumerate() {
            assert_eq!(read(body).await.unwrap(), large(of + 1));
        }
        assert!(pages.held().is_empty());
    }
}
