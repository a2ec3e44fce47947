//! Who still comes without a hybrid group: counted by the form of the hello, where it comes from and whose
//! certificate it shows. Bounded whatever comes, and forgetful: two windows of time are kept.
//!
//! Answers whether a policy could be tightened. It is for the operator's port: nothing of it stands in
//! metrics or logs. A handshake with a hybrid group costs it a counter.

mod report;
mod settings;
mod sketch;

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub use self::report::{Client, Report};
pub use self::settings::{Addresses, Settings};
use self::sketch::{Key, Sketch};
use crate::tls::hello::ClassicalHello;
use crate::tls::identity::PeerIdentity;

/// The longest name of a certificate that is kept; a longer one is kept by its fingerprint.
const MAX_IDENTITY: usize = 256;

/// What one listener counts.
#[derive(Debug)]
pub struct Census {
    settings: Settings,
    /// Moments are milliseconds since then.
    origin: Instant,
    /// Connections that were served in the current window, classical and not.
    served: AtomicU64,
    /// When the current window ends.
    ends: AtomicU64,
    windows: Mutex<Windows>,
    hashes: RandomState,
}

#[derive(Debug)]
struct Windows {
    current: Window,
    last: Option<Window>,
}

#[derive(Debug)]
struct Window {
    begun: u64,
    /// Filled in when the window ends.
    served: u64,
    /// Served without a hybrid group.
    classical: u64,
    /// Handshakes without a hybrid group that failed.
    failed: u64,
    clients: Sketch,
}

impl Window {
    fn new(begun: u64, size: usize) -> Self {
        Self {
            begun,
            served: 0,
            classical: 0,
            failed: 0,
            clients: Sketch::new(size),
        }
    }
}

impl Census {
    /// One that begins now.
    pub fn new(settings: Settings, now: Instant) -> Self {
        Self {
            settings,
            origin: now,
            served: AtomicU64::new(0),
            ends: AtomicU64::new(millis(settings.window)),
            windows: Mutex::new(Windows {
                current: Window::new(0, settings.size),
                last: None,
            }),
            hashes: RandomState::new(),
        }
    }

    /// Whether clients are counted at all.
    pub fn is_on(&self) -> bool {
        self.settings.size > 0
    }

    /// Counts a connection that is served, and who it is if its hello listed no hybrid group.
    pub fn served(
        &self,
        at: Instant,
        address: IpAddr,
        classical: Option<&ClassicalHello>,
        peer: Option<&PeerIdentity>,
    ) {
        if !self.is_on() {
            return;
        }
        let now = self.since_origin(at);
        if now >= self.ends.load(Ordering::Relaxed) {
            self.turn(now, &mut self.lock());
        }
        self.served.fetch_add(1, Ordering::Relaxed);
        if let Some(hello) = classical {
            self.count(now, self.key(hello, address, peer), hello, false);
        }
    }

    /// Counts a handshake that failed if its hello listed no hybrid group.
    pub fn failed(
        &self,
        at: Instant,
        address: IpAddr,
        classical: Option<&ClassicalHello>,
        peer: Option<&PeerIdentity>,
    ) {
        if let Some(hello) = classical.filter(|_| self.is_on()) {
            let now = self.since_origin(at);
            self.count(now, self.key(hello, address, peer), hello, true);
        }
    }

    fn key(&self, hello: &ClassicalHello, address: IpAddr, peer: Option<&PeerIdentity>) -> Key {
        Key {
            ja4: hello.ja4.clone(),
            source: self.settings.addresses.shown(address),
            identity: peer.map(|peer| bounded(peer.to_string())),
        }
    }

    fn count(&self, now: u64, key: Key, hello: &ClassicalHello, failed: bool) {
        let hash = self.hashes.hash_one(&key);
        let mut windows = self.lock();
        self.turn(now, &mut windows);
        let window = &mut windows.current;
        if failed {
            window.failed += 1;
        } else {
            window.classical += 1;
        }
        let entry = window.clients.add(hash, key);
        entry.failed += u64::from(failed);
        entry.last_seen = now;
        if entry.server_name != hello.server_name {
            entry.server_name.clone_from(&hello.server_name);
        }
    }

    /// Begins a new window if the current one is over. What is older than two windows is forgotten.
    fn turn(&self, now: u64, windows: &mut Windows) {
        let length = millis(self.settings.window).max(1);
        let begun = windows.current.begun;
        let over = now.saturating_sub(begun) / length;
        if over == 0 {
            return;
        }
        let next = Window::new(begun + over * length, self.settings.size);
        self.ends.store(next.begun + length, Ordering::Relaxed);
        let mut ended = std::mem::replace(&mut windows.current, next);
        ended.served = self.served.swap(0, Ordering::Relaxed);
        windows.last = (over == 1).then_some(ended);
    }

    fn lock(&self) -> MutexGuard<'_, Windows> {
        self.windows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn since_origin(&self, at: Instant) -> u64 {
        millis(at.saturating_duration_since(self.origin))
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The name of a certificate ends with its fingerprint.
fn bounded(identity: String) -> Box<str> {
    if identity.len() <= MAX_IDENTITY {
        return identity.into();
    }
    let last = identity.rsplit(' ').next().unwrap_or_default();
    let end = last.floor_char_boundary(MAX_IDENTITY);
    last[..end].into()
}

#[cfg(test)]
mod tests;
