//! Pods whose certificate, key and CAs come from a SPIFFE agent, by the socket that a CSI driver mounts.

use std::path::Path;

use hybridge::inject::{NamespaceDefaults, Settings, remove};
use serde_json::json;

use crate::support::{annotated, config, inject, placed, refuse, sidecar, sidecar_env, with};

const AGENT: (&str, &str) = ("spiffe", "csi/csi.spiffe.io");
const REQUIRED: (&str, &str) = ("client-auth", "required");
const RULE: (&str, &str) = ("allow-uri", "spiffe://example.org/ns/ai/**");

#[test]
fn the_sidecar_asks_the_agent_for_everything_and_mounts_only_its_socket() {
    let plan = inject(&with(&[AGENT, REQUIRED, RULE]));
    let tls = &config(plan.patched()).listeners[0].tls;
    let socket = Path::new("/etc/hybridge/spiffe/spire-agent.sock");
    assert_eq!(tls.spiffe.as_deref(), Some(socket));
    assert!(tls.client_auth.is_some());
    assert_eq!(
        plan.patched()["spec"]["volumes"],
        json!([{"name": "hybridge-spiffe", "csi": {"driver": "csi.spiffe.io", "readOnly": true}}])
    );
    assert_eq!(
        sidecar(plan.patched())["volumeMounts"],
        json!([{"name": "hybridge-spiffe", "mountPath": "/etc/hybridge/spiffe", "readOnly": true}])
    );
    for name in ["HYBRIDGE_CERT", "HYBRIDGE_KEY", "HYBRIDGE_CLIENT_CA"] {
        assert_eq!(sidecar_env(plan.patched(), name), None, "{name}");
    }
    let told = |text| plan.explanation.iter().any(|step| step.what.contains(text));
    assert!(told("by the agent's bundles") && told("CSI driver csi.spiffe.io"));
    assert!(!told("hybridge-tls"));
}

#[test]
fn other_files_come_as_before() {
    let plan = inject(&with(&[
        ("spiffe", "csi/spiffe.example.org:api.sock"),
        ("ticket-keys", "secret/tickets"),
    ]));
    assert_eq!(
        sidecar_env(plan.patched(), "HYBRIDGE_SPIFFE").as_deref(),
        Some("unix:/etc/hybridge/spiffe/api.sock")
    );
    let volumes = plan.patched()["spec"]["volumes"].as_array().unwrap();
    assert_eq!(volumes[0]["csi"]["driver"], "spiffe.example.org");
    let sources = &volumes[1]["projected"]["sources"];
    assert_eq!(
        *sources,
        json!([{"secret": {"name": "tickets", "items": [{"key": "tickets", "path": "ticket.keys"}]}}])
    );
}

/// A second run changes nothing; without the annotation files come back, and the other way round.
#[test]
fn agent_and_files_replace_each_other() {
    let files = inject(&with(&[]));
    let agent = inject(&with(&[AGENT]));
    assert!(inject(agent.patched()).ops.is_empty());
    let mut changed = agent.patched().clone();
    changed["metadata"]["annotations"]
        .as_object_mut()
        .unwrap()
        .remove("hybridge.dev/spiffe");
    let back = inject(&changed);
    assert_eq!(
        back.patched()["spec"]["volumes"],
        files.patched()["spec"]["volumes"]
    );
    assert_eq!(
        sidecar(back.patched())["volumeMounts"],
        sidecar(files.patched())["volumeMounts"]
    );
    let forth = inject(&annotated(files.patched().clone(), AGENT.0, AGENT.1));
    assert_eq!(
        forth.patched()["spec"]["volumes"],
        agent.patched()["spec"]["volumes"]
    );
    let out = remove(agent.patched(), &Settings::default()).unwrap();
    assert!(!out.patched().to_string().contains("hybridge-spiffe"));
}

