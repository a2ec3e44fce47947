//! A signal that ends a command which writes files: what is not whole yet can be removed first.

use std::io;
use std::panic;
use std::pin::Pin;
use std::task::Poll;
use std::thread;

use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

/// As large as that of a main thread.
const STACK: usize = 8 << 20;

/// How a command ended.
pub(crate) enum Ended<T> {
    /// By itself.
    Done(T),
    /// By this signal. Its thread still works.
    Signalled(u8),
}

/// Runs a command on a thread of its own, until its end or a signal that ends it.
pub(crate) fn unless_signalled<T: Send + 'static>(
    command: impl FnOnce() -> T + Send + 'static,
) -> io::Result<Ended<T>> {
    let runtime = Builder::new_current_thread().enable_io().build()?;
    let inside = runtime.enter();
    let mut watched = watched()?;
    drop(inside);
    let (report, done) = oneshot::channel();
    let work = move || {
        // Nobody waits for it after a signal.
        let _ = report.send(panic::catch_unwind(panic::AssertUnwindSafe(command)));
    };
    thread::Builder::new().stack_size(STACK).spawn(work)?;
    let ended = runtime.block_on(async {
        tokio::select! {
            biased;
            done = done => Ok(done),
            number = first(&mut watched) => Err(number),
        }
    });
    match ended {
        Ok(Ok(Ok(result))) => Ok(Ended::Done(result)),
        Ok(Ok(Err(panicked))) => panic::resume_unwind(panicked),
        Ok(Err(_)) => Err(io::Error::other("the thread of the command ended")),
        Err(number) => Ok(Ended::Signalled(number)),
    }
}

/// The signals that end a command, but for those that its parent told it to ignore, as `nohup`
/// and the shell's `&` do.
fn watched() -> io::Result<Vec<(u8, Signal)>> {
    let ignored = ignored();
    let all = [
        SignalKind::hangup(),
        SignalKind::interrupt(),
        SignalKind::terminate(),
    ];
    let mut watched = Vec::new();
    for kind in all {
        let number = u8::try_from(kind.as_raw_value()).unwrap_or_default();
        if ignored >> number.saturating_sub(1) & 1 == 0 {
            watched.push((number, signal(kind)?));
        }
    }
    Ok(watched)
}

async fn first(watched: &mut [(u8, Signal)]) -> u8 {
    std::future::poll_fn(|context| {
        for (number, signal) in &mut *watched {
            if Pin::new(signal).poll_recv(context).is_ready() {
                return Poll::Ready(*number);
            }
        }
        Poll::Pending
    })
    .await
}

/// A bit for each.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0)
}
