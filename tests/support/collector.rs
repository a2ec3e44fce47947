//! A collector of traces: takes OTLP over HTTP, and can be slow, busy, or refuse.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use crate::support::http::{Message, read_request};
use crate::support::{eventually, upstream};

/// What a collector does with a batch.
#[derive(Clone, Copy, Debug, Default)]
pub struct Manner {
    /// Before it responds.
    pub delay: Duration,
    /// Instead of 200.
    pub status: Option<u16>,
    /// Spans that it says it did not take.
    pub rejected: i64,
}

/// What it got.
#[derive(Default)]
struct Got {
    manner: Manner,
    requests: Vec<Message>,
}

/// A running collector.
#[derive(Clone)]
pub struct Collector {
    pub address: SocketAddr,
    got: Arc<Mutex<Got>>,
}

impl Collector {
    pub async fn new() -> Self {
        let got = Arc::<Mutex<Got>>::default();
        let shared = Arc::clone(&got);
        let address = upstream(move |stream| serve(stream, Arc::clone(&shared))).await;
        Self { address, got }
    }

    pub fn behaves(&self, manner: Manner) {
        self.got.lock().unwrap().manner = manner;
    }

    /// The section that sends spans here.
    pub fn section(&self) -> String {
        format!("[traces]\nendpoint = \"http://{}\"\n", self.address)
    }

    /// Requests so far.
    pub fn requests(&self) -> Vec<Message> {
        self.got.lock().unwrap().requests.clone()
    }

    /// Batches so far, decoded.
    pub fn batches(&self) -> Vec<ExportTraceServiceRequest> {
        let requests = self.requests();
        let decode = |request: &Message| ExportTraceServiceRequest::decode(&request.body[..]);
        requests.iter().map(|one| decode(one).unwrap()).collect()
    }

    /// Spans so far.
    pub fn spans(&self) -> Vec<Span> {
        let batches = self.batches().into_iter();
        let resources = batches.flat_map(|batch| batch.resource_spans);
        let scopes = resources.flat_map(|resource| resource.scope_spans);
        scopes.flat_map(|scope| scope.spans).collect()
    }

    /// Waits for as many.
    pub async fn has(&self, count: usize) -> Vec<Span> {
        eventually(&format!("{count} spans"), async || {
            self.spans().len() >= count
        })
        .await;
        let spans = self.spans();
        assert_eq!(spans.len(), count, "{spans:#?}");
        spans
    }
}

async fn serve<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, got: Arc<Mutex<Got>>) {
    while let Ok(Some(request)) = read_request(&mut stream).await {
        let manner = got.lock().unwrap().manner;
        tokio::time::sleep(manner.delay).await;
        let response = ExportTraceServiceResponse {
            partial_success: (manner.rejected > 0).then(|| ExportTracePartialSuccess {
                rejected_spans: manner.rejected,
                ..ExportTracePartialSuccess::default()
            }),
        };
        let body = response.encode_to_vec();
        let status = manner.status.unwrap_or(200);
        if status == 200 {
            got.lock().unwrap().requests.push(request);
        }
        let head = format!(
            "HTTP/1.1 {status} x\r\ncontent-type: application/x-protobuf\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let response = [head.as_bytes(), &body[..]].concat();
        if stream.write_all(&response).await.is_err() {
            return;
        }
    }
}

/// The value of an attribute, as text.
pub fn attribute(attributes: &[KeyValue], key: &str) -> Option<String> {
    let mut found = attributes.iter().filter(|one| one.key == key);
    let value = found.next()?.value.clone()?.value?;
    assert!(found.next().is_none(), "{key} is there twice");
    Some(match value {
        Value::StringValue(text) => text,
        Value::IntValue(number) => number.to_string(),
        Value::BoolValue(on) => on.to_string(),
        other => format!("{other:?}"),
    })
}

/// Bytes as the field `traceparent` has them.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
