//! What the operator decides for every pod: defaults for annotations, pull secrets, user and group.

use hybridge::inject::{Decision, Plan, Settings, plan};
use serde_json::{Value, json};

use crate::support::{annotated, sidecar, sidecar_env, vllm};

fn planned(pod: &Value, settings: &Settings) -> Plan {
    plan(pod, Decision::Namespace, settings).unwrap_or_else(|deny| panic!("denied: {deny}"))
}

fn defaults(text: &str) -> Settings {
    Settings {
        defaults: text.parse().unwrap(),
        ..Settings::default()
    }
}

#[test]
fn a_pod_without_an_annotation_gets_the_default_of_the_cluster_and_keeps_its_own() {
    let settings = defaults("memory=256Mi,log-level=debug,cpu-request=250m");
    let plan = planned(&vllm(), &settings);
    let resources = &sidecar(plan.patched())["resources"];
    assert_eq!(
        *resources,
        json!({"limits": {"memory": "256Mi"}, "requests": {"cpu": "250m", "memory": "256Mi"}})
    );
    assert_eq!(
        sidecar_env(plan.patched(), "HYBRIDGE_LOG_LEVEL").as_deref(),
        Some("debug")
    );

    let own = annotated(vllm(), "memory", "64Mi");
    let plan = planned(&own, &settings);
    let resources = &sidecar(plan.patched())["resources"];
    assert_eq!(resources["limits"]["memory"], "64Mi");
    assert_eq!(resources["requests"]["cpu"], "250m");
}

#[test]
fn a_default_drain_timeout_fits_into_the_grace_period_of_every_pod() {
    let settings = defaults("drain-timeout=5m");
    for (grace, expected) in [(30, "23s"), (600, "300s")] {
        let mut pod = vllm();
        pod["spec"]["terminationGracePeriodSeconds"] = json!(grace);
        let plan = planned(&pod, &settings);
        let seconds = sidecar_env(plan.patched(), "HYBRIDGE_DRAIN_TIMEOUT");
        assert_eq!(seconds.as_deref(), Some(expected));
    }
}

#[test]
fn pull_secrets_are_added_once_beside_those_of_the_pod() {
    let settings = Settings {
        image_pull_secrets: vec!["ours".into(), "theirs".into()],
        ..Settings::default()
    };
    let mut pod = vllm();
    pod["spec"]["imagePullSecrets"] = json!([{"name": "theirs"}]);
    let plan = planned(&pod, &settings);
    assert_eq!(
        plan.patched()["spec"]["imagePullSecrets"],
        json!([{"name": "theirs"}, {"name": "ours"}])
    );
    assert!(planned(plan.patched(), &settings).ops.is_empty());
}

#[test]
fn the_platform_gives_user_and_group_where_it_is_told_to() {
    let settings = Settings {
        platform_user: true,
        ..Settings::default()
    };
    let plan = planned(&vllm(), &settings);
    let context = &sidecar(plan.patched())["securityContext"];
    assert_eq!(context.get("runAsUser"), None);
    assert_eq!(context.get("runAsGroup"), None);
    assert_eq!(context["runAsNonRoot"], true);

    // OpenShift assigns one of the namespace's range between the two reviews.
    let mut assigned = plan.patched().clone();
    assigned["spec"]["initContainers"][0]["securityContext"]["runAsUser"] = json!(1_000_680_000);
    assert!(planned(&assigned, &settings).ops.is_empty());
}

#[test]
fn a_default_delay_fits_into_the_gate_of_every_pod_and_spares_jobs() {
    let settings = defaults("drain-delay=20s");
    let delay = |grace: u64, policy: &str| {
        let mut pod = vllm();
        pod["spec"]["terminationGracePeriodSeconds"] = json!(grace);
        pod["spec"]["restartPolicy"] = json!(policy);
        sidecar_env(planned(&pod, &settings).patched(), "HYBRIDGE_DRAIN_DELAY")
    };
    assert_eq!(delay(60, "Always").as_deref(), Some("20s"));
    assert_eq!(delay(10, "Always").as_deref(), Some("3s"));
    assert_eq!(delay(60, "Never").as_deref(), Some("0s"));
}
