//! What an installation consists of: entries of the webhook, policies and bindings, and the pods that each is for. A test
//! compares this with the manifests.

use crate::inject::plan::{INJECT_LABEL, NAMESPACE_LABEL};
use crate::inject::webhook::{ENFORCED_PATH, NAMESPACE_PATH, OBJECT_PATH};

/// The label that every namespace has.
pub(super) const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// One requirement of a label selector.
#[derive(Debug)]
pub(super) struct Requirement {
    pub(super) key: &'static str,
    pub(super) operator: &'static str,
    /// Empty for names of namespaces, which the installation chooses.
    pub(super) values: &'static [&'static str],
}

/// Which namespaces and which pods.
#[derive(Debug)]
pub(super) struct Selectors {
    pub(super) namespace: &'static [Requirement],
    pub(super) object: &'static [Requirement],
}

/// An entry of the webhook configuration.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) name: &'static str,
    pub(super) path: &'static str,
    pub(super) selectors: Selectors,
}

#[derive(Debug)]
pub(super) struct Policy {
    pub(super) name: &'static str,
    /// The operations and resources that it has to see.
    pub(super) matches: &'static [(&'static str, &'static str)],
    /// Names of its own matchConditions.
    pub(super) conditions: &'static [&'static str],
    pub(super) bindings: &'static [Binding],
}

#[derive(Debug)]
pub(super) struct Binding {
    pub(super) name: &'static str,
    /// The chart has it only where namespaces are enforced by name.
    pub(super) only_named: bool,
    pub(super) selectors: Selectors,
}

const fn namespace_label(operator: &'static str, values: &'static [&'static str]) -> Requirement {
    Requirement {
        key: NAMESPACE_LABEL,
        operator,
        values,
    }
}

const fn by_name(operator: &'static str) -> Requirement {
    Requirement {
        key: NAME_LABEL,
        operator,
        values: &[],
    }
}

const fn pod_label(operator: &'static str, values: &'static [&'static str]) -> Requirement {
    Requirement {
        key: INJECT_LABEL,
        operator,
        values,
    }
}

/// The namespace asks, and a pod may opt out.
const NAMESPACE: Selectors = Selectors {
    namespace: &[namespace_label("In", &["enabled"]), by_name("NotIn")],
    object: &[pod_label("NotIn", &["disabled"])],
};
/// The namespace is silent and the pod asks.
const OBJECT: Selectors = Selectors {
    namespace: &[namespace_label("DoesNotExist", &[]), by_name("NotIn")],
    object: &[pod_label("Exists", &[]), pod_label("NotIn", &["disabled"])],
};
/// The namespace insists.
const ENFORCED: Selectors = Selectors {
    namespace: &[namespace_label("In", &["enforced"]), by_name("NotIn")],
    object: &[],
};
/// The values of the chart insist.
const NAMED: Selectors = Selectors {
    namespace: &[by_name("In")],
    object: &[],
};

pub(super) const ENTRIES: [Entry; 4] = [
    Entry {
        name: "namespace.hybridge.dev",
        path: NAMESPACE_PATH,
        selectors: NAMESPACE,
    },
    Entry {
        name: "object.hybridge.dev",
        path: OBJECT_PATH,
        selectors: OBJECT,
    },
    Entry {
        name: "enforced.hybridge.dev",
        path: ENFORCED_PATH,
        selectors: ENFORCED,
    },
    Entry {
        name: "named.hybridge.dev",
        path: ENFORCED_PATH,
        selectors: NAMED,
    },
];

const fn binding(name: &'static str, selectors: Selectors) -> Binding {
    Binding {
        name,
        only_named: false,
        selectors,
    }
}

pub(super) const POLICIES: [Policy; 4] = [
    Policy {
        name: "hybridge-sidecar",
        matches: &[("CREATE", "pods")],
        conditions: &[],
        bindings: &[
            binding("hybridge-sidecar-namespace", NAMESPACE),
            binding("hybridge-sidecar-object", OBJECT),
            binding("hybridge-sidecar-enforced", ENFORCED),
            Binding {
                name: "hybridge-sidecar-named",
                only_named: true,
                selectors: NAMED,
            },
        ],
    },
    Policy {
        name: "hybridge-running",
        matches: &[("UPDATE", "pods"), ("UPDATE", "pods/ephemeralcontainers")],
        conditions: &["injected"],
        bindings: &[
            binding(
                "hybridge-running",
                Selectors {
                    namespace: &[namespace_label("NotIn", &["disabled"]), by_name("NotIn")],
                    object: &[],
                },
            ),
            Binding {
                name: "hybridge-running-named",
                only_named: true,
                selectors: NAMED,
            },
        ],
    },
    Policy {
        name: "hybridge-namespace-label",
        matches: &[("CREATE", "namespaces"), ("UPDATE", "namespaces")],
        conditions: &[],
        bindings: &[binding(
            "hybridge-namespace-label",
            Selectors {
                namespace: &[],
                object: &[],
            },
        )],
    },
    Policy {
        name: "hybridge-unclear-namespace",
        matches: &[("CREATE", "pods")],
        conditions: &[],
        bindings: &[binding(
            "hybridge-unclear-namespace",
            Selectors {
                namespace: &[
                    namespace_label("Exists", &[]),
                    namespace_label("NotIn", &["enabled", "enforced", "disabled"]),
                ],
                object: &[],
            },
        )],
    },
];
