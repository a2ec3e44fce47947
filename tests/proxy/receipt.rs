//! A client that verifies signed responses as RFC 9421 says, and the keys that they are signed by.

use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, ML_DSA_65,
    ML_DSA_65_SIGNING, PqdsaKeyPair, UnparsedPublicKey,
};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::HeaderMap;
use tokio::io::AsyncWriteExt;

use crate::support::http::{h2_exchange, h2_request, read_response};
use crate::support::{Sidecar, within};

/// The keys of a listener that signs.
pub(crate) struct Keys {
    classical: EcdsaKeyPair,
    ml_dsa: PqdsaKeyPair,
    pub(crate) dir: tempfile::TempDir,
}

impl Keys {
    pub(crate) fn new() -> Self {
        let keys = Self {
            classical: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
            ml_dsa: PqdsaKeyPair::generate(&ML_DSA_65_SIGNING).unwrap(),
            dir: tempfile::tempdir().unwrap(),
        };
        keys.write(keys.dir.path());
        keys
    }

    fn write(&self, directory: &Path) {
        let pem = |der: &[u8]| {
            let text = BASE64_STANDARD.encode(der);
            format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n")
        };
        let classical = self.classical.to_pkcs8v1().unwrap();
        std::fs::write(directory.join("ec.key"), pem(classical.as_ref())).unwrap();
        let ml_dsa = self.ml_dsa.to_pkcs8v1().unwrap();
        std::fs::write(directory.join("mldsa.key"), pem(ml_dsa.as_ref())).unwrap();
    }

    pub(crate) fn section(&self) -> String {
        let directory = self.dir.path().display();
        format!("\n[listener.signature]\nresponses = \"{directory}\"\n")
    }

    /// Verifies as RFC 9421 says, in a way of its own; the components that are covered.
    pub(crate) fn verify(&self, asked: &Asked, got: &Got) -> Vec<String> {
        let place = if got.trailers.is_empty() {
            &got.fields
        } else {
            &got.trailers
        };
        let input = value(place, "signature-input").unwrap();
        let signature = value(place, "signature").unwrap();
        let mut covered = Vec::new();
        for (label, next) in [("classical", Some(", ml-dsa=")), ("ml-dsa", None)] {
            let params = after(&input, &format!("{label}="), next);
            let text = after(&signature, &format!("{label}=:"), Some(":"));
            let names = params.trim_start_matches('(').split(')').next().unwrap();
            covered = names.split(' ').map(str::to_owned).collect();
            let mut base = String::new();
            for name in &covered {
                let value = component(name, asked, got).unwrap_or_else(|| panic!("{name}"));
                base.extend([name, ": ", &value, "\n"]);
            }
            base.extend(["\"@signature-params\": ", &params]);
            assert!(params.contains(";tag=\"hybridge\""), "{params}");
            let text = BASE64_STANDARD.decode(text).unwrap();
            let verified = if label == "classical" {
                let key = self.classical.public_key().as_ref();
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key).verify(base.as_bytes(), &text)
            } else {
                let key = self.ml_dsa.public_key().as_ref();
                UnparsedPublicKey::new(&ML_DSA_65, key).verify(base.as_bytes(), &text)
            };
            assert!(verified.is_ok(), "{label}: {base}");
        }
        if let Some(announced) = value(place, "content-digest") {
            let computed = BASE64_STANDARD.encode(digest(&SHA256, &got.body));
            assert_eq!(announced, format!("sha-256=:{computed}:"));
        }
        covered
    }
}

fn after(text: &str, before: &str, end: Option<&str>) -> String {
    let rest = text
        .split_once(before)
        .unwrap_or_else(|| panic!("{before} in {text}"))
        .1;
    end.and_then(|end| rest.split_once(end))
        .map_or(rest, |(value, _)| value)
        .to_owned()
}

