//! Our own ends of connections whose handshake is under way. A rule that redirects the sidecar's own
//! connections to it would make a circle; what comes back is known by them.

use std::collections::HashSet;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::net::{TcpSocket, TcpStream};

/// Our own ends of connections whose handshake is under way.
#[derive(Debug, Default)]
pub(crate) struct Outgoing(Mutex<HashSet<SocketAddr>>);

/// One of them, until its handshake is over.
pub(super) struct Under<'a>(&'a Outgoing, SocketAddr);

impl Outgoing {
    /// Connects, and is known before the other end can be accepted: by its port, since the kernel chooses the
    /// address with the route. Where no port is free for it, the kernel shares one, and the end is known after.
    pub(super) async fn connect(&self, to: SocketAddr) -> io::Result<(TcpStream, Under<'_>)> {
        let (socket, any): (_, SocketAddr) = if to.is_ipv4() {
            (TcpSocket::new_v4()?, (Ipv4Addr::UNSPECIFIED, 0).into())
        } else {
            (TcpSocket::new_v6()?, (Ipv6Addr::UNSPECIFIED, 0).into())
        };
        if socket.bind(any).is_err() {
            let stream = TcpStream::connect(to).await?;
            let under = self.enter(stream.local_addr()?);
            return Ok((stream, under));
        }
        let under = self.enter(socket.local_addr()?);
        Ok((socket.connect(to).await?, under))
    }

    fn enter(&self, local: SocketAddr) -> Under<'_> {
        let local = canonical(local);
        self.lock().insert(local);
        Under(self, local)
    }

    /// Whether a client is ourselves.
    pub(crate) fn contains(&self, client: SocketAddr) -> bool {
        let known = self.lock();
        // A port that is bound is nobody else's on this host.
        let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, client.port()));
        known.contains(&canonical(client)) || known.contains(&any)
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<SocketAddr>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Under<'_> {
    fn drop(&mut self) {
        self.0.lock().remove(&self.1);
    }
}

fn canonical(address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        return (Ipv4Addr::UNSPECIFIED, address.port()).into();
    }
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_end_is_known_until_its_handshake_is_over() {
        let outgoing = Outgoing::default();
        let under = outgoing.enter("10.77.0.1:40000".parse().unwrap());
        assert!(outgoing.contains("[::ffff:10.77.0.1]:40000".parse().unwrap()));
        assert!(!outgoing.contains("10.77.0.1:40001".parse().unwrap()));
        drop(under);
        assert!(!outgoing.contains("10.77.0.1:40000".parse().unwrap()));
    }

    /// However soon the other end is accepted.
    #[tokio::test(flavor = "multi_thread")]
    async fn an_end_is_known_when_the_other_is_accepted() {
        const CONNECTIONS: usize = 300;
        for any in ["127.0.0.1:0", "[::1]:0"] {
            let listener = match std::net::TcpListener::bind(any) {
                // A host without IPv6.
                Err(_) if any.starts_with('[') => continue,
                bound => bound.unwrap(),
            };
            let address = listener.local_addr().unwrap();
            let outgoing = std::sync::Arc::new(Outgoing::default());
            let known = std::sync::Arc::clone(&outgoing);
            let accepting = std::thread::spawn(move || {
                let ends = (0..CONNECTIONS).map(|_| listener.accept().unwrap());
                ends.filter(|(_, client)| known.contains(*client)).count()
            });
            for _ in 0..CONNECTIONS {
                let (stream, under) = outgoing.connect(address).await.unwrap();
                // Until the other end is closed: it was looked at before.
                let _ = stream.readable().await;
                drop(under);
                assert!(!outgoing.contains(stream.local_addr().unwrap()));
            }
            assert_eq!(accepting.join().unwrap(), CONNECTIONS);
        }
    }
}
