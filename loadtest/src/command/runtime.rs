//! The runtime of a command, and the address it listens on.

use std::panic::{self, AssertUnwindSafe};
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};

use crate::error::{Error, Result};
use crate::observe::machine;

/// How long the end of a command waits for tasks that block a thread.
const BLOCKING_TASK_GRACE: Duration = Duration::from_millis(500);

/// Runs a command to its end on a runtime of its own.
pub(super) fn run<T>(command: impl Future<Output = Result<T>>) -> Result<T> {
    run_on(runtime()?, command)
}

/// The same on one thread, as a proxy with one worker.
pub(super) fn run_on_one_thread<T>(command: impl Future<Output = Result<T>>) -> Result<T> {
    run_on(built(&mut Builder::new_current_thread())?, command)
}

/// A look-up of a name that hangs in the system must not hold up the end: dropping the runtime would wait for it.
fn run_on<T>(runtime: Runtime, command: impl Future<Output = Result<T>>) -> Result<T> {
    let ended = panic::catch_unwind(AssertUnwindSafe(|| runtime.block_on(command)));
    runtime.shutdown_timeout(BLOCKING_TASK_GRACE);
    ended.unwrap_or_else(|cause| panic::resume_unwind(cause))
}

/// One thread for one core: no work is passed between threads that could not run at the same time anyway.
fn runtime() -> Result<Runtime> {
    let cores = machine::cores().len().max(1);
    let mut builder = if cores == 1 {
        Builder::new_current_thread()
    } else {
        Builder::new_multi_thread()
    };
    built(builder.worker_threads(cores))
}

fn built(builder: &mut Builder) -> Result<Runtime> {
    let runtime = builder.enable_all().build();
    runtime.map_err(Error::system("the runtime could not be started"))
}

pub(super) async fn listen(address: &str) -> Result<tokio::net::TcpListener> {
    tokio::net::TcpListener::bind(address)
        .await
        .map_err(|error| Error::Process(format!("cannot listen on {address}: {error}")))
}

/// Where it listens: of port 0 the system has made another.
pub(super) fn place(listener: &tokio::net::TcpListener) -> Result<String> {
    let address = listener.local_addr();
    let address = address.map_err(Error::system("the address of a socket"))?;
    Ok(address.to_string())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn what_hangs_in_the_system_does_not_hold_up_the_end_of_a_command() {
        let (release, hanging) = mpsc::channel::<()>();
        let (begun, begins) = tokio::sync::oneshot::channel();
        let ended = run(async {
            tokio::task::spawn_blocking(move || {
                let _ = begun.send(());
                let _ = hanging.recv();
            });
            Ok(begins.await.is_ok())
        });
        assert!(matches!(ended, Ok(true)));
        // It hung until here.
        assert!(release.send(()).is_ok());
    }
}
