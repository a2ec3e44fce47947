//! Pods whose sidecar sends spans to a collector: what it is told, and which collectors are refused.

use hybridge::budget::{Asked, Budget, Demand, Memory, MemorySource, Resources};
use hybridge::inject::{NamespaceDefaults, Settings, remove};
use serde_json::json;

use crate::support::{config, inject, placed, pod, refuse, sidecar_env, vllm, with};

const BEHIND_TLS: &[(&str, &str)] = &[
    ("traces-endpoint", "https://otel:4318"),
    ("traces-ca", "configmap/otel-ca"),
];
const IN_THE_POD: (&str, &str) = ("traces-endpoint", "http://127.0.0.1:4318");

#[test]
fn the_sidecar_sends_spans_to_a_collector_that_its_ca_certifies() {
    let plan = inject(&pod("traces"));
    let traces = config(plan.patched()).traces.unwrap();
    assert_eq!(
        traces.endpoint.to_string(),
        "https://otel-agent.observability.svc:4318"
    );
    assert_eq!(traces.service_name, "llama");
    assert_eq!(traces.sample.to_string(), "0.1");
    assert!(traces.tls.is_some());
    assert_eq!(
        plan.patched()["spec"]["volumes"][0]["projected"]["sources"][1],
        json!({"configMap": {"name": "otel-ca", "items": [{"key": "ca.crt", "path": "traces-ca.crt"}]}})
    );
    let told = |text| plan.explanation.iter().any(|step| step.what.contains(text));
    assert!(told(
        "spans go to https://otel-agent.observability.svc:4318"
    ));
}

#[test]
fn a_collector_in_the_pod_gets_them_in_plaintext_without_a_file() {
    let plan = inject(&with(&[
        IN_THE_POD,
        ("traces-service-name", "a $(POD_NAME)"),
    ]));
    let traces = config(plan.patched()).traces.unwrap();
    assert_eq!(traces.endpoint.to_string(), "http://127.0.0.1:4318");
    assert!(traces.tls.is_none());
    assert_eq!(traces.service_name, "a $(POD_NAME)");
    let without = inject(&vllm());
    assert_eq!(
        plan.patched()["spec"]["volumes"],
        without.patched()["spec"]["volumes"]
    );
    let grpc = inject(&with(&[("traces-endpoint", "http://127.0.0.1:4317")]));
    assert!(
        grpc.warnings.iter().any(|warning| warning.contains("4318")),
        "{:?}",
        grpc.warnings
    );
}

/// It may be a token: the sidecar is told, and nobody else.
#[test]
fn the_path_of_a_collector_is_in_no_message() {
    let url = "http://127.0.0.1:4318/v/t0ken";
    let plan = inject(&with(&[("traces-endpoint", url)]));
    let told = sidecar_env(plan.patched(), "HYBRIDGE_TRACES_ENDPOINT");
    assert_eq!(told.as_deref(), Some(url));
    let explained: Vec<_> = plan.explanation.iter().map(|step| &step.what).collect();
    let expected = "spans go to http://127.0.0.1:4318/(path, not shown)";
    assert!(
        explained.iter().any(|what| *what == expected),
        "{explained:?}"
    );
    for url in ["http://otel/v/t0ken", "grpc://otel/v/t0ken", "otel/t0ken"] {
        let deny = refuse(&with(&[("traces-endpoint", url)])).to_string();
        assert!(deny.contains("(path, not shown)"), "{deny}");
        assert!(!deny.contains("t0ken"), "{deny}");
    }
}

/// The sidecar would warn of a number that somebody wrote and that does not fit.
#[test]
fn the_limit_of_connections_leaves_room_for_spans() {
    const MEMORY: u64 = 128 << 20;
    for (pod, limit) in [(vllm(), 256), (with(BEHIND_TLS), 250)] {
        let plan = inject(&pod);
        let config = config(plan.patched());
        let [listener] = &config.listeners[..] else {
            panic!("{} listeners", config.listeners.len());
        };
        assert_eq!(listener.socket.max_connections, limit);
        let demand = Demand {
            listeners: vec![Asked {
                connections: limit,
                explicit: true,
                handshakes: 0,
            }],
            spans: config.traces.as_ref().map_or(0, |traces| traces.queue),
            workers: 1,
            ..Demand::default()
        };
        let memory = Memory {
            bytes: MEMORY,
            source: MemorySource::Cgroup,
        };
        let resources = Resources {
            descriptors: None,
            memory: Some(memory),
        };
        let warnings = Budget::new(&resources, &demand).warnings();
        assert_eq!(warnings, Vec::<String>::new());
    }
}

