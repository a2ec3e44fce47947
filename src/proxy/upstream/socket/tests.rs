#![allow(clippy::unwrap_used)]
use tokio::net::TcpListener;

use super::super::permits::{Priority, UpstreamPermits};
use super::*;

/// The unspecified address leads to this host too, and by its number it is no loopback: a peer elsewhere
/// without a network.
#[tokio::test]
async fn a_peer_that_may_vanish_is_asked_whether_it_is_there() {
    let listener = TcpListener::bind("0.0.0.0:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let permits = UpstreamPermits::new(None);
    for (address, asked) in [("0.0.0.0", true), ("127.0.0.1", false)] {
        let address = UpstreamAddr::Tcp(format!("{address}:{port}").parse().unwrap());
        let permit = permits.socket(Priority::First, Duration::ZERO).await;
        let socket = Socket::connect(&address, permit.ok().unwrap()).await;
        let socket = socket.unwrap();
        assert_eq!(socket.may_lose_its_peer(), asked);
        let Kind::Tcp(stream) = &socket.kind else {
            continue;
        };
        let stream = SockRef::from(stream);
        assert_eq!(stream.keepalive().unwrap(), asked);
        let minute = stream.tcp_keepalive_time().unwrap() == Duration::from_mins(1);
        assert_eq!(minute, asked);
        assert_eq!(stream.tcp_user_timeout().unwrap(), None);
        socket.limit_unacknowledged();
        let limit = stream.tcp_user_timeout().unwrap();
        assert_eq!(limit, Some(Duration::from_mins(2)));
    }
}
