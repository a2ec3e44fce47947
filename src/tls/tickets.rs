//! Session tickets of listeners that ask for client certificates or share ticket keys (RFC 8446 §4.6.1).
//!
//! rustls resumes whatever a ticket holds and verifies nothing again. So a ticket opens only where the
//! same decision would be made: its key is derived for one listener, mode, set of CAs, revocation lists
//! and rules. It holds the client's names instead of its chain, and ends with the client's certificate.
//! A ticket that does not open is no failure: a full handshake follows, with the alert that is due.

mod error;
mod facts;
mod file;
#[cfg(any(fuzzing, test))]
#[doc(hidden)]
pub mod fuzzing;
mod key_set;
mod local;
mod permissions;
mod scope;
mod session;
mod store;
mod ticketer;

use std::sync::Arc;

use rustls::server::ProducesTickets;

pub use self::error::TicketKeyError;
pub(super) use self::facts::resumed_peer;
pub use self::file::{KeyFile, Step};
pub use self::key_set::LIFETIME;
use self::local::LocalKeys;
pub use self::store::TicketKeyStore;
use self::ticketer::{KeySource, Ticketer};
use super::Settings;
use super::trust::TrustStore;

/// Makes and opens the tickets of listener `name`; `None` where rustls's own will do, or there are none.
pub fn ticketer(
    name: &str,
    settings: &Settings,
    trust: Option<&TrustStore>,
    keys: Option<&Arc<TicketKeyStore>>,
) -> Result<Option<Arc<dyn ProducesTickets>>, rustls::Error> {
    let keys = match (keys, trust) {
        _ if settings.tickets == 0 => return Ok(None),
        (None, None) => return Ok(None),
        (Some(store), _) => KeySource::File(Arc::clone(store)),
        (None, Some(_)) => KeySource::Local(LocalKeys::new().ok_or_else(unavailable)?),
    };
    let trust = trust.map(TrustStore::watched);
    let ticketer = Ticketer::new(name, keys, trust).ok_or_else(unavailable)?;
    Ok(Some(Arc::new(ticketer)))
}

fn unavailable() -> rustls::Error {
    rustls::Error::General("ticket keys cannot be made: no random numbers".to_owned())
}
