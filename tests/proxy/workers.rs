//! Several workers, one listener: connections are spread over them, and a client cannot tell.

use std::sync::atomic::Ordering;

use crate::support::http::{counted_app, ok, read_response};
use crate::support::{Setup, client_config, within};
use tokio::io::AsyncWriteExt;

/// Each on a connection of its own, all open at once: so each worker has two.
const CLIENTS: usize = 6;

#[tokio::test]
async fn a_ticket_of_one_worker_is_good_at_every_other_and_each_keeps_its_own_upstream() {
    let (app, dialled) = counted_app(|_| async { ok("answer") }).await;
    let sidecar = Setup::in_front_of(app).process("workers = 3").start();
    let config = client_config(&sidecar.ca, &["http/1.1"]);
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        clients.push(sidecar.try_connect(config.clone()).await.unwrap());
        for client in &mut clients {
            client
                .write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
                .await
                .unwrap();
            let response = within(read_response(client, false)).await.unwrap();
            assert_eq!(response.body, b"answer");
        }
    }
    let resumed = [("kind", "resumed")];
    let all_but_the_first = CLIENTS as f64 - 1.0;
    sidecar
        .metric_is("hybridge_handshakes_total", &resumed, all_but_the_first)
        .await;
    assert_eq!(dialled.load(Ordering::Relaxed), 3);
}
