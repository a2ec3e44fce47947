//! What is said of ports that are put behind TLS all the same.

use serde_json::Value;

use super::{Exposed, declared, declared_text};
use crate::inject::plan::annotations::Request;
use crate::inject::plan::trace::Trace;

/// Says what may be wrong with the ports of `pod`; `title` knows who says an annotation.
pub(crate) fn warn(
    pod: &Value,
    request: &Request,
    exposed: &[Exposed],
    title: &dyn Fn(&str) -> String,
    trace: &mut Trace,
) {
    undeclared(pod, request, exposed, &title("ports"), trace);
    privileged(exposed, trace);
    unasked(request, exposed, trace);
}

/// A number that no container declares may be a slip. Where none declares any, the annotation is how the
/// port is told.
fn undeclared(pod: &Value, request: &Request, exposed: &[Exposed], title: &str, trace: &mut Trace) {
    let known = declared(pod);
    if request.ports.is_none() || known.is_empty() {
        return;
    }
    for e in exposed
        .iter()
        .filter(|e| known.binary_search(&e.app).is_err())
    {
        trace.warn(format!(
            "{title} names {}, which no container declares; declared are {}: nothing answers there unless the app listens on it",
            e.app,
            declared_text(pod)
        ));
    }
}

/// Warns about what the sidecar may be unable to do as an unprivileged user.
fn privileged(exposed: &[Exposed], trace: &mut Trace) {
    for e in exposed.iter().filter(|e| e.listen < 1024) {
        trace.warn(format!(
            "port {} is below 1024 and the sidecar has no capability: the node must set net.ipv4.ip_unprivileged_port_start=0 (containerd 2 and CRI-O do), or the pod its sysctl, or move the app to a higher port", e.listen
        ));
    }
}

/// A namespace that says which clients may in, and nowhere that they are asked: everybody may in.
fn unasked(request: &Request, exposed: &[Exposed], trace: &mut Trace) {
    if let Some(name) = request.unasked.filter(|_| !exposed.is_empty()) {
        trace.warn(format!(
            "the namespace has {name}, and no client of this pod is asked for a certificate: everybody may connect; add hybridge.dev/client-auth: required to the pod or to its namespace, or \"off\" if that is meant"
        ));
    }
}
