//! The drain gate: the app's preStop waits at the sidecar until open streams have ended, so that
//! SIGTERM does not cut them. All times must fit into the pod's grace period.

use serde_json::{Value, json};

use super::annotations::Request;
use super::deny::{Deny, Reason};
use super::editor::Editor;
use super::pod::{self, Slot};
use super::ports::Exposed;
use super::probe_rewrite;
use super::trace::Trace;

/// Seconds the app gets between its SIGTERM and the end of the grace period.
const APP_STOP: u64 = 5;
/// Seconds the kubelet leaves the native sidecar after the last app container.
const SIDECAR_STOP: u64 = 2;
/// The sidecar's own default of drain-delay.
const USUAL_DELAY: u64 = 5;
const LONGEST_DEFAULT: u64 = 120;
/// Kubernetes' own default of terminationGracePeriodSeconds.
const DEFAULT_GRACE: u64 = 30;
pub(crate) const PATH: &str = "/drain/wait";

/// Seconds that streams may run on; zero where the grace period has no room for a gate.
pub(crate) fn timeout(pod: &Value, request: &Request, trace: &mut Trace) -> Result<u64, Deny> {
    let grace = grace(pod);
    let reserve = APP_STOP + SIDECAR_STOP;
    let Some(seconds) = request.drain_timeout else {
        let longest = request.usual_drain.unwrap_or(LONGEST_DEFAULT);
        return Ok(default_timeout(grace, longest, trace));
    };
    let sum = seconds.saturating_add(reserve);
    if seconds >= grace {
        return Err(Reason::DrainExceedsGrace.about("drain-timeout", &format!(
                " {seconds}s + {APP_STOP}s for the app to stop + {SIDECAR_STOP}s for the sidecar = {sum}s, but terminationGracePeriodSeconds is {grace}; raise it to {sum} or lower the annotation to {}",
                remedy(grace, reserve)
            )));
    }
    if sum > grace {
        trace.warn(format!("drain-timeout {seconds}s leaves the app {}s to stop before terminationGracePeriodSeconds {grace} ends; {sum} would leave room", grace - seconds));
    }
    Ok(seconds)
}

fn grace(pod: &Value) -> u64 {
    pod::spec(pod)
        .get("terminationGracePeriodSeconds")
        .and_then(Value::as_u64)
        .unwrap_or(DEFAULT_GRACE)
}

/// Seconds for which new connections are accepted during a drain. A Job's pod ends by itself, and nobody
/// is sent to it any more: there the wait serves nobody. A default is no longer than the gate of `timeout`
/// seconds: after it the app stops, and a new connection would meet nobody.
pub(crate) fn delay(pod: &Value, request: &Request, timeout: u64) -> Result<u64, Deny> {
    let policy = pod::string(pod::spec(pod), "restartPolicy");
    let of_job = policy.is_some_and(|policy| policy != "Always");
    let grace = grace(pod);
    match request.drain_delay {
        Some(seconds) if seconds >= grace => Err(Reason::DrainExceedsGrace.deny(format!(
                "drain-delay {seconds}s is not below terminationGracePeriodSeconds {grace}; raise that, or set annotation hybridge.dev/drain-delay lower"
            ))),
        Some(seconds) => Ok(seconds),
        None if of_job => Ok(0),
        None => Ok(request.usual_delay.unwrap_or(USUAL_DELAY).min(timeout)),
    }
}

fn remedy(grace: u64, reserve: u64) -> String {
    match grace.saturating_sub(reserve) {
        0 => "nothing (the grace period has no room)".into(),
        room => format!("{room}s"),
    }
}

fn default_timeout(grace: u64, longest: u64, trace: &mut Trace) -> u64 {
    let room = grace.saturating_sub(APP_STOP + SIDECAR_STOP).min(longest);
    if room == 0 {
        trace.warn(format!("terminationGracePeriodSeconds {grace} has no room for draining; open streams are cut when the pod is deleted"));
    }
    room
}

/// Adds the gate to every container that owns an exposed port and has no preStop of its own.
pub(crate) fn gate(
    editor: &mut Editor,
    exposed: &[Exposed],
    seconds: u64,
    trace: &mut Trace,
) -> Result<(), Deny> {
    let pod = editor.pod().clone();
    let owners =
        pod::all_slots(&pod).filter(|slot| exposed.iter().any(|e| e.owner == slot.place()));
    for slot in owners {
        if has_foreign_pre_stop(&slot) {
            keep_foreign(&slot, trace);
        } else if seconds > 0 {
            trace.step(
                format!("lifecycle.preStop of container {}: wait at most {seconds}s for streams to end", slot.name()),
                "SIGTERM comes after preStop, so streams that are open when the pod is deleted can finish",
            );
            let call = probe_rewrite::admin_get(&format!("{PATH}?timeout={seconds}s"));
            editor.set(
                &slot.path(&["lifecycle", "preStop"]),
                json!({"httpGet": call}),
            )?;
        }
    }
    Ok(())
}

fn has_foreign_pre_stop(slot: &Slot<'_>) -> bool {
    let hook = slot
        .value
        .get("lifecycle")
        .and_then(|l| l.get("preStop"))
        .and_then(Value::as_object);
    hook.is_some_and(|hook| {
        !probe_rewrite::rewritten_path(hook).is_some_and(|path| path.starts_with(PATH))
    })
}

fn keep_foreign(slot: &Slot<'_>, trace: &mut Trace) {
    trace.step(
        format!("lifecycle.preStop of container {}: left alone", slot.name()),
        "an existing hook is never overwritten",
    );
    trace.warn(format!("container {} has a preStop of its own, so there is no drain gate; streams open after that hook are cut", slot.name()));
}
