//! The families of `/metrics` as an outside check relies on them: name, type, help, label keys.
//!
//! To accept a change: HYBRIDGE_BLESS=1 cargo test --test process metrics_golden

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::support::{Setup, answering};
use hybridge::metrics::{Code, HandshakeSample, Metrics, RequestProtocol};

const EMPTY: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

/// A registry in which every family has a series.
pub(crate) fn everything() -> String {
    let metrics = Arc::new(Metrics::new().unwrap());
    metrics.set_build_info("1.2.3", "0.23", "1.19").unwrap();
    let listener = metrics.listener("inference");
    listener.announce(&["timeout"], &["done"], &["refused"]);
    listener.handshake(&HandshakeSample {
        group: "X25519MLKEM768",
        kind: "hrr",
        offered: "hybrid",
        retried: true,
        elapsed: Duration::from_millis(2),
        compute: Duration::from_micros(100),
        key_exchange: Duration::from_micros(40),
        bytes_in: 1573,
        bytes_out: 1807,
    });
    let sockets = metrics.sockets("inference", &[], &[]);
    sockets.accept_failed("process_file_limit");
    sockets.shed("idle");
    metrics.injections(&[("injected", "none")]).unwrap();
    listener.upstream_failed("refused");
    listener.first_byte(RequestProtocol::Http1, Duration::from_millis(5));
    listener.request(
        RequestProtocol::Http1,
        Code::Http(200),
        Duration::from_millis(9),
    );
    listener.set_certificate_validity(1_790_000_000, 1_800_000_000);
    listener.set_pair_expiry("/etc/tls/api.crt", 1_800_000_000);
    listener.set_crl_next_update(Some(1_800_000_000));
    listener.signature("ok");
    let streams = listener.streams();
    streams.open(RequestProtocol::Http2, 1);
    streams.first(RequestProtocol::Http2, Duration::from_millis(50));
    streams.gap(RequestProtocol::Http2, Duration::from_millis(20));
    listener.response_signed("header");
    listener.client_certificate("accepted", Some("ml-dsa-65"));
    metrics.spans();
    metrics.egress("inference").tickets.inc();
    metrics.set_listener_info("inference", "ingress", "http");
    String::from_utf8(metrics.render().unwrap()).unwrap()
}

/// A page, family by family.
#[derive(Debug, Default)]
struct Family {
    help: String,
    kind: String,
    labels: BTreeSet<String>,
    series: Vec<(String, f64)>,
}

/// Parses the text format 0.0.4 and refuses what a scraper would.
fn families(page: &str) -> BTreeMap<String, Family> {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let mut current = String::new();
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').expect(line);
            name.clone_into(&mut current);
            let family = families.entry(current.clone()).or_default();
            assert!(family.help.is_empty(), "twice: {line}");
            help.clone_into(&mut family.help);
        } else if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect(line);
            assert_eq!(name, current, "TYPE apart from HELP");
            kind.clone_into(&mut families.get_mut(name).unwrap().kind);
        } else {
            let (series, value) = line.rsplit_once(' ').expect(line);
            assert!(seen.insert(series.to_owned()), "twice: {series}");
            let value = value.parse().expect(line);
            let (name, labels) = series.split_once('{').unwrap_or((series, ""));
            let family = families.get_mut(&current).expect(line);
            let part = name.strip_prefix(current.as_str()).expect(line);
            let histogram = ["_bucket", "_sum", "_count"].contains(&part);
            assert!(
                part.is_empty() || family.kind == "histogram" && histogram,
                "{line}"
            );
            family.labels.extend(label_keys(labels));
            family.series.push((series.to_owned(), value));
        }
    }
    families
}

fn label_keys(labels: &str) -> Vec<String> {
    let pairs = labels.trim_end_matches('}').split("\",");
    let keys = pairs.filter_map(|pair| pair.split_once("=\""));
    keys.map(|(key, _)| key.to_owned())
        .filter(|key| key != "le")
        .collect()
}

fn golden() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/process/metrics.golden");
    std::fs::read_to_string(path).unwrap_or_default()
}

