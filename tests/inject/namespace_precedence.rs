//! A pod's own value counts before its namespace's, also where the two cannot stand together, and takes away what
//! it does not want of its namespace. What protects is never left out by the way. Refusals name who says a value.

use hybridge::inject::{Decision, Plan, Settings, plan};
use serde_json::{Value, json};

use crate::support::{placed, sidecar, sidecar_env, vllm, with};

const CLIENTS: &str = "client-auth: required, client-ca: configmap/clients, allow-uri: 'spiffe://example.org/ns/ai/**'";
const STORE: &str = "store=127.0.0.1:9000->store.example.org:443";

fn told(plan: &Plan, name: &str) -> Option<String> {
    sidecar_env(plan.patched(), &format!("HYBRIDGE_{name}"))
}

type Case<'a> = (
    &'a str,
    &'a [(&'a str, &'a str)],
    &'a [(&'a str, Option<&'a str>)],
);

fn check(cases: &[Case<'_>]) {
    for (defaults, annotations, expected) in cases {
        let planned = placed(defaults, annotations)
            .unwrap_or_else(|deny| panic!("{defaults} {annotations:?}: {deny}"));
        for (name, value) in *expected {
            let seen = told(&planned, name);
            assert_eq!(seen.as_deref(), *value, "{defaults} {annotations:?} {name}");
        }
    }
}

#[test]
fn what_a_pod_says_counts_before_what_its_namespace_says_against_it() {
    let agent = "ai: {spiffe: csi/csi.spiffe.io}";
    let asks = &format!("ai: {{spiffe: csi/csi.spiffe.io, {CLIENTS}}}")
        .replace(", client-ca: configmap/clients", "");
    let tunnel = &format!("ai: {{tunnel: enabled, {CLIENTS}}}");
    let own_ca = ("client-ca", "configmap/own");
    let usual = ("PORTS", Some("8000=127.0.0.1:8000"));
    let required = ("CLIENT_AUTH", Some("required"));
    check(&[
        (
            agent,
            &[],
            &[("SPIFFE", Some("unix:/etc/hybridge/spiffe/spire-agent.sock"))],
        ),
        (agent, &[("tls-secret", "own")], &[("SPIFFE", None)]),
        (asks, &[own_ca], &[("SPIFFE", None), required]),
        ("ai: {mode: explicit}", &[("bind-env", "ADDRESS")], &[usual]),
        (tunnel, &[("protocol", "tcp")], &[usual, required]),
        (
            tunnel,
            &[("mode", "explicit"), ("listen-port", "8444")],
            &[("PORTS", Some("8444=127.0.0.1:8000")), required],
        ),
    ]);
    let taken = placed(tunnel, &[("proxy-protocol-from", "none")]).unwrap();
    assert_eq!(told(&taken, "LISTEN").as_deref(), Some("$POD_IPS:15443"));
    let moved = placed("ai: {mode: explicit}", &[("bind-env", "ADDRESS")]).unwrap();
    assert_eq!(
        moved.patched()["spec"]["containers"][0]["env"][0]["name"],
        "ADDRESS"
    );
    let steps: Vec<String> = moved
        .explanation
        .iter()
        .map(|step| format!("{}: {}", step.what, step.why))
        .collect();
    let said = "annotation hybridge.dev/mode of namespace ai (namespace defaults of the injector) is left out: annotation hybridge.dev/bind-env counts before it";
    assert!(steps.iter().any(|step| step == said), "{steps:?}");
}

#[test]
fn what_protects_is_not_left_out_by_the_way() {
    let tunnel = &format!("ai: {{tunnel: enabled, {CLIENTS}}}");
    let asks = &format!("ai: {{spiffe: csi/csi.spiffe.io, {CLIENTS}}}")
        .replace(", client-ca: configmap/clients", "");
    for (defaults, annotation, remedy) in [
        (
            "ai: {mode: takeover}",
            ("listen-port", "8444"),
            "write hybridge.dev/mode: explicit too",
        ),
        (
            tunnel,
            ("client-auth", "off"),
            "write hybridge.dev/tunnel: disabled",
        ),
        (
            asks,
            ("tls-secret", "own"),
            "needs annotation hybridge.dev/client-ca",
        ),
        (
            asks,
            ("client-crl", "configmap/own"),
            "needs annotation hybridge.dev/client-ca",
        ),
    ] {
        let deny = placed(defaults, &[annotation]).err().unwrap().to_string();
        assert!(deny.contains(remedy), "{defaults} {annotation:?}: {deny}");
        assert!(deny.contains("of namespace ai"), "{deny}");
    }
}

#[test]
fn a_capture_of_the_namespace_gives_way_to_an_egress_of_the_pod() {
    let capture = "ai: {egress: 'peers=127.0.0.1:1080', egress-ca: configmap/ca, egress-capture: socks5, egress-targets-allowed: '*.train:*'}";
    let target = ("EGRESS_TARGET", Some("store.example.org:443"));
    check(&[
        (capture, &[], &[("EGRESS_CAPTURE", Some("socks5"))]),
        (
            capture,
            &[("egress", "own=127.0.0.1:1081")],
            &[("EGRESS_CAPTURE", Some("socks5"))],
        ),
        (
            capture,
            &[("egress", STORE)],
            &[("EGRESS_CAPTURE", None), ("EGRESS_TARGETS_ALLOWED", None)],
        ),
        (
            capture,
            &[("egress", STORE), ("egress-protocol", "http")],
            &[("EGRESS_PROTOCOL", Some("http"))],
        ),
        (
            capture,
            &[("egress", STORE), ("egress-capture", "none")],
            &[("EGRESS_CAPTURE", None)],
        ),
    ]);
    let plan = placed(capture, &[("egress", STORE)]).unwrap();
    let entry = told(&plan, "EGRESS").or_else(|| told(&plan, "EGRESS_TARGET"));
    assert!(entry.is_some_and(|entry| entry.contains(target.1.unwrap())));
}

#[test]
fn of_cpu_limit_and_request_the_nearer_counts() {
    let of = |defaults: &str, annotations: &[(&str, &str)]| {
        let plan = placed(defaults, annotations).unwrap();
        let resources = &sidecar(plan.patched())["resources"];
        let amount = |kind: &str| resources[kind]["cpu"].as_str().map(str::to_owned);
        [amount("requests"), amount("limits")]
    };
    let both = |amount: &str| [Some(amount.to_owned()), Some(amount.to_owned())];
    assert_eq!(
        of("ai: {cpu-limit: 200m}", &[("cpu-request", "500m")]),
        both("500m")
    );
    assert_eq!(
        of("ai: {cpu-request: 500m}", &[("cpu-limit", "200m")]),
        both("200m")
    );
    assert_eq!(
        of("ai: {cpu-limit: 200m}", &[("cpu-limit", "none")]),
        [Some("100m".to_owned()), None]
    );
}

/// `none` is what the table of the annotations names as their default.
#[test]
fn a_pod_takes_away_what_it_does_not_want_of_its_namespace() {
    let egress = &format!("ai: {{egress: '{STORE}', egress-ca: configmap/ca, egress-env: A=1}}");
    let tickets = &format!("ai: {{ticket-keys: secret/t, {CLIENTS}}}");
    let networks = "ai: {proxy-protocol-from: 10.0.0.0/8}";
    let gone = |name| (name, None);
    let keys = Some("/etc/hybridge/tls/ticket.keys");
    check(&[
        (
            egress,
            &[],
            &[("EGRESS_CA", Some("/etc/hybridge/tls/egress-ca.crt"))],
        ),
        (
            egress,
            &[("egress", "none")],
            &[gone("EGRESS"), gone("EGRESS_CA"), gone("EGRESS_TARGET")],
        ),
        (tickets, &[], &[("TICKET_KEYS", keys)]),
        (
            tickets,
            &[("ticket-keys", "none")],
            &[gone("TICKET_KEYS"), ("CLIENT_AUTH", Some("required"))],
        ),
        (
            tickets,
            &[("ticket-keys", "none"), ("identity", "client-cert")],
            &[("IDENTITY", Some("client-cert"))],
        ),
        (
            networks,
            &[],
            &[("PROXY_PROTOCOL_FROM", Some("10.0.0.0/8"))],
        ),
        (
            networks,
            &[("proxy-protocol-from", "none")],
            &[gone("PROXY_PROTOCOL_FROM")],
        ),
    ]);
    let variables = |annotations: &[(&str, &str)]| {
        let plan = placed(egress, annotations).unwrap();
        plan.patched()["spec"]["containers"][0]["env"].to_string()
    };
    assert!(variables(&[]).contains("\"A\""));
    assert_eq!(variables(&[("egress-env", "none")]), "null");
    let sealed = "ai: {sealed: 'pvc=/models', sealed-identity: secret/i, sealed-signer: configmap/s, sealed-size: 1Gi}";
    let deny = placed(sealed, &[]).err().unwrap().to_string();
    assert!(deny.contains("names volume \"pvc\""), "{deny}");
    let open = placed(sealed, &[("sealed", "none")]).unwrap();
    assert_eq!(
        open.patched()["spec"]["initContainers"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

/// It says nothing about what belongs to it, which is a slip of the pod then.
#[test]
fn what_belongs_to_something_taken_away_has_no_meaning() {
    for (name, rest) in [
        ("egress", ("egress-ca", "configmap/ca")),
        ("sealed", ("sealed-size", "1Gi")),
    ] {
        let pod = with(&[(name, "none"), rest]);
        let deny = crate::support::refuse(&pod).to_string();
        assert!(deny.contains("has a meaning only with"), "{deny}");
    }
}

#[test]
fn a_refusal_names_who_says_the_value() {
    let in_file = |defaults: &str, annotations: &[(&str, &str)]| {
        placed(defaults, annotations).err().unwrap().to_string()
    };
    let of_file = "of namespace ai (namespace defaults of the injector)";
    let sealed = "ai: {sealed: 'pvc=/models', sealed-identity: secret/i, sealed-signer: configmap/s, sealed-size: 1Gi}";
    let egress = "ai: {egress: 'a=127.0.0.1:8000->b.example:443', egress-ca: configmap/ca}";
    for (defaults, name) in [
        (sealed, "sealed"),
        (egress, "egress"),
        ("ai: {ports: '8000,http'}", "ports"),
        ("ai: {mode: explicit, listen-port: '1,2'}", "listen-port"),
    ] {
        let deny = in_file(defaults, &[]);
        let begin = format!("annotation hybridge.dev/{name} {of_file}");
        assert!(deny.starts_with(&begin), "{deny}");
    }

    let copied = |name: &str, place: Option<&str>| {
        let mut pod: Value = vllm();
        pod["metadata"]["annotations"] = json!({"namespace.hybridge.dev/memory": "1Mi"});
        pod["metadata"]["annotations"][format!("hybridge.dev/{name}")] = json!("5Mi");
        if let Some(place) = place {
            pod["metadata"]["namespace"] = json!(place);
        }
        let denied = plan(&pod, Decision::Namespace, &Settings::default());
        denied.err().unwrap().to_string()
    };
    let is = "is 1Mi, which the sidecar cannot start in; give at least 32Mi";
    assert_eq!(
        copied("cpu-request", Some("ai")),
        format!("annotation hybridge.dev/memory of namespace ai {is}")
    );
    assert_eq!(
        copied("cpu-request", None),
        format!("annotation hybridge.dev/memory of the namespace {is}")
    );
    assert!(copied("memory", Some("ai")).starts_with("annotation hybridge.dev/memory is 5Mi"));

    let settings = Settings {
        defaults: "cpu-limit=200m".parse().unwrap(),
        ..Settings::default()
    };
    let pod = with(&[("cpu-limit", "-1")]);
    let deny = plan(&pod, Decision::Namespace, &settings)
        .err()
        .unwrap()
        .to_string();
    assert!(
        deny.starts_with("annotation hybridge.dev/cpu-limit is"),
        "{deny}"
    );
}

#[test]
fn a_warning_names_who_says_the_value() {
    let plan = placed("ai: {ports: '9000'}", &[]).unwrap();
    let said = "annotation hybridge.dev/ports of namespace ai (namespace defaults of the injector) names 9000";
    assert!(
        plan.warnings.iter().any(|line| line.starts_with(said)),
        "{:?}",
        plan.warnings
    );
}
