//! What a listener stated about itself and states no more: it was removed, or has other settings now.
//! Counters stay: what happened has happened.

use std::collections::HashMap;

use prometheus::core::{Collector, Metric, MetricVec, MetricVecBuilder};

use super::Metrics;

impl Metrics {
    /// Removes the gauges that state facts of a listener's settings: an alert on a certificate that
    /// nobody serves any more would never end.
    pub fn withdraw(&self, listener: &str) {
        let connections = &self.connections;
        without(&connections.certificate_start, listener);
        without(&connections.certificate_expiry, listener);
        without(&connections.pair_expiry, listener);
        without(&connections.crl_next_update, listener);
        without(&self.egress.info, listener);
    }
}

fn without<B>(family: &MetricVec<B>, listener: &str)
where
    B: MetricVecBuilder,
    B::M: Metric,
{
    for collected in family.collect() {
        for metric in collected.get_metric() {
            let labels = metric.get_label().iter();
            let labels: HashMap<&str, &str> =
                labels.map(|pair| (pair.name(), pair.value())).collect();
            if labels.get("listener") == Some(&listener) {
                // One that somebody else has removed meanwhile is as good as removed.
                let _ = family.remove(&labels);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;

    use super::*;

    #[test]
    fn facts_of_one_listener_go_and_its_counters_stay() {
        let metrics = Arc::new(Metrics::new().unwrap());
        for name in ["one", "other"] {
            let listener = metrics.listener(name);
            listener.set_certificate_validity(1, 2);
            listener.set_pair_expiry("a.crt", 1);
            listener.set_pair_expiry("b.crt", 2);
            listener.set_crl_next_update(Some(1));
            listener.closed("closed");
            metrics.set_listener_info(name, "ingress", "http");
        }
        metrics.withdraw("one");
        let page = String::from_utf8(metrics.render().unwrap()).unwrap();
        let facts = |name: &str| {
            let of_it = format!("listener=\"{name}\"");
            let lines = page.lines().filter(|line| line.contains(&of_it));
            let states = |line: &&str| line.contains("timestamp") || line.contains("_info");
            lines.filter(states).count()
        };
        assert_eq!((facts("one"), facts("other")), (0, 6), "{page}");
        let counter = "hybridge_connections_total{listener=\"one\",outcome=\"closed\"} 1";
        assert!(page.contains(counter), "{page}");
    }
}
