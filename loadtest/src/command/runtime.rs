//! The runtime of a command, and the address it listens on.

use tokio::runtime::{Builder, Runtime};

use crate::error::{Error, Result};
use crate::observe::machine;

/// One thread for one core: no work is passed between threads that could not run at the same time anyway.
pub(super) fn runtime() -> Result<Runtime> {
    let cores = machine::cores().len().max(1);
    let mut builder = if cores == 1 {
        Builder::new_current_thread()
    } else {
        Builder::new_multi_thread()
    };
    builder
        .worker_threads(cores)
        .enable_all()
        .build()
        .map_err(|source| Error::System {
            what: "the runtime could not be started",
            source,
        })
}

pub(super) async fn listen(address: &str) -> Result<tokio::net::TcpListener> {
    tokio::net::TcpListener::bind(address)
        .await
        .map_err(|error| Error::Process(format!("cannot listen on {address}: {error}")))
}
