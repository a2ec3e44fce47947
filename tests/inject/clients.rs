//! Annotations that say who may in: what the sidecar is told and which files it gets.

use hybridge::config::{Config, Environment, Flags};
use hybridge::inject::{Decision, NamespaceDefaults, Settings, plan, remove};
use serde_json::{Value, json};

use crate::support::{annotated, inject, refuse, sidecar, sidecar_env, vllm, with};

const REQUIRED: &[(&str, &str)] = &[
    ("client-auth", "required"),
    ("client-ca", "configmap/clients"),
    ("allow-uri", "spiffe://example.org/ns/ai/**"),
];

fn volume(pod: &Value) -> Value {
    let volumes = pod["spec"]["volumes"].as_array().unwrap();
    assert_eq!(volumes.len(), 1, "{volumes:?}");
    volumes[0].clone()
}

#[test]
fn cas_and_rules_reach_every_listener_of_the_sidecar() {
    let mut pod = with(REQUIRED);
    pod["spec"]["containers"][0]["ports"] =
        json!([{"containerPort": 8000}, {"containerPort": 8001}]);
    let pod = [
        ("ports", "8000,8001"),
        ("bind", "none"),
        ("allow-cn", "a $(POD_NAME)"),
    ]
    .iter()
    .fold(pod, |pod, (name, value)| annotated(pod, name, value));
    let plan = inject(&pod);
    let env = sidecar(plan.patched())["env"].as_array().unwrap().clone();
    // As the kubelet expands them.
    let env: Environment = env
        .iter()
        .map(|entry| {
            let value = entry["value"].as_str().unwrap_or("10.1.2.3");
            (
                entry["name"].as_str().unwrap().to_owned(),
                value.replace("$$(", "$("),
            )
        })
        .collect();
    let config = Config::load(&Flags::default(), &env).unwrap().config;
    assert_eq!(config.listeners.len(), 2);
    for listener in &config.listeners {
        let clients = listener.tls.client_auth.as_ref().unwrap();
        assert_eq!(<&str>::from(clients.mode), "required");
        assert_eq!(clients.ca.to_str(), Some("/etc/hybridge/tls/client-ca.crt"));
        assert_eq!(clients.crl, None);
        let uris: Vec<String> = clients.rules.uris().collect();
        assert_eq!(uris, ["spiffe://example.org/ns/ai/**"]);
        let names: Vec<&str> = clients.rules.common_names().collect();
        assert_eq!(names, ["a $(POD_NAME)"]);
    }
    let told = plan
        .explanation
        .iter()
        .find(|step| step.what.starts_with("clients:"));
    let told = &told.unwrap().what;
    assert!(told.contains("ca.crt of ConfigMap clients"), "{told}");
}

#[test]
fn the_files_come_in_the_volume_of_the_key_which_only_the_sidecar_mounts() {
    let plan = inject(&with(REQUIRED));
    assert_eq!(
        volume(plan.patched())["projected"]["sources"],
        json!([
            {"secret": {"name": "hybridge-tls", "items": [{"key": "tls.crt", "path": "tls.crt"}, {"key": "tls.key", "path": "tls.key"}]}},
            {"configMap": {"name": "clients", "items": [{"key": "ca.crt", "path": "client-ca.crt"}]}},
        ])
    );
    assert_eq!(
        sidecar(plan.patched())["volumeMounts"]
            .as_array()
            .unwrap()
            .len(),
        1
    );

    let optional = inject(&with(&[
        ("client-auth", "optional"),
        ("client-ca", "secret/issuer-tls:tls.crt"),
        ("client-crl", "configmap/revoked"),
        ("allow-any", "true"),
    ]));
    let sources = &volume(optional.patched())["projected"]["sources"];
    assert_eq!(
        sources[1],
        json!({"secret": {"name": "issuer-tls", "items": [{"key": "tls.crt", "path": "client-ca.crt"}]}})
    );
    assert_eq!(
        sources[2],
        json!({"configMap": {"name": "revoked", "items": [{"key": "ca.crl", "path": "client.crl"}]}})
    );
    let told = |name| sidecar_env(optional.patched(), name);
    assert_eq!(told("HYBRIDGE_CLIENT_AUTH").as_deref(), Some("optional"));
    assert_eq!(
        told("HYBRIDGE_CLIENT_CRL").as_deref(),
        Some("/etc/hybridge/tls/client.crl")
    );
    assert_eq!(told("HYBRIDGE_ALLOW_ANY").as_deref(), Some("true"));
}

