//! A panic in the task of a shared HTTP/2 connection to the upstream: counted, a failed request, and the
//! next request gets another connection.

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use super::panics::{PANICS, Panicking};
use crate::support::http::{h2_app, h2_response, read_response};
use crate::support::{Setup, within};

/// On a thread of its own, where no subscriber panics.
async fn upstream() -> std::net::SocketAddr {
    let (tell, told) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async move {
            let app = h2_app(|_, mut respond| async move {
                respond.send_response(h2_response(204), true).unwrap();
            })
            .await;
            tell.send(app).unwrap();
            std::future::pending::<()>().await;
        });
    });
    told.await.unwrap()
}

async fn request<S: AsyncRead + AsyncWrite + Unpin>(client: &mut S) -> String {
    client
        .write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        .await
        .unwrap();
    within(read_response(client, false)).await.unwrap().head
}

#[tokio::test]
async fn a_panic_of_a_shared_connection_ends_it_alone() {
    let sidecar = Setup::in_front_of(upstream().await)
        .listener("upstream-http = \"http2\"")
        .process("workers = 1\n[drain]\ndelay = \"0s\"\ntimeout = \"10s\"")
        .start();
    let mut client = sidecar.connect(&["http/1.1"]).await;
    let head = request(&mut client).await;
    assert!(head.starts_with("HTTP/1.1 204"), "{head}");
    {
        // Said by the h2 crate in the task that drives the connection.
        let (_log, _guard) = Panicking::at("recv HEADERS");
        let head = request(&mut client).await;
        assert!(head.starts_with("HTTP/1.1 502"), "{head}");
        let task = [("task", "upstream")];
        sidecar.metric_reaches(PANICS, &task, 1.0).await;
    }
    let head = request(&mut client).await;
    assert!(head.starts_with("HTTP/1.1 204"), "{head}");
}
