//! Whether `inject check` looks at workloads with the settings that the injector of the cluster has. With
//! others it would pass what is refused, or the other way round.

use std::str::FromStr;

use serde_json::Value;

use super::installed::INJECTOR;
use super::objects::{Cluster, name};
use crate::inject::plan::argv::flag_value;
use crate::inject::plan::labels::{INJECT_LABEL, NAMESPACE_LABEL};
use crate::inject::plan::names::{PREFIX, SHARED_PID, STATUS};
use crate::inject::plan::pod;
use crate::inject::plan::settings::{Defaults, Settings, minor_version, switch};
use crate::redact::Shown;
use crate::tls::policy::Mode;

/// What decides whether a pod is refused: the variable, the flag of both commands, and whether a value of
/// it (absent: the flag's own default) is the one of these settings.
const DECIDING: [(&str, &str, IsUsed); 6] = [
    ("HYBRIDGE_TLS_SECRET", "--tls-secret", |value, used| {
        value.unwrap_or(&Settings::default().tls_secret) == used.tls_secret
    }),
    (
        "HYBRIDGE_DEFAULT_POLICY",
        "--default-policy",
        |value, used| {
            let policy = value.map_or(Some(Settings::default().policy), |v| Mode::parse(v).ok());
            policy == Some(used.policy)
        },
    ),
    ("HYBRIDGE_DEFAULTS", "--defaults", |value, used| {
        Defaults::from_str(value.unwrap_or_default()).as_ref() == Ok(&used.defaults)
    }),
    // The file is in the injector's container.
    (
        "HYBRIDGE_NAMESPACE_DEFAULTS",
        "--namespace-defaults",
        |value, used| value.is_none() || used.namespace_defaults.is_some(),
    ),
    (
        "HYBRIDGE_KUBERNETES_VERSION",
        "--kubernetes-version",
        |value, used| {
            let usual = Settings::default().kubernetes_version;
            value.map_or(Some(usual), |v| minor_version(v).ok()) == Some(used.kubernetes_version)
        },
    ),
    (
        "HYBRIDGE_PLAIN_CONTAINER",
        "--plain-container",
        |value, used| value.map_or(Some(false), |v| switch(v).ok()) == Some(used.plain_container),
    ),
];

type IsUsed = fn(Option<&str>, &Settings) -> bool;

/// A line for each setting that counts in the cluster, and for this command does not.
pub(super) fn differences(cluster: &Cluster, used: &Settings) -> Vec<String> {
    let deployment = cluster.placed("Deployment", &cluster.installed.namespace, INJECTOR);
    let container = deployment.and_then(|d| d.pointer("/spec/template/spec/containers/0"));
    let of_injector = container.map(|container| of_container(container, used));
    let of_namespaces = cluster.of_kind("Namespace").flat_map(of_namespace);
    let lines = of_injector.into_iter().flatten();
    lines.chain(of_namespaces).collect()
}

/// The annotations of a namespace, and how this command gets to know them.
fn of_namespace(namespace: &Value) -> Vec<String> {
    let annotations = pod::metadata(namespace, "annotations")
        .into_iter()
        .flatten();
    let names = annotations.map(|(key, _)| key.as_str());
    let names = names.filter(|key| key.starts_with(PREFIX) && *key != STATUS);
    let (labels, names): (Vec<&str>, Vec<&str>) =
        names.partition(|key| [INJECT_LABEL, NAMESPACE_LABEL].contains(key));
    let (of_pod, names): (Vec<&str>, Vec<&str>) = names
        .into_iter()
        .partition(|key| key.strip_prefix(PREFIX) == Some(SHARED_PID));
    let title = name(namespace);
    let misplaced = labels.into_iter().map(|key| {
        format!("namespace {title} has the annotation {key}, which is a label and not read as an annotation: kubectl label namespace {title} {NAMESPACE_LABEL}=enabled")
    });
    let ways = [
        (
            names,
            "they count for its pods, and this check does not read them; give them with --namespace-defaults",
        ),
        (
            of_pod,
            "it counts for its pods, and this check does not read it; write it on the pods too, because --namespace-defaults does not take it",
        ),
    ];
    let line = |(names, way): (Vec<&str>, _)| {
        (!names.is_empty()).then(|| {
            format!(
                "namespace {title} has {}: with namespaceAnnotations of the chart {way}",
                names.join(", ")
            )
        })
    };
    let ways = ways.into_iter().filter_map(line);
    misplaced
        .chain(labels_without_effect(namespace))
        .chain(ways)
        .collect()
}

