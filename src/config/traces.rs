//! `[traces]`: the collector of traces, and how much it gets.

use super::environment::Environment;
use super::error::Error;
use super::key::Key;
use super::layer::{Layer, remedy};
use super::origin::Origin;
use crate::redact::Secret;
use crate::tls::client::{self, CaSource};
use crate::tls::identity::Rules;
use crate::tls::policy::{Mode, PolicyError, TlsPolicy};
use crate::traces::{Endpoint, Settings};

/// What a service is called that nobody named.
const NAME: &str = "hybridge";

/// The word that stands for the host's own bundle of CAs.
const SYSTEM: &str = "system";

/// Every other key of the section: none of them exports anything.
const WITHOUT_EFFECT: [Key; 6] = [
    Key::TracesUnsafeRemote,
    Key::TracesCa,
    Key::TracesServiceName,
    Key::TracesSample,
    Key::TracesQueue,
    Key::TracesTimeout,
];

/// Where traces go, if anywhere.
pub(super) fn resolve(layer: &Layer, environment: &Environment) -> Result<Option<Settings>, Error> {
    let written = layer.text(Key::TracesEndpoint)?;
    let auto = written == "auto";
    let endpoint = match written.as_str() {
        "none" => return without(layer),
        "auto" => environment.otlp_endpoint().ok_or_else(|| Error::Missing {
            at: layer.place(Key::TracesEndpoint),
            remedy: "OTEL_EXPORTER_OTLP_ENDPOINT is not set; set it, or write the URL of the collector, such as http://127.0.0.1:4318",
        })?,
        endpoint => endpoint,
    };
    let at = || {
        if auto {
            Origin::Environment("OTEL_EXPORTER_OTLP_ENDPOINT".into())
        } else {
            layer.place(Key::TracesEndpoint)
        }
    };
    let parsed: Result<Endpoint, _> = endpoint.parse();
    let endpoint = parsed.map_err(|problem| Error::Unusable {
        at: at(),
        problem: format!("`{}` {problem}", Endpoint::shown(endpoint)),
    })?;
    let insisted = layer.switch(Key::TracesUnsafeRemote)?;
    if !endpoint.is_https() && !endpoint.is_local() && !insisted {
        return Err(Error::Unusable {
            at: at(),
            problem: format!(
                "{} is not loopback: spans would leave this host in plaintext; write https:// and traces.ca, name a collector of this host, or accept that with unsafe-remote-endpoint (--traces-unsafe-remote-endpoint)",
                endpoint.origin()
            ),
        });
    }
    let tls = tls(layer, &endpoint)?;
    Ok(Some(Settings {
        tls,
        endpoint,
        service_name: service_name(layer, environment, auto)?,
        sample: layer.ratio(Key::TracesSample)?,
        queue: layer.count(Key::TracesQueue)?,
        timeout: layer.duration(Key::TracesTimeout)?,
    }))
}

/// No traces: a key that has no effect is a mistake.
fn without(layer: &Layer) -> Result<Option<Settings>, Error> {
    let mut keys = WITHOUT_EFFECT.into_iter();
    match keys.find(|key| layer.explicit(*key).is_some()) {
        None => Ok(None),
        Some(key) => Err(Error::Excluded {
            at: layer.place(key),
            other: "traces.endpoint `none`".to_owned(),
            remedy: "no traces are exported; name the collector, such as http://127.0.0.1:4318, or remove it",
        }),
    }
}

fn service_name(layer: &Layer, environment: &Environment, auto: bool) -> Result<String, Error> {
    let key = Key::TracesServiceName;
    let named = environment.otel_service_name().filter(|_| auto);
    let (name, at) = match (layer.explicit(key), named) {
        (Some(given), _) => (given.text(key)?, given.origin.clone()),
        (None, Some(named)) => (
            named.trim(),
            Origin::Environment("OTEL_SERVICE_NAME".into()),
        ),
        (None, None) => (NAME, Origin::Default),
    };
    if !is_service_name(name) {
        return Err(Error::Refused {
            at,
            problem: "the name of a service is in every span: choose at most 255 characters of words in one line",
        });
    }
    Ok(name.to_owned())
}

/// Whether a text can be the name of a service: no secret, and in one line.
pub(crate) fn is_service_name(text: &str) -> bool {
    Secret::of(text).is_none() && text.len() <= 255 && !text.contains(char::is_control)
}

/// How the collector is verified: by name, with the default policy of a client.
fn tls(layer: &Layer, endpoint: &Endpoint) -> Result<Option<client::Settings>, Error> {
    let key = Key::TracesCa;
    if !endpoint.is_https() {
        return match layer.explicit(key) {
            None => Ok(None),
            Some(_) => Err(Error::Excluded {
                at: layer.place(key),
                other: "an endpoint of http".to_owned(),
                remedy: "nothing is verified there; write https://, or remove it",
            }),
        };
    }
    let given = layer.explicit(key).ok_or_else(|| Error::Missing {
        at: layer.place(Key::TracesEndpoint).with_key(key),
        remedy: remedy(key),
    })?;
    let ca = match given.text(key)? {
        SYSTEM => CaSource::System,
        path => CaSource::File(path.into()),
    };
    let policy = TlsPolicy::new(Mode::default(), None, None);
    Ok(Some(client::Settings {
        policy: policy.map_err(|problem: PolicyError| Error::Policy {
            at: layer.place(key),
            owner: "traces".into(),
            problem,
        })?,
        ca,
        peer_ids: Rules::default(),
        pair: None,
        alpn: vec!["http/1.1".to_owned()],
        resumption: true,
        handshake_timeout: layer.duration(Key::TracesTimeout)?,
    }))
}
