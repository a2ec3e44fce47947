//! Which header fields are forwarded, and which the proxy sets itself. Pure.
//!
//! Sources: RFC 9110 §7.6.1 (hop-by-hop), RFC 7239 (Forwarded), RFC 9113 §8.2.2 (HTTP/2).

mod client_certificate;
mod spelling;
mod trailers;

use std::net::IpAddr;
use std::sync::OnceLock;

use bytes::{BufMut, BytesMut};
use http::header::{self, HeaderMap, HeaderName, HeaderValue};

pub(crate) use self::client_certificate::{CertificateField, certificate_fields};
use self::spelling::same;
pub(crate) use self::trailers::forbidden_in_trailers;
use crate::proxy::settings::ForwardedMode;
use crate::signature::{PRINCIPAL, RESULT};

/// The field that tells the app how the connection it serves was keyed.
pub(crate) const EVIDENCE: &str = "x-tls-key-exchange";

/// What the proxy says about a client, prepared once a connection.
#[derive(Clone)]
pub(crate) struct ForwardedHeaders {
    mode: ForwardedMode,
    group: &'static str,
    client: IpAddr,
    /// What is said of the client's certificate, field by field.
    certificate: Vec<CertificateField>,
    /// `forwarded` up to its host: IPv6 in brackets and quotes (RFC 7239 §6).
    forwarded: String,
    /// The field lines that are the same for every request.
    lines: String,
    /// The same for HTTP/2, made when first asked for.
    fields: OnceLock<Vec<(HeaderName, HeaderValue)>>,
}

impl ForwardedHeaders {
    /// Prepares the values of one connection.
    pub(crate) fn new(
        client: IpAddr,
        certificate: Vec<CertificateField>,
        group: &'static str,
        mode: ForwardedMode,
    ) -> Self {
        let client = client.to_canonical();
        let node = match client {
            IpAddr::V4(v4) => v4.to_string(),
            IpAddr::V6(v6) => format!("\"[{v6}]\""),
        };
        let mut lines = format!(
            "{EVIDENCE}: {group}\r\nx-forwarded-for: {client}\r\nx-forwarded-proto: https\r\n"
        );
        for (name, value) in &certificate {
            lines.extend([name, ": ", value, "\r\n"]);
        }
        Self {
            mode,
            group,
            certificate,
            lines,
            client,
            forwarded: format!("for={node};proto=https"),
            fields: OnceLock::new(),
        }
    }

    /// Says nothing, and leaves what a client says: the server that is asked decides about that.
    pub(crate) fn silent(client: IpAddr) -> Self {
        Self {
            lines: String::new(),
            ..Self::new(client, Vec::new(), "", ForwardedMode::Append)
        }
    }

    fn is_silent(&self) -> bool {
        self.lines.is_empty()
    }

    /// The client's address.
    pub(crate) fn client(&self) -> IpAddr {
        self.client
    }

    /// The group of the key exchange.
    pub(crate) fn group(&self) -> &'static str {
        self.group
    }

    /// Whether the proxy sets this field of a request itself, so that a client's goes.
    ///
    /// An underscore counts as a hyphen: CGI and WSGI apps read both spellings as one.
    pub(crate) fn owns(&self, name: &[u8]) -> bool {
        let ours = same(name, EVIDENCE)
            || client_certificate::is_about_it(name)
            || is_about_signatures(name)
            || is_forwarding(name) && (self.mode == ForwardedMode::Replace || name.contains(&b'_'));
        ours && !self.is_silent()
    }

    /// Writes the fields to add to a request as HTTP/1.1 field lines.
    pub(crate) fn put_lines(&self, out: &mut BytesMut, host: Option<&[u8]>) {
        if self.is_silent() {
            return;
        }
        out.extend_from_slice(self.lines.as_bytes());
        if let Some(host) = host {
            put_field(out, b"x-forwarded-host", host);
        }
        out.extend_from_slice(b"forwarded: ");
        self.put_forwarded(out, host);
        out.extend_from_slice(b"\r\n");
    }

    /// Appends the fields to add to a request to those of an HTTP/2 request.
    pub(crate) fn append_to(&self, fields: &mut HeaderMap, host: Option<&[u8]>) {
        if self.is_silent() {
            return;
        }
        for (name, value) in self.fields() {
            fields.append(name, value.clone());
        }
        if let Some(host) = host.and_then(|host| HeaderValue::from_bytes(host).ok()) {
            fields.append(HeaderName::from_static("x-forwarded-host"), host);
        }
        let mut forwarded = BytesMut::with_capacity(self.forwarded.len() + 64);
        self.put_forwarded(&mut forwarded, host);
        if let Ok(forwarded) = HeaderValue::from_maybe_shared(forwarded.freeze()) {
            fields.append(header::FORWARDED, forwarded);
        }
    }

    fn put_forwarded(&self, out: &mut BytesMut, host: Option<&[u8]>) {
        out.extend_from_slice(self.forwarded.as_bytes());
        if let Some(host) = host.filter(|host| quotable(host)) {
            out.extend_from_slice(b";host=\"");
            out.extend_from_slice(host);
            out.extend_from_slice(b"\"");
        }
    }

    fn fields(&self) -> &[(HeaderName, HeaderValue)] {
        self.fields.get_or_init(|| {
            let address = HeaderValue::try_from(self.client.to_string()).ok();
            let certificate = self.certificate.iter();
            let certificate =
                certificate.map(|(name, value)| (*name, HeaderValue::try_from(value).ok()));
            [
                (EVIDENCE, Some(HeaderValue::from_static(self.group))),
                ("x-forwarded-for", address),
                ("x-forwarded-proto", Some(HeaderValue::from_static("https"))),
            ]
            .into_iter()
            .chain(certificate)
            .filter_map(|(name, value)| Some((HeaderName::from_static(name), value?)))
            .collect()
        })
    }
}

