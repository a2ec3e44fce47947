//! What HTTP/2 may hold beyond what a connection costs: one eighth of the memory for all connections of
//! the process together, divided among streams, unsent data, uploads, heads of both directions and upstream windows.

use std::fmt;

/// Bytes of a stream: its bookkeeping, and a head of a usual size each way (13 KiB measured).
const STREAM: u64 = 16 << 10;
/// Bytes of response data that one connection may hold unsent, over all of its streams.
pub const UNSENT_PER_CONNECTION: u64 = 1 << 20;
/// Bytes of requests that a client may have under way on all of its streams: at first, which is part
/// of what a connection costs, and at most.
pub const FIRST_UPLOAD_WINDOW: u32 = 0xffff;
/// See `FIRST_UPLOAD_WINDOW`.
pub const UPLOAD_WINDOW: u32 = 2 << 20;

/// Memory without a limit, and where it cannot be read.
const UNKNOWN: u64 = 4 << 30;

/// Bounds of the process for all HTTP/2 connections together.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Http2 {
    /// Streams.
    pub streams: u64,
    /// Response data that clients have not taken, in bytes.
    pub unsent: u64,
    /// Windows for uploads beyond the first of each connection, in bytes.
    pub uploads: u64,
    /// Response heads of an unusual size, in bytes.
    pub heads: u64,
    /// Request heads and trailers of an unusual size, in bytes.
    pub requests: u64,
    /// Windows of connections to upstreams, in bytes.
    pub upstream: u64,
}

impl Http2 {
    /// What `memory` bytes allow.
    pub fn of(memory: Option<u64>) -> Self {
        let memory = memory.unwrap_or(UNKNOWN);
        Self {
            streams: (memory * 3 / 64 / STREAM).clamp(64, 64 << 10),
            unsent: (memory / 64).clamp(512 << 10, 16 << 20),
            uploads: (memory / 64).clamp(512 << 10, 256 << 20),
            heads: (memory / 128).clamp(512 << 10, 64 << 20),
            requests: (memory / 64).clamp(512 << 10, 64 << 20),
            upstream: (memory * 3 / 128).clamp(512 << 10, 256 << 20),
        }
    }

    /// All of it.
    pub fn bytes(&self) -> u64 {
        let reserves = self.unsent + self.uploads + self.heads + self.requests + self.upstream;
        self.streams * STREAM + reserves
    }
}

/// As a comment of a configuration file.
impl fmt::Display for Http2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kib = |bytes: u64| bytes >> 10;
        writeln!(
            f,
            "# HTTP/2: {} streams of {} KiB; unsent data {} KiB, {} KiB a connection; upload windows {} KiB beyond {} KiB a connection; large response heads {} KiB; large request heads and trailers {} KiB; upstream windows {} KiB",
            self.streams,
            kib(STREAM),
            kib(self.unsent),
            kib(UNSENT_PER_CONNECTION),
            kib(self.uploads),
            kib(u64::from(FIRST_UPLOAD_WINDOW) + 1),
            kib(self.heads),
            kib(self.requests),
            kib(self.upstream),
        )
    }
}
