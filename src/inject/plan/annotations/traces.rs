//! Where the sidecar sends spans. What the annotations hold is read by the sidecar's own parsers, so that a
//! mistake shows when the pod is created.

use super::reader::{Reader, wrong};
use super::source::{self, Source};
use crate::config::is_service_name;
use crate::inject::plan::deny::Deny;
use crate::traces::{Endpoint, Sample};

/// What the annotations `traces-…` ask for.
#[derive(Clone, Debug)]
pub(crate) struct Traces {
    pub(crate) endpoint: Endpoint,
    /// What certifies a collector behind https.
    pub(crate) ca: Option<Source>,
    pub(crate) sample: Option<Sample>,
    pub(crate) service_name: Option<String>,
}

const ENDPOINT: &str = "traces-endpoint";
const CA: &str = "traces-ca";
const SAMPLE: &str = "traces-sample";
const SERVICE_NAME: &str = "traces-service-name";

/// The collector, if there is one.
pub(super) fn parse(read: &Reader<'_>) -> Result<Option<Traces>, Deny> {
    let Some(endpoint) = endpoint(read)? else {
        // What a namespace says of traces counts for its pods that have a collector.
        return match [CA, SAMPLE, SERVICE_NAME]
            .iter()
            .find(|name| read.own(name).is_some())
        {
            Some(name) => Err(wrong(
                name,
                "has a meaning only with hybridge.dev/traces-endpoint, such as https://otel-agent.observability.svc:4318; add that, or remove this",
            )),
            None => Ok(None),
        };
    };
    let ca = ca(read, &endpoint)?;
    let sample = "give a number from 0 to 1 with at most six digits behind the point, such as 0.25";
    let name = "give at most 255 characters of words in one line; the name is in every span";
    Ok(Some(Traces {
        ca,
        sample: read.parsed(SAMPLE, sample, Sample::parse)?,
        service_name: read
            .parsed(SERVICE_NAME, "", |text| {
                Some(is_service_name(text).then(|| text.to_owned()))
            })?
            .map(|given| given.ok_or_else(|| wrong(SERVICE_NAME, &format!("is no name: {name}"))))
            .transpose()?,
        endpoint,
    }))
}

fn endpoint(read: &Reader<'_>) -> Result<Option<Endpoint>, Deny> {
    // A URL may hold a password or a token: the refusal shows what the sidecar would.
    let given = read.parsed(ENDPOINT, "", |text| Some(text.to_owned()))?;
    let text = match given.as_deref() {
        None | Some("none") => return Ok(None),
        Some("auto") => {
            return Err(wrong(
                ENDPOINT,
                "is \"auto\", and nothing ensures that the sidecar has OTEL_EXPORTER_OTLP_ENDPOINT; write the URL of the collector",
            ));
        }
        Some(text) => text,
    };
    let endpoint: Endpoint = text
        .parse()
        .map_err(|problem| wrong(ENDPOINT, &format!("`{}` {problem}", Endpoint::shown(text))))?;
    if !endpoint.is_https() && !endpoint.is_local() {
        return Err(wrong(
            ENDPOINT,
            &format!(
                "is {endpoint}, and spans would leave the pod in plaintext; write https:// and hybridge.dev/traces-ca, or the address of a collector in this pod, such as http://127.0.0.1:4318"
            ),
        ));
    }
    Ok(Some(endpoint))
}

fn ca(read: &Reader<'_>, endpoint: &Endpoint) -> Result<Option<Source>, Deny> {
    if !endpoint.is_https() {
        return match read.own(CA) {
            None => Ok(None),
            Some(_) => Err(wrong(
                CA,
                "contradicts hybridge.dev/traces-endpoint of http: nothing is verified there; write https://, or remove it",
            )),
        };
    }
    if read.own(CA) == Some("system") {
        return Err(wrong(
            CA,
            "is \"system\", and the sidecar's image has no bundle of CAs; write configmap/NAME with the CA of the collector, such as a bundle that trust-manager writes",
        ));
    }
    let ca = source::read(read, CA, "ca.crt")?;
    ca.map(Some).ok_or_else(|| {
        wrong(
            ENDPOINT,
            "needs annotation hybridge.dev/traces-ca: the CA that certifies the collector, such as configmap/otel-ca; no server is trusted without it",
        )
    })
}