#[test]
fn every_family_is_as_recorded() {
    let mut text = String::new();
    for (name, family) in families(&everything()) {
        let labels: Vec<_> = family.labels.iter().map(String::as_str).collect();
        let labels = labels.join(", ");
        writeln!(
            text,
            "{name}\n  {}\n  {{{labels}}}\n  {}",
            family.kind, family.help
        )
        .unwrap();
    }
    crate::contract::golden("metrics.golden", &text);
}

/// The names that outside checks rely on: they may be joined by others, and do not change.
const CONTRACT: [(&str, &str, &[&str]); 25] = [
    (
        "handshake_duration_seconds",
        "histogram",
        &["listener", "group", "kind"],
    ),
    (
        "handshake_compute_seconds",
        "histogram",
        &["listener", "group", "kind"],
    ),
    ("key_exchange_seconds", "histogram", &["group"]),
    (
        "handshake_bytes",
        "histogram",
        &["listener", "group", "kind", "direction"],
    ),
    (
        "handshakes_total",
        "counter",
        &["listener", "group", "kind", "offered"],
    ),
    (
        "handshake_failures_total",
        "counter",
        &["listener", "reason"],
    ),
    ("connections_open", "gauge", &["listener"]),
    ("connections_total", "counter", &["listener", "outcome"]),
    ("wire_bytes_total", "counter", &["listener", "direction"]),
    ("payload_bytes_total", "counter", &["listener", "direction"]),
    (
        "requests_total",
        "counter",
        &["listener", "protocol", "code"],
    ),
    (
        "request_duration_seconds",
        "histogram",
        &["listener", "protocol"],
    ),
    (
        "time_to_first_byte_seconds",
        "histogram",
        &["listener", "protocol"],
    ),
    (
        "upstream_failures_total",
        "counter",
        &["listener", "reason"],
    ),
    ("config_reloads_total", "counter", &["result"]),
    ("credential_reloads_total", "counter", &["result"]),
    ("config_reload_failing", "gauge", &[]),
    ("credential_reloads_failing", "gauge", &[]),
    (
        "certificate_start_timestamp_seconds",
        "gauge",
        &["listener"],
    ),
    (
        "certificate_expiry_timestamp_seconds",
        "gauge",
        &["listener"],
    ),
    (
        "certificate_pair_expiry_timestamp_seconds",
        "gauge",
        &["listener", "cert"],
    ),
    (
        "client_certificates_total",
        "counter",
        &["listener", "result"],
    ),
    (
        "client_certificate_algorithm_total",
        "counter",
        &["listener", "algorithm"],
    ),
    ("crl_next_update_timestamp_seconds", "gauge", &["listener"]),
    ("build_info", "gauge", &["version", "rustls", "aws_lc"]),
];

#[test]
fn the_contract_is_kept() {
    let families = families(&everything());
    for (name, kind, labels) in CONTRACT {
        let family = &families[&format!("hybridge_{name}")];
        assert_eq!(family.kind, kind, "{name}");
        let expected: BTreeSet<_> = labels.iter().map(|label| (*label).to_owned()).collect();
        assert_eq!(family.labels, expected, "{name}");
    }
}

/// A page of a sidecar at work: no family beside the recorded ones, none twice, no empty page.
#[tokio::test(flavor = "multi_thread")]
async fn a_live_page_is_valid_and_all_of_it_is_recorded() {
    let sidecar = Setup::in_front_of(answering(EMPTY).await)
        .second_listener("policy = \"classical-only\"")
        .start();
    let request = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let answer = sidecar.exchange(request).await;
    assert!(answer.starts_with(b"HTTP/1.1 200 "));
    sidecar
        .metric_reaches("hybridge_connections_total", &[], 1.0)
        .await;
    let families = families(&sidecar.admin("/metrics").await.1);
    let golden = golden();
    let recorded: BTreeSet<_> = golden
        .lines()
        .filter(|line| !line.starts_with(' '))
        .collect();
    for (name, family) in &families {
        assert!(recorded.contains(name.as_str()), "{name}");
        assert!(!family.series.is_empty(), "{name} without a series");
        if family.kind == "histogram" {
            buckets_add_up(name, family);
        }
    }
    let info = &families["hybridge_build_info"].series;
    assert_eq!(info.len(), 1);
    assert_eq!(info[0].1, 1.0);
    assert!(
        info[0].0.contains(env!("CARGO_PKG_VERSION")),
        "{}",
        info[0].0
    );
}

