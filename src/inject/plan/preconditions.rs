//! Pods that are refused whatever their annotations say, because TLS in them would be a promise
//! that does not hold. Never skipped silently.

use serde_json::Value;

use super::annotations::{Mode, Protocol, Request};
use super::deny::{Deny, Reason};
use super::names::{NAME, TLS_VOLUME};
use super::pod::{self, List};
use super::settings::Settings;
use super::trace::Trace;

pub(crate) fn check(
    pod: &Value,
    request: &Request,
    settings: &Settings,
    trace: &mut Trace,
) -> Result<(), Deny> {
    host_network(pod)?;
    windows(pod)?;
    shared_pid(pod, request, trace)?;
    queue_proxy(pod, request)?;
    tls_volume(pod)?;
    warn_mesh(pod, trace);
    warn_pod_resources(pod, request, trace);
    explain_protocol(request, trace);
    native(pod, settings, trace)
}

fn flag(pod: &Value, key: &str) -> bool {
    pod::spec(pod)
        .get(key)
        .and_then(Value::as_bool)
        .unwrap_or(false)
}

fn host_network(pod: &Value) -> Result<(), Deny> {
    if flag(pod, "hostNetwork") {
        return Err(Reason::HostNetwork.deny("the pod uses hostNetwork: its loopback is the node's, so every process of the node could reach the app in plaintext; remove hostNetwork or label the pod hybridge.dev/inject: disabled"));
    }
    Ok(())
}

fn windows(pod: &Value) -> Result<(), Deny> {
    let spec = pod::spec(pod);
    let os = spec.get("os").and_then(|os| pod::string(os, "name"));
    let selector = spec
        .get("nodeSelector")
        .and_then(|s| pod::string(s, "kubernetes.io/os"));
    if os == Some("windows") || selector == Some("windows") {
        return Err(Reason::Windows.deny("the pod runs on Windows, the sidecar on Linux only; label the pod hybridge.dev/inject: disabled"));
    }
    Ok(())
}

fn shared_pid(pod: &Value, request: &Request, trace: &mut Trace) -> Result<(), Deny> {
    let Some(key) = ["shareProcessNamespace", "hostPID"]
        .into_iter()
        .find(|key| flag(pod, key))
    else {
        return Ok(());
    };
    if request.allow_shared_pid {
        trace.warn(format!("{key} is accepted by annotation: processes of the same user can read the TLS key through /proc"));
        return Ok(());
    }
    Err(Reason::SharedPid.deny(format!(
            "the pod sets {key}: other processes could read the TLS key through /proc; remove it, or accept that with annotation hybridge.dev/allow-shared-pid: \"true\""
        )))
}

fn queue_proxy(pod: &Value, request: &Request) -> Result<(), Deny> {
    let knative = pod::slots(pod, List::App).any(|slot| slot.name() == "queue-proxy");
    if knative && request.mode != Mode::Explicit {
        return Err(Reason::QueueProxy.deny("the pod has Knative's queue-proxy, which must stay the first to receive requests: TLS in front of it breaks the activator's probes; use annotation hybridge.dev/mode: explicit"));
    }
    Ok(())
}

/// Two proxies for one port: the mesh's would meet TLS where it expects plaintext.
fn warn_mesh(pod: &Value, trace: &mut Trace) {
    let mesh =
        pod::all_slots(pod).find(|slot| matches!(slot.name(), "istio-proxy" | "linkerd-proxy"));
    if let Some(slot) = mesh {
        trace.warn(format!("the pod has {:?}: keep the ports behind TLS and 15400 out of it (traffic.sidecar.istio.io/excludeInboundPorts, config.linkerd.io/skip-inbound-ports), or probes through it fail", slot.name()));
    }
}

/// The API server refuses a pod whose own resources are below the sum of its containers'.
fn warn_pod_resources(pod: &Value, request: &Request, trace: &mut Trace) {
    let resources = pod::spec(pod).get("resources");
    if resources.is_some_and(|r| r.get("requests").is_some() || r.get("limits").is_some()) {
        trace.warn(format!("the pod has resources of its own (spec.resources): they must have room for the sidecar's cpu {} and memory {} too, or the API server refuses the pod", request.cpu_request, request.memory));
    }
}

fn tls_volume(pod: &Value) -> Result<(), Deny> {
    let foreign = pod::all_slots(pod)
        .filter(|slot| slot.name() != NAME)
        .find(|slot| {
            pod::array(slot.value, "volumeMounts")
                .iter()
                .any(|m| pod::name(m) == TLS_VOLUME)
        });
    match foreign {
        Some(slot) => Err(Reason::TlsVolumeShared.deny(format!(
                "container {:?} mounts volume {}, which holds the TLS key and belongs only to the sidecar; give the container a volume of its own",
                slot.name(),
                TLS_VOLUME
            ))),
        None => Ok(()),
    }
}

fn native(pod: &Value, settings: &Settings, trace: &mut Trace) -> Result<(), Deny> {
    if settings.native() {
        return Ok(());
    }
    if !settings.plain_container {
        return Err(Reason::NativeUnsupported.deny(format!(
                "the cluster is 1.{}: native sidecars, which start before and stop after the app, need 1.29; upgrade, or run the injector with --plain-container and accept its limits",
                settings.kubernetes_version
            )));
    }
    let policy = pod::string(pod::spec(pod), "restartPolicy");
    if policy.is_some_and(|p| p != "Always") {
        return Err(Reason::NativeUnsupported.deny(format!(
                "the cluster is 1.{} and the pod has restartPolicy {}: a plain sidecar container would keep the Job from finishing; native sidecars need 1.29",
                settings.kubernetes_version,
                policy.unwrap_or_default()
            )));
    }
    trace.warn("plain container: the app may start before the sidecar, and at deletion both stop at once; streams that outlive the sidecar are cut");
    Ok(())
}

/// Says that bytes other than HTTP are not drained by request.
fn explain_protocol(request: &Request, trace: &mut Trace) {
    if request.protocol == Protocol::Tcp {
        trace.step("protocol: tcp", "asked for by annotation; no headers are added and a drain waits for connections to close");
    }
}
