//! What a namespace says counts for the pods that it concerns: it refuses none of the others, and nothing
//! that protects is left out for it.

use hybridge::inject::{Decision, Deny, NamespaceDefaults, Plan, Settings, plan};
use serde_json::{Value, json};

use crate::support::{placed, refuse, sidecar_env, vllm, with};

const ASKS: &str = "client-auth: required, client-ca: configmap/clients";
const ANY: &str = "allow-any: 'true'";
const RULE: &str = "allow-uri: 'spiffe://example.org/ns/ai/**'";

fn told(plan: &Plan, name: &str) -> Option<String> {
    sidecar_env(plan.patched(), &format!("HYBRIDGE_{name}"))
}

/// The same by annotations of the namespace, as the API server copies them.
fn copied(defaults: &str, annotations: &[(&str, &str)]) -> Result<Plan, Deny> {
    let mut pod = with(annotations);
    let read = hybridge::inject::read_yaml(defaults).unwrap();
    for (name, value) in read["ai"].as_object().unwrap() {
        pod["metadata"]["annotations"][format!("namespace.hybridge.dev/{name}")] = value.clone();
    }
    plan(&pod, Decision::Namespace, &Settings::default())
}

type Variables<'a> = &'a [(&'a str, Option<&'a str>)];
type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], Variables<'a>);

#[test]
fn what_tells_the_app_of_a_certificate_concerns_pods_that_ask_for_one() {
    let identity = &format!("ai: {{{ASKS}, {ANY}, identity: client-cert}}");
    let tickets = &format!("ai: {{{ASKS}, {ANY}, ticket-keys: secret/t}}");
    let seen =
        &format!("ai: {{protocol: tcp, upstream-proxy-protocol: v2-identity, {ASKS}, {ANY}}}");
    let off = ("client-auth", "off");
    let asked = ("CLIENT_AUTH", Some("required"));
    let (unsaid, said) = (("IDENTITY", None), ("IDENTITY", Some("client-cert")));
    let keys = ("TICKET_KEYS", Some("/etc/hybridge/tls/ticket.keys"));
    check(&[
        (identity, &[], &[asked, said]),
        (identity, &[off], &[("CLIENT_AUTH", None), unsaid]),
        (identity, &[off, ("identity", "none")], &[unsaid]),
        (identity, &[("protocol", "tcp")], &[asked, unsaid]),
        (
            identity,
            &[("identity", "none")],
            &[asked, ("IDENTITY", Some("none"))],
        ),
        (
            identity,
            &[("ticket-keys", "secret/t")],
            &[asked, unsaid, keys],
        ),
        (
            tickets,
            &[("identity", "client-cert")],
            &[asked, said, ("TICKET_KEYS", None)],
        ),
        // The header of a client without a certificate.
        (seen, &[off], &[("UPSTREAM_PROXY_PROTOCOL", Some("v2-tls"))]),
    ]);
}

#[test]
fn what_a_namespace_says_of_ports_concerns_pods_that_have_such() {
    let tcp = "ai: {protocol: tcp, upstream-proxy-protocol: v2-tls}";
    let explicit = "ai: {mode: explicit, listen-port: '8444'}";
    let variable = "ai: {bind-env: ADDRESS}";
    let header = |value| ("UPSTREAM_PROXY_PROTOCOL", value);
    let usual = ("PORTS", Some("8000=127.0.0.1:8000"));
    check(&[
        (explicit, &[], &[("PORTS", Some("8444=127.0.0.1:8000"))]),
        (explicit, &[("mode", "takeover")], &[usual]),
        (tcp, &[], &[header(Some("v2-tls"))]),
        (tcp, &[("protocol", "http")], &[header(None)]),
        (variable, &[("bind", "none")], &[usual]),
        (variable, &[("mode", "explicit")], &[]),
        ("ai: {bind: none}", &[("bind-env", "ADDRESS")], &[usual]),
        ("ai: {ports: none}", &[], &[usual]),
    ]);
}