#[test]
fn nothing_is_exported_that_nobody_asked_for() {
    let mut named = inject(&vllm()).patched().clone();
    let env = named["spec"]["initContainers"][0]["env"].as_array_mut();
    env.unwrap().extend([
        json!({"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": "http://otel:4318"}),
        json!({"name": "HYBRIDGE_TRACES_ENDPOINT", "value": "http://otel:4318"}),
    ]);
    let again = inject(&named);
    assert_eq!(config(again.patched()).traces, None);
    assert_eq!(
        sidecar_env(again.patched(), "OTEL_EXPORTER_OTLP_ENDPOINT").as_deref(),
        Some("http://otel:4318"),
        "a variable of others stays"
    );
}

#[test]
fn a_second_run_changes_nothing_and_removal_takes_everything_out() {
    let first = inject(&with(BEHIND_TLS));
    assert!(inject(first.patched()).ops.is_empty());
    let mut changed = first.patched().clone();
    let annotations = changed["metadata"]["annotations"].as_object_mut().unwrap();
    annotations.remove("hybridge.dev/traces-endpoint");
    annotations.remove("hybridge.dev/traces-ca");
    let without = inject(&changed);
    assert_eq!(without.patched()["spec"], inject(&vllm()).patched()["spec"]);
    let removed = remove(first.patched(), &Settings::default()).unwrap();
    assert!(!removed.patched()["spec"].to_string().contains("otel"));
}

#[test]
fn what_the_sidecar_would_refuse_or_ignore_is_refused_with_the_remedy() {
    let plaintext = "spans would leave the pod in plaintext";
    let alone = "has a meaning only with hybridge.dev/traces-endpoint";
    for (annotations, remedy) in [
        (&[("traces-endpoint", "http://otel:4318")][..], plaintext),
        (&[("traces-endpoint", "http://10.0.0.1:4318")], plaintext),
        (&[("traces-endpoint", "https://otel:4318")], "traces-ca"),
        (&[("traces-endpoint", "auto")], "write the URL"),
        (&[("traces-endpoint", "otel:4318")], "is no URL"),
        (&[("traces-endpoint", "grpc://otel:4317")], "OTLP over HTTP"),
        (
            &[("traces-endpoint", "https://otel/v1/traces")],
            "it is added",
        ),
        (
            &[IN_THE_POD, ("traces-ca", "configmap/a")],
            "nothing is verified there",
        ),
        (
            &[BEHIND_TLS[0], ("traces-ca", "system")],
            "no bundle of CAs",
        ),
        (&[BEHIND_TLS[0], ("traces-ca", "otel-ca")], "configmap/NAME"),
        (&[IN_THE_POD, ("traces-sample", "10%")], "such as 0.25"),
        (&[IN_THE_POD, ("traces-service-name", "a\nb")], "one line"),
        (&[("traces-ca", "configmap/a")], alone),
        (&[("traces-sample", "0.1")], alone),
        (&[("traces-service-name", "llama")], alone),
        (&[("traces", "http://127.0.0.1:4318")], "traces-endpoint"),
    ] {
        let deny = refuse(&with(annotations));
        assert!(deny.to_string().contains(remedy), "{annotations:?}: {deny}");
    }
    let secret = refuse(&with(&[("traces-endpoint", "http://me:hunter2@otel:4318")]));
    let text = secret.to_string();
    assert!(text.contains("names a user"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn only_what_comes_in_has_spans() {
    let egress = [
        ("ports", "none"),
        ("egress", "store=127.0.0.1:9000->store.example.org:443"),
        ("egress-ca", "configmap/servers"),
    ];
    let deny = refuse(&with(&[&egress[..], &[IN_THE_POD]].concat()));
    assert!(
        deny.to_string().contains("traces-endpoint has no effect"),
        "{deny}"
    );
}

#[test]
fn a_namespace_says_it_for_its_pods() {
    let placed = |defaults: &str, annotations: &[(&str, &str)]| {
        config(placed(defaults, annotations).unwrap().patched()).traces
    };
    let all = "ai: {traces-endpoint: 'https://otel:4318', traces-ca: configmap/otel-ca, traces-sample: '0.5'}";
    let usual = placed(all, &[]).unwrap();
    assert_eq!(usual.sample.to_string(), "0.5");
    let own = placed(all, &[IN_THE_POD]).unwrap();
    assert_eq!(own.endpoint.to_string(), "http://127.0.0.1:4318");
    assert_eq!(placed(all, &[("traces-endpoint", "none")]), None);
    let rest = "ai: {traces-ca: configmap/otel-ca, traces-sample: '0.5'}";
    assert_eq!(placed(rest, &[]), None);
    let chosen = placed(rest, &[BEHIND_TLS[0]]).unwrap();
    assert_eq!(chosen.sample.to_string(), "0.5");
    let error = NamespaceDefaults::parse("ai: {traces-endpoint: 'http://otel:4318'}").unwrap_err();
    assert!(error.contains("in plaintext"), "{error}");
}
