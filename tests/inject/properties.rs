//! Properties of the planner over generated pods: it never panics, its patch always applies, a second
//! run is empty, and what it does not own is untouched.

use hybridge::inject::{Decision, Settings, plan};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use crate::support::{annotated, apply};

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[ -~]{0,12}".prop_map(Value::from),
        Just(json!("8000")),
        Just(json!(8000)),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((key(), inner), 0..4)
                .prop_map(|pairs| Value::Object(Map::from_iter(pairs))),
        ]
    })
}

/// Keys that mean something in a pod, and some that do not.
fn key() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "metadata",
        "annotations",
        "labels",
        "spec",
        "containers",
        "initContainers",
        "volumes",
        "name",
        "image",
        "args",
        "command",
        "env",
        "ports",
        "containerPort",
        "protocol",
        "readinessProbe",
        "lifecycle",
        "preStop",
        "httpGet",
        "port",
        "path",
        "restartPolicy",
        "hybridge.dev/ports",
        "hybridge.dev/status",
        "hybridge.dev/inject",
        "volumeMounts",
        "a/b~c",
    ]);
    prop_oneof![4 => known.prop_map(str::to_owned), 1 => "[a-z/~.]{1,8}"]
}

fn probe() -> impl Strategy<Value = Value> {
    let handler = prop_oneof![
        Just(json!({"httpGet": {"path": "/health", "port": 8000}})),
        Just(json!({"httpGet": {"port": "http", "httpHeaders": [{"name": "A", "value": "b"}]}})),
        Just(json!({"tcpSocket": {"port": 8000}})),
        Just(json!({"tcpSocket": {"port": 9000}})),
        Just(json!({"grpc": {"port": 8000}})),
        Just(json!({"exec": {"command": ["true"]}})),
        Just(json!({"httpGet": {"host": "h", "port": 8000}})),
    ];
    (handler, any_json()).prop_map(|(mut handler, extra)| {
        handler["unknownProbeField"] = extra;
        handler
    })
}

fn container() -> impl Strategy<Value = Value> {
    let image = prop::sample::select(vec![
        "vllm/vllm-openai:1",
        "ollama/ollama:1",
        "own:1",
        "tritonserver:1",
        "llama.cpp:1",
        "torchserve:1",
        "sglang:1",
    ]);
    let args = prop::collection::vec(
        prop::sample::select(vec![
            "--host",
            "0.0.0.0",
            "--host=::",
            "--port",
            "8000",
            "serve",
            "-x",
        ]),
        0..5,
    );
    (image, args, prop::option::of(probe()), prop::option::of(probe()), any_json(), any::<bool>()).prop_map(
        |(image, args, readiness, liveness, extra, command)| {
            let mut container = json!({"name": "app", "image": image, "args": args, "ports": [{"containerPort": 8000, "name": "http"}], "unknownField": extra});
            if command {
                container["command"] = json!(["tritonserver"]);
            }
            for (key, probe) in [("readinessProbe", readiness), ("livenessProbe", liveness)] {
                if let Some(probe) = probe {
                    container[key] = probe;
                }
            }
            container
        },
    )
}

fn pod() -> impl Strategy<Value = Value> {
    let annotations = prop::collection::hash_map("[a-z/~.]{1,10}", "[ -~]{0,8}", 0..3);
    (container(), annotations, any_json(), any_json(), 0..3_usize, prop::option::of(0..200_u64)).prop_map(
        |(container, annotations, spec_extra, meta_extra, inits, grace)| {
            let inits: Vec<Value> = (0..inits).map(|n| json!({"name": format!("init{n}"), "image": "i:1", "x": spec_extra})).collect();
            let mut pod = json!({
                "metadata": {"annotations": annotations, "unknownMeta": meta_extra},
                "spec": {"containers": [container], "unknownSpec": spec_extra, "initContainers": inits},
            });
            if let Some(grace) = grace {
                pod["spec"]["terminationGracePeriodSeconds"] = json!(grace);
            }
            pod
        },
    )
}

/// Takes away everything that the injector owns or is allowed to change.
fn foreign_part(pod: &Value) -> Value {
    let mut rest = pod.clone();
    let spec = rest["spec"].as_object_mut().unwrap();
    for key in ["initContainers", "volumes"] {
        let list: Vec<Value> = spec
            .get(key)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter(|item| {
                !item["name"]
                    .as_str()
                    .unwrap_or_default()
                    .starts_with("hybridge")
            })
            .cloned()
            .collect();
        spec.insert(key.into(), json!(list));
    }
    for container in spec
        .get_mut("containers")
        .and_then(Value::as_array_mut)
        .unwrap()
    {
        for key in ["args", "env", "lifecycle"] {
            container.as_object_mut().unwrap().shift_remove(key);
        }
        for key in ["readinessProbe", "livenessProbe"] {
            if let Some(probe) = container.get_mut(key).and_then(Value::as_object_mut) {
                for handler in ["httpGet", "tcpSocket", "grpc"] {
                    probe.shift_remove(handler);
                }
            }
        }
    }
    rest["metadata"]["annotations"]
        .as_object_mut()
        .unwrap()
        .shift_remove("hybridge.dev/status");
    rest
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_json_at_all_is_planned_or_refused_without_a_panic(value in any_json()) {
        for decision in [Decision::Namespace, Decision::Object, Decision::Enforced] {
            if let Ok(plan) = plan(&value, decision, &Settings::default()) {
                prop_assert_eq!(&apply(&value, &plan), plan.patched());
            }
        }
    }

    #[test]
    fn an_accepted_pod_is_patched_once_and_only_where_we_own_it(pod in pod()) {
        if let Ok(first) = plan(&pod, Decision::Namespace, &Settings::default()) {
            let patched = apply(&pod, &first);
            prop_assert_eq!(&patched, first.patched());
            let second = plan(&patched, Decision::Namespace, &Settings::default()).unwrap();
            prop_assert!(second.ops.is_empty(), "{}", json!(second.ops));
            prop_assert_eq!(foreign_part(&patched), foreign_part(&pod));
        }
    }

    #[test]
    fn generated_pods_are_mostly_accepted_so_that_the_other_property_means_something(pod in pod()) {
        // What the generator makes is refused only for these reasons.
        if let Err(deny) = plan(&annotated(pod, "bind", "none"), Decision::Namespace, &Settings::default()) {
            prop_assert!(["malformed"].contains(&deny.reason()), "{}", deny);
        }
    }
}
