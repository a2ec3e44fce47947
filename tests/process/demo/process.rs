//! The demo as a process of its own, and requests through its listeners.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustix::process::{Pid, Signal, kill_process};
use rustls::pki_types::ServerName;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::support::{client_config, within};

/// A demo that runs as a process of its own, in a temporary directory of its own.
pub(crate) struct Demo {
    pub(crate) child: Child,
    out: BufReader<ChildStdout>,
    pub(crate) guide: String,
    folder: PathBuf,
    _root: TempDir,
}

impl Demo {
    pub(crate) fn start() -> Self {
        Self::start_in("plain")
    }

    pub(crate) fn start_in(folder: &str) -> Self {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join(folder);
        std::fs::create_dir(&folder).unwrap();
        let mut child = demo(["127.0.0.1:0"; 5], &folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut guide = String::new();
        while !guide.contains("once it trusts the CA.") {
            assert_ne!(out.read_line(&mut guide).unwrap(), 0, "it ended: {guide}");
        }
        Self {
            child,
            out,
            guide,
            folder,
            _root: root,
        }
    }

    /// The one directory the demo made.
    pub(crate) fn made(&self) -> Option<PathBuf> {
        let mut entries = std::fs::read_dir(&self.folder).unwrap();
        entries.next().map(|entry| entry.unwrap().path())
    }

    pub(crate) fn ca(&self) -> Vec<u8> {
        std::fs::read(self.made().unwrap().join("ca.crt")).unwrap()
    }

    /// What the guide says after a word: `hybrid:    https://127.0.0.1:1234/`.
    pub(crate) fn address(&self, word: &str) -> SocketAddr {
        let line = self.guide.lines().find(|line| line.starts_with(word));
        let (_, rest) = line.unwrap().split_once("//").unwrap();
        rest.split('/').next().unwrap().parse().unwrap()
    }

    /// The commands the guide offers, without their indentation.
    pub(crate) fn commands(&self) -> Vec<&str> {
        let lines = self.guide.lines();
        lines
            .filter_map(|line| line.strip_prefix("     "))
            .collect()
    }

    pub(crate) async fn connect(&self, listener: &str, alpn: &str) -> TlsStream<TcpStream> {
        let config = client_config(&self.ca(), &[alpn]);
        let stream = TcpStream::connect(self.address(listener)).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
        within(connector.connect(name, stream)).await.unwrap()
    }

    /// One request over a connection of its own, as far as the response head.
    pub(crate) async fn send(
        &self,
        listener: &str,
        alpn: &str,
        mut request: Request<Full<Bytes>>,
    ) -> Response<Incoming> {
        let io = TokioIo::new(self.connect(listener, alpn).await);
        if alpn == "h2" {
            let handshake = hyper::client::conn::http2::handshake(TokioExecutor::new(), io);
            let (mut sender, connection) = handshake.await.unwrap();
            tokio::spawn(connection);
            within(sender.send_request(request)).await.unwrap()
        } else {
            let path = request.uri().path().parse().unwrap();
            *request.uri_mut() = path;
            let host = http::HeaderValue::from_static("localhost");
            request.headers_mut().insert("host", host);
            let handshake = hyper::client::conn::http1::handshake(io);
            let (mut sender, connection) = handshake.await.unwrap();
            tokio::spawn(connection);
            within(sender.send_request(request)).await.unwrap()
        }
    }

    pub(crate) async fn json(
        &self,
        listener: &str,
        alpn: &str,
        request: Request<Full<Bytes>>,
    ) -> (u16, Value) {
        let response = self.send(listener, alpn, request).await;
        let status = response.status().as_u16();
        let body = within(response.into_body().collect()).await.unwrap();
        let body = body.to_bytes();
        let value = serde_json::from_slice(&body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&body)));
        (status, value)
    }

    /// Ends it by a signal: exit code, and what it still printed.
    pub(crate) fn end(&mut self, signal: Signal) -> (Option<i32>, String) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).unwrap();
        let mut rest = String::new();
        self.out.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap().code(), rest)
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn demo(addresses: [&str; 5], folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hybridge"));
    let flags = [
        "--listen",
        "--classical-listen",
        "--admin",
        "--egress-listen",
        "--egress-admin",
    ];
    command.arg("demo").env("TMPDIR", folder);
    for (flag, address) in flags.into_iter().zip(addresses) {
        command.args([flag, address]);
    }
    command
}

pub(crate) fn get(path: &str) -> Request<Full<Bytes>> {
    request(Method::GET, path, Bytes::new())
}

pub(crate) fn post(path: &str, body: &Value) -> Request<Full<Bytes>> {
    request(Method::POST, path, body.to_string().into())
}

pub(crate) fn request(method: Method, path: &str, body: Bytes) -> Request<Full<Bytes>> {
    Request::builder()
        .method(method)
        .uri(format!("https://localhost{path}"))
        .body(Full::new(body))
        .unwrap()
}

pub(crate) fn question(extra: &Value) -> Value {
    let mut question = json!({ "messages": [{ "role": "user", "content": "Hello" }] });
    let fields = question.as_object_mut().unwrap();
    fields.extend(extra.as_object().unwrap().clone());
    question
}
