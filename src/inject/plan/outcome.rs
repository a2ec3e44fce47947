//! What a plan results in: the operations, the pod they give, and the reasons.

use json_patch::Patch;
use serde_json::Value;

use super::editor::Editor;
use super::trace::{Step, Trace};

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
    /// What `editor` did to the pod, for the reasons in `trace`.
    pub(super) fn new(editor: Editor, trace: Trace) -> Self {
        let (patched, ops) = editor.finish();
        Self {
            ops,
            warnings: trace.warnings,
            explanation: trace.steps,
            injected: true,
            patched,
        }
    }

    /// The pod stays as it is.
    pub(super) fn skipped(pod: &Value, why: &str) -> Self {
        let mut trace = Trace::default();
        trace.step("not injected", why);
        Self {
            injected: false,
            ..Self::new(Editor::new(pod), trace)
        }
    }

    /// The pod with the operations applied.
    pub fn patched(&self) -> &Value {
        &self.patched
    }
}
