//! Wiring: a `Config` becomes listeners, reloader, admin port and their orderly end. The only place
//! that knows everything.

mod base;
mod commands;
mod dispatch;
mod egress;
mod error;
mod inspect;
mod kept;
mod lifecycle;
mod live;
mod loading;
mod logging;
mod own_ports;
mod plan;
mod profile_check;
mod reading;
mod ready;
mod reload;
mod series;
mod service_manager;
mod sidecar;
mod sides;
mod signature_keys;
mod slow;
mod sockets;
mod traces;
mod tunnel_end;
mod watchers;
mod workload;

pub use self::error::Error;
pub use self::inspect::{budget, describe_certificates};
pub use self::lifecycle::{End, Signals};
pub use self::logging::{init as init_logging, write_last};
pub use self::profile_check::{Finding, ProfileCheck, check_profile};
pub(crate) use self::series::announce;
pub use self::sidecar::Sidecar;
pub use self::slow::said_if_slow;
use crate::config::{Config, Source};
use crate::worker;

/// Runs until a signal or `ctl quit` ends it; SIGHUP reads `source` again. Blocks; builds its own runtime.
/// `started` is called once, when everything listens.
pub fn run(config: Config, source: Source, started: fn()) -> Result<End, Error> {
    let runtime = worker::runtime().map_err(Error::Runtime)?;
    worker::run(runtime, async {
        // Before anything else: as PID 1 a signal without a handler is lost.
        let signals = Signals::install().map_err(Error::Signals)?;
        let sidecar = Sidecar::start_from(config, source)?;
        service_manager::ready(sidecar.listeners());
        started();
        Ok(sidecar.until_signalled(signals).await)
    })
}
