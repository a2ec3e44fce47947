//! Defaults of a namespace where only the owner of a template says which namespace it is, and labels with a
//! value that nobody knows.

use std::io::Cursor;

use hybridge::inject::cluster::{check, status};
use hybridge::inject::{
    ClusterArgs, Decision, NamespaceDefaults, OfflineArgs, Settings, offline, plan, read_yaml,
};
use serde_json::{Value, json};

use crate::cluster::{namespace, placed, run};
use crate::offline::run_args;
use crate::support::{
    annotated, inject, placed as defaulted, pod, refuse, sidecar, sidecar_env, vllm,
};

const DEFAULTS: &str = "ai: {client-auth: required, client-ca: configmap/clients, allow-uri: 'spiffe://a/b', policy: pq-required, memory: 512Mi}";

fn settings(defaults: &str) -> Settings {
    Settings {
        namespace_defaults: Some(NamespaceDefaults::parse(defaults).unwrap()),
        ..Settings::default()
    }
}

fn deployment(place: &str, template: &Value) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d", "namespace": place},
           "spec": {"template": {"spec": template["spec"]}}})
}

fn offline(object: &Value, args: OfflineArgs) -> (Value, String) {
    let args = OfflineArgs {
        files: vec!["-".into()],
        ..args
    };
    let ran = run_args(&args, &mut object.to_string().as_bytes());
    ran.result.unwrap();
    (read_yaml(&ran.out).unwrap(), ran.notices)
}

fn injected(object: &Value, defaults: &str) -> (Value, String) {
    let settings = settings(defaults);
    offline(
        object,
        OfflineArgs {
            settings,
            ..OfflineArgs::default()
        },
    )
}

#[test]
fn a_template_gets_what_pods_of_its_owners_namespace_get() {
    let list = json!({"apiVersion": "v1", "kind": "List", "items": [
        deployment("ai", &vllm()),
        deployment("web", &vllm()),
        placed(vllm(), "ai", "pod"),
    ]});
    let (out, notices) = injected(&list, DEFAULTS);
    let pods = [
        "/items/0/spec/template",
        "/items/1/spec/template",
        "/items/2",
    ];
    let seen = pods.map(|at| {
        let pod = out.pointer(at).unwrap();
        let memory = sidecar(pod)["resources"]["limits"]["memory"].as_str();
        let of = |name: &str| sidecar_env(pod, name).unwrap_or_default();
        [
            of("HYBRIDGE_POLICY"),
            of("HYBRIDGE_CLIENT_AUTH"),
            memory.unwrap().to_owned(),
        ]
    });
    let asked = ["pq-required", "required", "512Mi"];
    assert_eq!(seen, [asked, ["hybrid-preferred", "", "128Mi"], asked]);
    assert!(!notices.contains("names no namespace"), "{notices}");
}

/// What takes the sidecar out reads the same annotations.
#[test]
fn removal_knows_the_namespace_too() {
    let mut pod = vllm();
    pod["spec"]["containers"][0]["ports"] =
        json!([{"containerPort": 8000}, {"containerPort": 9000}]);
    let object = deployment("ai", &pod);
    let defaults = "ai: {mode: explicit, ports: '8000'}";
    let (out, _) = injected(&object, defaults);
    let args = OfflineArgs {
        remove: true,
        settings: settings(defaults),
        ..OfflineArgs::default()
    };
    let (back, notices) = offline(&out, args);
    assert_eq!(back, object, "{notices}");
}

#[test]
fn an_object_without_a_namespace_is_said_where_defaults_would_count() {
    let mut object = deployment("ai", &vllm());
    object["metadata"]
        .as_object_mut()
        .unwrap()
        .remove("namespace");
    let (_, notices) = injected(&object, DEFAULTS);
    let said = "warning: Deployment/d: names no namespace, so no defaults of --namespace-defaults count here; write metadata.namespace";
    assert!(notices.contains(said), "{notices}");
    let (_, notices) = offline(&object, OfflineArgs::default());
    assert!(!notices.contains("no namespace"), "{notices}");
}

