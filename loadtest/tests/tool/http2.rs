//! HTTP/2 requests and gRPC calls against a server of the `h2` crate behind our TLS: echoes, trailers, errors.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::support::{Pki, case, endpoint, target};
use bytes::Bytes;
use h2::server::SendResponse;
use http::{HeaderMap, Request, Response};
use hybridge_loadtest::net::stream::Stream;
use hybridge_loadtest::plan::{Case, Load, Role, Scenario};
use hybridge_loadtest::rng::Rng;
use hybridge_loadtest::run::load::Crew;
use hybridge_loadtest::session::Sample;
use hybridge_loadtest::tls::Group;
use rustls::ServerConnection;
use tokio::net::TcpListener;

const GROUPS: [Group; 1] = [Group::X25519MLKEM768];

/// Echoes gRPC messages as they come and gives blobs; ends calls with this grpc-status.
async fn serve(pki: &Pki, status: &'static str) -> SocketAddr {
    let config = pki.speaking(&GROUPS, &["h2"]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((peer, _)) = listener.accept().await {
            let tls = ServerConnection::new(Arc::clone(&config)).unwrap();
            tokio::spawn(async move {
                let stream = Stream::handshake(peer, tls.into(), Arc::default())
                    .await
                    .unwrap();
                let mut connection = h2::server::handshake(stream).await.unwrap();
                while let Some(Ok((request, respond))) = connection.accept().await {
                    tokio::spawn(answer(request, respond, status));
                }
            });
        }
    });
    address
}

pub(crate) async fn answer(
    request: Request<h2::RecvStream>,
    mut respond: SendResponse<Bytes>,
    status: &'static str,
) {
    if let Some(length) = request.uri().path().strip_prefix("/blob/") {
        let body = Bytes::from(vec![b'x'; length.parse().unwrap()]);
        let mut stream = respond.send_response(Response::new(()), false).unwrap();
        stream.send_data(body, true).unwrap();
        return;
    }
    let head = Response::builder()
        .header("content-type", "application/grpc")
        .body(())
        .unwrap();
    let mut stream = respond.send_response(head, false).unwrap();
    let mut body = request.into_body();
    while let Some(Ok(data)) = body.data().await {
        body.flow_control().release_capacity(data.len()).unwrap();
        stream.send_data(data, false).unwrap();
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", status.parse().unwrap());
    stream.send_trailers(trailers).ok();
}

async fn measure(case: Case, status: &'static str) -> hybridge_loadtest::error::Result<Sample> {
    let pki = Pki::new();
    let address = serve(&pki, status).await;
    let target = target(Role::Subject, endpoint("h2", address, &pki, &GROUPS));
    let mut crew = Crew::new(&Arc::new(case), target, &mut Rng::new(1));
    crew.prepare().await?;
    let (sample, _) = crew.work(Duration::from_millis(60)).await?;
    let closing = Instant::now();
    crew.dismiss().await;
    assert!(
        closing.elapsed() < Duration::from_secs(1),
        "connections end in order"
    );
    Ok(sample)
}

#[tokio::test]
async fn unary_calls_streams_and_requests_are_answered_whole() {
    for (scenario, up, down) in [
        (Scenario::GrpcUnary, 0, 0),
        (Scenario::GrpcUnary, 300_000, 300_000),
        (Scenario::GrpcStream, 1024, 1024),
        (Scenario::GrpcStream, 200_000, 200_000),
        (Scenario::H2Keepalive, 0, 1024),
        (Scenario::H2Keepalive, 0, 500_000),
    ] {
        let load = Load::Closed { connections: 2 };
        let sample = measure(
            Case {
                up,
                down,
                load,
                ..case(scenario)
            },
            "0",
        )
        .await
        .unwrap();
        assert!(
            sample.ops >= 2 && sample.errors == 0,
            "{scenario:?} {up} {down}: {sample:?}"
        );
        assert!(
            sample.bytes.plain_down >= sample.ops * down,
            "{scenario:?}: bytes are those of the operations"
        );
    }
}

#[tokio::test]
async fn a_grpc_status_other_than_0_is_a_failed_operation() {
    let error = measure(case(Scenario::GrpcUnary), "13").await.unwrap_err();
    assert!(error.to_string().contains("grpc-status 13"), "{error}");
}
