//! TLS side of the sidecar.
pub mod credentials;
mod pem;
pub mod reload;
