//! Putting the sidecar into a pod. A second run over its own output changes nothing.

use serde_json::Value;

use super::annotations;
use super::bind;
use super::deny::Deny;
use super::drain_gate;
use super::editor::Editor;
use super::egress;
use super::labels::{self, Decision, Verdict};
use super::outcome::Plan;
use super::pod;
use super::ports;
use super::preconditions;
use super::previous;
use super::probe_rewrite;
use super::sealed;
use super::settings::Settings;
use super::sidecar::Sidecar;
use super::trace::Trace;

/// Plans the injection of a pod that says its namespace itself.
pub fn plan(pod: &Value, decision: Decision, settings: &Settings) -> Result<Plan, Deny> {
    plan_in(pod::namespace(pod), pod, decision, settings)
}

/// Plans the injection of a pod, or of a template, whose pods will be in `namespace`. A refusal carries a
/// message for the user and a reason for the metrics.
pub fn plan_in(
    namespace: Option<&str>,
    pod: &Value,
    decision: Decision,
    settings: &Settings,
) -> Result<Plan, Deny> {
    pod::check_shape(pod)?;
    let title = |name: &str| annotations::title(pod, namespace, settings, name);
    match labels::verdict(pod, decision)? {
        Verdict::Skip(why) => Ok(Plan::skipped(pod, why)),
        Verdict::Inject(why) => {
            let planned = inject(namespace, pod, why, &title, settings);
            planned.map_err(|deny| deny.said_of(title))
        }
    }
}

/// `title` is how messages call an annotation.
fn inject(
    namespace: Option<&str>,
    pod: &Value,
    why: &str,
    title: &dyn Fn(&str) -> String,
    settings: &Settings,
) -> Result<Plan, Deny> {
    let mut trace = Trace::default();
    trace.step("injected", why);
    let request = annotations::parse(pod, namespace, settings)?;
    for (name, other) in &request.left_out {
        trace.step(
            format!("{name} is left out"),
            format!("{other} counts before it"),
        );
    }
    preconditions::check(pod, &request, settings, &mut trace)?;
    let previous = previous::read(pod, settings)?;
    let exposed = ports::choose(pod, &request, &previous.ports)?;
    ports::warn(pod, &request, &exposed, title, &mut trace);
    egress::check(pod, &request, &exposed, &mut trace)?;

    let mut editor = Editor::new(pod);
    let loopback_only = bind::to_loopback(&mut editor, &exposed, &request, &mut trace)?;
    let table = probe_rewrite::rewrite(&mut editor, &loopback_only, &previous.table, &mut trace)?;
    let drain_seconds = drain_gate::timeout(pod, &request, &mut trace)?;
    let drain_delay = drain_gate::delay(pod, &request, drain_seconds)?;
    drain_gate::gate(&mut editor, &exposed, drain_seconds, &mut trace)?;
    let sidecar = Sidecar {
        request: &request,
        settings,
        exposed: &exposed,
        table: &table,
        drain_seconds,
        drain_delay,
    };
    egress::put_env(&mut editor, &request, &mut trace)?;
    sealed::put(&mut editor, &request, settings, &mut trace)?;
    sidecar.put(&mut editor, &mut trace)?;

    Ok(Plan::new(editor, trace))
}
