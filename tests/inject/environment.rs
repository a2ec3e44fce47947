//! The variables that the injector writes, read by the sidecar's own configuration: what the two agree on.

use std::net::SocketAddr;

use clap::Parser;
use hybridge::cli::{Cli, Command};
use hybridge::config::{Config, Environment, Flags, admin_address};
use hybridge::inject::ANNOTATIONS;
use serde_json::Value;

use crate::support::{annotated, inject, pod, sidecar, vllm};

const DUAL_STACK: &str = "10.1.2.3,fd00::3";

/// The sidecar's variables as the kubelet of a pod with these addresses fills them in.
fn environment(pod: &Value, pod_ips: &str) -> Environment {
    let plan = inject(pod);
    let env = sidecar(plan.patched())["env"].as_array().unwrap().clone();
    env.iter()
        .map(|entry| {
            let value = entry["value"].as_str().unwrap_or(pod_ips);
            (entry["name"].as_str().unwrap().to_owned(), value.to_owned())
        })
        .collect()
}

fn config(pod: &Value, pod_ips: &str) -> Config {
    Config::load(&Flags::default(), &environment(pod, pod_ips))
        .unwrap()
        .config
}

fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn the_admin_port_is_on_the_addresses_of_the_pod_and_on_loopback() {
    for (pod_ips, expected) in [
        ("10.1.2.3", vec!["10.1.2.3:15400", "127.0.0.1:15400"]),
        ("fd00::3", vec!["[fd00::3]:15400", "127.0.0.1:15400"]),
        (
            DUAL_STACK,
            vec!["10.1.2.3:15400", "[fd00::3]:15400", "127.0.0.1:15400"],
        ),
    ] {
        let config = config(&vllm(), pod_ips);
        assert_eq!(config.admin.addresses, addresses(&expected), "{pod_ips}");
    }
}

#[test]
fn ctl_in_the_sidecar_asks_loopback_from_where_orders_are_accepted() {
    for pod_ips in ["10.1.2.3", "fd00::3", DUAL_STACK] {
        let found = admin_address(None, &environment(&vllm(), pod_ips)).unwrap();
        assert_eq!(found.to_string(), "127.0.0.1:15400");
    }
}

#[test]
fn the_sidecar_takes_the_port_over_on_every_address_of_the_pod_and_not_on_loopback() {
    let config = config(&vllm(), DUAL_STACK);
    assert_eq!(config.listeners.len(), 1);
    let listener = &config.listeners[0];
    assert_eq!(
        listener.socket.addresses,
        addresses(&["10.1.2.3:8000", "[fd00::3]:8000"])
    );
    assert_eq!(listener.proxy.upstream.to_string(), "127.0.0.1:8000");
}

#[test]
fn connections_fit_into_the_memory_that_is_asked_for() {
    let most = |pod: &Value| config(pod, DUAL_STACK).listeners[0].socket.max_connections;
    assert_eq!(most(&vllm()), 256);
    assert_eq!(most(&annotated(vllm(), "memory", "256Mi")), 554);
    let triton = pod("triton");
    let listeners = config(&triton, DUAL_STACK).listeners.len();
    assert!(listeners > 1);
    assert!(most(&triton) * listeners <= 256);
}

/// Clients are asked for a certificate, with every kind of rule.
const ASKED: &[(&str, &str)] = &[
    ("client-auth", "required"),
    ("client-ca", "configmap/clients"),
    (
        "allow-uri",
        "spiffe://example.org/ns/*/sa/batch, spiffe://example.org/ns/ai/**",
    ),
    ("allow-dns", "*.clients.example.org"),
    ("allow-ip", "192.0.2.7,2001:db8::7"),
    ("allow-cn", "batch job"),
];

/// An agent gives certificate, key and CAs.
const OF_AGENT: &[(&str, &str)] = &[
    ("spiffe", "csi/csi.spiffe.io:api.sock"),
    ("client-auth", "required"),
    ("allow-uri", "spiffe://example.org/ns/ai/**"),
    ("ticket-keys", "secret/tickets"),
];

/// Peers named, as a tunnel demands.
const TUNNEL: &[(&str, &str)] = &[
    ("tunnel", "enabled"),
    ("client-auth", "required"),
    ("client-ca", "configmap/ranks"),
    ("allow-uri", "spiffe://train.example/ns/ml/sa/*"),
];

/// Targets by address, each with one that is needed.
const EGRESS: &[(&str, &str)] = &[
    (
        "egress",
        "store=127.0.0.1:9000->store.example.org:443, peer=[::1]:9001->[2001:db8::7]:8443",
    ),
    ("egress-ca", "configmap/servers"),
    ("egress-tls-secret", "store-client"),
    ("egress-policy", "hybrid-required"),
    ("egress-protocol", "http"),
    ("egress-env", "STORE=http://127.0.0.1:9000, NO_PROXY=a,b"),
];

/// Targets that the app names.
const CAPTURED: &[(&str, &str)] = &[
    ("ports", "none"),
    ("egress", "peers=127.0.0.1:1080->{host}:15443"),
    ("egress-capture", "socks5"),
    (
        "egress-targets-allowed",
        "*.train:*, 10.244.0.0/16:1024-65535",
    ),
    ("egress-ca", "secret/ranks"),
    ("egress-tls-secret", "rank"),
    ("egress-peer-ids", "spiffe://train.example/ns/ml/sa/*"),
];

