//! What a peer's TCP has not acknowledged yet, as the kernel's socket diagnostics tell it
//! (sock_diag(7)): the same figure as ioctl SIOCOUTQ, which cannot be had without unsafe code.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with,
};
use socket2::SockRef;
use tokio::net::TcpStream;

const HEADER: usize = 16;
const REQUEST: usize = 56;
/// Where `idiag_wqueue` stands in a reply: written and not acknowledged, FIN included.
const WRITE_QUEUE: usize = HEADER + 60;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST: u16 = 1;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const IPPROTO_TCP: u8 = 6;
const EVERY_STATE: u32 = u32::MAX;
const NO_COOKIE: [u8; 8] = [0xff; 8];

/// Bytes written to a socket that its peer's TCP has not acknowledged; an error if the kernel does
/// not tell, or the connection is over.
pub(super) fn of(stream: &TcpStream) -> io::Result<usize> {
    ask(stream.local_addr()?, stream.peer_addr()?)
}

/// What a reset would drop: the same, and of a kernel that does not tell at least whether there is something.
pub(super) fn undelivered(stream: &TcpStream) -> io::Result<usize> {
    match of(stream) {
        // The connection is over.
        Err(error) if error.kind() == io::ErrorKind::NotConnected => Err(error),
        Err(_) => unsent(stream).map(usize::from),
        known => known,
    }
}

/// Whether something waits for room at the peer. Only before the end of our direction.
fn unsent(stream: &TcpStream) -> io::Result<bool> {
    // From now on there is room for more only once everything has left.
    SockRef::from(stream).set_tcp_notsent_lowat(1)?;
    let mut polled = [PollFd::new(stream, PollFlags::OUT)];
    poll(&mut polled, Some(&Timespec::default()))?;
    Ok(!polled[0].revents().contains(PollFlags::OUT))
}

/// Whether the kernel tells, tried on a connection of our own.
pub(super) fn is_told() -> io::Result<()> {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let stream = std::net::TcpStream::connect(listener.local_addr()?)?;
    ask(stream.local_addr()?, stream.peer_addr()?).map(drop)
}

fn ask(local: SocketAddr, peer: SocketAddr) -> io::Result<usize> {
    let request = request(local, peer);
    let kernel = socket_with(
        AddressFamily::NETLINK,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        Some(netlink::SOCK_DIAG),
    )?;
    send(&kernel, &request, SendFlags::empty())?;
    let mut reply = [0_u8; 512];
    // The kernel replies before `send` returns: nothing here waits.
    let (_, length) = recv(&kernel, &mut reply[..], RecvFlags::DONTWAIT)?;
    write_queue(&reply[..length.min(reply.len())])
}

fn request(local: SocketAddr, peer: SocketAddr) -> [u8; HEADER + REQUEST] {
    let mut out = Vec::with_capacity(HEADER + REQUEST);
    out.extend_from_slice(&((HEADER + REQUEST) as u32).to_ne_bytes());
    out.extend_from_slice(&SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    out.extend_from_slice(&NLM_F_REQUEST.to_ne_bytes());
    // Sequence number and port: one request, one reply.
    out.extend_from_slice(&[0; 8]);
    let family = if local.is_ipv4() { AF_INET } else { AF_INET6 };
    out.extend_from_slice(&[family, IPPROTO_TCP, 0, 0]);
    out.extend_from_slice(&EVERY_STATE.to_ne_bytes());
    out.extend_from_slice(&local.port().to_be_bytes());
    out.extend_from_slice(&peer.port().to_be_bytes());
    out.extend_from_slice(&octets(local.ip()));
    out.extend_from_slice(&octets(peer.ip()));
    let interface = match local {
        SocketAddr::V6(address) => address.scope_id(),
        SocketAddr::V4(_) => 0,
    };
    out.extend_from_slice(&interface.to_ne_bytes());
    out.extend_from_slice(&NO_COOKIE);
    let mut request = [0; HEADER + REQUEST];
    for (to, from) in request.iter_mut().zip(out) {
        *to = from;
    }
    request
}

fn octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V6(address) => address.octets(),
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            [a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        }
    }
}

fn write_queue(reply: &[u8]) -> io::Result<usize> {
    let kind = reply.get(4..6).and_then(|kind| kind.try_into().ok());
    let queue = reply.get(WRITE_QUEUE..WRITE_QUEUE + 4);
    match (
        kind.map(u16::from_ne_bytes),
        queue.and_then(|queue| queue.try_into().ok()),
    ) {
        (Some(SOCK_DIAG_BY_FAMILY), Some(queue)) => Ok(u32::from_ne_bytes(queue) as usize),
        _ => Err(io::ErrorKind::NotFound.into()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    async fn pair(bound: &str) -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind(bound).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let client = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        (listener.accept().await.unwrap().0, client)
    }

    async fn fill(server: &mut TcpStream) -> usize {
        let mut written = 0;
        loop {
            match server.try_write(&[0; 8 * 1024]) {
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return written,
                Err(error) => panic!("{error}"),
            }
            tokio::task::yield_now().await;
        }
    }

    /// Over IPv4, and over a socket that serves IPv4 and IPv6.
    #[tokio::test]
    async fn what_a_client_does_not_read_stays_unacknowledged_until_it_does() {
        for bound in ["127.0.0.1:0", "[::]:0"] {
            let (mut server, mut client) = pair(bound).await;
            assert_eq!(of(&server).unwrap(), 0);
            let written = fill(&mut server).await;
            let waiting = of(&server).unwrap();
            assert!(waiting > 0 && waiting <= written, "{waiting} of {written}");
            server.shutdown().await.unwrap();
            let mut seen = Vec::new();
            client.read_to_end(&mut seen).await.unwrap();
            assert_eq!(seen.len(), written);
            while of(&server).unwrap() > 0 {
                tokio::task::yield_now().await;
            }
        }
    }

    /// As where seccomp, or a kernel without sock_diag, takes the figure away.
    #[tokio::test]
    async fn what_a_client_does_not_read_is_known_without_the_figure() {
        let (mut server, mut client) = pair("127.0.0.1:0").await;
        assert!(!unsent(&server).unwrap());
        let written = fill(&mut server).await;
        assert!(unsent(&server).unwrap());
        let mut seen = vec![0; written];
        client.read_exact(&mut seen).await.unwrap();
        while unsent(&server).unwrap() {
            tokio::task::yield_now().await;
        }
    }

    #[test]
    fn the_kernel_of_a_test_tells() {
        is_told().unwrap();
    }

    #[test]
    fn the_service_manager_does_not_take_it_away() {
        let unit = include_str!("../../packaging/hybridge.service");
        let families = unit
            .lines()
            .find(|line| line.starts_with("RestrictAddressFamilies="));
        assert!(families.unwrap().contains("AF_NETLINK"));
    }

    #[tokio::test]
    async fn a_connection_that_is_over_is_an_error() {
        let (mut server, client) = pair("127.0.0.1:0").await;
        client.set_zero_linger().unwrap();
        drop(client);
        let _ = server.read(&mut [0; 8]).await;
        assert!(of(&server).is_err());
    }
}
