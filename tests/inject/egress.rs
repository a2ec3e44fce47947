//! The other half of a connection: what the sidecar is told, which files it gets, what the app learns, and
//! pods in which that is not possible.

use hybridge::config::Config;
use hybridge::inject::{Decision, NamespaceDefaults, Settings, plan, remove};
use serde_json::{Value, json};

use crate::support::{annotated, apply, config, inject, pod, refuse, sidecar, sidecar_env, vllm};

fn sources(pod: &Value) -> &Value {
    &pod["spec"]["volumes"][0]["projected"]["sources"]
}

fn env_of<'a>(container: &'a Value, name: &str) -> Vec<&'a str> {
    let env = container["env"].as_array().into_iter().flatten();
    env.filter(|entry| entry["name"] == name)
        .map(|entry| entry["value"].as_str().unwrap())
        .collect()
}

#[test]
fn targets_run_beside_the_port_of_the_app() {
    let plan = inject(&pod("egress"));
    let config = config(plan.patched());
    assert_eq!(config.listeners.len(), 1);
    let egresses = config.egresses.iter().map(|egress| {
        let to = egress.egress.destination.to_string();
        format!("{} {} {to}", egress.socket.name, egress.socket.addresses[0])
    });
    assert_eq!(
        egresses.collect::<Vec<_>>(),
        [
            "store 127.0.0.1:9000 store.ml.svc:443",
            "features 127.0.0.1:9001 features.ml.svc:8443"
        ]
    );
    // Three sides share the memory.
    let most = config.listeners[0].socket.max_connections;
    assert_eq!(most, 85);
    assert_eq!(config.egresses[1].socket.max_connections, most);
    assert_eq!(
        sources(plan.patched())[1],
        json!({"configMap": {"name": "server-ca", "items": [{"key": "ca.crt", "path": "egress-ca.crt"}]}})
    );
}

#[test]
fn every_container_of_the_app_learns_of_it_once() {
    let mut told = pod("egress");
    let same = json!([{"name": "NO_PROXY", "value": "127.0.0.1,localhost"}]);
    told["spec"]["containers"][0]["env"] = same;
    let plan = inject(&told);
    let containers = plan.patched()["spec"]["containers"].as_array().unwrap();
    assert_eq!(containers.len(), 2);
    for container in containers {
        assert_eq!(
            env_of(container, "AWS_ENDPOINT_URL_S3"),
            ["http://127.0.0.1:9000"]
        );
        assert_eq!(env_of(container, "NO_PROXY"), ["127.0.0.1,localhost"]);
    }
    let mut meshed = pod("egress");
    let proxy = json!({"name": "istio-proxy", "image": "mesh.example/proxy:1"});
    meshed["spec"]["containers"]
        .as_array_mut()
        .unwrap()
        .push(proxy.clone());
    assert_eq!(inject(&meshed).patched()["spec"]["containers"][2], proxy);
}

#[test]
fn a_client_alone_has_no_listener_and_no_secret_of_a_server() {
    let plan = inject(&pod("egress-only"));
    let config = config(plan.patched());
    assert_eq!((config.listeners.len(), config.egresses.len()), (0, 1));
    let sources = sources(plan.patched()).to_string();
    assert!(!sources.contains("hybridge-tls"), "{sources}");
    assert!(sources.contains("batch-client"), "{sources}");
    let app = &plan.patched()["spec"]["containers"][0];
    assert_eq!(env_of(app, "grpc_proxy"), ["http://127.0.0.1:3128"]);
    assert_eq!(app["command"], json!(["python", "batch.py"]));
    // A port that the app declares stays as it is where the pod says so.
    let told = annotated(with_egress(vllm()), "ports", "none");
    let plan = inject(&told);
    assert_eq!(
        plan.patched()["spec"]["containers"],
        told["spec"]["containers"]
    );
    assert_eq!(sidecar_env(plan.patched(), "HYBRIDGE_PORTS"), None);
}

#[test]
fn a_rank_is_both_ends_of_tunnels_and_opens_no_other_port() {
    let plan = inject(&pod("tunnel"));
    let config = config(plan.patched());
    assert_eq!((config.listeners.len(), config.egresses.len()), (1, 1));
    let listener = &config.listeners[0];
    assert_eq!(listener.socket.addresses[0].to_string(), "10.1.2.3:15443");
    assert_eq!(listener.proxy.protocol.name(), "tunnel");
    let ports = sidecar(plan.patched())["ports"].to_string();
    assert!(ports.contains("pq-tunnel"), "{ports}");
    assert_eq!(
        plan.patched()["spec"]["containers"],
        pod("tunnel")["spec"]["containers"]
    );
}

