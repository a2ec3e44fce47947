//! Signatures of a request on its way: verified by its head, told to the app, its body checked while it
//! is forwarded.

use bytes::BytesMut;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::listener::ClientIp;
use crate::log_limit::log_admitted;
use crate::proxy::codec::headers::put_field;
use crate::proxy::context::Context;
use crate::signature::{BodyDigest, Message, PRINCIPAL, RESULT, Refusal, Verifier};

/// The fields of the request that end here: they may be larger than an app's limit.
pub(crate) const ENDS_HERE: [&str; 2] = ["signature", "signature-input"];

/// What the verification of the signatures came to, for a request that is forwarded.
pub(crate) struct Verdict {
    principal: Option<String>,
    result: &'static str,
    /// What its body must come to.
    pub(crate) body: Option<BodyDigest>,
}

/// Verifies the signatures of a head. An error is answered with a local reply.
pub(crate) fn verify(
    context: &Context,
    verifier: &Verifier,
    message: &Message<'_>,
) -> Result<Verdict, Refusal> {
    match verifier.verify(message) {
        Ok(verified) => {
            context.metrics.signature("ok");
            Ok(Verdict {
                principal: Some(verified.principal),
                result: "ok",
                body: verified.body,
            })
        }
        Err(refusal) => {
            context.metrics.signature(refusal.as_str());
            if verifier.refuses() {
                refused(context, refusal);
                return Err(refusal);
            }
            Ok(Verdict {
                principal: None,
                result: refusal.as_str(),
                body: None,
            })
        }
    }
}

/// Counts and logs a body that was not the one signed.
pub(crate) fn bad_digest(context: &Context) {
    let (listener, reason) = (context.listener(), Refusal::Digest.as_str());
    context.metrics.signature(reason);
    log_admitted!(
        info,
        context.failures.admit_refusal(reason),
        "a signed body broken off before its end",
        %listener,
        client = %ClientIp(context.identity.client()),
        reason
    );
}

/// Logs a request that is refused.
fn refused(context: &Context, refusal: Refusal) {
    let (listener, reason) = (context.listener(), refusal.as_str());
    let status = refusal.status();
    log_admitted!(
        info,
        context.failures.admit_refusal(reason),
        "signatures refused",
        %listener,
        client = %ClientIp(context.identity.client()),
        reason,
        status
    );
}

impl Verdict {
    /// Adds what the app is told to an HTTP/1.1 head that was written.
    pub(crate) fn put_lines(&self, head: &mut BytesMut) {
        head.truncate(head.len().saturating_sub(b"\r\n".len()));
        if let Some(principal) = &self.principal {
            put_field(head, PRINCIPAL.as_bytes(), principal.as_bytes());
        }
        put_field(head, RESULT.as_bytes(), self.result.as_bytes());
        head.extend_from_slice(b"\r\n");
    }

    /// The same for the fields of HTTP/2.
    pub(crate) fn insert_into(&self, fields: &mut HeaderMap) {
        let principal = self.principal.as_deref();
        let principal = principal.and_then(|principal| HeaderValue::from_str(principal).ok());
        if let Some(principal) = principal {
            fields.insert(HeaderName::from_static(PRINCIPAL), principal);
        }
        let result = HeaderValue::from_static(self.result);
        fields.insert(HeaderName::from_static(RESULT), result);
    }
}
