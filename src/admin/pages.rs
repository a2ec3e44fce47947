//! The pages of the admin port: readiness, metrics, status, the end of a drain.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::{Either, Full};
use serde_json::json;

use super::{Admin, Body, ListenerStatus, egress, failing, page, status, text, typed};
use crate::drain::Phase;
use crate::listener::Activity;
use crate::time::parse_duration;
use crate::tls::credentials::unix_seconds;
use crate::tls::reload::Health;
use crate::tls::trust::TrustStore;

/// The longest that `/drain/wait` waits, whatever it requests.
const LONGEST_DRAIN_WAIT: Duration = Duration::from_hours(24);

impl Admin {
    /// 503 while draining, without a certificate or with an expired one; a failed reload is detail, not failure.
    pub(super) fn readyz(&self) -> Response<Full<Bytes>> {
        let mut reasons = Vec::new();
        let mut details = Vec::new();
        if self.drain.phase() > Phase::Running {
            reasons.push("draining".to_owned());
        }
        let view = self.view.load();
        for listener in &view.listeners {
            let of_trust = listener.trust.as_ref();
            let error = of_trust.and_then(|trust| Some((trust.is_waiting(), trust.last_error()?)));
            match error {
                None => {}
                Some((true, error)) => reasons.push(format!(
                    "listener `{}`: there are no usable CAs for clients yet: {error}",
                    listener.name
                )),
                Some((false, error)) => details.push(format!(
                    "listener `{}`: the last reload of the CAs for clients failed, those before it decide: {error}",
                    listener.name
                )),
            }
            details.extend(of_trust.and_then(|trust| stale_list(&listener.name, trust)));
            let keys = listener.ticket_keys.as_ref();
            if let Some((keys, error)) = keys.and_then(|keys| Some((keys, keys.last_error()?))) {
                let used = if keys.is_waiting() {
                    "this process makes its own"
                } else {
                    "those before are used"
                };
                details.push(format!(
                    "listener `{}`: the ticket keys cannot be read, {used}: {error}",
                    listener.name
                ));
            }
            for keys in &listener.signature_keys {
                details.extend(keys.last_error().map(|error| {
                    let (name, setting) = (&listener.name, keys.read().setting());
                    format!("listener `{name}`: the last reload of {setting} failed, the keys before it are used: {error}")
                }));
            }
            certificates(listener, &mut reasons, &mut details);
        }
        for egress in &view.egresses {
            details.extend(egress::details(egress));
        }
        details.extend(self.collector_error().map(|error| {
            format!("the last reload of traces.ca failed, the CAs before it are used: {error}")
        }));
        details.extend(self.configuration.load().detail());
        let (status, word) = if reasons.is_empty() {
            (StatusCode::OK, "ready")
        } else {
            (StatusCode::SERVICE_UNAVAILABLE, "not ready")
        };
        let lines: Vec<String> = std::iter::once(word.to_owned())
            .chain(reasons)
            .chain(details)
            .collect();
        text(status, lines.join("\n") + "\n")
    }

    /// Why the CAs of the collector were not read again.
    fn collector_error(&self) -> Option<String> {
        let exporter = self.traces.current()?;
        exporter.tls()?.last_error().map(|error| error.to_string())
    }

    pub(super) fn metrics_page(&self) -> Response<Body> {
        let (view, configuration) = (self.view.load(), self.configuration.load());
        let refused = configuration.detail().is_some();
        let of_collector = usize::from(self.collector_error().is_some());
        let credentials = failing::count(&view) + of_collector;
        self.metrics.set_failing(credentials, refused);
        match self.pages.metrics.body(|| self.metrics.render()) {
            Ok(body) => typed(
                StatusCode::OK,
                "text/plain; version=0.0.4; charset=utf-8",
                Either::Right(body),
            ),
            Err(error) => {
                text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).map(Either::Left)
            }
        }
    }

    pub(super) fn status_page(&self) -> Response<Body> {
        let versions = crate::build::VERSIONS;
        let view = self.view.load();
        let status = json!({
            "version": versions.hybridge,
            "rustls": versions.rustls,
            "aws_lc": versions.aws_lc,
            "phase": <&str>::from(self.drain.phase()),
            "state": state(self.drain.phase()),
            "configuration": self.configuration.load().describe(),
            "traces": self.traces.current().map(|exporter| json!({
                "endpoint": exporter.settings().endpoint.origin(),
                "authorities": exporter.tls().map(|tls| tls.ca_count()),
                "error": self.collector_error(),
            })),
            "listeners": view.listeners.iter().map(|l| status::listener(l, &self.metrics)).collect::<Vec<_>>(),
            "egresses": view.egresses.iter().map(|e| egress::describe(e, &self.metrics)).collect::<Vec<_>>(),
        });
        let rendered = || Ok::<_, Infallible>(format!("{status:#}\n").into_bytes());
        let Ok(body) = self.pages.status.body(rendered);
        typed(StatusCode::OK, "application/json", Either::Right(body))
    }

    /// Who comes without a hybrid group. Says where clients are, so it is for the same host or pod.
    pub(super) fn census_page(&self, peer: SocketAddr) -> Response<Full<Bytes>> {
        if !peer.ip().to_canonical().is_loopback() {
            let why =
                "the census is shown only to loopback: `hybridge ctl census` in the same pod\n";
            return text(StatusCode::FORBIDDEN, why);
        }
        let view = self.view.load();
        let listeners = view.listeners.iter().map(|listener| {
            let on = listener.census.is_on();
            json!({
                "listener": listener.name,
                "policy": listener.policy.mode().name(),
                "census": on.then(|| listener.census.report(Instant::now())),
            })
        });
        let page_of = json!({"listeners": listeners.collect::<Vec<_>>()});
        page(StatusCode::OK, "application/json", format!("{page_of:#}\n"))
    }

    /// Waits until a drain is complete; it never starts one.
    pub(super) async fn drain_wait(
        &self,
        query: Option<&str>,
        client: IpAddr,
        connection: &Activity,
    ) -> Response<Full<Bytes>> {
        let requested = match wait_timeout(query) {
            Ok(requested) => requested,
            Err(message) => return text(StatusCode::BAD_REQUEST, message),
        };
        let waiters = &self.waiters;
        let (status, body) = waiters
            .wait(&self.drain, requested, client, connection)
            .await;
        text(status, body)
    }
}