fn checked(defaults: &str, objects: &[Value]) -> (String, bool) {
    let args = ClusterArgs {
        settings: settings(defaults),
        ..ClusterArgs::default()
    };
    let list = json!({"apiVersion": "v1", "kind": "List", "items": objects});
    let (mut input, mut out) = (Cursor::new(list.to_string().into_bytes()), Vec::new());
    let result = check(&args, &mut input, &mut out);
    (String::from_utf8(out).unwrap(), result.is_ok())
}

#[test]
fn check_plans_a_template_as_the_webhook_will_plan_its_pods() {
    let mut two_ports = vllm();
    two_ports["spec"]["containers"][0]["ports"] =
        json!([{"containerPort": 8000}, {"containerPort": 9000}]);
    let objects = [
        namespace("ai", Some("enabled")),
        deployment("ai", &two_ports),
    ];
    let (text, good) = checked("{}", &objects);
    assert!(!good && text.contains("several TCP ports"), "{text}");
    let (text, good) = checked("ai: {ports: '8000'}", &objects);
    assert!(good, "{text}");

    let objects = [namespace("ai", Some("enabled")), deployment("ai", &vllm())];
    let clash = "ai: {egress: 'a=127.0.0.1:8000->b.example:443', egress-ca: configmap/ca}";
    let (text, good) = checked(clash, &objects);
    assert!(!good && text.contains("listens on port 8000"), "{text}");
}

#[test]
fn check_says_which_settings_of_the_injector_it_does_not_have() {
    let injector = json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "hybridge-injector", "namespace": "hybridge-system"},
        "spec": {"template": {"metadata": {"labels": {"hybridge.dev/inject": "disabled"}}, "spec": {"containers": [{"name": "injector", "image": "a/b:1",
            "env": [{"name": "HYBRIDGE_DEFAULTS", "value": "cpu-limit=1"}]}]}}}});
    let mut place = namespace("ai", Some("enabled"));
    place["metadata"]["annotations"] = json!({"hybridge.dev/memory": "1Gi", "hybridge.dev/allow-shared-pid": "true", "other": "x"});
    let (text, _) = run(check, &[place, injector]);
    for said in [
        "note  for HYBRIDGE_DEFAULTS the injector has cpu-limit=1, and this check another, which it used for the workloads; give it --defaults as the injector has it",
        "note  namespace ai has hybridge.dev/memory: with namespaceAnnotations of the chart they count for its pods, and this check does not read them; give them with --namespace-defaults",
        "note  namespace ai has hybridge.dev/allow-shared-pid: with namespaceAnnotations of the chart it counts for its pods, and this check does not read it; write it on the pods too, because --namespace-defaults does not take it",
    ] {
        assert!(text.contains(said), "{said} not in {text}");
    }
}

/// The webhook's selector takes every value but `disabled`.
#[test]
fn a_label_that_the_webhook_refuses_is_one_that_asks() {
    let labelled = |value: &str| {
        let mut object = deployment("web", &vllm());
        object["spec"]["template"]["metadata"] = json!({"labels": {"hybridge.dev/inject": value}});
        object
    };
    let (text, good) = run(check, &[namespace("web", None), labelled("true")]);
    let said = "FAIL  Deployment/d in web would be refused: label hybridge.dev/inject: \"true\" is not understood";
    assert!(!good && text.contains(said), "{text}");
    let (text, good) = run(check, &[namespace("web", None), labelled("disabled")]);
    assert!(good && text.contains("0 workloads"), "{text}");

    let mut pod = placed(vllm(), "web", "pod");
    pod["metadata"]["labels"] = json!({"hybridge.dev/inject": "Enabled"});
    let (text, good) = run(status, &[namespace("web", None), pod]);
    assert!(!good && text.contains("missing    web/pod"), "{text}");

    let unseen = |value: &str| {
        json!({"apiVersion": "serving.kserve.io/v1beta1", "kind": "InferenceService",
               "metadata": {"name": "k", "namespace": "web", "labels": {"hybridge.dev/inject": value}},
               "spec": {"predictor": {"containers": [{"name": "a", "image": "b:1"}]}}})
    };
    for (value, said) in [("true", true), ("disabled", false)] {
        let (text, _) = run(check, &[namespace("web", None), unseen(value)]);
        assert_eq!(text.contains("InferenceService/k"), said, "{text}");
        let args = OfflineArgs {
            files: vec!["-".into()],
            check: true,
            ..OfflineArgs::default()
        };
        let (mut out, mut notices) = (Vec::new(), Vec::new());
        let text = unseen(value).to_string();
        let result = offline::run(&args, &mut text.as_bytes(), &mut out, &mut notices);
        assert_eq!(result.is_err(), said);
    }
}

