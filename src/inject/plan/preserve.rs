//! What others may have done to our container, and what of it stays: their mounts and variables stay,
//! whatever would weaken the sidecar goes.

use serde_json::{Value, json};

use super::names::{AGENT_VOLUME, TLS_VOLUME};
use super::pod;

/// User and group of the sidecar; the number of distroless' `nonroot`.
const USER: u32 = 65532;

/// Pod Security "restricted"; only node-level labels of others are kept. With `platform_user` the platform
/// gives user and group, and what it gave stays.
pub(crate) fn security_context(existing: Option<&Value>, platform_user: bool) -> Value {
    let mut context = json!({
        "allowPrivilegeEscalation": false,
        "capabilities": {"drop": ["ALL"]},
        "privileged": false,
        "readOnlyRootFilesystem": true,
        "runAsGroup": USER,
        "runAsNonRoot": true,
        "runAsUser": USER,
        "seccompProfile": {"type": "RuntimeDefault"},
    });
    let theirs = existing.and_then(|e| e.get("securityContext"));
    if platform_user {
        for field in ["runAsGroup", "runAsUser"] {
            context[field] = theirs
                .and_then(|c| c.get(field))
                .cloned()
                .unwrap_or_default();
        }
        if let Some(fields) = context.as_object_mut() {
            fields.retain(|_, value| !value.is_null());
        }
    }
    if let Some(options) = theirs.and_then(|c| c.get("seLinuxOptions")) {
        context["seLinuxOptions"] = options.clone();
    }
    context
}

/// Keeps the mounts, variables and resize rules that others put into our container.
pub(crate) fn keep_foreign(mut ours: Value, theirs: &Value) -> Value {
    ours["env"] = merge(&ours["env"], pod::array(theirs, "env"), |entry| {
        !is_our_variable(pod::name(entry))
    });
    ours["volumeMounts"] = merge(
        &ours["volumeMounts"],
        pod::array(theirs, "volumeMounts"),
        |mount| {
            ![TLS_VOLUME, AGENT_VOLUME].contains(&pod::name(mount))
                && pod::string(mount, "mountPath").is_some_and(harmless_mount)
        },
    );
    if let Some(policy) = theirs.get("resizePolicy") {
        ours["resizePolicy"] = policy.clone();
    }
    ours
}

fn is_our_variable(name: &str) -> bool {
    name.starts_with("HYBRIDGE_") || name.starts_with("POD_")
}

/// A mount may not replace the binary, the TLS directory or the agent's socket.
fn harmless_mount(path: &str) -> bool {
    let path = path.trim_end_matches('/');
    !path.is_empty() && path != "/hybridge" && !path.starts_with("/etc/hybridge") && path != "/etc"
}

/// Their order where it holds our entry or a foreign one that may stay; then what is missing of ours.
fn merge(ours: &Value, theirs: &[Value], keep: impl Fn(&Value) -> bool) -> Value {
    let ours = ours.as_array().map_or(&[][..], Vec::as_slice);
    let mut merged: Vec<Value> = Vec::new();
    for entry in theirs {
        let name = pod::name(entry);
        let replacement = ours.iter().find(|o| pod::name(o) == name);
        let seen = merged
            .iter()
            .any(|m| pod::name(m) == name && replacement.is_some());
        match replacement {
            Some(own) if !seen => merged.push(own.clone()),
            None if keep(entry) => merged.push(entry.clone()),
            _ => {}
        }
    }
    let missing = ours
        .iter()
        .filter(|o| !merged.iter().any(|m| pod::name(m) == pod::name(o)));
    let missing: Vec<_> = missing.cloned().collect();
    merged.extend(missing);
    Value::Array(merged)
}
