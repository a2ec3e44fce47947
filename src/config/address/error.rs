//! Why an address cannot be used.

use thiserror::Error;

use crate::redact::Shown;

/// An address that cannot be used.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum AddressError {
    /// An IPv6 address whose port cannot be told from it.
    #[error("`{0}`: an IPv6 address with a port needs brackets: write [{0}]:PORT")]
    Brackets(Shown),
    /// Nothing where an address should be.
    #[error("an address is empty")]
    Empty,
    /// A name where an IP address should be.
    #[error("`{0}`: `{1}` is not an IP address (names are not looked up)")]
    NotIp(Shown, Shown),
    /// A port where none belongs.
    #[error("`{0}` is not an IP address: the ports come from --ports, write only the address")]
    NotIpAlone(Shown),
    /// No port.
    #[error("`{0}` has no port: write {0}:PORT")]
    NoPort(Shown),
    /// The addresses of the pod are asked for but not there.
    #[error("`{0}` needs the environment variable POD_IPS (Kubernetes: fieldRef status.podIPs)")]
    PodIpsUnset(Shown),
    /// What is in POD_IPS is not a list of IP addresses.
    #[error("POD_IPS: `{0}` is not an IP address")]
    PodIps(Shown),
    /// An entry of --ports that is not PORT=UPSTREAM.
    #[error("`{0}` is not PORT=UPSTREAM, such as 8000=127.0.0.1:8000")]
    PortsEntry(Shown),
    /// A port that is no number up to 65535.
    #[error("`{0}`: `{1}` is not a port: write a number from 1 to 65535")]
    Port(Shown, Shown),
    /// A Unix socket whose path looks like a key: it would stand in logs and on the status page.
    #[error("`{0}` is no address")]
    LikeAKey(Shown),
    /// A Unix socket whose path is not absolute.
    #[error("`{0}`: the path of a Unix socket must be absolute: write unix:/PATH")]
    UnixRelative(Shown),
    /// A Unix socket whose path the kernel does not take.
    #[error("`{0}`: the path of a Unix socket holds at most 107 bytes, this one has {1}")]
    UnixTooLong(Shown, usize),
    /// Something else than an address that says which one is meant.
    #[error("`{text}` {what}: write {form}")]
    Misread {
        /// What was written.
        text: Shown,
        /// What it is instead.
        what: &'static str,
        /// The right form of it.
        form: Shown,
    },
    /// An upstream without an address to call.
    #[error("`{0}` is every address, not one to call: write 127.0.0.1:PORT or [::1]:PORT")]
    Unspecified(Shown),
}