/// An annotation of the namespace, as the API server copies it to a pod.
fn of_namespace(mut pod: Value, name: &str, value: &str) -> Value {
    pod["metadata"]["annotations"][format!("namespace.hybridge.dev/{name}")] = json!(value);
    pod
}

#[test]
fn an_annotation_of_the_namespace_counts_for_the_pods_that_it_concerns() {
    for (name, value) in [
        ("egress-ca", "configmap/ca"),
        ("egress-policy", "pq-required"),
        ("egress-protocol", "http"),
        ("egress-targets-allowed", "*.svc:443"),
        ("traces-sample", "0.5"),
        ("sealed-size", "1Gi"),
        ("sealed-identity", "http://127.0.0.1:8006/key"),
        ("drain-timeout", "300s"),
    ] {
        inject(&of_namespace(vllm(), name, value));
        let own = refuse(&annotated(vllm(), name, value));
        assert!(own.to_string().contains(name), "{own}");
    }
    let of_ingress = [("policy", "pq-required"), ("mode", "explicit")];
    for (name, value) in of_ingress {
        inject(&of_namespace(pod("egress-only"), name, value));
    }
    // Where the pod has what it is about, it counts.
    let url = of_namespace(
        pod("sealed"),
        "sealed-identity",
        "http://127.0.0.1:8006/key",
    );
    let mut without = url.clone();
    let annotations = without["metadata"]["annotations"].as_object_mut().unwrap();
    annotations.remove("hybridge.dev/sealed-identity");
    let key = "\"http://127.0.0.1:8006/key\"";
    let spec = |pod: &Value| inject(pod).patched()["spec"].to_string();
    assert!(spec(&without).contains(key));
    assert!(!spec(&url).contains(key));
}

#[test]
fn the_pod_wins_over_its_namespace_and_that_over_the_file() {
    let memory = |annotations: &[(&str, &str)]| {
        let plan = defaulted("ai: {memory: 256Mi}", annotations).unwrap();
        sidecar(plan.patched())["resources"]["limits"]["memory"].clone()
    };
    assert_eq!(memory(&[]), "256Mi");
    let mut both = of_namespace(vllm(), "memory", "320Mi");
    both["metadata"]["namespace"] = json!("ai");
    let settings = settings("ai: {memory: 256Mi}");
    let planned = plan(&both, Decision::Namespace, &settings).unwrap();
    assert_eq!(
        sidecar(planned.patched())["resources"]["limits"]["memory"],
        "320Mi"
    );
    let own = annotated(both, "memory", "64Mi");
    let planned = plan(&own, Decision::Namespace, &settings).unwrap();
    assert_eq!(
        sidecar(planned.patched())["resources"]["limits"]["memory"],
        "64Mi"
    );
    let again = plan(planned.patched(), Decision::Namespace, &settings).unwrap();
    assert!(again.ops.is_empty());
}

#[test]
fn a_slip_in_a_copied_annotation_is_refused_too() {
    for (name, value, reason, remedy) in [
        ("memroy", "1Gi", "unknown_annotation", "hybridge.dev/memory"),
        ("memory", "little", "annotation_value", "64Mi"),
    ] {
        let deny = refuse(&of_namespace(vllm(), name, value));
        assert_eq!(deny.reason(), reason);
        assert!(deny.to_string().contains(remedy), "{deny}");
    }
    // Other processes that may read the key are the pod's own affair.
    let mut shared = of_namespace(vllm(), "allow-shared-pid", "true");
    shared["spec"]["shareProcessNamespace"] = json!(true);
    assert_eq!(refuse(&shared).reason(), "shared_pid");
}

/// The chart writes the names that the planner reads.
#[test]
fn the_chart_copies_annotations_under_the_prefix_that_is_read() {
    let path = "k8s/chart/templates/namespace-annotations.yaml";
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let text = std::fs::read_to_string(path).unwrap();
    let copied = "k == 'hybridge.dev/allow-shared-pid' ? k : 'namespace.' + k";
    assert!(text.contains(copied), "{text}");
}
