//! One step of a handshake, on whichever thread it is made: what a thread keeps for itself is handed over.

use std::mem::take;

use rustls::server::UnbufferedServerConnection;

use super::flight::Flight;
use super::outcome::Cost;
use crate::tls::trust::Noted;

/// Lets rustls work, on this thread, until it waits for the client.
pub(super) fn advance(
    flight: &mut Flight,
    noted: &mut Noted,
    cost: &mut Cost,
    conn: &mut UnbufferedServerConnection,
    asks_client: bool,
) -> Result<(), rustls::Error> {
    if !asks_client {
        return cost.timed(|| flight.advance(conn));
    }
    take(noted).restore();
    let advanced = cost.timed(|| flight.advance(conn));
    *noted = Noted::take();
    advanced
}
