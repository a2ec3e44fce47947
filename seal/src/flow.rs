//! Groups through threads: each is worked on by one of them, then handed over in order. So many buffers
//! as there are threads, twice, bound the memory, whatever the length.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::error::Error;
use crate::source::{Group, Source};

/// What a thread works with.
#[derive(Debug, Default)]
pub struct Buffers {
    /// As the source gave it.
    pub input: Vec<u8>,
    /// What was made of it.
    pub output: Vec<u8>,
}

/// What is made of a group, by any thread.
pub type Work<'a> = dyn Fn(Group, &mut Buffers) -> Result<(), Error> + Sync + 'a;
/// What becomes of it, in order, on the caller's thread.
pub type Deliver<'a> = dyn FnMut(&Buffers) -> Result<(), Error> + 'a;

/// Runs every group of the source through `work` and then, in order, through `deliver`.
pub fn run(
    source: &dyn Source,
    threads: usize,
    name: &dyn Fn(std::io::Error) -> Error,
    work: &Work<'_>,
    deliver: &mut Deliver<'_>,
) -> Result<(), Error> {
    let take = |buffers: &mut Buffers| source.take(&mut buffers.input);
    if threads < 2 {
        let mut buffers = Buffers::default();
        while let Some(group) = take(&mut buffers).map_err(name)? {
            work(group, &mut buffers)?;
            deliver(&buffers)?;
        }
        return Ok(());
    }
    let pool = Pool::new(threads);
    // An error that is not named yet: `name` belongs to the caller's thread.
    let worker = || {
        let _here = Here(&pool);
        while let Some(mut buffers) = pool.buffers() {
            match take(&mut buffers) {
                Ok(None) => return,
                Ok(Some(group)) => match work(group, &mut buffers) {
                    Ok(()) => pool.done(group.number, buffers),
                    Err(error) => return pool.fail(Failure::Work(error)),
                },
                Err(error) => return pool.fail(Failure::Source(error)),
            }
        }
    };
    let result = std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(worker);
        }
        let delivered = pool.deliver(deliver);
        pool.stop();
        delivered
    });
    match (result, pool.failure()) {
        (Err(error), _) | (Ok(()), Some(Failure::Work(error))) => Err(error),
        (Ok(()), Some(Failure::Source(error))) => Err(name(error)),
        (Ok(()), None) => Ok(()),
    }
}

enum Failure {
    Source(std::io::Error),
    Work(Error),
}

struct Pool {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    free: Vec<Buffers>,
    done: BTreeMap<u64, Buffers>,
    workers: usize,
    stopped: bool,
    failure: Option<Failure>,
}

impl Pool {
    fn new(threads: usize) -> Self {
        Self {
            state: Mutex::new(State {
                free: (0..threads * 2).map(|_| Buffers::default()).collect(),
                done: BTreeMap::new(),
                workers: threads,
                stopped: false,
                failure: None,
            }),
            changed: Condvar::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        let waited = self.changed.wait(state);
        waited.unwrap_or_else(PoisonError::into_inner)
    }

    /// Before a group is taken, so that no group waits for buffers that later ones hold.
    fn buffers(&self) -> Option<Buffers> {
        let mut state = self.state();
        loop {
            if state.stopped {
                return None;
            }
            if let Some(buffers) = state.free.pop() {
                return Some(buffers);
            }
            state = self.wait(state);
        }
    }

    fn done(&self, number: u64, buffers: Buffers) {
        self.state().done.insert(number, buffers);
        self.changed.notify_all();
    }

    fn fail(&self, failure: Failure) {
        let mut state = self.state();
        state.failure.get_or_insert(failure);
        state.stopped = true;
        drop(state);
        self.changed.notify_all();
    }

    fn stop(&self) {
        self.state().stopped = true;
        self.changed.notify_all();
    }

    fn failure(&self) -> Option<Failure> {
        self.state().failure.take()
    }

    fn deliver(&self, deliver: &mut Deliver<'_>) -> Result<(), Error> {
        let mut next = 0;
        loop {
            let mut state = self.state();
            let buffers = loop {
                if state.failure.is_some() {
                    return Ok(());
                }
                if let Some(buffers) = state.done.remove(&next) {
                    break buffers;
                }
                if state.workers == 0 {
                    return Ok(());
                }
                state = self.wait(state);
            };
            drop(state);
            deliver(&buffers)?;
            next += 1;
            self.state().free.push(buffers);
            self.changed.notify_all();
        }
    }
}

/// A worker that ends, even by a panic, is not waited for.
struct Here<'a>(&'a Pool);

impl Drop for Here<'_> {
    fn drop(&mut self) {
        self.0.state().workers -= 1;
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::StreamSource;

    fn named(cause: std::io::Error) -> Error {
        Error::Output(cause)
    }

    #[test]
    fn groups_are_delivered_in_order() {
        let bytes: Vec<u8> = (0..=255).collect();
        for threads in [1, 2, 7] {
            let mut seen = Vec::new();
            let work = |group: Group, buffers: &mut Buffers| {
                if group.number.is_multiple_of(3) {
                    std::thread::yield_now();
                }
                buffers.output.clone_from(&buffers.input);
                Ok(())
            };
            let source = StreamSource::new(bytes.as_slice(), 5);
            run(&source, threads, &named, &work, &mut |buffers| {
                seen.extend_from_slice(&buffers.output);
                Ok(())
            })
            .unwrap();
            assert_eq!(seen, bytes);
        }
    }

    #[test]
    fn the_first_error_ends_it() {
        for threads in [1, 4] {
            let work = |group: Group, _: &mut Buffers| match group.number {
                20 => Err(Error::Usage("20".to_owned())),
                _ => Ok(()),
            };
            let source = StreamSource::new(std::io::repeat(1), 5);
            let error = run(&source, threads, &named, &work, &mut |_| Ok(())).unwrap_err();
            assert_eq!(error.to_string(), "20");
            let source = StreamSource::new(std::io::repeat(1), 5);
            let full = &mut |_: &Buffers| Err(Error::Usage("full".to_owned()));
            let error = run(&source, threads, &named, &|_, _| Ok(()), full).unwrap_err();
            assert_eq!(error.to_string(), "full");
        }
    }
}