/// Another agent in the place of the socket would say who the clients are.
#[test]
fn nothing_is_mounted_over_the_socket() {
    let first = inject(&with(&[AGENT]));
    let mut pod = first.patched().clone();
    let mounts = pod["spec"]["initContainers"][0]["volumeMounts"]
        .as_array_mut()
        .unwrap();
    mounts.push(json!({"name": "other", "mountPath": "/etc/hybridge/spiffe/"}));
    mounts.push(json!({"name": "hybridge-spiffe", "mountPath": "/elsewhere"}));
    let repaired = inject(&pod);
    assert_eq!(
        sidecar(repaired.patched())["volumeMounts"],
        sidecar(first.patched())["volumeMounts"]
    );
    let mut foreign = with(&[AGENT]);
    foreign["spec"]["volumes"] = json!([{"name": "hybridge-spiffe", "emptyDir": {}}]);
    let deny = refuse(&foreign);
    assert!(deny.to_string().contains("did not make"), "{deny}");
}

#[test]
fn what_contradicts_or_cannot_be_mounted_is_refused_with_the_remedy() {
    let form = "write csi/csi.spiffe.io, the CSI driver";
    let both = "contradicts spiffe: the agent gives certificate, key and CAs";
    for (annotations, remedy) in [
        (&[("spiffe", "unix:/run/spire/agent.sock")][..], form),
        (&[("spiffe", "hostpath/run/spire")], form),
        (&[("spiffe", "csi/csi.spiffe.io:../agent.sock")], form),
        (&[AGENT, ("tls-secret", "llama-tls")], both),
        (&[AGENT, REQUIRED, RULE, ("client-ca", "configmap/a")], both),
        (
            &[AGENT, REQUIRED, RULE, ("client-crl", "configmap/a")],
            both,
        ),
        (&[AGENT, RULE], "allow-uri has no effect alone"),
        (&[AGENT, REQUIRED], "needs a rule"),
        (&[REQUIRED, RULE], "or hybridge.dev/spiffe"),
        (
            &[("spire", "csi/csi.spiffe.io")],
            "did you mean hybridge.dev/spiffe?",
        ),
    ] {
        let deny = refuse(&with(annotations));
        assert!(deny.to_string().contains(remedy), "{annotations:?}: {deny}");
    }
}

#[test]
fn the_nearest_word_counts() {
    let files = "ai: {tls-secret: a, client-auth: required, client-ca: configmap/a, allow-uri: 'spiffe://example.org/**'}";
    let own = placed(files, &[AGENT]).unwrap();
    assert_eq!(sidecar_env(own.patched(), "HYBRIDGE_CLIENT_CA"), None);
    let agent = "ai: {spiffe: csi/csi.spiffe.io}";
    let usual = placed(agent, &[]).unwrap();
    assert!(sidecar_env(usual.patched(), "HYBRIDGE_SPIFFE").is_some());
    let off = placed(agent, &[("spiffe", "off"), ("tls-secret", "b")]).unwrap();
    assert_eq!(sidecar_env(off.patched(), "HYBRIDGE_SPIFFE"), None);
    let files = placed(agent, &[("tls-secret", "b")]).unwrap();
    assert_eq!(sidecar_env(files.patched(), "HYBRIDGE_SPIFFE"), None);
    let error =
        NamespaceDefaults::parse("ai: {spiffe: csi/csi.spiffe.io, tls-secret: a}").unwrap_err();
    assert!(error.contains("contradicts spiffe"), "{error}");
}

/// A pod with only an egress has no certificate of its own to ask for.
#[test]
fn an_egress_alone_has_no_use_for_the_agent() {
    let egress = [
        ("ports", "none"),
        ("egress", "store=127.0.0.1:9000->store.example.org:443"),
        ("egress-ca", "configmap/servers"),
    ];
    let deny = refuse(&with(&[&egress[..], &[AGENT]].concat()));
    assert!(deny.to_string().contains("spiffe has no effect"), "{deny}");
}
