//! Making the check that a probe stands for, on loopback, as the kubelet would have made it: HTTP GET,
//! TCP connect, or grpc.health.v1 (gRPC Health Checking Protocol). One time limit covers all of it, redirects
//! and body included; a hook has none, and ends when its caller goes.

use std::fmt::Write as _;
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use http::{Method, Request};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::answer;
use super::body::Rest;
use super::error::CheckError;
use super::redirect::{self, MOST_REQUESTS, Next};
use super::{Probe, ProbeKind};

/// A longer health response is a failure; a good one has seven bytes.
const GRPC_LIMIT: usize = 4 << 10;
/// `SERVING` in HealthCheckResponse.
const SERVING: u64 = 1;

/// What a check came to, as far as the head of a response says.
#[derive(Debug)]
pub struct Checked {
    /// Whether the app is well.
    pub result: Result<(), CheckError>,
    rest: Option<Rest>,
    deadline: Option<Instant>,
}

impl Checked {
    /// Waits for the body of the response. While it does not end the kubelet has no result, and if it breaks off
    /// it throws the result away, whatever the head said.
    pub async fn end(self) -> io::Result<()> {
        let Some(rest) = self.rest else { return Ok(()) };
        match self.deadline {
            None => rest.end().await,
            Some(deadline) => timeout_at(deadline, rest.end()).await?,
        }
    }
}

impl From<Result<(), CheckError>> for Checked {
    fn from(result: Result<(), CheckError>) -> Self {
        Self {
            result,
            rest: None,
            deadline: None,
        }
    }
}

impl Probe {
    /// Makes the check.
    pub async fn check(&self) -> Checked {
        if self.is_unlimited() {
            return self.attempt().await.unwrap_or_else(|e| Err(e).into());
        }
        let deadline = Instant::now() + Duration::from_secs(self.timeout_seconds.into());
        let attempt = timeout_at(deadline, self.attempt()).await;
        let attempt = attempt.unwrap_or(Err(CheckError::Timeout(self.timeout_seconds)));
        Checked {
            deadline: Some(deadline),
            ..attempt.unwrap_or_else(|e| Err(e).into())
        }
    }

    async fn attempt(&self) -> Result<Checked, CheckError> {
        match self.kind {
            ProbeKind::Tcp => self.connect().await.map(drop).map(|()| Ok(()).into()),
            ProbeKind::Http => self.get_followed().await,
            ProbeKind::Grpc => Ok(self.health(self.connect().await?).await.into()),
        }
    }

    fn app(&self) -> SocketAddr {
        SocketAddr::new(self.address, self.port)
    }

    async fn connect(&self) -> Result<TcpStream, CheckError> {
        Ok(TcpStream::connect(self.app()).await?)
    }

    /// The response that counts is the last one: what redirects may be well while its engine is not.
    async fn get_followed(&self) -> Result<Checked, CheckError> {
        let mut target = redirect::asked(self.target.as_deref().unwrap_or("/"));
        let mut names_host = false;
        for _ in 0..MOST_REQUESTS {
            let request = self.request(&target, names_host);
            let answer = answer::get(self.connect().await?, &request).await?;
            let ends = |result, rest| Checked {
                rest: Some(rest),
                ..Checked::from(result)
            };
            let Some(location) = answer.location else {
                return Ok(ends(accept_status(answer.status), answer.rest));
            };
            match redirect::resolve(&location, &target, self.app()) {
                None => return Err(CheckError::Location),
                Some(Next::Elsewhere) => return Ok(ends(Ok(()), answer.rest)),
                Some(Next::App {
                    target: next,
                    names_host: names,
                }) => {
                    target = next;
                    names_host |= names;
                }
            }
        }
        Err(CheckError::Redirects)
    }

