//! Threads for handshakes whose signature a token makes: a device or a network behind it may be slow, or
//! hang, and a worker's only thread must not wait with it. As many handshakes as there are threads are
//! under way at once, as many wait as `max-handshakes` says, and none longer than the timeout.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;

use super::error::HandshakeError;
use crate::panics;

/// Threads of a listener, and so sessions with its token that are in use at once.
pub const THREADS: usize = 8;
/// How long a handshake waits for a thread and the signature.
pub const TIMEOUT: Duration = Duration::from_secs(2);

type Job = Box<dyn FnOnce() + Send>;

/// The threads of one listener. They end when it is dropped, a call that hangs when it returns.
#[derive(Debug)]
pub struct SigningThreads {
    jobs: Sender<Job>,
    free: Arc<Semaphore>,
    places: Semaphore,
    timeout: Duration,
    /// A handshake waited in vain, and none has been computed since.
    hangs: Arc<AtomicBool>,
}

impl SigningThreads {
    /// Starts `threads`; at most `places` handshakes wait for them.
    pub fn start(threads: usize, places: usize, timeout: Duration) -> io::Result<Arc<Self>> {
        let (jobs, waiting) = channel();
        let waiting = Arc::new(Mutex::new(waiting));
        for number in 0..threads {
            let waiting = Arc::clone(&waiting);
            thread::Builder::new()
                .name(format!("sign-{number}"))
                .spawn(move || work(&waiting))?;
        }
        Ok(Arc::new(Self {
            jobs,
            free: Arc::new(Semaphore::new(threads)),
            places: Semaphore::new(threads + places),
            timeout,
            hangs: Arc::default(),
        }))
    }

    /// Whether the last handshake waited in vain.
    pub fn hang(&self) -> bool {
        self.hangs.load(Ordering::Relaxed)
    }

    /// Does the work on one of the threads. What was given up is not begun; what has begun goes on.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, HandshakeError> {
        let _place = self
            .places
            .try_acquire()
            .map_err(|_| HandshakeError::ShedFromQueue)?;
        let computed = timeout(self.timeout, self.computed(work)).await;
        let computed = computed.map_err(|_| {
            self.hangs.store(true, Ordering::Relaxed);
            HandshakeError::SignerTimeout
        })?;
        computed.ok_or(HandshakeError::Internal)
    }

    async fn computed<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let free = Arc::clone(&self.free).acquire_owned().await.ok()?;
        let (sender, computed) = oneshot::channel();
        let hangs = Arc::clone(&self.hangs);
        let job = move || {
            let result = work();
            hangs.store(false, Ordering::Relaxed);
            drop(free);
            // Nobody may wait any more.
            let _ = sender.send(result);
        };
        self.jobs.send(Box::new(job)).ok()?;
        computed.await.ok()
    }
}

fn work(waiting: &Mutex<Receiver<Job>>) {
    loop {
        let next = waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .recv();
        let Ok(job) = next else { return };
        // Logged by the hook; who waits for it learns that there is no result.
        let _ = panics::caught_call(job);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    #[tokio::test]
    async fn a_call_that_hangs_costs_its_thread_and_nobody_else() {
        let threads = SigningThreads::start(2, 8, Duration::from_millis(100)).unwrap();
        let (release, held) = channel::<()>();
        let hung = threads.run(move || held.recv().is_ok()).await;
        assert!(matches!(hung, Err(HandshakeError::SignerTimeout)));
        assert!(threads.hang());
        assert_eq!(threads.run(|| 7).await.unwrap(), 7);
        assert!(!threads.hang());
        drop(release);
    }

    #[tokio::test]
    async fn only_so_many_wait() {
        let threads = SigningThreads::start(1, 0, Duration::from_mins(1)).unwrap();
        let (release, held) = channel::<()>();
        let first = {
            let threads = Arc::clone(&threads);
            tokio::spawn(async move { threads.run(move || held.recv().is_ok()).await })
        };
        while threads.places.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let second = threads.run(|| ()).await;
        assert!(matches!(second, Err(HandshakeError::ShedFromQueue)));
        release.send(()).unwrap();
        assert!(first.await.unwrap().unwrap());
    }

    #[tokio::test]
    async fn a_panic_ends_one_handshake() {
        let threads = SigningThreads::start(1, 1, Duration::from_mins(1)).unwrap();
        let panicked = threads.run(|| -> u8 { panic!("in a module") }).await;
        assert!(matches!(panicked, Err(HandshakeError::Internal)));
        assert_eq!(threads.run(|| 7).await.unwrap(), 7);
    }
}