#[test]
fn a_second_run_changes_nothing_and_removal_takes_everything_out() {
    for name in ["egress", "egress-only", "tunnel"] {
        let original = pod(name);
        let first = inject(&original);
        assert_eq!(apply(&original, &first), *first.patched());
        let again = inject(first.patched());
        assert!(again.ops.is_empty(), "{name}: {}", json!(again.ops));
        let removed = remove(first.patched(), &Settings::default()).unwrap();
        let spec = removed.patched()["spec"].to_string();
        assert!(!spec.contains("hybridge"), "{name}: {spec}");
        assert!(!spec.contains("127.0.0.1:9000"), "{name}: {spec}");
        let warned = removed.warnings.iter().any(|w| w.contains("egress-env"));
        assert_eq!(warned, name != "tunnel", "{:?}", removed.warnings);
    }
}

#[test]
fn what_a_namespace_says_counts_for_its_pods_that_have_an_egress() {
    let text = "ai: {egress-ca: configmap/bundle, egress-policy: hybrid-required, egress-protocol: http, egress-targets-allowed: '*.svc:443'}";
    let defaults = NamespaceDefaults::parse(text).unwrap();
    let settings = Settings {
        namespace_defaults: Some(defaults),
        ..Settings::default()
    };
    let mut without = vllm();
    without["metadata"]["namespace"] = json!("ai");
    let of = |pod: &Value| plan(pod, Decision::Namespace, &settings).unwrap();
    assert_eq!(
        sidecar_env(of(&without).patched(), "HYBRIDGE_EGRESS_CA"),
        None
    );
    let with = annotated(without.clone(), "egress", "a=127.0.0.1:9000->b:1");
    let policy = sidecar_env(of(&with).patched(), "HYBRIDGE_EGRESS_POLICY");
    assert_eq!(policy.as_deref(), Some("hybrid-required"));
    let captured = annotated(
        annotated(without, "egress", "a=127.0.0.1:1080"),
        "egress-capture",
        "socks5",
    );
    let plan = of(&captured);
    assert_eq!(
        sidecar_env(plan.patched(), "HYBRIDGE_EGRESS_PROTOCOL"),
        None
    );
    assert_eq!(config(plan.patched()).egresses.len(), 1);
}

pub(crate) fn with_egress(pod: Value) -> Value {
    let pod = annotated(pod, "egress", "store=127.0.0.1:9000->store:443");
    annotated(pod, "egress-ca", "configmap/servers")
}

fn captured() -> Value {
    let pod = annotated(with_egress(vllm()), "egress", "peers=127.0.0.1:1080");
    let pod = annotated(pod, "egress-capture", "socks5");
    annotated(pod, "egress-targets-allowed", "*.train:*")
}

