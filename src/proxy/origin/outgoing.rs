//! Our own ends of connections whose handshake is under way. A rule that redirects the sidecar's own
//! connections to it would make a circle; what comes back is known by them.

use std::collections::HashSet;
use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;
use socket2::{Domain, Socket, Type};
use tokio::net::TcpStream;

/// Our own ends of connections whose handshake is under way, each with where it goes.
#[derive(Debug, Default)]
pub(crate) struct Outgoing(Mutex<HashSet<Ends>>);

/// Our own end and the other: the kernel gives one port to several connections that go elsewhere.
type Ends = (SocketAddr, SocketAddr);

/// One of them, until its handshake is over.
pub(super) struct Under<'a>(&'a Outgoing, Ends);

impl Outgoing {
    /// Connects, and is known before the other end can be asked for: the lock is held from before the kernel
    /// chooses our end until it is known. A port bound beforehand would be known too, and would be nobody else's for
    /// a minute after its end: 470 connections a second to all targets together.
    pub(super) async fn connect(&self, to: SocketAddr) -> io::Result<(TcpStream, Under<'_>)> {
        let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        let under = self.begin(&socket, to)?;
        let stream = TcpStream::from_std(socket.into())?;
        stream.writable().await?;
        match stream.take_error()? {
            Some(error) => Err(error),
            None => Ok((stream, under)),
        }
    }

    /// Does not wait: the socket does not block.
    fn begin(&self, socket: &Socket, to: SocketAddr) -> io::Result<Under<'_>> {
        let mut known = self.lock();
        match socket.connect(&to.into()) {
            Err(error) if error.raw_os_error() != Some(Errno::INPROGRESS.raw_os_error()) => {
                return Err(error);
            }
            _ => {}
        }
        let local = socket.local_addr()?.as_socket();
        let local = local.ok_or(io::ErrorKind::AddrNotAvailable)?;
        let ends = (canonical(local), canonical(to));
        known.insert(ends);
        Ok(Under(self, ends))
    }

    /// Whether a client that wanted to go there is ourselves.
    pub(crate) fn contains(&self, client: SocketAddr, to: SocketAddr) -> bool {
        self.lock().contains(&(canonical(client), canonical(to)))
    }

    fn lock(&self) -> MutexGuard<'_, HashSet<Ends>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Under<'_> {
    fn drop(&mut self) {
        self.0.lock().remove(&self.1);
    }
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// However soon the other end is accepted, and no longer than its handshake.
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
                ends.filter(|(_, client)| known.contains(*client, address))
                    .count()
            });
            for _ in 0..CONNECTIONS {
                let (stream, under) = outgoing.connect(address).await.unwrap();
                // Until the other end is closed: it was looked at before.
                let _ = stream.readable().await;
                let local = stream.local_addr().unwrap();
                let elsewhere = SocketAddr::new(address.ip(), 1);
                assert!(!outgoing.contains(local, elsewhere), "an app of that port");
                drop(under);
                assert!(!outgoing.contains(local, address));
            }
            assert_eq!(accepting.join().unwrap(), CONNECTIONS);
        }
    }

    #[tokio::test]
    async fn who_refuses_is_an_error_and_leaves_nothing() {
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = nobody.local_addr().unwrap();
        drop(nobody);
        let outgoing = Outgoing::default();
        let error = outgoing.connect(address).await.map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert!(outgoing.lock().is_empty());
    }
}
