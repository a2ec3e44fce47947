//! A panic in a connection or a stream of the webhook: counted, and the end of no other.

use std::net::SocketAddr;
use std::sync::Arc;

use clap::Parser;
use hybridge::certgen::Algorithm;
use hybridge::inject::{ServeArgs, Server};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::LocalSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::panics::Panicking;
use crate::support::http::{h2_request, read_response};
use crate::support::pki::TestPki;
use crate::support::{client_config, within};

#[derive(Debug, Parser)]
struct Serve {
    #[command(flatten)]
    args: ServeArgs,
}

async fn connect(address: SocketAddr, ca: &str, alpn: &str) -> TlsStream<TcpStream> {
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let config = client_config(ca.as_bytes(), &[alpn]);
    let connecting = TlsConnector::from(Arc::new(config)).connect(name, stream);
    within(connecting).await.unwrap()
}

/// A path that the webhook does not have.
const UNKNOWN: &[u8] = b"GET /unknown HTTP/1.1\r\nhost: a\r\n\r\n";
/// A body that the connection's own task refuses, which it says in its log.
const TOO_LARGE: &[u8] = b"POST /mutate HTTP/1.1\r\nhost: a\r\n\
    content-type: application/json\r\ncontent-length: 99999999\r\n\r\n";

async fn ask(stream: &mut TlsStream<TcpStream>, request: &[u8]) -> std::io::Result<String> {
    stream.write_all(request).await?;
    Ok(within(read_response(stream, false)).await?.head)
}

async fn metrics(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut page = String::new();
    within(stream.read_to_string(&mut page)).await.unwrap();
    page
}

async fn trial() {
    let dir = tempfile::tempdir().unwrap();
    let pki = TestPki::new(Algorithm::EcdsaP256);
    let files = pki.leaf(&["localhost"]).write_to(dir.path());
    let args = Serve::try_parse_from([
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--admin",
        "127.0.0.1:0",
        "--cert",
        files.cert.to_str().unwrap(),
        "--key",
        files.key.to_str().unwrap(),
    ]);
    let server = Server::bind(&args.unwrap().args).await.unwrap();
    let (webhook, admin) = (server.local_addr().unwrap(), server.admin_addr().unwrap());
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::task::spawn_local(server.run(async move { drop(stopped.await) }));
    let mut other = connect(webhook, pki.ca_pem(), "http/1.1").await;
    let mut ending = connect(webhook, pki.ca_pem(), "http/1.1").await;
    {
        let (_log, _guard) = Panicking::at("refused a request");
        assert!(ask(&mut ending, TOO_LARGE).await.is_err());
        let page = metrics(admin).await;
        let counted = "hybridge_panics_total{task=\"connection\"} 1";
        assert!(page.contains(counted), "{page}");
    }
    {
        let (_log, guard) = Panicking::at("refused a request");
        let stream = connect(webhook, pki.ca_pem(), "h2").await;
        let (client, connection) = h2::client::handshake(stream).await.unwrap();
        let serving = tokio::task::spawn_local(connection);
        let mut client = client.ready().await.unwrap();
        let request = h2_request("POST", "/mutate")
            .header("content-type", "application/json")
            .header("content-length", "99999999");
        let request = request.body(()).unwrap();
        // The stream stays open: one that its client resets is not responded to.
        let (response, _open) = client.send_request(request, false).unwrap();
        assert!(within(response).await.is_err());
        let page = metrics(admin).await;
        let counted = "hybridge_panics_total{task=\"stream\"} 1";
        assert!(page.contains(counted), "{page}");
        drop(guard);
        // Streams of the same connection go on.
        let request = h2_request("GET", "/unknown").body(()).unwrap();
        let (response, _) = client.send_request(request, true).unwrap();
        assert_eq!(within(response).await.unwrap().status(), 404);
        serving.abort();
    }
    let head = ask(&mut other, UNKNOWN).await.unwrap();
    assert!(head.starts_with("HTTP/1.1 404"), "{head}");
    drop(stop);
    within(running).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_panic_in_a_connection_or_stream_of_the_webhook_ends_no_other() {
    LocalSet::new().run_until(trial()).await;
}
