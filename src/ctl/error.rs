//! Why an order was not carried out.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use thiserror::Error;

use crate::json;
use crate::redact::Shown;

/// How long an answer may take.
pub(super) const TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes of an answer that are read: a census of 8192 kinds of client, each with long names.
pub(super) const MAX_ANSWER: usize = 8 * 1024 * 1024;

/// Why an order was not carried out.
#[derive(Debug, Error)]
pub enum Error {
    /// Nobody answers there.
    #[error("admin port {admin}: {source}: is the sidecar running, and is --admin right?")]
    Unreachable {
        /// Where it was looked for.
        admin: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
    /// Something answered that is no admin port.
    #[error("admin port {admin}: {source}")]
    Http {
        /// Where it was looked for.
        admin: SocketAddr,
        /// What was wrong with the answer.
        source: hyper::Error,
    },
    /// It runs, and says that it is not ready.
    #[error("{message}")]
    NotReady {
        /// What it says, with reasons.
        message: String,
    },
    /// The sidecar refuses.
    #[error("admin port {admin}: {status}: {message}")]
    Refused {
        /// Where it was looked for.
        admin: SocketAddr,
        /// HTTP status.
        status: u16,
        /// What the sidecar says.
        message: String,
    },
    /// It is no page of this version.
    #[error(
        "admin port {admin}: {path}: not what this version expects: {}: use the ctl of the same image",
        json::said(source)
    )]
    Page {
        /// Where it was looked for.
        admin: SocketAddr,
        /// The page.
        path: &'static str,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// More than is read.
    #[error(
        "admin port {admin}: {path}: larger than {} MiB, of which nothing is shown: ask for the page itself, such as by curl, or lower census.size of the listeners",
        MAX_ANSWER >> 20
    )]
    TooLarge {
        /// Where it was looked for.
        admin: SocketAddr,
        /// The page.
        path: &'static str,
    },
    /// There is no listener of that name.
    #[error("--listener: there is no listener `{written}`: there are {known}")]
    Listener {
        /// What was written.
        written: Shown,
        /// The names that there are.
        known: String,
    },
    /// Standard output.
    #[error("standard output: {0}")]
    Output(#[from] io::Error),
    /// No answer in time.
    #[error("admin port {admin}: no answer within {seconds} s", seconds = TIMEOUT.as_secs())]
    Timeout {
        /// Where it was looked for.
        admin: SocketAddr,
    },
}
