//! Where the webhook configuration says that the injector is, and which namespaces it sees.

use hybridge::inject::cluster::{check, status};
use serde_json::{Value, json};

use crate::cluster::{namespace, placed, run};
use crate::cluster_installed::{BINDING, HOOKS, installation, of, place};
use crate::support::pod;

/// As the chart writes it for a release in another namespace, with `enforcedNamespaces`.
#[test]
fn the_webhook_configuration_says_where_the_injector_is_and_what_it_sees() {
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
            3 => by_name("In", json!(["bank"])),
            _ => by_name("NotIn", outside.clone()),
        };
    }
    for policy in ["sidecar", "running"] {
        objects.push(
            json!({"kind": BINDING, "metadata": {"name": format!("hybridge-{policy}-named")},
            "spec": {"policyName": format!("hybridge-{policy}"), "validationActions": ["Deny"],
                     "matchResources": {"namespaceSelector": by_name("In", json!(["bank"]))}}}),
        );
    }
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
