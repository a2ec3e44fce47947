#![allow(clippy::unwrap_used)]
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

/// A metric that panics the first time it is asked for.
#[derive(Default)]
struct Panicking(AtomicBool);

impl Collector for Panicking {
    fn desc(&self) -> Vec<&Desc> {
        Vec::new()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        assert!(self.0.swap(true, Ordering::Relaxed), "as asked");
        Vec::new()
    }
}

/// The whole response to a request on a connection of its own; empty if the connection is closed instead.
async fn get(port: SocketAddr, path: &str) -> String {
    request(port, "GET", path).await
}

async fn request(port: SocketAddr, method: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(port).await.unwrap();
    let request = format!("{method} {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    let reading = stream.read_to_string(&mut response);
    let read = tokio::time::timeout(Duration::from_secs(30), reading).await;
    // A connection that a panic ended may end by a reset.
    let _ = read.unwrap();
    response
}

/// An admin port on loopback.
fn admin(metrics: Arc<Metrics>, view: View) -> (Port, Admin) {
    let settings = Settings {
        addresses: vec![([127, 0, 0, 1], 0).into()],
    };
    let port = Port::bind(&settings, &metrics).unwrap();
    let drain = crate::drain::Settings {
        delay: Duration::ZERO,
        timeout: Duration::ZERO,
    };
    let admin = Admin {
        metrics,
        drain: Drain::default(),
        view: Arc::new(ArcSwap::from_pointee(view)),
        configuration: Arc::default(),
        commands: mpsc::channel(1).0,
        waiters: Arc::new(Waiters::new(&drain)),
        traces: Arc::default(),
        protected_probes: Arc::new(Semaphore::new(1)),
        protected_hooks: Arc::new(Semaphore::new(1)),
        pages: Pages::default(),
    };
    (port, admin)
}

#[tokio::test]
async fn head_of_a_probe_is_served_as_get_is() {
    let app = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = app.local_addr().unwrap().port();
    let table = format!(
        r#"[{{"path": "/probe/app/readiness", "kind": "tcp", "address": "127.0.0.1", "port": {at}, "timeoutSeconds": 1}}]"#
    );
    let view = View {
        probes: ProbeTable::from_json(&table).unwrap(),
        ..View::default()
    };
    let (port, admin) = admin(Arc::new(Metrics::new().unwrap()), view);
    let address = port.addresses()[0];
    let running = tokio::spawn(port.run(admin));
    for (path, status) in [("/probe/app/readiness", 200), ("/probe/app/liveness", 404)] {
        for method in ["GET", "HEAD"] {
            let response = request(address, method, path).await;
            assert!(
                response.starts_with(&format!("HTTP/1.1 {status} ")),
                "{method} {response}"
            );
            assert_eq!(response.ends_with("\r\n\r\n"), method == "HEAD");
        }
    }
    running.abort();
}

#[tokio::test]
async fn a_panic_in_a_connection_is_counted_and_the_next_is_served() {
    let metrics = Arc::new(Metrics::new().unwrap());
    metrics.register(Box::new(Panicking::default()));
    let (port, admin) = admin(metrics, View::default());
    let address = port.addresses()[0];
    let running = tokio::spawn(port.run(admin));
    assert_eq!(get(address, "/metrics").await, "");
    let page = get(address, "/metrics").await;
    assert!(
        page.contains("hybridge_panics_total{task=\"admin\"} 1"),
        "{page}"
    );
    assert!(!running.is_finished());
    running.abort();
}
