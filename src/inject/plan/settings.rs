//! What the operator of the injector decides for every pod; what one pod decides is in `annotations`.

use std::collections::BTreeMap;

use clap::{ArgAction, Args};

use crate::redact::Shown;
use crate::tls::policy::Mode;

/// First Kubernetes minor version whose default configuration has native sidecars.
pub(crate) const FIRST_NATIVE_MINOR: u32 = 29;

/// Settings shared by the offline front and the webhook.
#[derive(Args, Clone, Debug)]
pub struct Settings {
    /// Image of the sidecar, with its registry (localhost/ if it is loaded into the nodes), and a tag or a digest.
    #[arg(long, env = "HYBRIDGE_IMAGE", hide_env_values = true, default_value = concat!("localhost/hybridge:", env!("CARGO_PKG_VERSION")), value_parser = image)]
    pub image: String,
    /// When the kubelet pulls the sidecar image.
    #[arg(long, env = "HYBRIDGE_IMAGE_PULL_POLICY", hide_env_values = true, default_value = "IfNotPresent", value_parser = ["Always", "IfNotPresent", "Never"])]
    pub image_pull_policy: String,
    /// Secret with tls.crt and tls.key for pods without the annotation hybridge.dev/tls-secret.
    #[arg(long, env = "HYBRIDGE_TLS_SECRET", hide_env_values = true, default_value = "hybridge-tls", value_parser = secret_name)]
    pub tls_secret: String,
    /// Key-exchange policy for pods without the annotation hybridge.dev/policy.
    #[arg(
        long = "default-policy",
        env = "HYBRIDGE_DEFAULT_POLICY", hide_env_values = true,
        default_value = "hybrid-preferred",
        value_parser = Mode::parse
    )]
    pub policy: Mode,
    /// Annotations that count for pods without their own, such as memory=256Mi,log-level=debug.
    #[arg(
        long,
        env = "HYBRIDGE_DEFAULTS",
        hide_env_values = true,
        value_name = "NAME=VALUE,...",
        default_value = "",
        hide_default_value = true
    )]
    pub defaults: Defaults,
    /// File of annotations that count in a namespace where a pod has none: `NAMESPACE: {memory: 256Mi}`.
    #[arg(long, env = "HYBRIDGE_NAMESPACE_DEFAULTS", hide_env_values = true, value_name = "FILE", value_parser = NamespaceDefaults::load)]
    pub namespace_defaults: Option<NamespaceDefaults>,
    /// Secrets of the pod's namespace with which the kubelet pulls the sidecar image; a pod keeps its own.
    #[arg(long, env = "HYBRIDGE_IMAGE_PULL_SECRETS", hide_env_values = true, value_name = "NAME", value_delimiter = ',', value_parser = secret_name)]
    pub image_pull_secrets: Vec<String>,
    /// Leave user and group of the sidecar to the platform, as OpenShift's restricted-v2 demands.
    #[arg(long, env = "HYBRIDGE_PLATFORM_USER", hide_env_values = true, value_parser = switch, action = ArgAction::SetTrue)]
    pub platform_user: bool,
    /// Version of the cluster, such as 1.33; below 1.29 native sidecars do not exist and pods are refused.
    #[arg(long, env = "HYBRIDGE_KUBERNETES_VERSION", hide_env_values = true, default_value = "1.33", value_parser = minor_version)]
    pub kubernetes_version: u32,
    /// On clusters before 1.29, inject a plain container: no start order, no stop order, Jobs are refused.
    #[arg(long, env = "HYBRIDGE_PLAIN_CONTAINER", hide_env_values = true, value_parser = switch, action = ArgAction::SetTrue)]
    pub plain_container: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            image: concat!("localhost/hybridge:", env!("CARGO_PKG_VERSION")).into(),
            image_pull_policy: "IfNotPresent".into(),
            tls_secret: "hybridge-tls".into(),
            policy: Mode::HybridPreferred,
            defaults: Defaults::default(),
            namespace_defaults: None,
            image_pull_secrets: Vec::new(),
            platform_user: false,
            kubernetes_version: 33,
            plain_container: false,
        }
    }
}

impl Settings {
    pub(crate) fn native(&self) -> bool {
        self.kubernetes_version >= FIRST_NATIVE_MINOR
    }
}

/// Annotations that count for every pod that does not bring its own, by name without the prefix.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Defaults(pub(super) BTreeMap<String, String>);