/// Labels of ours on a namespace other than its own, which selects nothing.
fn labels_without_effect(namespace: &Value) -> impl Iterator<Item = String> {
    let labels = pod::metadata(namespace, "labels").into_iter().flatten();
    let title = name(namespace);
    let others = labels
        .map(|(key, _)| key.as_str())
        .filter(|key| key.starts_with(PREFIX) && *key != NAMESPACE_LABEL);
    others.map(move |key| {
        let key = Shown::from(key);
        format!("namespace {title} has the label {key}, which is not read there: of a namespace {NAMESPACE_LABEL} counts, with enabled, enforced or disabled")
    })
}

/// The settings of the injector in `container` that are not `used`.
fn of_container(container: &Value, used: &Settings) -> Vec<String> {
    let lines = DECIDING.iter().filter_map(|(variable, flag, is_used)| {
        let env = pod::array(container, "env").iter();
        let elsewhere = env
            .filter(|entry| pod::name(entry) == *variable)
            .any(|entry| entry.get("valueFrom").is_some());
        let value = of_argument(container, flag).or_else(|| pod::env(container, variable));
        let has = match value {
            None if elsewhere => "a value from elsewhere (valueFrom)".to_owned(),
            _ if is_used(value, used) => return None,
            None => "none".to_owned(),
            Some(value) => Shown::from(value).to_string(),
        };
        Some(format!(
            "for {variable} the injector has {has}, and this check another, which it used for the workloads; give it {flag} as the injector has it"
        ))
    });
    lines.collect()
}

/// The value of a flag in the container's arguments.
fn of_argument<'a>(container: &'a Value, flag: &str) -> Option<&'a str> {
    // A switch has no value.
    if flag == "--plain-container" && pod::argv(container).contains(&flag) {
        return Some("true");
    }
    flag_value(container, flag)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    fn said(container: &Value, used: &Settings) -> String {
        of_container(container, used).join("\n")
    }

    #[test]
    fn an_injector_without_settings_is_one_with_the_usual_ones() {
        assert_eq!(said(&json!({}), &Settings::default()), "");
        let same = json!({"env": [
            {"name": "HYBRIDGE_DEFAULT_POLICY", "value": "hybrid-preferred"},
            {"name": "HYBRIDGE_KUBERNETES_VERSION", "value": "v1.33.4"},
            {"name": "HYBRIDGE_PLAIN_CONTAINER", "value": "false"},
            {"name": "HYBRIDGE_DEFAULTS", "value": ""},
            {"name": "HYBRIDGE_IMAGE", "value": "registry.example/hybridge:2"},
        ]});
        assert_eq!(said(&same, &Settings::default()), "");
    }

    #[test]
    fn each_setting_that_decides_is_compared_wherever_it_is_written() {
        for (variable, value) in [
            ("HYBRIDGE_TLS_SECRET", "other"),
            ("HYBRIDGE_DEFAULT_POLICY", "pq-required"),
            ("HYBRIDGE_DEFAULTS", "cpu-limit=1"),
            ("HYBRIDGE_NAMESPACE_DEFAULTS", "/etc/hybridge/defaults.yaml"),
            ("HYBRIDGE_KUBERNETES_VERSION", "1.28"),
            ("HYBRIDGE_PLAIN_CONTAINER", "true"),
        ] {
            let by_variable = json!({"env": [{"name": variable, "value": value}]});
            let told = said(&by_variable, &Settings::default());
            assert!(told.contains(variable) && told.contains(value), "{told}");
            let (_, flag, _) = DECIDING
                .iter()
                .find(|(name, ..)| *name == variable)
                .unwrap();
            let words = match *flag {
                "--plain-container" => vec![(*flag).to_owned()],
                flag => vec![format!("{flag}={value}")],
            };
            assert_eq!(said(&json!({"args": words}), &Settings::default()), told);
        }
        let elsewhere = json!({"env": [{"name": "HYBRIDGE_DEFAULTS", "valueFrom": {}}]});
        assert!(said(&elsewhere, &Settings::default()).contains("from elsewhere"));
    }

    #[test]
    fn the_same_settings_differ_in_nothing() {
        let container = json!({"args": ["inject", "serve", "--defaults", "cpu-limit=1"]});
        let used = Settings {
            defaults: "cpu-limit=1".parse().unwrap(),
            ..Settings::default()
        };
        assert_eq!(said(&container, &used), "");
        assert!(said(&json!({}), &used).contains("has none"));
    }
}
