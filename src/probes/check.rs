//! Making the check that a probe stands for, on loopback, as the kubelet would have made it: HTTP GET,
//! TCP connect, or grpc.health.v1 (gRPC Health Checking Protocol). One time limit covers all of it.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use http::{Method, Request};
use httparse::Status;
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Probe, ProbeKind};

/// A longer response head is a failure.
const HEAD_LIMIT: usize = 16 << 10;
/// A longer health response is a failure; a good one has seven bytes.
const GRPC_LIMIT: usize = 4 << 10;
/// `SERVING` in HealthCheckResponse.
const SERVING: u64 = 1;

/// Why a check failed.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum CheckError {
    /// Nobody listens, or the connection broke.
    #[error("the app does not answer: {0}")]
    Io(#[from] std::io::Error),
    /// No response in time.
    #[error("the app did not answer within {0} s")]
    Timeout(u32),
    /// The response is not HTTP.
    #[error("the app's answer is not HTTP")]
    NotHttp,
    /// A status outside 200 to 399.
    #[error("the app answered with status {0}")]
    Status(u16),
    /// HTTP/2 failed.
    #[error("the app's gRPC port: {0}")]
    Http2(#[from] h2::Error),
    /// The health service says something else than SERVING, or does not exist.
    #[error("the app's gRPC health service answered {0}")]
    NotServing(String),
}

impl Probe {
    /// Makes the check.
    pub async fn check(&self) -> Result<(), CheckError> {
        let limit = Duration::from_secs(self.timeout_seconds.max(1).into());
        match timeout(limit, self.attempt()).await {
            Ok(result) => result,
            Err(_) => Err(CheckError::Timeout(self.timeout_seconds.max(1))),
        }
    }

    async fn attempt(&self) -> Result<(), CheckError> {
        let stream = TcpStream::connect(SocketAddr::new(self.address, self.port)).await?;
        match self.kind {
            ProbeKind::Tcp => Ok(()),
            ProbeKind::Http => accept_status(self.get(stream).await?),
            ProbeKind::Grpc => self.health(stream).await,
        }
    }

    async fn get(&self, mut stream: TcpStream) -> Result<u16, CheckError> {
        stream.write_all(self.request().as_bytes()).await?;
        let mut head = BytesMut::with_capacity(1024);
        while head.len() < HEAD_LIMIT {
            if stream.read_buf(&mut head).await? == 0 {
                break;
            }
            if let Some(status) = status_of(&head)? {
                return Ok(status);
            }
        }
        Err(CheckError::NotHttp)
    }

    /// The request as the kubelet writes it; `Host` may be among the probe's headers.
    fn request(&self) -> String {
        let target = self.target.as_deref().unwrap_or("/");
        let has = |name: &str| {
            self.headers
                .iter()
                .any(|h| h.name.eq_ignore_ascii_case(name))
        };
        let mut text = format!("GET {target} HTTP/1.1\r\nconnection: close\r\n");
        for (name, value) in [
            ("host", format!("{}:{}", self.address, self.port)),
            ("user-agent", "kube-probe/hybridge".into()),
            ("accept", "*/*".into()),
        ] {
            if !has(name) {
                let _ = write!(text, "{name}: {value}\r\n");
            }
        }
        for header in &self.headers {
            let _ = write!(text, "{}: {}\r\n", header.name, header.value);
        }
        text + "\r\n"
    }

    async fn health(&self, stream: TcpStream) -> Result<(), CheckError> {
        let (sender, connection) = h2::client::handshake(stream).await?;
        // Ends with the check: dropping the task's handle would leave it running until the app closes.
        let driver = tokio::spawn(connection);
        let result = self.call_health(sender).await;
        driver.abort();
        result
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

/// The status of the final response, once its first line is complete; interim ones come before it (RFC 9110 §15.2).
fn status_of(mut heads: &[u8]) -> Result<Option<u16>, CheckError> {
    loop {
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut response = httparse::Response::new(&mut headers);
        let parsed = response.parse(heads);
        match (response.code, parsed) {
            (Some(100 | 102..=199), Ok(Status::Complete(length))) => {
                heads = heads.get(length..).unwrap_or_default();
            }
            (Some(100 | 102..=199), Ok(Status::Partial)) => return Ok(None),
            // What follows the status line does not matter, and some heads have many lines.
            (code, Ok(_) | Err(httparse::Error::TooManyHeaders)) => return Ok(code),
            (_, Err(_)) => return Err(CheckError::NotHttp),
        }
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
