//! What the kernel means when it has no local port for a connection.

use std::io;

/// An error of connect(2) with its remedy, where only the host's settings mend it.
pub fn explained(error: io::Error) -> io::Error {
    if error.kind() != io::ErrorKind::AddrNotAvailable {
        return error;
    }
    io::Error::new(
        io::ErrorKind::AddrNotAvailable,
        "no local port is left for a connection there (EADDRNOTAVAIL): one is held for 60 s after each connection that was closed from here; keep connections open, widen net.ipv4.ip_local_port_range, or set net.ipv4.tcp_tw_reuse to 1",
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;

    #[test]
    fn what_the_kernel_says_has_a_remedy_and_everything_else_stays() {
        // Of documentation (RFC 5737): no address of this host.
        let error = TcpListener::bind((Ipv4Addr::new(192, 0, 2, 1), 0)).unwrap_err();
        let error = explained(error);
        assert_eq!(error.kind(), io::ErrorKind::AddrNotAvailable);
        assert!(error.to_string().contains("ip_local_port_range"), "{error}");
        let refused = explained(io::Error::from_raw_os_error(111));
        assert_eq!(refused.raw_os_error(), Some(111));
    }
}
