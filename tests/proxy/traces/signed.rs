//! Traces of requests that are signed.

use super::*;
use crate::signer::{Signer, post};

/// Signatures leave `traceparent` out, which the app gets from us; what is refused is a child all the same.
#[tokio::test]
async fn a_signed_request_is_a_child_of_its_client_whether_it_is_let_through_or_refused() {
    let (collector, signer) = (Collector::new().await, Signer::new());
    let sidecar = traced(&collector, "", &signer.section("require")).await;
    let theirs = format!("00-{TRACE}-{PARENT}-01");
    for (index, version) in ["http1", "http2"].into_iter().enumerate() {
        let digest = signer.fields(b"hello", version, true);
        let digest = digest
            .into_iter()
            .find(|(name, _)| *name == "content-digest");
        let (name, digest) = digest.unwrap();
        let components = [
            ("@method", "POST"),
            ("@authority", "me.example"),
            ("@path", "/x"),
            ("@query", "?"),
            ("content-digest", &digest),
        ];
        let mut fields = signer.sign("ed", &components, version, true);
        fields.extend([(name, digest.clone()), ("traceparent", theirs.clone())]);
        let (status, _, seen) = post(&sidecar, version, &fields, b"hello").await;
        assert_eq!(status, 200, "{version}: {seen}");
        let spans = collector.has(2 * index + 1).await;
        let ours = traceparent(TRACE, spans.last().unwrap(), "01");
        let got = seen
            .lines()
            .find_map(|line| line.strip_prefix("traceparent: "));
        assert_eq!(got, Some(&ours[..]), "{seen}");
        // The same again.
        let (status, _, body) = post(&sidecar, version, &fields, b"hello").await;
        assert_eq!(status, 401, "{version}: {body}");
        let spans = collector.has(2 * index + 2).await;
        let refused = spans.last().unwrap();
        assert_eq!(hex(&refused.parent_span_id), PARENT, "{version}");
        let is = |key: &str| attribute(&refused.attributes, key);
        assert_eq!(is("http.response.status_code").as_deref(), Some("401"));
        assert_eq!(is("http.request.method").as_deref(), Some("POST"));
    }
}
