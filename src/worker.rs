//! The threads that serve connections, with a runtime each: nothing is stolen, woken or locked across
//! cores on the way of a byte. The first worker is the runtime that also accepts.
//!
//! A connection stays where it was put: at the worker with the least open work. Listeners never set
//! SO_REUSEPORT, so the kernel does not choose; it would count packets' hashes, not work.

use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;

use crate::panics::{self, OnPanic};

/// How long the end of a command waits for tasks that block a thread.
const BLOCKING_TASK_GRACE: Duration = Duration::from_millis(500);

/// A runtime for one worker; it needs no work stealing.
pub(crate) fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().build()
}

/// A runtime with a thread for each core, for many short requests.
pub(crate) fn threads() -> io::Result<Runtime> {
    Builder::new_multi_thread().enable_all().build()
}

/// Runs a command to its end, with all that it started. A look-up of a name or a look at a file that hangs in the
/// system must not hold up that end: dropping the runtime would wait for it.
pub(crate) fn run<T>(runtime: Runtime, command: impl Future<Output = T>) -> T {
    let ended = panic::catch_unwind(AssertUnwindSafe(|| runtime.block_on(command)));
    runtime.shutdown_timeout(BLOCKING_TASK_GRACE);
    ended.unwrap_or_else(|cause| panic::resume_unwind(cause))
}

/// Open work of one worker: connections, and the streams of those that have several.
#[derive(Debug, Default)]
pub struct Load(AtomicUsize);

/// One piece of a worker's open work, until dropped.
#[derive(Debug)]
pub struct Share(Arc<Load>);

impl Load {
    /// Counts one more.
    pub fn share(self: &Arc<Self>) -> Share {
        self.0.fetch_add(1, Ordering::Relaxed);
        Share(Arc::clone(self))
    }

    fn open(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One worker, seen from outside.
pub(crate) struct Worker {
    /// Starts tasks on it.
    pub(crate) handle: Handle,
    /// What it has to do.
    pub(crate) load: Arc<Load>,
    /// Its thread ends when this is dropped; the first worker's is not ours to end.
    _thread: Option<oneshot::Sender<()>>,
}

impl Worker {
    /// The runtime we are in.
    fn here() -> Self {
        Self {
            handle: Handle::current(),
            load: Arc::default(),
            _thread: None,
        }
    }

    fn start(number: usize, panicked: &OnPanic) -> io::Result<Self> {
        let runtime = runtime()?;
        let handle = runtime.handle().clone();
        let (alive, ended) = oneshot::channel();
        let panicked = Arc::clone(panicked);
        thread::Builder::new()
            .name(format!("worker-{number}"))
            .spawn(move || {
                drive(&runtime, ended, &panicked);
                // Looking up nothing and waiting for nobody: what is left has been cut.
                runtime.shutdown_background();
            })?;
        Ok(Self {
            handle,
            load: Arc::default(),
            _thread: Some(alive),
        })
    }
}

/// Runs a worker's tasks until `ended` is ready. A panic that no task caught is not the end of the thread:
/// the connections that were given to it would wait for ever.
fn drive(runtime: &Runtime, ended: impl Future, panicked: &OnPanic) {
    let mut ended = pin!(ended);
    while panics::caught_call(|| drop(runtime.block_on(ended.as_mut()))).is_err() {
        panicked();
    }
}

/// All workers, at least one; their threads end with it.
pub(crate) struct Workers {
    first: Worker,
    others: Vec<Worker>,
}

impl Workers {
    /// The runtime that this is called in and `count - 1` more; `panicked` hears of a panic outside their tasks.
    pub(crate) fn start(count: usize, panicked: &OnPanic) -> io::Result<Self> {
        let others = (1..count).map(|number| Worker::start(number, panicked));
        Ok(Self {
            first: Worker::here(),
            others: others.collect::<Result<_, _>>()?,
        })
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.others.len() + 1
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Worker> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// The worker with the least to do, its number and a share of its work. Among equals it is the
    /// first, for which nobody must be woken.
    pub(crate) fn choose(&self) -> (usize, &Worker, Share) {
        let (mut number, mut least) = (0, &self.first);
        for (other, worker) in (1..).zip(&self.others) {
            if worker.load.open() < least.load.open() {
                (number, least) = (other, worker);
            }
        }
        (number, least, least.load.share())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn silent() -> OnPanic {
        Arc::new(|| {})
    }

    #[test]
    fn a_panic_outside_of_tasks_is_counted_and_the_worker_works_on() {
        let runtime = runtime().unwrap();
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        let panicked: OnPanic = Arc::new(move || {
            counted.fetch_add(1, Ordering::Relaxed);
        });
        let task = runtime.spawn(async {
            tokio::task::yield_now().await;
            7
        });
        let mut polls = 0;
        let ended = std::future::poll_fn(|cx| {
            polls += 1;
            assert!(polls != 1, "as asked");
            cx.waker().wake_by_ref();
            if task.is_finished() {
                std::task::Poll::Ready(())
            } else {
                std::task::Poll::Pending
            }
        });
        drive(&runtime, ended, &panicked);
        assert_eq!(count.load(Ordering::Relaxed), 1);
        assert_eq!(runtime.block_on(task).unwrap(), 7);
    }

    #[test]
    fn what_hangs_in_the_system_does_not_hold_up_the_end_of_a_command() {
        for builds in [runtime, threads] {
            let (release, hanging) = std::sync::mpsc::channel::<()>();
            let (begun, begins) = oneshot::channel();
            let ended = run(builds().unwrap(), async {
                tokio::task::spawn_blocking(move || {
                    let _ = begun.send(());
                    let _ = hanging.recv();
                });
                begins.await.unwrap();
                7
            });
            assert_eq!(ended, 7);
            // It hung until here.
            release.send(()).unwrap();
        }
    }

    #[test]
    fn a_panic_of_a_command_is_its_end_too() {
        let (_hangs, hanging) = std::sync::mpsc::channel::<()>();
        let panicked = panics::caught_call(|| {
            run(runtime().unwrap(), async {
                tokio::task::spawn_blocking(move || hanging.recv());
                panic!("as asked");
            })
        });
        assert_eq!(panicked, Err(panics::Panicked));
    }

    #[tokio::test]
    async fn the_worker_with_the_least_open_work_is_chosen() {
        let workers = Workers::start(3, &silent()).unwrap();
        let chosen = || {
            let (number, _, share) = workers.choose();
            (number, share)
        };
        let (first, second, third) = (chosen(), chosen(), chosen());
        assert_eq!((first.0, second.0, third.0), (0, 1, 2));
        let streams: Vec<_> = (0..5).map(|_| workers.first.load.share()).collect();
        drop(second);
        let next: Vec<_> = (0..4).map(|_| chosen()).collect();
        let numbers: Vec<_> = next.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, [1, 1, 2, 1]);
        drop(streams);
        assert_eq!(chosen().0, 0);
    }

    #[tokio::test]
    async fn every_worker_runs_tasks_on_a_thread_of_its_own_and_ends_with_the_set() {
        let workers = Workers::start(3, &silent()).unwrap();
        let mut names = Vec::new();
        for worker in workers.iter() {
            let name = async { thread::current().name().map(str::to_owned) };
            names.push(worker.handle.spawn(name).await.unwrap());
        }
        assert_eq!(names[1].as_deref(), Some("worker-1"));
        assert_eq!(names[2].as_deref(), Some("worker-2"));
        let endless = workers.others[0].handle.spawn(std::future::pending::<()>());
        drop(workers);
        assert!(endless.await.unwrap_err().is_cancelled());
    }
}
