//! Where the webhook configuration says that the injector is, and which namespaces it sees.

use hybridge::inject::cluster::{check, status};
use serde_json::{Value, json};

use crate::cluster::{namespace, placed, run};
use crate::cluster_installed::{BINDING, HOOKS, installation, of, place};
use crate::support::pod;

/// As the chart writes it for a release in namespace `pq`, with `enforcedNamespaces`.
fn chart(enforced: &[&str]) -> Vec<Value> {
    let mut objects = installation();
    let outside = json!(["kube-system", "kube-public", "kube-node-lease", "pq"]);
    let by_name = |operator: &str, values: Value| json!({"matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": operator, "values": values}]});
    let hooks = of(&mut objects, HOOKS)["webhooks"].as_array_mut().unwrap();
    let mut named = hooks[2].clone();
    named["name"] = json!("named.hybridge.dev");
    hooks.push(named);
    for (index, hook) in hooks.iter_mut().enumerate() {
        hook["clientConfig"]["service"]["namespace"] = json!("pq");
        hook["namespaceSelector"] = match index {
            3 => by_name("In", json!(enforced)),
            _ => by_name("NotIn", outside.clone()),
        };
    }
    // Their bindings leave out the same names.
    for object in objects
        .iter_mut()
        .filter(|object| object["kind"] == BINDING)
    {
        let text = object.to_string().replace("hybridge-system", "pq");
        *object = serde_json::from_str(&text).unwrap();
    }
    for policy in ["sidecar", "running"] {
        objects.push(
            json!({"kind": BINDING, "metadata": {"name": format!("hybridge-{policy}-named")},
            "spec": {"policyName": format!("hybridge-{policy}"), "validationActions": ["Deny"],
                     "matchResources": {"namespaceSelector": by_name("In", json!(enforced))}}}),
        );
    }
    objects
}

#[test]
fn the_webhook_configuration_says_where_the_injector_is_and_what_it_sees() {
    let mut objects = chart(&["bank"]);
    // A namesake in another namespace is not the injector.
    let (text, good) = run(check, &objects);
    assert!(
        !good && text.contains("FAIL  0 replicas of the injector available"),
        "{text}"
    );
    assert!(text.contains("kubectl -n pq get pods"), "{text}");
    let mut real = of(&mut objects, "Deployment/hybridge-injector").clone();
    real["metadata"]["namespace"] = json!("pq");
    objects.push(real);
    let (text, good) = run(check, &objects);
    assert!(good, "{text}");
    let bound = place(&objects, &format!("{BINDING}/hybridge-sidecar-named"));
    let bound = objects.remove(bound);
    let (text, good) = run(check, &objects);
    assert!(
        !good && text.contains("its binding hybridge-sidecar-named is not there"),
        "{text}"
    );
    objects.push(bound);

    objects.extend(["bank", "pq", "hybridge-system"].map(|name| namespace(name, Some("disabled"))));
    let plain = pod("unknown-server");
    objects.push(placed(plain.clone(), "bank", "a"));
    let (text, good) = run(status, &objects);
    assert!(!good && text.contains("missing    bank/a"), "{text}");
    let (text, good) = run(check, &objects);
    assert!(!good && text.contains("in bank would be refused"), "{text}");
    objects.pop();
    objects.push(placed(plain, "pq", "a"));
    assert!(run(status, &objects).1);
}