fn check(cases: &[Case<'_>]) {
    for (defaults, annotations, expected) in cases {
        for planned in [placed(defaults, annotations), copied(defaults, annotations)] {
            let planned =
                planned.unwrap_or_else(|deny| panic!("{defaults} {annotations:?}: {deny}"));
            for (name, value) in *expected {
                let seen = told(&planned, name);
                assert_eq!(seen.as_deref(), *value, "{defaults} {annotations:?} {name}");
            }
        }
    }
}

#[test]
fn the_variable_of_the_address_is_set_where_the_pod_wants_it() {
    let set = |defaults: &str, annotations: &[(&str, &str)]| {
        let plan = placed(defaults, annotations).unwrap();
        plan.patched()["spec"]["containers"][0]["env"][0]["name"] == "ADDRESS"
    };
    assert!(set("ai: {bind-env: ADDRESS}", &[]));
    assert!(!set("ai: {bind-env: ADDRESS}", &[("bind", "none")]));
    assert!(!set("ai: {bind-env: ADDRESS}", &[("mode", "explicit")]));
    assert!(set("ai: {bind: none}", &[("bind-env", "ADDRESS")]));
}

#[test]
fn ports_and_a_tunnel_give_way_to_what_the_pod_says() {
    let tunnel = ("tunnel", "enabled");
    let ports = format!("ai: {{ports: '8000', {ASKS}, {RULE}}}");
    let tunnels = format!("ai: {{tunnel: enabled, {ASKS}, {RULE}}}");
    for (defaults, annotations, listens) in [
        (&ports, &[tunnel][..], ("LISTEN", "$POD_IPS:15443")),
        (&tunnels, &[], ("LISTEN", "$POD_IPS:15443")),
        (
            &tunnels,
            &[("ports", "8000")],
            ("PORTS", "8000=127.0.0.1:8000"),
        ),
        (
            &tunnels,
            &[("tunnel", "disabled")],
            ("PORTS", "8000=127.0.0.1:8000"),
        ),
    ] {
        for planned in [placed(defaults, annotations), copied(defaults, annotations)] {
            let planned =
                planned.unwrap_or_else(|deny| panic!("{defaults} {annotations:?}: {deny}"));
            assert_eq!(told(&planned, listens.0).as_deref(), Some(listens.1));
            assert_eq!(told(&planned, "CLIENT_AUTH").as_deref(), Some("required"));
        }
    }
    let off = ("client-auth", "off");
    let deny = placed(&tunnels, &[off]).err().unwrap().to_string();
    assert!(
        deny.contains("or write hybridge.dev/tunnel: disabled"),
        "{deny}"
    );
}

#[test]
fn cas_and_rules_of_a_namespace_wait_for_pods_that_ask() {
    let waiting = format!("ai: {{client-ca: configmap/clients, client-crl: configmap/r, {RULE}}}");
    let plan = copied(&waiting, &[("client-auth", "required")]).unwrap();
    assert_eq!(told(&plan, "CLIENT_AUTH").as_deref(), Some("required"));
    assert!(told(&plan, "ALLOW_URI").is_some() && told(&plan, "CLIENT_CRL").is_some());
    // Forgotten or meant: a warning says it at each pod.
    let warned = |plan: &Plan| {
        plan.warnings
            .iter()
            .any(|line| line.contains("everybody may connect"))
    };
    for said in [
        "client-ca: configmap/c",
        "client-crl: configmap/c",
        RULE,
        ANY,
    ] {
        let plan = copied(&format!("ai: {{{said}}}"), &[]).unwrap();
        assert_eq!(told(&plan, "CLIENT_AUTH"), None);
        assert!(warned(&plan), "{said}: {:?}", plan.warnings);
        let meant = format!("ai: {{client-auth: 'off', {said}}}");
        assert!(!warned(&copied(&meant, &[]).unwrap()) && !warned(&placed(&meant, &[]).unwrap()));
        let error = NamespaceDefaults::parse(&format!("ai: {{{said}}}")).unwrap_err();
        assert!(
            error.contains("client-auth: \"off\" where pods ask"),
            "{error}"
        );
    }
    assert!(!warned(&copied("ai: {allow-any: 'false'}", &[]).unwrap()));
}

#[test]
fn a_rule_of_the_pod_narrows_allow_any_and_never_the_other_way_round() {
    let own = "spiffe://example.org/ns/ai/sa/front";
    for defaults in [
        format!("ai: {{{ASKS}, {ANY}}}"),
        format!("ai: {{{ASKS}, {RULE}}}"),
    ] {
        for planned in [
            placed(&defaults, &[("allow-uri", own)]),
            copied(&defaults, &[("allow-uri", own)]),
        ] {
            let planned = planned.unwrap();
            assert_eq!(told(&planned, "ALLOW_URI").as_deref(), Some(own));
            assert_eq!(told(&planned, "ALLOW_ANY"), None);
        }
    }
    let narrow = format!("ai: {{{ASKS}, {RULE}}}");
    let deny = placed(&narrow, &[("allow-any", "true")]).err().unwrap();
    assert!(deny.to_string().contains("allow-any contradicts"), "{deny}");
}

#[test]
fn what_contradicts_itself_in_one_place_is_refused_there() {
    let asks = format!("{ASKS}, {ANY}");
    for (said, remedy) in [
        (
            format!("{asks}, identity: client-cert, ticket-keys: secret/t"),
            "contradicts identity",
        ),
        ("bind: none, bind-env: A".into(), "contradicts bind: none"),
        (
            format!("{asks}, {RULE}"),
            "contradicts the other allow rules",
        ),
        (
            format!("{ASKS}, {RULE}, tunnel: enabled, ports: '8000'"),
            "contradicts tunnel",
        ),
        (
            format!("{ASKS}, {RULE}, spiffe: csi/csi.spiffe.io"),
            "contradicts spiffe",
        ),
    ] {
        let defaults = format!("ai: {{{said}}}");
        let error = NamespaceDefaults::parse(&defaults).unwrap_err();
        assert!(error.contains(remedy), "{said}: {error}");
        let deny = copied(&defaults, &[]).err().unwrap();
        assert!(deny.to_string().contains(remedy), "{said}: {deny}");
        let read = hybridge::inject::read_yaml(&defaults).unwrap();
        let own = read["ai"].as_object().unwrap();
        let own: Vec<(&str, &str)> = own
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
            .collect();
        assert!(refuse(&with(&own)).to_string().contains(remedy), "{said}");
    }
    // Whether clients are asked for a certificate is said elsewhere.
    let open = "ai: {identity: 'x-forwarded-client-cert, client-cert', ticket-keys: secret/t}";
    let error = NamespaceDefaults::parse(open).unwrap_err();
    assert!(error.contains("contradicts identity"), "{error}");
    let none = "ai: {identity: client-cert, ticket-keys: none}";
    assert!(NamespaceDefaults::parse(none).is_ok());
    for (name, value) in [
        ("listen-port", "8444"),
        ("upstream-proxy-protocol", "v2"),
        ("identity", "client-cert"),
    ] {
        let deny = refuse(&with(&[(name, value)]));
        assert!(
            deny.to_string().contains("has a meaning only with"),
            "{deny}"
        );
    }
}

/// The annotation of the namespace is nearer to the pod than the operator's file.
#[test]
fn of_the_two_that_a_namespace_has_the_nearer_counts() {
    let settings = Settings {
        namespace_defaults: Some(
            NamespaceDefaults::parse("ai: {tls-secret: a, bind: none}").unwrap(),
        ),
        ..Settings::default()
    };
    let mut pod: Value = vllm();
    pod["metadata"]["namespace"] = json!("ai");
    pod["metadata"]["annotations"] = json!({
        "namespace.hybridge.dev/spiffe": "csi/csi.spiffe.io",
        "namespace.hybridge.dev/bind-env": "ADDRESS",
    });
    let planned = plan(&pod, Decision::Namespace, &settings).unwrap();
    assert!(told(&planned, "SPIFFE").is_some());
    let env = &planned.patched()["spec"]["containers"][0]["env"][0];
    assert_eq!(env["name"], "ADDRESS");
}
