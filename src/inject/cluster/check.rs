//! `inject check`: before an installation, what the injector would refuse; after it, whether everything
//! that protects pods is there and agrees.

use std::collections::BTreeSet;

use serde_json::Value;
use time::OffsetDateTime;

use super::injector_settings;
use super::installed::INJECTOR;
use super::matching::covers;
use super::objects::{Cluster, UNHEARD, is_wanted, namespace};
use super::owners::Owners;
use super::protection::{
    bundle_fault, entry_fault, entry_notes, policy_fault, policy_notes, service_fault,
};
use super::report::Report;
use super::shipped::POLICIES;
use crate::counted::counted;
use crate::inject::certs::WEBHOOKS;
use crate::inject::manifest::{lists, misplaced, unseen, workloads};
use crate::inject::plan::Settings;
use crate::inject::plan::plan_in;
use crate::inject::plan::pod;
use crate::inject::plan::{Decision, NAMESPACE_LABEL};

/// Namespaces that one line names, at most.
const MOST_NAMED: usize = 10;

#[derive(Default)]
struct Lines {
    lines: Vec<String>,
    failures: usize,
}

impl Lines {
    fn expect_that(&mut self, good: bool, what: &str, remedy: &str) {
        if good {
            self.lines.push(format!("ok    {what}"));
        } else {
            self.fail(&format!("{what}: {remedy}"));
        }
    }

    fn expect_none(&mut self, fault: Option<&str>, what: &str, remedy: &str) {
        match fault {
            None => self.expect_that(true, what, remedy),
            Some(fault) => self.fail(&format!("{what}: {fault}: {remedy}")),
        }
    }

    fn fail(&mut self, what: &str) {
        self.failures += 1;
        self.lines.push(format!("FAIL  {what}"));
    }

    fn note(&mut self, what: &str) {
        self.lines.push(format!("note  {what}"));
    }
}

pub(super) fn report(cluster: &Cluster, settings: &Settings) -> Report {
    let mut lines = Lines::default();
    if let Some(config) = cluster.named("MutatingWebhookConfiguration", INJECTOR) {
        installation(cluster, config, &mut lines);
    } else {
        lines.note("no webhook configuration in the input: this looks at the cluster before an installation");
    }
    // What was left out may be what would be refused, or what is missing.
    for what in &cluster.odd {
        lines.fail(&format!(
            "{what}; give what kubectl get ... -A -o json prints as it is"
        ));
    }
    namespaces(cluster, &mut lines);
    for line in injector_settings::differences(cluster, settings) {
        lines.note(&line);
    }
    workloads(cluster, settings, &mut lines);
    Report {
        lines: lines.lines,
        failures: lines.failures,
    }
}

fn installation(cluster: &Cluster, config: &Value, lines: &mut Lines) {
    let hooks = pod::array(config, "webhooks");
    let has = |name: &&str| {
        hooks
            .iter()
            .any(|hook| pod::string(hook, "name") == Some(*name))
    };
    lines.expect_that(
        // The chart adds another one for namespaces that it names.
        WEBHOOKS.iter().all(has),
        "the webhook configuration has its three entries",
        "apply the overlay again, or upgrade the Helm release",
    );
    let now = OffsetDateTime::now_utc();
    let bundle = hooks.iter().find_map(|hook| {
        let fault = bundle_fault(hook, now)?;
        Some(format!("entry {} {fault}", pod::name(hook)))
    });
    lines.expect_none(
        bundle.as_deref(),
        "every entry has a caBundle that is valid",
        "run hybridge inject certs again and apply the overlay, or look at cert-manager's CA injector",
    );
    let blind = hooks
        .iter()
        .find(|hook| !covers(hook, "rules", ("CREATE", "pods")));
    lines.expect_none(
        blind.map(pod::name),
        "every entry has a rule for the creation of pods",
        "no pod reaches that entry, so it protects nothing; apply the overlay again, or upgrade the Helm release",
    );
    let fault = hooks.iter().find_map(|hook| {
        let fault = service_fault(cluster, hook).or_else(|| entry_fault(cluster, hook))?;
        Some(format!("entry {} {fault}", pod::name(hook)))
    });
    lines.expect_none(
        fault.as_deref(),
        "every entry brings the pods that it is for to the injector",
        "some of them are not injected, or refused; apply the overlay again, or upgrade the Helm release",
    );
    for line in hooks.iter().flat_map(|hook| entry_notes(cluster, hook)) {
        lines.note(&line);
    }
    let closed = |hook: &Value| pod::string(hook, "failurePolicy") == Some("Fail");
    lines.expect_that(
        hooks.iter().all(closed),
        "every entry fails closed",
        "failurePolicy must be Fail, or pods are created without TLS while no injector answers",
    );
    // One of that name elsewhere reviews no pod.
    let place = &cluster.installed.namespace;
    let deployment = cluster.placed("Deployment", place, INJECTOR);
    let available = deployment
        .and_then(|d| d.pointer("/status/availableReplicas"))
        .and_then(Value::as_u64)
        .unwrap_or(0);
    lines.expect_that(
        available >= 2,
        &format!(
            "{} of the injector available",
            counted(available, "replica")
        ),
        &format!("two keep pods creatable while a node goes; kubectl -n {place} get pods"),
    );
    for policy in POLICIES {
        lines.expect_none(
            policy_fault(cluster, &policy).as_deref(),
            &format!("policy {} is there, bound and denies", policy.name),
            "apply the overlay again; without it nothing holds when the webhook is gone",
        );
        for line in policy_notes(cluster, &policy) {
            lines.note(&line);
        }
    }
    images(cluster, deployment, lines);
}

