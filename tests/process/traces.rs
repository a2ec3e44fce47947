//! Traces when the collector is not what it should be, and at the end of the process.

use std::time::{Duration, Instant};

use crate::support::client::{ask, read_until};
use crate::support::collector::{Collector, Manner, attribute};
use crate::support::http::nobody;
use crate::support::pki::TestPki;
use crate::support::process::Process;
use crate::support::stage::Stage;
use crate::support::{Setup, eventually};
use hybridge::certgen::Algorithm;
use rustix::process::Signal;

const DRAIN: &str = "workers = 2\n[drain]\ndelay = \"0s\"\ntimeout = \"60s\"\n";
const WARNING: &str = "the collector did not take spans";
const DROPPED: &str = "hybridge_spans_dropped_total";
const EXPORTED: &str = "hybridge_spans_exported_total";

async fn process(traces: &str) -> Process {
    let stage = Stage::new().await;
    let setup = Setup::in_front_of(stage.address);
    Process::start(&setup.process(&format!("{DRAIN}{traces}"))).await
}

/// Requests one after another over one connection; how long the slowest took.
async fn requests(process: &Process, count: usize) -> Duration {
    let mut client = process.connect(&["http/1.1"]).await;
    let mut slowest = Duration::ZERO;
    for _ in 0..count {
        let since = Instant::now();
        ask(&mut client, "/").await;
        read_until(&mut client, "done").await;
        slowest = slowest.max(since.elapsed());
    }
    slowest
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_down_costs_no_request_and_is_one_warning() {
    let (_held, down) = nobody();
    let process = process(&format!("[traces]\nendpoint = \"http://{down}\"\n")).await;
    let unreachable = [("reason", "unreachable")];
    assert_eq!(process.metric(DROPPED, &unreachable).await, 0.0);
    requests(&process, 30).await;
    // Tried five times, some four seconds; nothing is counted before it is given up.
    process.metric_reaches(DROPPED, &unreachable, 30.0).await;
    assert_eq!(process.metric(EXPORTED, &[]).await, 0.0);
    let log = process.log();
    assert_eq!(log.matches(WARNING).count(), 1, "{log}");
    assert!(log.contains(&format!("endpoint=http://{down}")), "{log}");
    assert!(log.contains("error=\"no connection: "), "{log}");
}

/// By a name that the configuration cannot look at: each batch would be a request with a span of its own.
#[tokio::test(flavor = "multi_thread")]
async fn spans_do_not_go_to_a_listener_of_the_same_process() {
    let stage = Stage::new().await;
    let process = Process::start(&Setup::in_front_of(stage.address).process(DRAIN)).await;
    // Resolved as 127.0.0.1, and no address to who reads the file.
    let own = process.address;
    let traces = format!(
        "{DRAIN}[traces]\nunsafe-remote-endpoint = true\nendpoint = \"http://127.1:{}\"\n",
        own.port()
    );
    let setup = Setup::in_front_of(stage.address).process(&traces);
    let file = process.dir.path().join("hybridge.toml");
    std::fs::write(file, setup.toml(&process.dir)).unwrap();
    process.signal(Signal::HUP);
    process.logs("configuration reloaded").await;
    requests(&process, 1).await;
    let said = format!("error=\"{own} is an address that a listener of this process accepts on");
    process.logs(&said).await;
    let unreachable = [("reason", "unreachable")];
    process.metric_reaches(DROPPED, &unreachable, 1.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_was_busy_gets_the_same_spans_later() {
    let collector = Collector::new().await;
    collector.behaves(Manner {
        status: Some(503),
        ..Manner::default()
    });
    let process = process(&collector.section()).await;
    requests(&process, 3).await;
    process.logs("it has no time: status 503").await;
    collector.behaves(Manner::default());
    collector.has(3).await;
    process.metric_reaches(EXPORTED, &[], 3.0).await;
    assert_eq!(process.metric(DROPPED, &[]).await, 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_collector_does_not_want_is_counted_and_not_sent_again() {
    let collector = Collector::new().await;
    collector.behaves(Manner {
        status: Some(400),
        ..Manner::default()
    });
    let process = process(&collector.section()).await;
    requests(&process, 3).await;
    let rejected = [("reason", "rejected")];
    process.metric_reaches(DROPPED, &rejected, 3.0).await;
    process.logs("it refuses them: status 400").await;
    collector.behaves(Manner {
        rejected: 1,
        ..Manner::default()
    });
    requests(&process, 2).await;
    process.metric_reaches(DROPPED, &rejected, 4.0).await;
    process.metric_reaches(EXPORTED, &[], 1.0).await;
    assert_eq!(collector.spans().len(), 2, "the former were not sent again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_takes_its_time_costs_spans_and_no_request() {
    let collector = Collector::new().await;
    collector.behaves(Manner {
        delay: Duration::from_mins(1),
        ..Manner::default()
    });
    let process = process(&format!("{}queue = 8\n", collector.section())).await;
    let slowest = requests(&process, 4)
        .await
        .max(requests(&process, 60).await);
    // A request that waited for the collector would have waited for its timeout.
    assert!(slowest < Duration::from_secs(5), "{slowest:?}");
    // A batch is under way, and the queue is full.
    let full = [("reason", "queue_full")];
    eventually("spans to be dropped", async || {
        requests(&process, 1).await;
        process.metric(DROPPED, &full).await > 0.0
    })
    .await;
    process.logs("no answer in time").await;
    assert_eq!(process.metric(EXPORTED, &[]).await, 0.0);
}

/// Each batch has the whole timeout, whatever the one before took.
#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_slow_and_in_time_gets_every_span() {
    let collector = Collector::new().await;
    collector.behaves(Manner {
        delay: Duration::from_millis(1500),
        ..Manner::default()
    });
    let more = "queue = 8\ntimeout = \"2s\"\n";
    let process = process(&format!("{}{more}", collector.section())).await;
    // Enough for a batch; those behind it wait until it is there, and so on.
    for batch in 1..4 {
        requests(&process, 4).await;
        eventually("a batch to be taken", async || {
            collector.requests().len() >= batch - 1
        })
        .await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    process.metric_reaches(EXPORTED, &[], 12.0).await;
    assert_eq!(process.metric(DROPPED, &[]).await, 0.0);
    assert!(!process.log().contains(WARNING), "{}", process.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_spans_are_sent_before_the_process_ends() {
    let (stage, collector) = (Stage::new().await, Collector::new().await);
    let setup = Setup::in_front_of(stage.address);
    let setup = setup.process(&format!("{DRAIN}{}", collector.section()));
    let process = Process::start(&setup).await;
    let mut open = process.connect(&["http/1.1"]).await;
    ask(&mut open, "/hold").await;
    requests(&process, 2).await;
    process.signal(Signal::INT);
    process.refuses().await;
    // Its span begins before the signal and is one of those that are sent last.
    drop(open);
    let (code, log) = process.ended().await;
    assert_eq!(code, Some(0), "{log}");
    let spans = collector.spans();
    assert_eq!(spans.len(), 3, "{spans:#?}");
    let failed = |kind: &str| {
        let of = spans.iter().map(|span| attribute(&span.attributes, kind));
        of.flatten().collect::<Vec<_>>()
    };
    assert_eq!(failed("error.type"), ["broken"]);
    assert!(!log.contains("in time"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_hangs_does_not_keep_the_process() {
    let collector = Collector::new().await;
    collector.behaves(Manner {
        delay: Duration::from_mins(1),
        ..Manner::default()
    });
    let traces = format!("{}timeout = \"1m\"\n", collector.section());
    let process = process(&traces).await;
    requests(&process, 2).await;
    let since = Instant::now();
    process.signal(Signal::TERM);
    let (code, log) = process.ended().await;
    let took = since.elapsed();
    assert_eq!(code, Some(0), "{log}");
    assert!(
        log.contains("the collector did not take the last spans in time"),
        "{log}"
    );
    assert!(took < Duration::from_secs(10), "{took:?}");
}

/// Over TLS, which here another sidecar terminates.
#[tokio::test(flavor = "multi_thread")]
async fn a_collector_behind_https_is_verified_and_asked_with_a_hybrid_group() {
    let collector = Collector::new().await;
    let front = Setup::in_front_of(collector.address).start();
    let (ca, port) = (
        tempfile::NamedTempFile::new().unwrap(),
        front.address.port(),
    );
    std::fs::write(&ca, &front.ca).unwrap();
    let section = |host: &str| {
        let ca = ca.path().display();
        format!("[traces]\nendpoint = \"https://{host}:{port}\"\nca = \"{ca}\"\n")
    };
    let process = process(&section("localhost")).await;
    requests(&process, 2).await;
    collector.has(2).await;
    let hybrid = [("group", "X25519MLKEM768"), ("offered", "hybrid")];
    assert!(front.metric("hybridge_handshakes_total", &hybrid).await >= 1.0);
    // A name that the certificate does not have; the tests' names are localhost and 127.0.0.1.
    let other = self::process(&section("127.0.0.2")).await;
    requests(&other, 1).await;
    other.logs(WARNING).await;
    let log = other.log();
    assert!(log.contains("127.0.0.2"), "{log}");
    assert_eq!(collector.spans().len(), 2);
}

#[test]
fn the_variables_of_opentelemetry_count_only_when_asked_for() {
    use hybridge::config::{Config, Environment, Flags, Key};
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4318"),
        ("OTEL_SERVICE_NAME", "chat"),
    ];
    let environment: Environment = variables
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let traces = |more: &[(Key, &str)]| {
        let whole = [
            (Key::Listen, "127.0.0.1:8443"),
            (Key::Upstream, "127.0.0.1:8000"),
            (Key::Cert, "tls.crt"),
            (Key::PrivateKey, "tls.key"),
        ];
        let settings = whole.iter().chain(more);
        let flags = Flags {
            settings: settings
                .map(|(key, text)| (*key, (*text).to_owned()))
                .collect(),
            ..Flags::default()
        };
        Config::load(&flags, &environment).unwrap().config.traces
    };
    assert!(traces(&[]).is_none());
    let auto = traces(&[(Key::TracesEndpoint, "auto")]).unwrap();
    assert_eq!(auto.endpoint.to_string(), "http://localhost:4318");
    assert_eq!(auto.service_name, "chat");
    let named = [
        (Key::TracesEndpoint, "auto"),
        (Key::TracesServiceName, "tls"),
    ];
    assert_eq!(traces(&named).unwrap().service_name, "tls");
    let written = traces(&[(Key::TracesEndpoint, "http://127.0.0.1:1")]).unwrap();
    assert_eq!(written.service_name, "hybridge");
}

/// Collectors of others have tokens in their paths.
#[tokio::test(flavor = "multi_thread")]
async fn the_path_of_the_endpoint_is_in_no_log_and_on_no_page() {
    let (_held, down) = nobody();
    let process = process(&format!(
        "[traces]\nendpoint = \"http://{down}/api/hunter2\"\n"
    ))
    .await;
    requests(&process, 1).await;
    process.logs(WARNING).await;
    let (_, page) = process.admin("/status").await;
    assert!(page.contains(&format!("http://{down}")), "{page}");
    assert!(!page.contains("hunter2"), "{page}");
    assert!(!process.log().contains("hunter2"), "{}", process.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn authorities_for_the_collector_that_cannot_be_read_again_are_said_everywhere() {
    let (_held, down) = nobody();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ca.crt");
    std::fs::write(&file, TestPki::new(Algorithm::EcdsaP256).ca_pem()).unwrap();
    let process = process(&format!(
        "[traces]\nendpoint = \"https://localhost:{}\"\nca = \"{}\"\n",
        down.port(),
        file.display()
    ))
    .await;
    assert_eq!(process.admin("/readyz").await.1, "ready\n");
    std::fs::write(&file, "none").unwrap();
    process.signal(Signal::HUP);
    process
        .logs("authorities for the collector of traces not reloaded")
        .await;
    assert!(!process.log().contains("egress"), "{}", process.log());
    let (code, page) = process.admin("/readyz").await;
    let says = "the last reload of traces.ca failed, the CAs before it are used: ";
    assert!(code == 200 && page.contains(says), "{page}");
    let (_, page) = process.admin("/status").await;
    let page: serde_json::Value = serde_json::from_str(&page).unwrap();
    let error = page["traces"]["error"].as_str().unwrap();
    assert!(error.contains("ca.crt"), "{page}");
}
