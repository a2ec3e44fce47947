//! The variables of the sidecar's traces, and the CA of the collector in the volume of the key.

use serde_json::Value;

use super::env::{escaped, literal};
use super::{Sidecar, TLS_DIR};
use crate::inject::plan::annotations::Traces;
use crate::inject::plan::resources::SPAN_MEMORY;
use crate::inject::plan::trace::Trace;
use crate::traces::DEFAULT_QUEUE;

const CA: &str = "traces-ca.crt";

impl Sidecar<'_> {
    /// An egress makes no spans.
    fn traces(&self) -> Option<&Traces> {
        let traces = self.request.traces.as_ref();
        traces.filter(|_| self.has_listeners())
    }

    /// Bytes of spans that wait for the collector: nothing here sets the queue, so it has its default.
    pub(super) fn span_memory(&self) -> u64 {
        let spans = self.traces().map_or(0, |_| DEFAULT_QUEUE);
        SPAN_MEMORY.saturating_mul(spans as u64)
    }

    pub(super) fn traces_env(&self) -> Vec<Value> {
        let Some(traces) = self.traces() else {
            return Vec::new();
        };
        let endpoint = escaped(&traces.endpoint.url());
        let mut env = vec![literal("HYBRIDGE_TRACES_ENDPOINT", endpoint)];
        if traces.ca.is_some() {
            env.push(literal("HYBRIDGE_TRACES_CA", format!("{TLS_DIR}/{CA}")));
        }
        if let Some(sample) = traces.sample {
            env.push(literal("HYBRIDGE_TRACES_SAMPLE", sample.to_string()));
        }
        if let Some(name) = &traces.service_name {
            env.push(literal("HYBRIDGE_TRACES_SERVICE_NAME", escaped(name)));
        }
        env
    }

    /// Sources of the projected volume.
    pub(super) fn traces_files(&self) -> Vec<Value> {
        let ca = self.traces().and_then(|traces| traces.ca.as_ref());
        ca.iter().map(|ca| ca.projection(CA)).collect()
    }

    pub(super) fn explain_traces(&self, trace: &mut Trace) {
        let Some(traces) = self.traces() else {
            return;
        };
        trace.step(
            format!("spans go to {}", traces.endpoint),
            "asked for by annotation traces-endpoint; no request waits for the collector, and none fails without it",
        );
        if let Some(warning) = traces.endpoint.warning() {
            trace.warn(warning);
        }
    }
}
