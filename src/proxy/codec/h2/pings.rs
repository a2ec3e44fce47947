//! How often a peer that owes something is asked whether it still lives (RFC 9113 §6.7).

use std::time::Duration;

/// Between two pings to a client.
pub(crate) const PING_EVERY: Duration = Duration::from_secs(30);
/// The silence of a server before a ping. gRPC servers admit one ping in five minutes, by default, and end the
/// connections of clients that send more (`too_many_pings`).
pub(crate) const SERVER_PING_EVERY: Duration = Duration::from_mins(6);
/// Until a ping must be answered, or something else be heard of the peer: a reply waits behind what is on its way.
pub(crate) const PING_ANSWER: Duration = Duration::from_secs(20);