#[test]
fn it_is_injected_once_and_taken_out_again() {
    let before = with(REQUIRED);
    let first = inject(&before);
    assert!(inject(first.patched()).ops.is_empty());
    let out = remove(first.patched(), &Settings::default()).unwrap();
    assert!(!out.patched().to_string().contains("client-ca.crt"));
    // Another source replaces the volume.
    let other = annotated(first.patched().clone(), "client-ca", "secret/clients");
    let text = volume(inject(&other).patched()).to_string();
    assert!(
        text.contains("secret") && !text.contains("configMap"),
        "{text}"
    );
}

#[test]
fn without_client_auth_nothing_is_asked_of_clients() {
    for annotations in [&[][..], &[("client-auth", "off")]] {
        let plan = inject(&with(annotations));
        assert_eq!(sidecar_env(plan.patched(), "HYBRIDGE_CLIENT_AUTH"), None);
    }
}

#[test]
fn what_would_let_in_everybody_or_nobody_is_refused_with_the_remedy() {
    let required = ("client-auth", "required");
    let ca = ("client-ca", "configmap/clients");
    let uri = ("allow-uri", "spiffe://example.org/**");
    for (annotations, remedy) in [
        (
            &[("client-auth", "always")][..],
            "use one of off, optional, required",
        ),
        (&[required, uri], "needs annotation hybridge.dev/client-ca"),
        (&[required, ca], "hybridge.dev/allow-uri: spiffe://"),
        (&[ca], "client-ca has no effect alone"),
        (&[uri], "allow-uri has no effect alone"),
        (
            &[("client-crl", "secret/a")],
            "client-crl has no effect alone",
        ),
        (&[("allow-any", "true")], "client-auth: required"),
        (
            &[required, ca, uri, ("allow-any", "true")],
            "keep one of the two",
        ),
        (
            &[required, ("client-ca", "clients"), uri],
            "write configmap/NAME or secret/NAME",
        ),
        (
            &[required, ca, ("allow-uri", "spiffe://example.org/a*")],
            "allow-uri has",
        ),
        (
            &[required, ca, ("allow-dns", "a.*.example.org")],
            "allow-dns has",
        ),
        (
            &[required, ca, ("allow-ip", "192.0.2.0/24")],
            "networks are no rule",
        ),
        (&[required, ca, ("allow-cn", "a,b*")], "letter by letter"),
        (
            &[required, ca, ("allow-uri", "spiffe://example.org/a,")],
            "separated by commas",
        ),
        (
            &[required, ca, uri, ("client-crl", "secret/a:../b")],
            "unless the key is ca.crl",
        ),
        (&[("ticket-keys", "keys")], "write secret/NAME"),
        (
            &[("ticket-keys", "configmap/keys")],
            "names a ConfigMap, which more people may read",
        ),
        (
            &[("mtls", "required")],
            "did you mean hybridge.dev/client-auth?",
        ),
    ] {
        let deny = refuse(&with(annotations));
        assert!(deny.to_string().contains(remedy), "{annotations:?}: {deny}");
    }
}

#[test]
fn a_namespace_asks_for_certificates_and_a_pod_may_say_otherwise() {
    let defaults = NamespaceDefaults::parse(
        "ai: {client-auth: required, client-ca: configmap/clients, allow-uri: 'spiffe://example.org/ns/ai/**'}",
    )
    .unwrap();
    let settings = Settings {
        namespace_defaults: Some(defaults),
        ..Settings::default()
    };
    let placed = |mut pod: Value| {
        pod["metadata"]["namespace"] = json!("ai");
        let plan = plan(&pod, Decision::Namespace, &settings).unwrap();
        plan.patched().clone()
    };
    let usual = placed(vllm());
    assert_eq!(
        sidecar_env(&usual, "HYBRIDGE_CLIENT_AUTH").as_deref(),
        Some("required")
    );
    let off = placed(with(&[("client-auth", "off")]));
    assert_eq!(sidecar_env(&off, "HYBRIDGE_CLIENT_CA"), None);
    let own = placed(with(&[(
        "allow-uri",
        "spiffe://example.org/ns/web/sa/front",
    )]));
    assert_eq!(
        sidecar_env(&own, "HYBRIDGE_ALLOW_URI").as_deref(),
        Some("spiffe://example.org/ns/web/sa/front")
    );
    let error = NamespaceDefaults::parse("ai: {client-ca: configmap/clients}").unwrap_err();
    assert!(
        error.contains("namespace ai") && error.contains("client-auth"),
        "{error}"
    );
}