fn images(cluster: &Cluster, deployment: Option<&Value>, lines: &mut Lines) {
    let containers = deployment.and_then(|d| d.pointer("/spec/template/spec/containers/0"));
    let Some(container) = containers else {
        return;
    };
    let own = pod::string(container, "image").unwrap_or_default();
    let mut others: Vec<&str> = pod::env(container, "HYBRIDGE_IMAGE").into_iter().collect();
    for policy in POLICIES {
        let variables = cluster
            .named("ValidatingAdmissionPolicy", policy.name)
            .and_then(|policy| policy.get("spec"))
            .map_or(&[][..], |spec| pod::array(spec, "variables"));
        let image = variables.iter().find(|v| pod::name(v) == "image");
        others.extend(
            image
                .and_then(|v| pod::string(v, "expression"))
                .map(|e| e.trim_matches('\'')),
        );
    }
    lines.expect_that(
        others.iter().all(|image| *image == own),
        "injector, sidecars and policies have one image",
        &format!("the injector runs {own}, beside it stand {}; set images and transformers: [k8s/image] in one overlay", others.join(", ")),
    );
}

fn namespaces(cluster: &Cluster, lines: &mut Lines) {
    let known = ["enabled", "enforced", "disabled"];
    for (name, label) in &cluster.namespaces {
        if let Some(value) = label.as_deref().filter(|value| !known.contains(value)) {
            lines.fail(&format!(
                "namespace {name}: label {NAMESPACE_LABEL}: {value:?} is not understood; use {}",
                known.join(", ")
            ));
        }
    }
    for name in cluster.unheard() {
        lines.fail(&format!("namespace {name}: {UNHEARD}"));
    }
    if cluster.namespaces.is_empty() {
        lines.note("no namespaces in the input: only labels of pods count");
        return;
    }
    let missing = missing_namespaces(cluster);
    if !missing.is_empty() {
        let shown: Vec<&str> = missing.iter().copied().take(MOST_NAMED).collect();
        let more = match missing.len().saturating_sub(MOST_NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        lines.note(&format!(
            "{} of workloads not in the input: {}{more}: only labels of pods count there; give the namespaces too",
            counted(missing.len() as u64, "namespace"),
            shown.join(", ")
        ));
    }
}

/// Namespaces of workloads whose labels nobody gave, and which the webhook configuration does not name.
fn missing_namespaces(cluster: &Cluster) -> BTreeSet<&str> {
    let with_pods = cluster
        .objects
        .iter()
        .filter(|object| !workloads::find(object).is_empty() || !unseen_in(object).is_empty());
    with_pods
        .map(namespace)
        .filter(|place| !cluster.namespaces.contains_key(*place))
        .filter(|place| cluster.decision(place) == Some(Decision::Object))
        .collect()
}

fn unseen_in(object: &Value) -> Vec<unseen::Unseen> {
    unseen::find(&lists::items(object).items)
}

/// What would become of every workload when its pods are created again. What an owner makes is decided by
/// the owner's template, and by itself where that is not in the input.
fn workloads(cluster: &Cluster, settings: &Settings, lines: &mut Lines) {
    let owners = Owners::of(cluster);
    let mut total = 0;
    for object in &cluster.objects {
        if owners.made(object) {
            continue;
        }
        let Some(decision) = cluster.decision(namespace(object)) else {
            continue;
        };
        let asked = |unseen: &unseen::Unseen| decision != Decision::Object || unseen.labelled;
        for unseen in unseen_in(object).iter().filter(|unseen| asked(unseen)) {
            lines.note(&unseen.note(namespace(object)));
        }
        for misplaced in misplaced::find(&lists::items(object).items) {
            lines.note(&misplaced.note(namespace(object)));
        }
        for workload in workloads::find(object) {
            let Some(template) = object.pointer(&workload.pointer) else {
                continue;
            };
            if !is_wanted(Some(decision), template) {
                continue;
            }
            total += 1;
            let title = format!("{} in {}", workload.title, namespace(object));
            // A template says no namespace: its pods are where the object is.
            let place = Some(namespace(object));
            match plan_in(place, template, decision, settings) {
                Ok(plan) => {
                    for warning in plan.warnings {
                        lines.note(&format!("{title}: {warning}"));
                    }
                }
                Err(deny) => lines.fail(&format!("{title} would be refused: {deny}")),
            }
        }
    }
    let verb = if total == 1 { "is" } else { "are" };
    lines.note(&format!(
        "{} {verb} to be injected",
        counted(total, "workload")
    ));
}
