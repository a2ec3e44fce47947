//! Policy by client: what each policy gives each list of groups.
#![allow(clippy::unwrap_used)]

mod support;

use openssl::ssl::{SslConnector, SslMethod, SslVerifyMode};
use support::{Setup, answering};

/// Handshakes with OpenSSL; the negotiated group, or the error.
fn openssl_handshake(address: std::net::SocketAddr, groups: &str) -> Result<String, String> {
    let mut builder = SslConnector::builder(SslMethod::tls()).unwrap();
    builder.set_verify(SslVerifyMode::NONE);
    builder.set_groups_list(groups).unwrap();
    let stream = std::net::TcpStream::connect(address).unwrap();
    match builder.build().connect("localhost", stream) {
        Ok(_stream) => Ok("connected".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_classical_first_client_still_ends_on_hybrid() {
    let app = answering(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let sidecar = Setup::in_front_of(app).start();
    let address = sidecar.address;
    tokio::task::spawn_blocking(move || openssl_handshake(address, "X25519:X25519MLKEM768"))
        .await
        .unwrap()
        .unwrap();
    sidecar
        .metric_reaches(
            "hybridge_handshakes_total",
            &[("group", "X25519MLKEM768"), ("kind", "hrr")],
            1.0,
        )
        .await;
}
