//! Where spans go: decided by each configuration, for the connections that come after it.

use std::sync::Arc;

use super::base::Base;
use super::error::Error;
use crate::config::Config;
use crate::tls::reload::{Source, Watched};
use crate::traces::Exporter;

/// What a configuration changes.
pub(super) enum Change {
    /// Nothing.
    Same,
    /// Spans go there from now on, or nowhere.
    To(Option<Arc<Exporter>>),
}

/// Starts what the settings need, if that is not what runs.
pub(super) fn change(config: &Config, base: &Base) -> Result<Change, Error> {
    let present = base.traces.current();
    if present.as_ref().map(|exporter| exporter.settings()) == config.traces.as_ref() {
        return Ok(Change::Same);
    }
    let started = config
        .traces
        .as_ref()
        .map(|settings| Exporter::start(settings, &base.metrics.spans(), &base.accepting))
        .map(|started| started.map_err(Error::Traces));
    Ok(Change::To(started.transpose()?.map(Arc::new)))
}

/// Puts it into use.
pub(super) fn use_exporter(change: Change, base: &Base) {
    let Change::To(exporter) = change else {
        return;
    };
    let tls = exporter.as_deref().and_then(Exporter::tls);
    for warning in tls.iter().flat_map(|tls| tls.warnings()) {
        tracing::warn!("traces: {warning}");
    }
    if let Some(settings) = exporter.as_deref().map(Exporter::settings) {
        tracing::info!(
            endpoint = %settings.endpoint.origin(),
            service_name = settings.service_name,
            sample = %settings.sample,
            "exporting traces"
        );
    }
    base.traces.replace(exporter);
}

/// The CAs of the collector.
pub(super) fn watched(base: &Base) -> Option<Watched> {
    let exporter = base.traces.current()?;
    let tls = exporter.tls().cloned().map(Source::Collector)?;
    Some(Watched::of_process(tls))
}