/// In a pod whose volume `models` is there.
const SEALED_MODEL: &[(&str, &str)] = &[
    ("sealed", "models/llama=/models/llama"),
    ("sealed-identity", "secret/identity"),
    ("sealed-signer", "configmap/signer"),
    ("sealed-size", "16Gi"),
];

/// A collector behind TLS.
const TRACES: &[(&str, &str)] = &[
    (
        "traces-endpoint",
        "https://otel-agent.observability.svc:4318",
    ),
    ("traces-ca", "configmap/otel-ca"),
    ("traces-sample", "0.25"),
    ("traces-service-name", "llama 70b"),
];

/// An accepted value of every annotation, and what it needs beside it.
const ACCEPTED: &[(&str, &[(&str, &str)])] = &[
    ("ports", &[("ports", "8000")]),
    ("mode", &[("mode", "explicit")]),
    (
        "listen-port",
        &[("mode", "explicit"), ("listen-port", "9443")],
    ),
    ("protocol", &[("protocol", "tcp")]),
    ("tls-secret", &[("tls-secret", "other")]),
    ("spiffe", OF_AGENT),
    ("policy", &[("policy", "hybrid-required")]),
    ("client-auth", ASKED),
    ("client-ca", ASKED),
    (
        "client-crl",
        &[
            ("client-auth", "optional"),
            ("client-ca", "secret/clients"),
            ("client-crl", "configmap/clients"),
            ("allow-any", "true"),
        ],
    ),
    ("allow-uri", ASKED),
    ("allow-dns", ASKED),
    ("allow-ip", ASKED),
    ("allow-cn", ASKED),
    (
        "allow-any",
        &[
            ("client-auth", "required"),
            ("client-ca", "secret/clients"),
            ("allow-any", "true"),
        ],
    ),
    ("ticket-keys", &[("ticket-keys", "secret/tickets")]),
    (
        "identity",
        &[
            ("client-auth", "required"),
            ("client-ca", "secret/clients"),
            ("allow-any", "true"),
            ("identity", "client-cert, client-cert-chain"),
        ],
    ),
    (
        "proxy-protocol-from",
        &[("proxy-protocol-from", "192.0.2.7, 10.0.0.0/8,2001:db8::/32")],
    ),
    (
        "upstream-proxy-protocol",
        &[
            ("protocol", "tcp"),
            ("client-auth", "optional"),
            ("client-ca", "secret/clients"),
            ("allow-any", "true"),
            ("upstream-proxy-protocol", "v2-identity"),
        ],
    ),
    ("bind", &[("bind", "none")]),
    ("bind-env", &[("bind-env", "ADDRESS=127.0.0.1:8000")]),
    ("drain-timeout", &[("drain-timeout", "20s")]),
    ("drain-delay", &[("drain-delay", "0s")]),
    ("init-order", &[("init-order", "last")]),
    ("cpu-request", &[("cpu-request", "200m")]),
    ("cpu-limit", &[("cpu-limit", "1")]),
    ("memory", &[("memory", "256Mi")]),
    ("tunnel", TUNNEL),
    ("egress", EGRESS),
    ("egress-capture", CAPTURED),
    ("egress-targets-allowed", CAPTURED),
    ("egress-protocol", EGRESS),
    ("egress-ca", EGRESS),
    ("egress-tls-secret", EGRESS),
    ("egress-peer-ids", CAPTURED),
    ("egress-policy", EGRESS),
    ("egress-env", EGRESS),
    ("sealed", SEALED_MODEL),
    ("sealed-identity", SEALED_MODEL),
    ("sealed-signer", SEALED_MODEL),
    ("sealed-size", SEALED_MODEL),
    ("traces-endpoint", TRACES),
    ("traces-ca", TRACES),
    ("traces-sample", TRACES),
    ("traces-service-name", TRACES),
    ("log-level", &[("log-level", "debug")]),
    ("allow-shared-pid", &[("allow-shared-pid", "true")]),
    ("status", &[("status", "{}")]),
];

#[test]
fn what_every_annotation_writes_is_accepted_by_run() {
    let tried: Vec<_> = ACCEPTED.iter().map(|(name, _)| *name).collect();
    assert_eq!(tried, ANNOTATIONS, "an annotation without a try");
    for (name, annotations) in ACCEPTED {
        let mut pod = annotations
            .iter()
            .fold(vllm(), |pod, (name, value)| annotated(pod, name, value));
        if *annotations == SEALED_MODEL {
            pod["spec"]["volumes"] = serde_json::json!([{"name": "models", "emptyDir": {}}]);
        }
        let args = sidecar(inject(&pod).patched())["args"].clone();
        let words = args.as_array().unwrap().iter().map(|w| w.as_str().unwrap());
        let cli = Cli::try_parse_from(std::iter::once("hybridge").chain(words))
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let Command::Run(flags) = cli.command else {
            panic!("{name}: {args} does not run the sidecar");
        };
        let loaded = Config::load(&flags, &environment(&pod, DUAL_STACK))
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(loaded.warnings, Vec::<String>::new(), "{name}");
    }
}