/// What one entry leaves out another may see.
#[test]
fn a_namespace_is_never_seen_only_where_every_entry_leaves_it_out() {
    let mut objects = installation();
    objects.push(namespace("lab", Some("enforced")));
    objects.push(placed(pod("unknown-server"), "lab", "a"));
    let hooks = objects[0]["webhooks"].as_array().unwrap().len();
    assert!(hooks > 1, "{hooks}");
    for (leaving_out, is_seen) in [(1, true), (hooks, false)] {
        let hooks = objects[0]["webhooks"].as_array_mut().unwrap();
        for (index, hook) in hooks.iter_mut().enumerate() {
            let name = if index < leaving_out {
                "lab"
            } else {
                "kube-system"
            };
            hook["namespaceSelector"] = json!({"matchExpressions": [
                {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": [name]}
            ]});
        }
        let (text, _) = run(status, &objects);
        assert_eq!(text.contains("missing    lab/a"), is_seen, "{text}");
    }
}

/// The chart writes the names of namespaces in entries and in bindings; a change of one alone is said.
#[test]
fn check_compares_the_names_of_namespaces() {
    let mut whole = chart(&["a", "b"]);
    let mut real = of(&mut whole, "Deployment/hybridge-injector").clone();
    real["metadata"]["namespace"] = json!("pq");
    whole.push(real);
    let (text, good) = run(check, &whole);
    assert!(good && !text.contains("for some pods only"), "{text}");
    let more = |selector: &mut Value| {
        let names = &mut selector["namespaceSelector"]["matchExpressions"][0]["values"];
        names.as_array_mut().unwrap().push(json!("team-x"));
    };
    let bound = |objects: &mut [Value], name: &str, values: Value| {
        let binding = of(objects, &format!("{BINDING}/hybridge-{name}"));
        binding["spec"]["matchResources"]["namespaceSelector"]["matchExpressions"][0]["values"] =
            values;
    };

    let mut objects = whole.clone();
    more(&mut of(&mut objects, HOOKS)["webhooks"][0]);
    let (text, good) = run(check, &objects);
    let said = "note  entry namespace.hybridge.dev is for some pods only, by the label kubernetes.io/metadata.name (NotIn team-x)";
    assert!(good && text.contains(said), "{text}");
    objects.push(namespace("team-x", Some("enabled")));
    objects.push(placed(pod("unknown-server"), "team-x", "a"));
    let unheard = "namespace team-x: its label asks for the sidecar, and the webhook leaves";
    let (text, good) = run(check, &objects);
    assert!(!good && text.contains(unheard), "{text}");
    assert!(text.contains("0 workloads are to be injected"), "{text}");
    let (text, good) = run(status, &objects);
    assert!(!good && text.contains(unheard), "{text}");
    assert!(text.contains("missing    team-x/a"), "{text}");

    let mut objects = whole.clone();
    let binding = of(
        &mut objects,
        &format!("{BINDING}/hybridge-sidecar-enforced"),
    );
    let by = &mut binding["spec"]["matchResources"]["namespaceSelector"]["matchExpressions"];
    let names = by[1]["values"].as_array_mut().unwrap();
    names.push(json!("team-x"));
    let (text, good) = run(check, &objects);
    let said = "its binding hybridge-sidecar-enforced is for some pods only, by the label kubernetes.io/metadata.name (NotIn ";
    assert!(good && text.contains(said), "{text}");

    for (name, values, said) in [
        (
            "sidecar-named",
            json!(["a"]),
            "does not name b, which the webhook enforces",
        ),
        (
            "running-named",
            json!(["b"]),
            "does not name a, which the webhook enforces",
        ),
        (
            "running-named",
            json!(["a", "b", "c"]),
            "names c, which no entry of the webhook enforces by name",
        ),
    ] {
        let mut objects = whole.clone();
        bound(&mut objects, name, values);
        let (text, good) = run(check, &objects);
        let said = format!("its binding hybridge-{name} {said}");
        assert!(!good && text.contains(&said), "{text}");
    }

    let mut objects = whole;
    let hooks = of(&mut objects, HOOKS)["webhooks"].as_array_mut().unwrap();
    hooks.pop();
    let (text, good) = run(check, &objects);
    let said = "hybridge-sidecar-named names a, b, which no entry of the webhook enforces by name";
    assert!(!good && text.contains(said), "{text}");
}

/// Without the webhook configuration nobody knows which namespaces the chart enforces by name.
#[test]
fn status_says_that_the_webhook_configuration_is_not_in_the_input() {
    let hooks = of(&mut chart(&["bank"]), HOOKS).clone();
    let pods = [
        namespace("bank", None),
        placed(pod("unknown-server"), "bank", "a"),
    ];
    let (text, good) = run(status, &pods);
    let said = "note: there is no webhook configuration in the input, so namespaces that the chart enforces by name do not count; give kubectl get namespaces,mutatingwebhookconfigurations,pods";
    assert!(good && text.contains(said), "{text}");
    let (text, good) = run(status, &[&pods[..], &[hooks]].concat());
    assert!(!good && text.contains("missing    bank/a"), "{text}");
    assert!(!text.contains("note: there is no webhook"), "{text}");
}
