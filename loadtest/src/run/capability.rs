//! Looks before a run at what a server of the user's own has: each thing a scenario needs is requested once, and what is
//! missing leaves out the scenarios that need it, with the reason.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::asked::Asked;
use super::target::Resolved;
use crate::http::grpc::grpc_request;
use crate::http::h1::H1;
use crate::http::h2::H2;
use crate::net::dial::{Dialer, Expect};
use crate::net::served::Served;
use crate::net::socket::Socket;
use crate::net::stream::Stream;
use crate::plan::{Case, Scenario, Speaks};

/// Most servers respond to one of these.
const PAGES: [&str; 4] = ["/v1/models", "/health", "/healthz", "/"];
const MODELS: &str = "/v1/models";

/// What the targets have of what the cases need; each target's endpoint is told. The returned lines say what is asked
/// for instead of what.
pub async fn look(targets: &mut [Resolved], cases: &[Case]) -> Vec<String> {
    let mut targets: Vec<_> = targets
        .iter_mut()
        .filter(|target| target.speaks == Speaks::Http)
        .collect();
    let mut found = Vec::new();
    for target in &targets {
        found.push(of(target, cases).await);
    }
    let lacks_blob = found.iter().any(|(served, _)| !served.blob);
    let common = PAGES
        .into_iter()
        .find(|page| found.iter().all(|(_, pages)| pages.contains(page)));
    let page = common.filter(|_| lacks_blob).map(str::to_owned);
    for (target, (mut served, _)) in targets.iter_mut().zip(found) {
        served.page.clone_from(&page);
        // Sizes must be the same on both sides.
        served.blob &= !lacks_blob;
        Arc::make_mut(&mut target.endpoint).served = served;
    }
    page.map(|page| {
        format!(
            "Not every target has /blob: requests are GET {page}, whose length each server decides."
        )
    })
    .into_iter()
    .collect()
}

/// Why a case cannot be measured on this target; none where it can.
pub fn missing(target: &Resolved, case: &Case) -> Option<String> {
    let served = &target.endpoint.served;
    let needs = Needs::of(case);
    let lacks = [
        (
            needs.request && !served.blob && served.page.is_none(),
            "none of /blob/N, /v1/models, /health and / answers 200",
        ),
        (
            needs.blob && !served.blob,
            "GET /blob/N does not give N bytes",
        ),
        (
            needs.sink && !served.sink,
            "POST /sink is not answered with 200",
        ),
        (
            needs.tokens && served.model.is_none(),
            "POST /v1/chat/completions does not stream tokens",
        ),
        (
            needs.http2 && !served.http2,
            "it does not speak HTTP/2 (ALPN h2)",
        ),
        (
            needs.grpc && !served.grpc,
            "it has no echo service over gRPC",
        ),
    ];
    let why = lacks.into_iter().find(|(lacks, _)| *lacks)?.1;
    Some(format!(
        "{}: target {}: {why}",
        case.title(),
        target.plan.name
    ))
}

/// What a case needs of a server.
#[derive(Clone, Copy, Debug, Default)]
struct Needs {
    /// Some page, of whatever length.
    request: bool,
    blob: bool,
    sink: bool,
    tokens: bool,
    http2: bool,
    grpc: bool,
}

impl Needs {
    fn of(case: &Case) -> Self {
        let mut needs = Self {
            http2: case.scenario.multiplexes(),
            ..Self::default()
        };
        match case.scenario {
            Scenario::FullHandshake
            | Scenario::HelloRetryHandshake
            | Scenario::ResumedHandshake
            | Scenario::TcpUpload
            | Scenario::TcpDownload
            | Scenario::TcpGradientExchange => {}
            Scenario::H1Keepalive
            | Scenario::H2Keepalive
            | Scenario::RequestPerConnection
            | Scenario::Idle => {
                needs.sink = case.up > 0;
                needs.request = case.up == 0;
            }
            Scenario::GrpcUnary | Scenario::GrpcStream => needs.grpc = true,
            Scenario::TokenStream => needs.tokens = true,
            Scenario::Upload => needs.sink = true,
            Scenario::Download | Scenario::ModelCheckpoint => needs.blob = true,
            Scenario::GradientExchange | Scenario::FederatedRound => {
                needs.blob = true;
                needs.sink = true;
            }
            Scenario::Mix => {
                needs.blob = true;
                needs.sink = true;
                needs.tokens = true;
            }
        }
        needs
    }
}