/// An alert on a rate misses the first event of a series that begins with it.
#[tokio::test(flavor = "multi_thread")]
async fn counters_of_closed_sets_are_there_at_zero_before_anything_happens() {
    let sidecar = Setup::in_front_of(answering(EMPTY).await).start();
    let families = families(&sidecar.admin("/metrics").await.1);
    for (name, least) in [
        ("accept_errors_total", 5),
        ("connections_total", 9),
        ("config_reloads_total", 2),
        ("credential_reloads_total", 2),
        ("handshake_failures_total", 17),
        ("handshakes_total", 20),
        ("hello_retry_requests_total", 4),
        ("payload_bytes_total", 2),
        ("requests_total", 36),
        ("shed_total", 2),
        ("upstream_failures_total", 7),
        ("wire_bytes_total", 2),
    ] {
        let family = families
            .get(&format!("hybridge_{name}"))
            .unwrap_or_else(|| panic!("no {name}"));
        assert!(family.series.len() >= least, "{name}: {:?}", family.series);
        assert!(family.series.iter().all(|(_, value)| *value == 0.0));
    }
    let counters: BTreeSet<_> = golden_counters();
    // Injections are the webhook's, client certificates those of listeners with `client-auth`, signatures
    // those of listeners that ask for them, names and received tickets those of an egress, and spans those of
    // an exporter.
    let elsewhere = |name: &str| {
        let others = [
            "injections",
            "client_certificate",
            "signature_verifications",
            "signed_responses",
            "resolutions",
            "ticket",
            "spans",
        ];
        others.iter().any(|other| name.contains(other))
    };
    let missing: Vec<_> = counters
        .iter()
        .filter(|name| !families.contains_key(*name) && !elsewhere(name))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// The counters of the golden file.
fn golden_counters() -> BTreeSet<String> {
    let golden = golden();
    let lines: Vec<_> = golden.lines().collect();
    lines
        .windows(2)
        .filter(|pair| pair[1] == "  counter")
        .map(|pair| pair[0].to_owned())
        .collect()
}

/// The buckets of a histogram grow, and the last is its count.
fn buckets_add_up(name: &str, family: &Family) {
    let mut last = 0.0;
    for (series, value) in &family.series {
        if series.contains("_bucket{") {
            assert!(*value >= last, "{series}");
            last = *value;
        } else if series.starts_with(&format!("{name}_count")) {
            assert_eq!(*value, last, "{series}");
            last = 0.0;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_process_is_described_in_the_standard_names() {
    let sidecar = Setup::in_front_of(answering(EMPTY).await).start();
    let page = families(&sidecar.admin("/metrics").await.1);
    let value = |name: &str| page[name].series[0].1;
    assert_eq!(page["process_cpu_seconds_total"].kind, "counter");
    for name in [
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
        "process_virtual_memory_bytes",
        "process_open_fds",
        "process_max_fds",
        "process_threads",
    ] {
        assert!(value(name) > 0.0, "{name}");
    }
    let cpu = value("process_cpu_seconds_total");
    // Finer than the 10 ms ticks that others report.
    assert!((cpu * 100.0).fract() > 0.0, "{cpu}");
    assert!(value("process_open_fds") < value("process_max_fds"));
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
        .as_secs_f64();
    let age = now - value("process_start_time_seconds");
    assert!((-1.0..600.0).contains(&age), "started {age} s ago");
    // It counts on: never back, and forward once something was done.
    crate::support::eventually("the CPU counter to grow", async || {
        let page = families(&sidecar.admin("/metrics").await.1);
        let later = page["process_cpu_seconds_total"].series[0].1;
        assert!(later >= cpu);
        later > cpu
    })
    .await;
}