impl Defaults {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

/// Annotations by namespace, their names without the prefix.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct NamespaceDefaults(pub(super) BTreeMap<String, BTreeMap<String, String>>);

impl NamespaceDefaults {
    /// Whether it says nothing about any namespace.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What counts in `namespace`.
    pub(crate) fn of(&self, namespace: &str) -> Option<&BTreeMap<String, String>> {
        self.0.get(namespace)
    }
}

/// The variable of a flag, as `run` reads those of its own.
pub(crate) fn switch(text: &str) -> Result<bool, String> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "1" => Ok(true),
        "false" | "0" => Ok(false),
        _ => Err(format!("{:?} is not true or false", Shown::from(text))),
    }
}

fn image(text: &str) -> Result<String, String> {
    let last = text.rsplit('/').next().unwrap_or_default();
    if text.is_empty() || text.contains(char::is_whitespace) {
        return Err("an image name has no spaces and is not empty".into());
    }
    if last.ends_with(":latest") || !last.contains([':', '@']) {
        return Err(format!(
            "{:?} does not say which version runs; give a tag other than latest, or a digest",
            Shown::from(text)
        ));
    }
    if !names_a_registry(text) {
        return Err(format!(
            "{:?} names no registry, so a kubelet without it would ask docker.io, where others may publish that name; use localhost/hybridge:{} for an image loaded into the nodes, or registry.example/team/hybridge@sha256:...",
            Shown::from(text),
            env!("CARGO_PKG_VERSION")
        ));
    }
    Ok(text.into())
}

/// The rule of container runtimes: the first component is a registry if it is `localhost` or has a dot or
/// a colon; everything else is a repository of docker.io.
fn names_a_registry(image: &str) -> bool {
    image
        .split_once('/')
        .is_some_and(|(first, _)| first == "localhost" || first.contains(['.', ':']))
}

/// `1.29`, `v1.29.3` or `1.29.3-gke.1` to 29.
pub(crate) fn minor_version(text: &str) -> Result<u32, String> {
    let rest = text.trim_start_matches('v').strip_prefix("1.");
    rest.map(|r| {
        r.split(|c: char| !c.is_ascii_digit())
            .next()
            .unwrap_or_default()
    })
    .and_then(|minor| minor.parse().ok())
    .ok_or_else(|| {
        let text = Shown::from(text);
        format!("{text:?} is not a Kubernetes version such as 1.33")
    })
}

/// Checks a DNS-1123 subdomain, the form of a Secret's name.
pub(crate) fn secret_name(text: &str) -> Result<String, String> {
    let label = |l: &str| {
        let bytes = l.as_bytes();
        !bytes.is_empty()
            && bytes
                .iter()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-')
            && bytes.first() != Some(&b'-')
            && bytes.last() != Some(&b'-')
    };
    if text.len() <= 253 && text.split('.').all(label) {
        Ok(text.into())
    } else {
        Err(format!(
            "{:?} is not the name of a Secret: lower-case letters, digits, '-' and '.', at most 253",
            Shown::from(text)
        ))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn versions_are_read_as_clusters_write_them() {
        assert_eq!(minor_version("1.28"), Ok(28));
        assert_eq!(minor_version("v1.36.2"), Ok(36));
        assert_eq!(minor_version("1.30.4-gke.100"), Ok(30));
        assert!(minor_version("2.0").is_err());
        assert!(minor_version("latest").is_err());
    }

    #[test]
    fn an_image_without_a_version_is_refused() {
        for bad in [
            "localhost/hybridge",
            "localhost/hybridge:latest",
            "registry:5000/hybridge",
            "",
        ] {
            assert!(image(bad).is_err(), "{bad}");
        }
        for good in [
            Settings::default().image.as_str(),
            "registry:5000/a/hybridge:1",
            "localhost:5000/hybridge:1",
            "registry.example/hybridge@sha256:ab",
        ] {
            assert_eq!(image(good), Ok(good.to_owned()));
        }
    }

    #[test]
    fn an_image_without_a_registry_is_refused_with_the_remedy() {
        for bad in [
            "hybridge:0.1.0",
            "team/hybridge:0.1.0",
            "hybridge@sha256:ab",
        ] {
            let error = image(bad).unwrap_err();
            assert!(error.contains(bad), "{error}");
            assert!(error.contains(&Settings::default().image), "{error}");
        }
    }
}