/// Annotation, value, and what the refusal says.
type Case = (&'static str, &'static str, &'static str);

fn are_refused(pod: &Value, cases: &[Case]) {
    for (name, value, remedy) in cases {
        let deny = refuse(&annotated(pod.clone(), name, value));
        assert!(
            ["annotation_value", "port_conflict"].contains(&deny.reason()),
            "{name}: {deny}"
        );
        assert!(deny.to_string().contains(remedy), "{name}: {value}: {deny}");
    }
}

#[test]
fn a_wrong_egress_is_refused_with_the_right_form() {
    are_refused(
        &with_egress(vllm()),
        &[
            ("egress", "store", "write NAME=LISTEN->TARGET"),
            ("egress", "a=127.0.0.1:9000", "names no target"),
            ("egress", "a=127.0.0.1->b:1", "IP:PORT"),
            ("egress", "a=127.0.0.1:0->b:1", "IP:PORT"),
            ("egress", "a=0.0.0.0:9000->b:1", "is not loopback"),
            ("egress", "a=10.0.0.1:9000->b:1", "is not loopback"),
            ("egress", "a=127.0.0.1:9000->b", "has no port"),
            ("egress", "a=127.0.0.1:9000->https://b:1", "is a URL"),
            (
                "egress",
                "a=127.0.0.1:9000->{host}:15443",
                "store.example.org:443",
            ),
            ("egress", "a b=127.0.0.1:9000->b:1", "metric label"),
            (
                "egress",
                "a=127.0.0.1:9000->b:1,a=127.0.0.1:9001->b:1",
                "\"a\" twice",
            ),
            (
                "egress",
                "a=127.0.0.1:9000->b:1,c=127.0.0.1:9000->b:1",
                "listens on 127.0.0.1:9000 twice",
            ),
            (
                "egress",
                "a=127.0.0.1:8000->b:1",
                "port 8000, which is the app's",
            ),
            ("egress", "a=127.0.1.1:15400->b:1", "the sidecar's own"),
            (
                "egress",
                "a=127.0.0.1:9000->127.0.0.1:15400",
                "the sidecar's admin port; write the server's own address",
            ),
            (
                "egress",
                "a=127.0.0.1:9000->[::ffff:127.0.0.1]:15400",
                "the sidecar's admin port",
            ),
            ("egress", "admin=127.0.0.1:9000->b:1", "choose another"),
            ("egress", "port-8000=127.0.0.1:9000->b:1", "choose another"),
            ("egress-ca", "servers", "configmap/NAME or secret/NAME"),
            ("egress-ca", "system", "configmap/NAME with the CAs"),
            ("egress-tls-secret", "UPPER", "name of a Secret"),
            ("egress-policy", "pq", "hybrid-required"),
            ("egress-protocol", "grpc", "http, tcp"),
            ("egress-peer-ids", "train", "egress-peer-ids has \"train\""),
            ("egress-capture", "redirect", "k8s/examples/redirect.yaml"),
            ("egress-capture", "iptables", "http-proxy, socks5"),
            ("egress-capture", "socks5", "egress-targets-allowed"),
            ("egress-targets-allowed", "*.svc:443", "egress-capture"),
            ("egress-env", "MASTER_ADDR", "write NAME=VALUE"),
            ("egress-env", "A=1,A=2", "A twice"),
            ("tunnel", "yes", "enabled, disabled"),
            ("tunnel", "enabled", "client-auth: required"),
        ],
    );
    are_refused(
        &captured(),
        &[
            ("egress", "a=127.0.0.1:1080,b=127.0.0.1:1081", "keep one"),
            (
                "egress",
                "a=127.0.0.1:1080->b",
                "with egress-capture, write",
            ),
            ("egress-protocol", "http", "contradicts egress-capture"),
            ("egress-targets-allowed", "*:443", "every host"),
            ("egress-targets-allowed", "a.b", "no ports"),
        ],
    );
}

#[test]
fn what_has_no_effect_is_refused() {
    are_refused(
        &vllm(),
        &[
            ("egress-ca", "configmap/servers", "hybridge.dev/egress"),
            ("egress-env", "A=1", "hybridge.dev/egress"),
            (
                "egress",
                "a=127.0.0.1:9000->b:1",
                "needs annotation hybridge.dev/egress-ca",
            ),
        ],
    );
    are_refused(
        &pod("egress-only"),
        &[
            (
                "policy",
                "hybrid-required",
                "no port of this pod is behind TLS",
            ),
            ("tls-secret", "x", "no port of this pod is behind TLS"),
            ("bind", "none", "no port of this pod is behind TLS"),
        ],
    );
    are_refused(
        &pod("tunnel"),
        &[
            ("ports", "29500", "contradicts tunnel: enabled"),
            ("mode", "explicit", "with tunnel: enabled there are none"),
            ("protocol", "tcp", "with tunnel: enabled there are none"),
            ("egress", "tunnel=127.0.0.1:1080", "choose another"),
            ("egress", "a=127.0.0.1:15443", "the sidecar's own"),
            ("egress", "a=127.0.0.1:29500", "the app's"),
        ],
    );
    let deny = refuse(&annotated(vllm(), "ports", "none"));
    assert_eq!(deny.reason(), "ports_required");
    assert!(
        deny.to_string().contains("add hybridge.dev/egress"),
        "{deny}"
    );
    let mut taken = pod("tunnel");
    taken["spec"]["containers"][0]["ports"] = json!([{"containerPort": 15443}]);
    assert_eq!(refuse(&taken).reason(), "port_conflict");
}

/// What would keep the sidecar, and with it the app, from starting shows when the pod is created.
#[test]
fn addresses_that_the_sidecar_refuses_at_its_start_are_refused() {
    let refused = [
        (
            "a=127.0.0.1:9000->h:443,b=[::ffff:127.0.0.1]:9000->h:443",
            "127.0.0.1:9000 and [::ffff:127.0.0.1]:9000, which are one address",
        ),
        ("a=127.0.0.1:9000->127.0.0.1:9000", "would loop"),
        ("a=127.0.0.1:9000->[::ffff:127.0.0.1]:9000", "would loop"),
        (
            "a=127.0.0.1:9000->127.0.0.1:9001,b=127.0.0.1:9001->h:443",
            "\"a\" with target 127.0.0.1:9001, where \"b\" listens",
        ),
    ];
    are_refused(
        &with_egress(vllm()),
        &refused.map(|(value, said)| ("egress", value, said)),
    );
    // The sidecar's own words for the same lists.
    for (value, _) in refused {
        let entries = value.split(',').map(|entry| {
            let (name, rest) = entry.split_once('=').unwrap();
            let (listen, target) = rest.split_once("->").unwrap();
            format!("[[egress]]\nname = {name:?}\nlisten = {listen:?}\ntarget = {target:?}\ntls.ca = \"ca.crt\"\n")
        });
        let file = entries.collect::<String>();
        let said = Config::parse("a.toml", &file).unwrap_err().to_string();
        assert!(
            said.contains("would loop") || said.contains("of egress `b`"),
            "{value}: {said}"
        );
    }
    for good in [
        "a=127.0.0.1:9000->127.0.0.2:9000",
        "a=127.0.0.1:9000->h:443,b=127.0.0.2:9000->h:443",
        "a=127.0.0.1:9000->h:443,b=[::1]:9000->h:443",
    ] {
        let plan = inject(&annotated(with_egress(vllm()), "egress", good));
        assert!(!config(plan.patched()).egresses.is_empty(), "{good}");
    }
}
