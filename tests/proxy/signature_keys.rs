//! Which keys sign requests, how they are replaced, and what trailers cannot say of them.

use bytes::Bytes;
use http::HeaderMap;
use tokio::io::AsyncWriteExt;

use crate::signer::{Signer, post, told};
use crate::support::http::{echo_app, h2_request, read_h2, read_response};
use crate::support::{Setup, eventually, within};

#[tokio::test]
async fn ecdsa_is_as_good_as_ed25519() {
    let signer = Signer::new();
    for version in ["http1", "http2"] {
        let setup = Setup::in_front_of(echo_app().await);
        let sidecar = setup.listener(&signer.section("require")).start();
        let fields = signer.fields_by("ec", b"hello", "1", true);
        let (status, _, seen) = post(&sidecar, version, &fields, b"hello").await;
        assert_eq!(status, 200, "{version}: {seen}");
        let expected = ["x-signature-principal: batch", "x-signature-result: ok"];
        assert_eq!(told(&seen), expected, "{version}");
        let mut other = signer.fields_by("ec", b"hello", "2", true);
        other[1].1 = signer.fields_by("ec", b"other", "2", true).swap_remove(1).1;
        let (status, _, why) = post(&sidecar, version, &other, b"hello").await;
        assert!(status == 401 && why.contains("classical_invalid"), "{why}");
    }
}

#[tokio::test]
async fn keys_are_replaced_while_it_runs_and_the_last_good_ones_stay() {
    let (before, after) = (Signer::new(), Signer::new());
    let setup = Setup::in_front_of(echo_app().await);
    let sidecar = setup.listener(&before.section("require")).start();
    let mut nonce = 0;
    let mut status = async |signer: &Signer| {
        nonce += 1;
        let fields = signer.fields(b"hello", &nonce.to_string(), true);
        post(&sidecar, "http1", &fields, b"hello").await.0
    };
    assert_eq!((status(&before).await, status(&after).await), (200, 401));
    std::fs::write(before.file(), after.set()).unwrap();
    eventually("the new keys", async || status(&after).await == 200).await;
    assert_eq!(status(&before).await, 401);
    std::fs::write(before.file(), "{\"keys\": [").unwrap();
    let failed = async || {
        let (_, page) = sidecar.admin("/status").await;
        let page: serde_json::Value = serde_json::from_str(&page).unwrap();
        let keys = &page["listeners"][0]["signature_keys"][0];
        assert_eq!(keys["setting"], "signature.keys");
        assert_eq!(keys["in_use"], serde_json::json!(["ec", "ed", "pq"]));
        keys["error"]
            .as_str()
            .is_some_and(|error| error.contains("line 1: not a JWK set"))
    };
    eventually("the failure", failed).await;
    assert_eq!(status(&after).await, 200);
    let (ready, page) = sidecar.admin("/readyz").await;
    assert!(
        ready == 200 && page.contains("the last reload of signature.keys failed"),
        "{page}"
    );
    let name = "hybridge_credential_reloads_total";
    sidecar
        .metric_reaches(name, &[("result", "failed")], 1.0)
        .await;
    std::fs::write(before.file(), after.set()).unwrap();
    let restored = async || !sidecar.admin("/readyz").await.1.contains("signature.keys");
    eventually("the end of the failure", restored).await;
}

/// A pipe in the place of the file: nobody writes into it, and other files are looked at on.
#[tokio::test]
async fn keys_that_never_end_are_a_failure() {
    let signer = Signer::new();
    let setup = Setup::in_front_of(echo_app().await);
    let sidecar = setup.listener(&signer.section("require")).start();
    let (file, set) = (signer.file(), signer.set());
    let pipe = file.with_extension("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
    std::fs::rename(&pipe, &file).unwrap();
    let says = async |text: &str| sidecar.admin("/readyz").await.1.contains(text);
    eventually("the failure", async || says("not a regular file").await).await;
    let fields = signer.fields(b"hello", "1", true);
    assert_eq!(post(&sidecar, "http1", &fields, b"hello").await.0, 200);
    std::fs::write(&pipe, set).unwrap();
    std::fs::rename(&pipe, &file).unwrap();
    eventually("its end", async || !says("signature.keys").await).await;
}

/// The client's own field is there, and nothing that it says of its signature.
fn no_claim_crossed(seen: &str) {
    assert!(
        seen.contains("x-app: 1") && !seen.contains("admin"),
        "{seen}"
    );
    assert!(
        !told(seen).contains(&"x-signature-result: ok".to_owned()),
        "{seen}"
    );
}

/// A client could say in trailers what it may not say in the head.
#[tokio::test]
async fn trailers_say_nothing_of_signatures() {
    let signer = Signer::new();
    for section in [String::new(), signer.section("verify")] {
        let setup = Setup::in_front_of(echo_app().await);
        let sidecar = setup.listener(&section).start();
        let mut stream = sidecar.connect(&["http/1.1"]).await;
        let request = b"POST /x HTTP/1.1\r\nhost: me.example\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\nx-app: 1\r\nX-Signature-Principal: admin\r\nx_signature_result: ok\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let response = within(read_response(&mut stream, false)).await.unwrap();
        let seen = String::from_utf8(response.body).unwrap();
        no_claim_crossed(&seen);

        let client = sidecar.http2().await;
        let request = h2_request("POST", "/x").body(()).unwrap();
        let mut client = client.ready().await.unwrap();
        let (response, mut body) = client.send_request(request, false).unwrap();
        body.send_data(Bytes::from_static(b"a"), false).unwrap();
        let mut trailers = HeaderMap::new();
        for (name, value) in [
            ("x-app", "1"),
            ("x-signature-principal", "admin"),
            ("x_signature_result", "ok"),
        ] {
            trailers.insert(name, value.parse().unwrap());
        }
        body.send_trailers(trailers).unwrap();
        let (_, mut body) = within(response).await.unwrap().into_parts();
        let (seen, _) = within(read_h2(&mut body)).await.unwrap();
        let seen = String::from_utf8(seen).unwrap();
        no_claim_crossed(&seen);
    }
}
