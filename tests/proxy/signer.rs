//! A client that signs its requests, and what becomes of them.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, ML_DSA_65_SIGNING,
    PqdsaKeyPair,
};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use tokio::io::AsyncWriteExt;

use crate::support::http::{h2_exchange, h2_request, read_response};
use crate::support::{Sidecar, within};

pub(crate) struct Signer {
    ed25519: Ed25519KeyPair,
    p256: EcdsaKeyPair,
    ml_dsa: PqdsaKeyPair,
    dir: tempfile::TempDir,
}

impl Signer {
    pub(crate) fn new() -> Self {
        Self {
            ed25519: Ed25519KeyPair::generate().unwrap(),
            p256: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
            ml_dsa: PqdsaKeyPair::generate(&ML_DSA_65_SIGNING).unwrap(),
            dir: tempfile::tempdir().unwrap(),
        }
    }

    /// The public keys as a JWK set.
    pub(crate) fn set(&self) -> String {
        let text = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let (ed, pq) = (self.ed25519.public_key(), self.ml_dsa.public_key());
        let (x, y) = self.p256.public_key().as_ref()[1..].split_at(32);
        format!(
            r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","kid":"ed","principal":"batch","x":"{}"}},{{"kty":"EC","crv":"P-256","kid":"ec","principal":"batch","x":"{}","y":"{}"}},{{"kty":"AKP","alg":"ML-DSA-65","kid":"pq","principal":"batch","pub":"{}"}}]}}"#,
            text(ed.as_ref()),
            text(x),
            text(y),
            text(pq.as_ref()),
        )
    }

    /// The file of the section.
    pub(crate) fn file(&self) -> PathBuf {
        self.dir.path().join("clients.jwks")
    }

    /// The section of a listener that knows the signer.
    pub(crate) fn section(&self, mode: &str) -> String {
        let path = self.file();
        std::fs::write(&path, self.set()).unwrap();
        format!(
            "\n[listener.signature]\nmode = \"{mode}\"\nkeys = \"{}\"\n",
            path.display()
        )
    }

    /// The fields of a POST of `body` to `/x` at `me.example`; by both keys, or by the first only.
    pub(crate) fn fields(
        &self,
        body: &[u8],
        nonce: &str,
        both: bool,
    ) -> Vec<(&'static str, String)> {
        self.fields_by("ed", body, nonce, both)
    }

    /// The same by a classical key of one's choice.
    pub(crate) fn fields_by(
        &self,
        first: &str,
        body: &[u8],
        nonce: &str,
        both: bool,
    ) -> Vec<(&'static str, String)> {
        let value = BASE64_STANDARD.encode(digest(&SHA256, body));
        let content_digest = format!("sha-256=:{value}:");
        let components = [
            ("@method", "POST"),
            ("@authority", "me.example"),
            ("@path", "/x"),
            ("@query", "?"),
            ("content-digest", &content_digest),
        ];
        let mut fields = self.sign(first, &components, nonce, both);
        fields.extend([
            ("content-digest", content_digest),
            ("X_Signature_Principal", "admin".to_owned()),
            ("x-signature-result", "ok".to_owned()),
        ]);
        fields
    }

    /// `signature-input` and `signature` over these components.
    pub(crate) fn sign(
        &self,
        first: &str,
        components: &[(&str, &str)],
        nonce: &str,
        both: bool,
    ) -> Vec<(&'static str, String)> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let names: Vec<_> = components
            .iter()
            .map(|(name, _)| format!("\"{name}\""))
            .collect();
        let params = |key: &str| {
            format!(
                "({});created={};nonce=\"{nonce}\";keyid=\"{key}\"",
                names.join(" "),
                since.as_secs()
            )
        };
        let base = |key: &str| {
            let lines = components.iter();
            let lines = lines.map(|(name, value)| format!("\"{name}\": {value}\n"));
            lines.collect::<String>() + &format!("\"@signature-params\": {}", params(key))
        };
        let message = base(first);
        let classical = match first {
            "ec" => {
                let signed = self.p256.sign(&SystemRandom::new(), message.as_bytes());
                signed.unwrap().as_ref().to_vec()
            }
            _ => self.ed25519.sign(message.as_bytes()).as_ref().to_vec(),
        };
        let mut input = format!("c={}", params(first));
        let mut signature = format!("c=:{}:", BASE64_STANDARD.encode(classical));
        if both {
            let mut value = vec![0; ML_DSA_65_SIGNING.signature_len()];
            self.ml_dsa.sign(base("pq").as_bytes(), &mut value).unwrap();
            input.extend([", p=", &params("pq")]);
            signature.extend([", p=:", &BASE64_STANDARD.encode(value), ":"]);
        }
        vec![("signature-input", input), ("signature", signature)]
    }
}

/// Sends a POST; its status, `accept-signature`, and the body.
pub(crate) async fn post(
    sidecar: &Sidecar,
    version: &str,
    fields: &[(&'static str, String)],
    body: &'static [u8],
) -> (u16, Option<String>, String) {
    if version == "http2" {
        let client = sidecar.http2().await;
        let mut request = h2_request("POST", "/x").uri("https://me.example/x");
        for (name, value) in fields {
            request = request.header(*name, value);
        }
        let request = request.body(()).unwrap();
        let exchange = h2_exchange(&client, request, Bytes::from_static(body));
        let (response, body, _) = within(exchange).await.unwrap();
        let accept = response.headers().get("accept-signature");
        let accept = accept.map(|value| value.to_str().unwrap().to_owned());
        let body = String::from_utf8(body).unwrap();
        return (response.status().as_u16(), accept, body);
    }
    let mut stream = sidecar.connect(&["http/1.1"]).await;
    let mut head = format!(
        "POST /x HTTP/1.1\r\nhost: me.example\r\ncontent-length: {}\r\n",
        body.len()
    );
    for (name, value) in fields {
        head.extend([*name, ": ", value, "\r\n"]);
    }
    let request = [(head + "\r\n").as_bytes(), body].concat();
    stream.write_all(&request).await.unwrap();
    // A long body's last record may still be in rustls's buffer, which a read does not send.
    stream.flush().await.unwrap();
    let response = within(read_response(&mut stream, false)).await.unwrap();
    let accept = response.field("accept-signature").map(str::to_owned);
    let body = String::from_utf8(response.body.clone()).unwrap();
    (response.status(), accept, body)
}

/// What the app saw about signatures, names in lower case with hyphens.
pub(crate) fn told(seen: &str) -> Vec<String> {
    let lines = seen.lines().filter_map(|line| line.split_once(": "));
    let lines = lines.map(|(name, value)| (name.to_ascii_lowercase().replace('_', "-"), value));
    let lines = lines.filter(|(name, _)| name.contains("signature"));
    let mut lines: Vec<_> = lines
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    lines.sort();
    lines
}
