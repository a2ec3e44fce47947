//! What a census says of both windows together.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::sketch::{Entry, Key};
use super::{Census, Window};
use crate::tls::credentials::rfc3339;

/// What a listener has counted.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Report {
    /// When the older window began, in seconds since 1970.
    pub since: u64,
    /// The same by RFC 3339.
    #[serde(default)]
    pub since_time: String,
    /// Connections that were served.
    pub served: u64,
    /// Those that listed no hybrid group.
    pub classical: u64,
    /// Handshakes without a hybrid group that failed.
    pub failed: u64,
    /// The kinds of client without a hybrid group, the most frequent first.
    pub clients: Vec<Client>,
}

/// A kind of client.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Client {
    /// The form of its hello.
    pub ja4: String,
    /// Where it comes from, if that is kept.
    pub source: Option<String>,
    /// Whose certificate it shows, if it shows one.
    pub identity: Option<String>,
    /// What the last one called the server.
    pub server_name: Option<String>,
    /// Handshakes; too many by at most `error`.
    pub count: u64,
    /// See `count`.
    pub error: u64,
    /// At least so many of them failed.
    pub failed: u64,
    /// In seconds since 1970.
    pub last_seen: u64,
    /// The same by RFC 3339.
    #[serde(default)]
    pub last_seen_time: String,
}

impl Census {
    /// What both windows say, now.
    pub fn report(&self, now: Instant) -> Report {
        let moment = self.since_origin(now);
        let mut windows = self.lock();
        self.turn(moment, &mut windows);
        let windows = &*windows;
        let both = || windows.last.iter().chain([&windows.current]);
        let sum = |of: fn(&Window) -> u64| both().map(of).sum::<u64>();
        let mut merged: HashMap<&Key, Entry> = HashMap::new();
        for entry in both().flat_map(|window| window.clients.entries()) {
            let known = merged.get_mut(&entry.key);
            match known {
                // Those of the current window come last: theirs is the last word.
                Some(known) => {
                    let before = std::mem::replace(known, entry.clone());
                    known.count += before.count;
                    known.error += before.error;
                    known.failed += before.failed;
                }
                None => {
                    merged.insert(&entry.key, entry.clone());
                }
            }
        }
        let unix = |at: u64| unix_now().saturating_sub(moment.saturating_sub(at) / 1000);
        let mut entries: Vec<Entry> = merged.into_values().collect();
        entries.sort_by_cached_key(|entry| {
            let seen = (entry.count, entry.last_seen);
            (Reverse(seen), entry.key.ja4.to_string())
        });
        let since = unix(both().map(|window| window.begun).min().unwrap_or_default());
        Report {
            since,
            since_time: rfc3339(since.cast_signed()),
            served: sum(|window| window.served) + self.served.load(Ordering::Relaxed),
            classical: sum(|window| window.classical),
            failed: sum(|window| window.failed),
            clients: entries
                .into_iter()
                .map(|entry| client(entry, unix))
                .collect(),
        }
    }
}

fn client(entry: Entry, unix: impl Fn(u64) -> u64) -> Client {
    let last_seen = unix(entry.last_seen);
    Client {
        ja4: entry.key.ja4.to_string(),
        source: entry.key.source.map(|source| source.to_string()),
        identity: entry.key.identity.map(String::from),
        server_name: entry.server_name.map(String::from),
        count: entry.count,
        error: entry.error,
        failed: entry.failed,
        last_seen,
        last_seen_time: rfc3339(last_seen.cast_signed()),
    }
}

fn unix_now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
