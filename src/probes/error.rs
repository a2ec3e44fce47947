//! What can be wrong with the app when it is asked.

use thiserror::Error;

use super::redirect::MOST_REQUESTS;

/// Why a check failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CheckError {
    /// Nobody listens, or the connection broke.
    #[error("the app does not answer: {0}")]
    Io(#[from] std::io::Error),
    /// No response in time.
    #[error("the app did not answer within {0} s")]
    Timeout(u32),
    /// The response is not HTTP.
    #[error("the app's answer is not HTTP")]
    NotHttp,
    /// A status outside 200 to 399.
    #[error("the app answered with status {0}")]
    Status(u16),
    /// The last of the requests that are made was answered with a redirect too.
    #[error("the app answered {MOST_REQUESTS} requests with a redirect")]
    Redirects,
    /// A redirect whose location cannot be read.
    #[error("the app redirects to what is no URL")]
    Location,
    /// HTTP/2 failed.
    #[error("the app's gRPC port: {0}")]
    Http2(#[from] h2::Error),
    /// The health service says something else than SERVING, or does not exist.
    #[error("the app's gRPC health service answered {0}")]
    NotServing(String),
}