/// What one target has, and the pages it serves.
async fn of(target: &Resolved, cases: &[Case]) -> (Served, Vec<&'static str>) {
    let all: Vec<Needs> = cases.iter().map(Needs::of).collect();
    let any = |need: fn(&Needs) -> bool| all.iter().any(need);
    let get = |path: &str| {
        format!(
            "GET {path} HTTP/1.1\r\nhost: {}\r\n\r\n",
            target.endpoint.authority
        )
    };
    let mut served = Served::default();
    let mut pages = Vec::new();
    let target = &Asked::new(target);
    if any(|needs| needs.request || needs.blob) {
        let blob = exchange(target, &get("/blob/7"), 0).await;
        served.blob = blob.is_ok_and(|(status, body)| status == 200 && body.len() == 7);
        if served.blob {
            pages.extend(PAGES);
        } else {
            for page in PAGES {
                let shown = exchange(target, &get(page), 0).await;
                if shown.is_ok_and(|(status, _)| status == 200) {
                    pages.push(page);
                }
            }
        }
    }
    if any(|needs| needs.sink) {
        let head = format!(
            "POST /sink HTTP/1.1\r\nhost: {}\r\ncontent-length: 7\r\n\r\n",
            target.target.endpoint.authority
        );
        served.sink = exchange(target, &head, 7)
            .await
            .is_ok_and(|(status, _)| status == 200);
    }
    if any(|needs| needs.tokens) {
        served.model = streaming_model(target, &get(MODELS)).await;
    }
    if any(|needs| needs.http2) {
        let h2 = target.answer("a question over HTTP/2", async {
            Ok(http2(target.target).await)
        });
        (served.http2, served.grpc) = h2.await.unwrap_or((false, false));
    }
    (served, pages)
}

/// The model whose completions are streamed; the first of those listed, or the demo's.
async fn streaming_model(target: &Asked<'_>, get_models: &str) -> Option<String> {
    let listed = exchange(target, get_models, 0).await.ok();
    let model = listed
        .and_then(|(_, body)| serde_json::from_slice::<serde_json::Value>(&body).ok())
        .and_then(|list| Some(list.pointer("/data/0/id")?.as_str()?.to_owned()))
        .unwrap_or_else(|| "stub".to_owned());
    let body = serde_json::json!({
        "model": model,
        "stream": true,
        "max_tokens": 2,
        "messages": [{"role": "user", "content": "Hello"}],
    })
    .to_string();
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        target.target.endpoint.authority,
        body.len()
    );
    let (status, streamed) = exchange(target, &request, 0).await.ok()?;
    let events = String::from_utf8_lossy(&streamed).contains("data:");
    (status == 200 && events).then_some(model)
}

/// One request on a connection of its own: status and body, of which a mebibyte at most is kept.
async fn exchange(target: &Asked<'_>, request: &str, filler: u64) -> io::Result<(u16, Vec<u8>)> {
    const MOST: usize = 1 << 20;
    let probe = async {
        let mut h1 = H1::new(connect(target.target, vec!["http/1.1"]).await?);
        let head = h1.ask(request.as_bytes(), filler).await?;
        let (mut body, mut kept) = (head.body, Vec::new());
        while let Some(piece) = h1.piece(&mut body).await? {
            if kept.len() < MOST {
                kept.extend_from_slice(piece);
            }
        }
        // The response is here; how the connection ends does not matter.
        drop(timeout(Duration::from_secs(1), h1.stream.close()).await);
        Ok((head.status, kept))
    };
    let line = request.lines().next().unwrap_or_default();
    target
        .answer(line.trim_end_matches(" HTTP/1.1"), probe)
        .await
}

async fn connect(target: &Resolved, alpn: Vec<&'static str>) -> io::Result<Stream<Socket>> {
    let dialer = Dialer::new(&target.endpoint, alpn, false).map_err(io::Error::other)?;
    let dialed = dialer.dial(Expect::Any).await.map_err(io::Error::other)?;
    Ok(dialed.stream)
}

/// Whether it speaks HTTP/2, and whether it echoes over gRPC.
async fn http2(target: &Resolved) -> (bool, bool) {
    let Ok(stream) = connect(target, vec!["h2"]).await else {
        return (false, false);
    };
    if let Some(session) = stream.session()
        && session.alpn_protocol() != Some(b"h2")
    {
        return (false, false);
    }
    let Ok(h2) = H2::start(stream).await else {
        return (false, false);
    };
    let echo = grpc_request(&target.endpoint.authority, "/hybridge.demo.Echo/Unary");
    let grpc = match echo {
        Ok(request) => h2
            .unary(&request, 16)
            .await
            .is_ok_and(|length| length == 16),
        Err(_) => false,
    };
    let http2 = !h2.has_ended() || grpc;
    drop(timeout(Duration::from_secs(1), h2.close()).await);
    (http2, grpc)
}