    /// The request as the kubelet writes it; `Host` may be among the probe's headers, and counts until a
    /// location names the host.
    fn request(&self, target: &str, names_host: bool) -> String {
        let is_host = |name: &str| name.eq_ignore_ascii_case("host");
        let headers = self.headers.iter();
        let headers: Vec<_> = headers
            .filter(|h| !(names_host && is_host(&h.name)))
            .collect();
        let has = |name: &str| headers.iter().any(|h| h.name.eq_ignore_ascii_case(name));
        let mut text = format!("GET {target} HTTP/1.1\r\nconnection: close\r\n");
        for (name, value) in [
            ("host", self.app().to_string()),
            ("user-agent", "kube-probe/hybridge".into()),
            ("accept", "*/*".into()),
        ] {
            if !has(name) {
                let _ = write!(text, "{name}: {value}\r\n");
            }
        }
        for header in headers {
            let _ = write!(text, "{}: {}\r\n", header.name, header.value);
        }
        text + "\r\n"
    }

    async fn health(&self, stream: TcpStream) -> Result<(), CheckError> {
        let (sender, connection) = h2::client::handshake(stream).await?;
        beside(connection, self.call_health(sender)).await
    }

    async fn call_health(&self, sender: h2::client::SendRequest<Bytes>) -> Result<(), CheckError> {
        let request = Request::builder()
            .method(Method::POST)
            .uri(format!(
                "http://{}:{}/grpc.health.v1.Health/Check",
                self.address, self.port
            ))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("user-agent", "kube-probe/hybridge")
            .body(())
            .map_err(|_| CheckError::NotHttp)?;
        let mut sender = sender.ready().await?;
        let (response, mut body) = sender.send_request(request, false)?;
        body.send_data(
            health_request(self.service.as_deref().unwrap_or_default()),
            true,
        )?;
        let (head, mut body) = response.await?.into_parts();
        if let Some(status) = head.headers.get("grpc-status") {
            return refuse_status(status);
        }
        let mut message = BytesMut::new();
        while let Some(data) = body.data().await {
            let data = data?;
            body.flow_control().release_capacity(data.len())?;
            message.extend_from_slice(&data);
            if message.len() > GRPC_LIMIT {
                return Err(CheckError::NotServing("too much".into()));
            }
        }
        match body
            .trailers()
            .await?
            .as_ref()
            .and_then(|t| t.get("grpc-status"))
        {
            Some(status) if status != "0" => refuse_status(status),
            _ => serving(&message),
        }
    }
}

fn accept_status(status: u16) -> Result<(), CheckError> {
    if (200..400).contains(&status) {
        Ok(())
    } else {
        Err(CheckError::Status(status))
    }
}

fn refuse_status(status: &http::HeaderValue) -> Result<(), CheckError> {
    Err(CheckError::NotServing(format!(
        "grpc-status {}",
        status.to_str().unwrap_or("?")
    )))
}

/// A gRPC message with HealthCheckRequest: field 1, the service's name.
fn health_request(service: &str) -> Bytes {
    let mut message = BytesMut::new();
    if !service.is_empty() {
        message.put_u8(0x0a);
        put_varint(&mut message, service.len());
        message.put_slice(service.as_bytes());
    }
    let mut framed = BytesMut::new();
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    framed.put_slice(&message);
    framed.freeze()
}

fn put_varint(out: &mut BytesMut, mut value: usize) {
    while value >= 0x80 {
        out.put_u8((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

/// HealthCheckResponse: field 1, the status as a varint.
fn serving(message: &[u8]) -> Result<(), CheckError> {
    let status = match message.get(5..) {
        Some([0x08, status, ..]) => u64::from(*status),
        _ => 0,
    };
    if status == SERVING {
        Ok(())
    } else {
        Err(CheckError::NotServing(format!("status {status}")))
    }
}

/// What comes of the call. The connection has no task of its own: it ends with the call, and a panic of it is the call's.
async fn beside<T>(connection: impl Future, call: impl Future<Output = T>) -> T {
    let moves = async {
        let _ = connection.await;
        // The call has its own error.
        pending().await
    };
    tokio::select! {
        ended = call => ended,
        never = moves => never,
    }
}