#[test]
fn replicas_share_ticket_keys_by_a_secret() {
    let plan = inject(&with(&[("ticket-keys", "secret/llama-tickets")]));
    assert_eq!(
        sidecar_env(plan.patched(), "HYBRIDGE_TICKET_KEYS").as_deref(),
        Some("/etc/hybridge/tls/ticket.keys")
    );
    assert_eq!(
        volume(plan.patched())["projected"]["sources"][1],
        json!({"secret": {"name": "llama-tickets", "items": [{"key": "tickets", "path": "ticket.keys"}]}})
    );
    assert!(inject(plan.patched()).ops.is_empty());
}

#[test]
fn proxies_in_front_and_the_apps_header_are_passed_on() {
    let told = |annotations: &[(&str, &str)]| {
        let plan = inject(&with(annotations));
        let variables = [
            "HYBRIDGE_PROXY_PROTOCOL_FROM",
            "HYBRIDGE_UPSTREAM_PROXY_PROTOCOL",
        ];
        variables.map(|name| sidecar_env(plan.patched(), name))
    };
    let balancers = ("proxy-protocol-from", "10.0.0.0/8, 192.0.2.7");
    assert_eq!(
        told(&[balancers])[0].as_deref(),
        Some("10.0.0.0/8,192.0.2.7")
    );
    let tcp = ("protocol", "tcp");
    assert_eq!(
        told(&[tcp, ("upstream-proxy-protocol", "v2-tls")])[1].as_deref(),
        Some("v2-tls")
    );
    assert_eq!(told(&[("upstream-proxy-protocol", "off")]), [None, None]);
    for (annotations, remedy) in [
        (
            &[("proxy-protocol-from", "10.1.0.0/8")][..],
            "write 10.0.0.0/8",
        ),
        (&[("proxy-protocol-from", "0.0.0.0/0")], "is every address"),
        (
            &[("proxy-protocol-from", "balancer")],
            "which is not a network",
        ),
        (
            &[("upstream-proxy-protocol", "v2")],
            "only with protocol: tcp",
        ),
        (&[tcp, ("upstream-proxy-protocol", "v3")], "v2-identity"),
        (
            &[tcp, ("upstream-proxy-protocol", "v2-identity")],
            "add client-auth",
        ),
    ] {
        let deny = refuse(&with(annotations));
        assert!(deny.to_string().contains(remedy), "{annotations:?}: {deny}");
    }
}

#[test]
fn probes_of_an_app_that_expects_a_header_are_warned_about() {
    let mut pod = with(&[("protocol", "tcp"), ("upstream-proxy-protocol", "v2")]);
    assert!(!inject(&pod).warnings.iter().any(|w| w.contains("PROXY")));
    pod["spec"]["containers"][0]["readinessProbe"] = json!({"tcpSocket": {"port": 8000}});
    assert!(inject(&pod).warnings.iter().any(|w| w.contains("PROXY")));
}

#[test]
fn a_choice_of_fields_that_run_would_refuse_is_refused() {
    let required = ("client-auth", "required");
    let ca = ("client-ca", "configmap/clients");
    let uri = ("allow-uri", "spiffe://example.org/**");
    for (annotations, remedy) in [
        (&[("identity", "client-cert")][..], "add client-auth"),
        (
            &[
                required,
                ca,
                uri,
                ("identity", "client-cert"),
                ("ticket-keys", "secret/a"),
            ],
            "remove one of the two",
        ),
        (
            &[("identity", "xfcc")],
            "x-forwarded-client-cert, client-cert",
        ),
        (
            &[required, ca, uri, ("identity", "client-cert-chain")],
            "name both",
        ),
        (
            &[required, ca, uri, ("identity", "none,client-cert")],
            "`none` cannot be combined",
        ),
    ] {
        let deny = refuse(&with(annotations));
        assert!(deny.to_string().contains(remedy), "{annotations:?}: {deny}");
    }
}