/// What to say of a revocation list that had to be replaced before now.
fn stale_list(listener: &str, trust: &TrustStore) -> Option<String> {
    let next = trust.current().next_update()?;
    let source = match trust.settings().crl {
        Some(_) => "client-crl",
        None => "the SPIFFE agent",
    };
    (next < unix_seconds(SystemTime::now())).then(|| {
        format!("listener `{listener}`: a revocation list of {source} is out of date, the clients of its issuer are refused")
    })
}

/// What the certificates of a listener mean for its readiness. One of several that has expired fails the
/// clients of its names only.
fn certificates(listener: &ListenerStatus, reasons: &mut Vec<String>, details: &mut Vec<String>) {
    let name = &listener.name;
    if listener
        .certificates
        .signing()
        .is_some_and(|threads| threads.hang())
    {
        reasons.push(format!(
            "listener `{name}`: the token of the key did not sign in time, and has not since"
        ));
    }
    for (index, store) in listener.certificates.stores().enumerate() {
        let which = match index {
            0 => String::new(),
            _ => format!(" {}", store.cert_name()),
        };
        match store.health(SystemTime::now()) {
            Health::Good => {}
            Health::Stale(error) => details.push(format!(
                "listener `{name}`: the last certificate reload{which} failed, the pair before it is served: {error}"
            )),
            Health::Missing(error) => reasons.push(format!(
                "listener `{name}`: there is no usable certificate{which} yet: {error}"
            )),
            Health::Unsigned { message } if index > 0 => details.push(format!(
                "listener `{name}`: the token of the key{which} does not sign: {message}"
            )),
            Health::Unsigned { message } => reasons.push(format!(
                "listener `{name}`: the token of the key does not sign: {message}"
            )),
            Health::Expired { .. } => {
                let error = store.last_error().map(|error| format!(": {error}"));
                let error = error.unwrap_or_default();
                let list = if index > 0 { &mut *details } else { &mut *reasons };
                list.push(format!("listener `{name}`: the certificate{which} has expired{error}"));
            }
        }
    }
}

/// The phase in plain words; its name is for machines.
fn state(phase: Phase) -> &'static str {
    match phase {
        Phase::Running => "serving",
        Phase::LameDuck => "not ready, still accepting connections",
        Phase::Draining => "accepting no connections, open ones are finishing",
        Phase::Aborting => "ended, open connections were cut",
    }
}

/// `timeout=120s`, as the configuration writes durations.
fn wait_timeout(query: Option<&str>) -> Result<Option<Duration>, String> {
    let Some(value) = query.and_then(|query| {
        query
            .split('&')
            .find_map(|pair| pair.strip_prefix("timeout="))
    }) else {
        return Ok(None);
    };
    parse_duration(value)
        .map(|timeout| Some(timeout.min(LONGEST_DRAIN_WAIT)))
        .ok_or_else(|| format!("timeout: `{value}` is not a duration such as `120s`\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_phase_is_said_in_words_that_an_operator_knows() {
        let said = [
            Phase::Running,
            Phase::LameDuck,
            Phase::Draining,
            Phase::Aborting,
        ]
        .map(state);
        assert_eq!(
            said,
            [
                "serving",
                "not ready, still accepting connections",
                "accepting no connections, open ones are finishing",
                "ended, open connections were cut",
            ]
        );
    }

    #[test]
    fn the_timeout_of_a_drain_wait_is_read_or_refused() {
        assert_eq!(wait_timeout(None), Ok(None));
        assert_eq!(
            wait_timeout(Some("a=b&timeout=120s")),
            Ok(Some(Duration::from_mins(2)))
        );
        assert_eq!(
            wait_timeout(Some("timeout=2m")),
            Ok(Some(Duration::from_mins(2)))
        );
        assert_eq!(
            wait_timeout(Some("timeout=500ms")),
            Ok(Some(Duration::from_millis(500)))
        );
        assert_eq!(
            wait_timeout(Some("timeout=48h")),
            Ok(Some(LONGEST_DRAIN_WAIT))
        );
        for wrong in ["timeout=", "timeout=5", "timeout=-1s", "timeout=xs"] {
            assert!(wait_timeout(Some(wrong)).is_err(), "{wrong}");
        }
    }
}