/// Tells the app how the connection was keyed that a response came over.
pub(crate) fn put_evidence(fields: &mut HeaderMap, group: &'static str) {
    let name = HeaderName::from_static(EVIDENCE);
    fields.insert(name, HeaderValue::from_static(group));
}

/// Whether only the proxy may say this: what came of a request's signatures.
fn is_about_signatures(name: &[u8]) -> bool {
    match name.len() {
        18 => same(name, RESULT),
        21 => same(name, PRINCIPAL),
        _ => false,
    }
}

fn is_forwarding(name: &[u8]) -> bool {
    const PREFIX: &str = "x-forwarded-";
    same(name, "forwarded")
        || name
            .get(..PREFIX.len())
            .is_some_and(|start| same(start, PREFIX))
}

/// Whether a host can stand in a quoted-string as it is.
fn quotable(host: &[u8]) -> bool {
    host.iter()
        .all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\'))
}

/// Whether a field belongs to one connection and ends here. `te`, `upgrade` and
/// `transfer-encoding` are among them: who needs them sets them anew.
pub(crate) fn is_hop_by_hop(name: &[u8]) -> bool {
    const NAMES: [&[u8]; 8] = [
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"te",
        b"transfer-encoding",
        b"upgrade",
        b"http2-settings",
        b"proxy-authenticate",
    ];
    // The cheap question first: most names have another length.
    matches!(name.len(), 2 | 7 | 10 | 14 | 16..=18)
        && NAMES.iter().any(|hop| name.eq_ignore_ascii_case(hop))
}

/// The items of a comma-separated field value, trimmed.
pub(crate) fn items(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii)
}

/// Whether a comma-separated field value holds an item, letter case aside.
pub(crate) fn has_item(value: &[u8], wanted: &[u8]) -> bool {
    items(value).any(|item| item.eq_ignore_ascii_case(wanted))
}

/// The bytes that fields take as HTTP/1.1 field lines, so that a limit means the same in both versions.
pub(crate) fn size(fields: &HeaderMap) -> usize {
    fields
        .iter()
        .map(|(name, value)| field_size(name, value))
        .sum()
}

/// The bytes of one field line.
pub(crate) fn field_size(name: &HeaderName, value: &HeaderValue) -> usize {
    name.as_str().len() + value.len() + ": \r\n".len()
}

/// Removes from an HTTP/2 message what ends here, and the fields `connection` names.
pub(crate) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .flat_map(|value| items(value.as_bytes()))
        .filter_map(|name| HeaderName::from_bytes(name).ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    let trailers = headers
        .get_all(header::TE)
        .iter()
        .any(|value| has_item(value.as_bytes(), b"trailers"));
    let names: Vec<HeaderName> = headers
        .keys()
        .filter(|name| is_hop_by_hop(name.as_str().as_bytes()))
        .cloned()
        .collect();
    for name in names {
        headers.remove(name);
    }
    if trailers {
        headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
}

/// Writes one field line.
pub(crate) fn put_field(out: &mut BytesMut, name: &[u8], value: &[u8]) {
    out.reserve(name.len() + value.len() + 4);
    out.put_slice(name);
    out.put_slice(b": ");
    out.put_slice(value);
    out.put_slice(b"\r\n");
}

#[cfg(test)]
mod tests;
