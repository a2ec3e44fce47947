//! Signs responses (RFC 9421 §2.4): what is answered, to which request, over which key exchange.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use aws_lc_rs::digest::{Context, SHA256};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

use super::message::Message;
use super::settings::ResponseSettings;
use super::signer::{self, Signer, SignerError};

const DIGEST: &str = "content-digest";
const INPUT: &str = "signature-input";
const SIGNATURE: &str = "signature";
const GROUP: &str = "x-tls-key-exchange";
const MODEL: &str = "x-model-digest";
/// What a signed response says of its signatures, in this order.
pub(crate) const SIGNATURE_FIELDS: [&str; 3] = [DIGEST, INPUT, SIGNATURE];
/// What `trailer` announces.
const TRAILERS: &str = "content-digest, signature-input, signature";

/// Signs the responses of one listener.
pub struct ResponseSigner {
    settings: ResponseSettings,
    current: ArcSwap<Signer>,
}

impl ResponseSigner {
    /// Reads the keys.
    pub fn load(settings: &ResponseSettings) -> Result<Self, SignerError> {
        Ok(Self {
            current: ArcSwap::from_pointee(Signer::load(settings)?),
            settings: settings.clone(),
        })
    }

    /// Reads them again; whether they are others, which are used from now on.
    pub fn reload(&self) -> Result<bool, SignerError> {
        let read = Signer::load(&self.settings)?;
        if read.is_like(&self.current.load()) {
            return Ok(false);
        }
        self.current.store(Arc::new(read));
        Ok(true)
    }

    /// What was too open about its keys when they were read.
    pub fn warnings(&self) -> Vec<String> {
        self.current.load().warnings.clone()
    }

    /// What it is read from.
    pub fn files(&self) -> Vec<PathBuf> {
        signer::files(&self.settings)
    }

    /// The thumbprints of both keys, ECDSA first.
    pub fn key_ids(&self) -> [String; 2] {
        self.current.load().key_ids().clone()
    }

    /// The receipt of a request, to be signed with its response.
    pub(crate) fn receipt(&self, request: &Message<'_>, group: &'static str) -> Receipt {
        let mut of_request = Lines::default();
        for name in [
            "@method",
            "@authority",
            "@path",
            "@query",
            DIGEST,
            SIGNATURE,
        ] {
            if let Ok(value) = request.component(name) {
                of_request.put(&format!("\"{name}\";req"), &value);
            }
        }
        Receipt {
            signer: self.current.load_full(),
            of_request,
            group,
            sse_comment: self.settings.sse_comment,
        }
    }
}

/// Components with their values, as they are signed.
#[derive(Clone, Debug, Default)]
struct Lines {
    names: String,
    base: String,
}

impl Lines {
    /// What cannot stand in a base is not covered.
    fn put(&mut self, identifier: &str, value: &str) {
        if !value.is_ascii() || value.contains(['\r', '\n']) {
            return;
        }
        if !self.names.is_empty() {
            self.names.push(' ');
        }
        self.names.push_str(identifier);
        self.base.extend([identifier, ": ", value, "\n"]);
    }

    fn append(&mut self, other: &Self) {
        if !self.names.is_empty() && !other.names.is_empty() {
            self.names.push(' ');
        }
        self.names.push_str(&other.names);
        self.base.push_str(&other.base);
    }
}

/// What a response says of its request.
pub(crate) struct Receipt {
    signer: Arc<Signer>,
    of_request: Lines,
    group: &'static str,
    /// Whether streams of events end with a comment.
    pub(crate) sse_comment: bool,
}

impl Receipt {
    /// Puts the receipt into the head of a response, and takes out of it what only this proxy may say.
    pub(crate) fn begin(&self, status: u16, fields: &mut HeaderMap) -> Draft {
        Self::strip(fields);
        let mut lines = Lines::default();
        lines.put("\"@status\"", &status.to_string());
        let mut types = fields.get_all(CONTENT_TYPE).iter();
        if let (Some(only), None) = (types.next(), types.next())
            && let Ok(value) = only.to_str()
        {
            lines.put("\"content-type\"", value.trim());
        }
        fields.insert(GROUP, HeaderValue::from_static(self.group));
        lines.put(&format!("\"{GROUP}\""), self.group);
        let model = self.signer.model.as_deref();
        if let Some((model, value)) = model.and_then(|m| Some((m, HeaderValue::from_str(m).ok()?)))
        {
            fields.insert(MODEL, value);
            lines.put(&format!("\"{MODEL}\""), model);
        }
        Draft {
            signer: Arc::clone(&self.signer),
            lines,
            of_request: self.of_request.clone(),
        }
    }

    /// Takes out of a head or of trailers what only this proxy may say.
    pub(crate) fn strip(fields: &mut HeaderMap) {
        for name in [DIGEST, INPUT, SIGNATURE, GROUP, MODEL] {
            fields.remove(name);
        }
    }

    /// Says that the signatures come behind the body.
    pub(crate) fn announce_trailers(fields: &mut HeaderMap) {
        fields.append("trailer", HeaderValue::from_static(TRAILERS));
    }
}

/// A response whose head is known.
pub(crate) struct Draft {
    signer: Arc<Signer>,
    lines: Lines,
    of_request: Lines,
}

impl Draft {
    /// The fields of the digest and the signatures, for the head or for trailers. Empty: no randomness.
    pub(crate) fn sign(mut self, body: Option<ContentDigest>, in_trailers: bool) -> HeaderMap {
        let mut fields = HeaderMap::with_capacity(3);
        let mut put = |name: &'static str, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                fields.insert(HeaderName::from_static(name), value);
            }
        };
        if let Some(body) = body {
            let value = body.value();
            let tr = if in_trailers { ";tr" } else { "" };
            self.lines.put(&format!("\"{DIGEST}\"{tr}"), &value);
            put(DIGEST, &value);
        }
        self.lines.append(&self.of_request);
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let created = since.map_or(0, |since| since.as_secs());
        let Lines { names, base } = &self.lines;
        match self.signer.sign(names, base, created) {
            Some([input, signature]) => {
                put(INPUT, &input);
                put(SIGNATURE, &signature);
                fields
            }
            None => HeaderMap::new(),
        }
    }
}

/// The digest of a response's body while it passes (RFC 9530 §2).
pub(crate) struct ContentDigest(Context);

impl ContentDigest {
    pub(crate) fn new() -> Self {
        Self(Context::new(&SHA256))
    }

    /// A piece of the body passes.
    pub(crate) fn update(&mut self, piece: &[u8]) {
        self.0.update(piece);
    }

    fn value(self) -> String {
        format!("sha-256=:{}:", BASE64_STANDARD.encode(self.0.finish()))
    }
}
