//! The stub model server: plaintext HTTP/1.1 and HTTP/2 on one loopback port, and its routes. Each
//! JSON response says how the sidecar keyed the connection.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use http::{Method, Request, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::json;
use tokio::net::TcpStream;

use super::reply::{EVIDENCE, MODEL, Refusal, Reply, evidence, json, now, typed, whole};
use super::{bulk, chat, embeddings, grpc, websocket};
use crate::listener::{Accepted, Listener, Settings, UnixSockets};
use crate::metrics::ListenerSockets;

const PAGE: &str = include_str!("page.html");
/// Connections at once: as many as the sidecar may have clients.
const MAX_CONNECTIONS: usize = 10_000;

/// A stub model server that is bound.
pub struct Stub {
    listener: Listener,
    address: SocketAddr,
}

impl Stub {
    /// Binds a free port of 127.0.0.1; needs a runtime.
    pub fn bind() -> io::Result<Self> {
        Self::bind_to((Ipv4Addr::LOCALHOST, 0).into())
    }

    /// Binds `address`; needs a runtime.
    pub fn bind_to(address: SocketAddr) -> io::Result<Self> {
        let settings = Settings {
            name: "stub".to_owned(),
            setting: "another port",
            addresses: vec![address],
            unix: UnixSockets::default(),
            max_connections: MAX_CONNECTIONS,
            loopback_connections: None,
            backlog: 128,
        };
        let listener =
            Listener::bind(&settings, ListenerSockets::default()).map_err(io::Error::other)?;
        let address = listener.addresses().first().copied();
        let address = address.ok_or(io::ErrorKind::AddrNotAvailable)?;
        Ok(Self { listener, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until the task is aborted.
    pub async fn serve(mut self) {
        loop {
            let Accepted { stream, permit, .. } = self.listener.accept().await;
            tokio::spawn(async move {
                // The sidecar keeps its connections: none of them makes room for another.
                permit.activity().begin();
                connection(stream).await;
            });
        }
    }
}

async fn connection(stream: TcpStream) {
    // No async closure: rustc 1.95 fails on it in incremental builds.
    let service = service_fn(|request| async { Ok::<_, Infallible>(route(request).await) });
    // A client that goes away is no news here.
    let _ = auto::Builder::new(TokioExecutor::new())
        .serve_connection_with_upgrades(TokioIo::new(stream), service)
        .await;
}

async fn route(request: Request<Incoming>) -> Reply {
    let path = request.uri().path();
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let posts = request.method() == Method::POST;
    match path {
        "/" | "/health" | "/v1/models" | "/ws" if !reads => Refusal::method("GET"),
        "/v1/chat/completions" | "/v1/embeddings" if !posts => Refusal::method("POST"),
        "/" => typed("text/html; charset=utf-8", whole(PAGE)),
        "/health" => json(
            StatusCode::OK,
            &json!({ "status": "ok", EVIDENCE: evidence(&request) }),
        ),
        "/v1/models" => models(&request),
        "/v1/chat/completions" => reply_to(chat::complete(request).await),
        "/v1/embeddings" => reply_to(embeddings::embed(request).await),
        "/sink" => reply_to(bulk::sink(request).await),
        "/ws" => reply_to(websocket::upgrade(request)),
        _ if path.starts_with(bulk::BLOB) && !reads => Refusal::method("GET"),
        _ if path.starts_with(bulk::BLOB) => reply_to(bulk::blob(path)),
        _ if path.starts_with(grpc::SERVICE) => grpc::call(request).await,
        _ => reply_to(Err(unknown(path))),
    }
}

fn reply_to(result: Result<Reply, Refusal>) -> Reply {
    result.unwrap_or_else(Refusal::reply)
}

fn unknown(path: &str) -> Refusal {
    let message = format!("there is nothing at {path}");
    Refusal::new(StatusCode::NOT_FOUND, message).code("unknown_url")
}

fn models(request: &Request<Incoming>) -> Reply {
    let model = json!({ "id": MODEL, "object": "model", "created": now(), "owned_by": "hybridge" });
    let list = json!({ "object": "list", "data": [model], EVIDENCE: evidence(request) });
    json(StatusCode::OK, &list)
}