fn component(name: &str, asked: &Asked, got: &Got) -> Option<String> {
    let (path, query) = asked.target.split_once('?').unwrap_or((asked.target, ""));
    Some(match name {
        "\"@status\"" => got.status.to_string(),
        "\"@method\";req" => asked.method.to_owned(),
        "\"@authority\";req" => "me.example".to_owned(),
        "\"@path\";req" => path.to_owned(),
        "\"@query\";req" => format!("?{query}"),
        name => {
            let field = name.split('"').nth(1)?;
            match name.rsplit('"').next() {
                Some(";req") => value(&asked.fields, field)?,
                Some(";tr") => value(&got.trailers, field)?,
                _ => value(&got.fields, field)?,
            }
        }
    })
}

pub(crate) type Fields = Vec<(String, String)>;

pub(crate) fn value(fields: &Fields, name: &str) -> Option<String> {
    let mut values = fields
        .iter()
        .filter(|(field, _)| field.eq_ignore_ascii_case(name));
    let (_, only) = values.next()?;
    assert!(values.next().is_none(), "{name} twice: {fields:?}");
    Some(only.clone())
}

pub(crate) struct Asked {
    pub(crate) version: &'static str,
    pub(crate) method: &'static str,
    pub(crate) target: &'static str,
    pub(crate) fields: Fields,
}

#[derive(Debug)]
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) fields: Fields,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Fields,
}

impl Got {
    /// The same with the fields of the comment at the end of the body as trailers, and the body before it.
    pub(crate) fn with_comment_as_trailers(mut self) -> Self {
        assert!(self.trailers.is_empty() || value(&self.trailers, "signature").is_none());
        let text = String::from_utf8(self.body).unwrap();
        let at = text.rfind(": content-digest ").unwrap();
        assert!(at == 0 || text[..at].ends_with(['\r', '\n']), "{text}");
        let lines = text[at..].lines().filter(|line| !line.is_empty());
        self.trailers = lines
            .map(|line| {
                let (name, value) = line.strip_prefix(": ").unwrap().split_once(' ').unwrap();
                (name.to_owned(), value.to_owned())
            })
            .collect();
        self.body = text.as_bytes()[..at].to_vec();
        self
    }
}

fn of_map(fields: &HeaderMap) -> Fields {
    let fields = fields.iter();
    let text = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        (name.to_string(), value.to_str().unwrap().to_owned())
    };
    fields.map(text).collect()
}

fn of_lines<'a>(lines: impl Iterator<Item = &'a str>) -> Fields {
    let fields = lines.filter_map(|line| line.split_once(": "));
    fields
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

pub(crate) async fn ask(sidecar: &Sidecar, asked: &Asked) -> Got {
    if asked.version == "http2" {
        let uri = format!("https://me.example{}", asked.target);
        let mut request = h2_request(asked.method, "/x").uri(uri);
        for (name, value) in &asked.fields {
            request = request.header(name, value);
        }
        let client = sidecar.http2().await;
        let exchange = h2_exchange(&client, request.body(()).unwrap(), Bytes::new());
        let (response, body, trailers) = within(exchange).await.unwrap();
        return Got {
            status: response.status().as_u16(),
            fields: of_map(response.headers()),
            body,
            trailers: trailers.as_ref().map(of_map).unwrap_or_default(),
        };
    }
    let minor = u8::from(asked.version != "http1.0");
    let mut head = format!(
        "{} {} HTTP/1.{minor}\r\nhost: me.example\r\n",
        asked.method, asked.target
    );
    if asked.version == "http1" {
        head += "te: trailers\r\nconnection: te\r\n";
    }
    for (name, value) in &asked.fields {
        head.extend([name, ": ", value, "\r\n"]);
    }
    let mut stream = sidecar.connect(&["http/1.1"]).await;
    stream.write_all((head + "\r\n").as_bytes()).await.unwrap();
    let response = within(read_response(&mut stream, asked.method == "HEAD"))
        .await
        .unwrap();
    Got {
        status: response.status(),
        fields: of_lines(response.head.lines().skip(1)),
        trailers: of_lines(response.trailers.lines()),
        body: response.body,
    }
}
