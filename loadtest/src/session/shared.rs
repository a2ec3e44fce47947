//! An HTTP/2 connection that several sessions share, each with one stream at a time.

use std::io;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::error::{Error, Result};
use crate::http::h2::H2;
use crate::net::counts::{Bytes, Meter};
use crate::net::dial::{Dialer, Expect};

/// Where the sessions of one connection find it.
#[derive(Debug, Default)]
pub(super) struct SharedConnection(tokio::sync::Mutex<Weak<Shared>>);

/// The connection; the last client to give it back closes it.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) h2: H2,
    meter: Arc<Meter>,
    /// The meter when an operation last took its part.
    taken: Mutex<Bytes>,
}

impl SharedConnection {
    /// The connection as it is, or a new one where there is none that takes requests; and whether it is new.
    pub(super) async fn join(
        &self,
        dialer: &Dialer,
        expect: Expect,
    ) -> Result<(Arc<Shared>, bool)> {
        let mut known = self.0.lock().await;
        let works = |shared: &Arc<Shared>| !shared.h2.has_ended() && !shared.h2.is_leaving();
        if let Some(shared) = known.upgrade().filter(works) {
            return Ok((shared, false));
        }
        let stream = dialer.dial(expect).await?.stream;
        let meter = Arc::clone(stream.meter());
        let taken = Mutex::new(meter.read());
        let failed = |error: io::Error| Error::protocol(&dialer.endpoint().name, error.to_string());
        let h2 = H2::start(stream).await.map_err(failed)?;
        let shared = Arc::new(Shared { h2, meter, taken });
        *known = Arc::downgrade(&shared);
        Ok((shared, true))
    }
}

impl Shared {
    /// The bytes since the last operation of any session that ended here. Streams overlap, so an operation's bytes
    /// are not told from its neighbours'; the parts add up to what the connection carried.
    pub(super) fn take(&self) -> Bytes {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.meter.read();
        now.since(&std::mem::replace(&mut *taken, now))
    }
}
