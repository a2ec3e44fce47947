#![allow(clippy::unwrap_used)]
use std::sync::atomic::{AtomicBool, Ordering};

use socket2::{Domain, Socket, Type};
use tokio::net::TcpListener;
use tracing::{Event, Metadata, span};

use super::*;

/// Panics at the first log line.
#[derive(Default)]
struct Panicking(AtomicBool);

impl tracing::Subscriber for Panicking {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, _: &Event<'_>) {
        assert!(self.0.swap(true, Ordering::Relaxed), "as asked");
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// Bound, but accept(2) fails on it: nobody called listen(2).
fn not_listening() -> Bound {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_nonblocking(true).unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    socket.bind(&address.into()).unwrap();
    Bound {
        asked: address.into(),
        socket: bind::ListenSocket::Tcp(TcpListener::from_std(socket.into()).unwrap()),
        waiting: Vec::new(),
    }
}

#[tokio::test]
async fn a_panic_while_accepting_is_counted_and_the_next_is_accepted() {
    let metrics = Metrics::new().unwrap();
    let settings = Settings {
        name: "test".to_owned(),
        setting: "--listen",
        addresses: vec![([127, 0, 0, 1], 0).into()],
        unix: UnixSockets::default(),
        max_connections: 4,
        loopback_connections: None,
        backlog: 4,
    };
    let mut listener = Listener::bind(&settings, counters(&metrics, "test")).unwrap();
    let address = listener.addresses()[0];
    listener.sockets.insert(0, not_listening());
    // The failure of accept(2) is logged, and that panics.
    let _guard = tracing::subscriber::set_default(Panicking::default());
    for _ in 0..2 {
        let _client = TcpStream::connect(address).await.unwrap();
        let accepted = tokio::time::timeout(Duration::from_secs(30), listener.accept());
        assert!(accepted.await.unwrap().client.ip().is_loopback());
    }
    let page = String::from_utf8(metrics.render().unwrap()).unwrap();
    let counted = "hybridge_panics_total{task=\"accept\"} 1";
    assert!(page.contains(counted), "{page}");
}
