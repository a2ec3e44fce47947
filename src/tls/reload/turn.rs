//! Looks at files that may never end: a file system that has stopped to answer, a token that hangs. None is
//! waited for for ever, and while one hangs no other begins, so each store holds one thread at most.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinHandle, spawn_blocking};
use tokio::time::{Instant, timeout_at};

/// The right to look at the files of one store. It outlives the reloader: a look that hangs goes on when
/// another configuration brings another reloader.
#[derive(Clone, Debug)]
pub(in crate::tls) struct Turn(pub(super) Arc<Semaphore>);

impl Default for Turn {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }
}

/// What became of a look.
pub(super) enum Found<T> {
    Done(T),
    Panicked,
    /// It was given up, or one before it was and still hangs.
    Late,
}

impl<T> From<Result<T, JoinError>> for Found<T> {
    fn from(ended: Result<T, JoinError>) -> Self {
        ended.map_or(Self::Panicked, Self::Done)
    }
}

/// The looks at the files of one store.
pub(super) struct Looks<T> {
    turn: Turn,
    patience: Duration,
    late: Option<JoinHandle<T>>,
}

impl<T: Send + 'static> Looks<T> {
    pub(super) fn new(turn: &Turn, patience: Duration) -> Self {
        Self {
            turn: turn.clone(),
            patience,
            late: None,
        }
    }

    /// Files and keys are slow enough to stay off the threads that serve connections.
    pub(super) async fn make(&mut self, look: impl FnOnce() -> T + Send + 'static) -> Found<T> {
        if self.late.is_some() {
            return Found::Late;
        }
        let by = Instant::now() + self.patience;
        let turn = Arc::clone(&self.turn.0).acquire_owned();
        let Ok(Ok(turn)) = timeout_at(by, turn).await else {
            return Found::Late;
        };
        let mut looking = spawn_blocking(move || {
            let _turn = turn;
            look()
        });
        if let Ok(ended) = timeout_at(by, &mut looking).await {
            return ended.into();
        }
        self.late = Some(looking);
        Found::Late
    }

    /// What a look that was given up found after all; pending while there is none.
    pub(super) async fn late(&mut self) -> Found<T> {
        let Some(looking) = &mut self.late else {
            return std::future::pending().await;
        };
        let ended = looking.await;
        self.late = None;
        ended.into()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::mpsc;

    use super::*;

    const BRIEF: Duration = Duration::from_millis(50);

    #[tokio::test]
    async fn a_look_that_hangs_is_given_up_and_no_second_one_begins_until_it_ends() {
        let turn = Turn::default();
        let mut looks = Looks::new(&turn, BRIEF);
        let (release, held) = mpsc::channel::<()>();
        let hangs = move || held.recv().is_err();
        assert!(matches!(looks.make(hangs).await, Found::Late));
        // Nor by the reloader of another configuration.
        for looks in [&mut looks, &mut Looks::new(&turn, BRIEF)] {
            let (began, begun) = mpsc::channel();
            let look = move || began.send(()).is_ok();
            assert!(matches!(looks.make(look).await, Found::Late));
            assert!(begun.try_recv().is_err());
        }
        drop(release);
        assert!(matches!(looks.late().await, Found::Done(true)));
        assert!(matches!(looks.make(|| true).await, Found::Done(true)));
    }
}
