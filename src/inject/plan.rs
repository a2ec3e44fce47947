//! The planner: one pod in, JSON Patch operations out. Pure; both fronts call it, so both give the
//! same answer for the same pod, and a second run over its own output gives none.

mod removal;

use json_patch::Patch;
use serde_json::Value;

use super::annotations;
use super::bind;
use super::container::{self, Sidecar};
use super::deny::Deny;
use super::drain;
use super::handlers;
use super::labels::{self, Decision, Verdict};
use super::notes::{Notes, Step};
use super::patch::Editor;
use super::pod;
use super::ports;
use super::previous;
use super::refuse;
use super::settings::Settings;

pub use removal::remove;

/// What is to be done to a pod.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Operations in the order they apply; empty when the pod is right as it is.
    pub ops: Patch,
    /// What the user should know; not yet shortened to what an AdmissionReview may carry.
    pub warnings: Vec<String>,
    /// Every step with its reason.
    pub explanation: Vec<Step>,
    /// Whether the pod is to run the sidecar at all.
    pub injected: bool,
    patched: Value,
}

impl Plan {
    /// The pod with the operations applied.
    pub fn patched(&self) -> &Value {
        &self.patched
    }

    fn skipped(pod: &Value, why: &str) -> Self {
        let mut notes = Notes::default();
        notes.step("not injected", why);
        Self {
            ops: Patch::default(),
            warnings: notes.warnings,
            explanation: notes.steps,
            injected: false,
            patched: pod.clone(),
        }
    }
}

/// Plans the injection of `pod`. A refusal carries a message for the user and a reason for the metrics.
pub fn plan(pod: &Value, decision: Decision, settings: &Settings) -> Result<Plan, Deny> {
    pod::check_shape(pod)?;
    let why = match labels::verdict(pod, decision)? {
        Verdict::Skip(why) => return Ok(Plan::skipped(pod, why)),
        Verdict::Inject(why) => why,
    };
    let mut notes = Notes::default();
    notes.step("injected", why);
    let request = annotations::parse(pod, settings)?;
    refuse::check(pod, &request, settings, &mut notes)?;
    let previous = previous::read(pod, settings)?;
    let exposed = ports::choose(pod, &request, &previous.ports)?;
    container::explain_protocol(&request, &mut notes);
    container::warn_privileged_ports(&exposed, &mut notes);

    let mut editor = Editor::new(pod);
    let closed = bind::to_loopback(&mut editor, &exposed, &request, &mut notes)?;
    let table = handlers::rewrite(&mut editor, &closed, &previous.table, &mut notes)?;
    let drain_seconds = drain::timeout(pod, &request, &mut notes)?;
    let drain_delay = drain::delay(pod, &request)?;
    drain::gate(&mut editor, &exposed, drain_seconds, &mut notes)?;
    let sidecar = Sidecar {
        request: &request,
        settings,
        exposed: &exposed,
        table: &table,
        drain_seconds,
        drain_delay,
    };
    sidecar.put(&mut editor, &mut notes)?;

    let (patched, ops) = editor.finish();
    Ok(Plan {
        ops,
        warnings: notes.warnings,
        explanation: notes.steps,
        injected: true,
        patched,
    })
}
