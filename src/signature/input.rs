//! The signatures of a request, read from `signature-input` and `signature` (RFC 9421 §4), bounded.

use sfv::{Dictionary, InnerList, ListEntry, Parser};

use super::message::Message;
use super::verdict::Refusal;

/// Bytes of both fields together.
const MAX_BYTES: usize = 16 * 1024;
/// Signatures of a request.
const MAX_LABELS: usize = 4;
/// Components of a signature.
const MAX_COMPONENTS: usize = 32;

/// One signature of a request, not yet verified.
#[derive(Debug)]
pub(super) struct Signature {
    pub(super) components: Vec<String>,
    pub(super) input: InnerList,
    pub(super) value: Vec<u8>,
    pub(super) key_id: String,
    pub(super) algorithm: Option<String>,
    pub(super) created: i64,
    pub(super) expires: Option<i64>,
    pub(super) nonce: String,
    pub(super) tag: Option<String>,
}

/// Every signature of a request; each label must be in both fields.
pub(super) fn signatures(message: &Message<'_>) -> Result<Vec<Signature>, Refusal> {
    let (inputs, values) = match (
        message.field("signature-input")?,
        message.field("signature")?,
    ) {
        (None, None) => return Err(Refusal::Absent),
        (Some(inputs), Some(values)) => (inputs, values),
        _ => return Err(Refusal::Malformed),
    };
    parse(&inputs, &values)
}

pub(super) fn parse(inputs: &str, values: &str) -> Result<Vec<Signature>, Refusal> {
    if inputs.len() + values.len() > MAX_BYTES {
        return Err(Refusal::Malformed);
    }
    let read = |text| Parser::new(text).parse().map_err(|_| Refusal::Malformed);
    let (inputs, values): (Dictionary, Dictionary) = (read(inputs)?, read(values)?);
    if inputs.is_empty() || inputs.len() > MAX_LABELS || inputs.len() != values.len() {
        return Err(Refusal::Malformed);
    }
    let signatures =
        inputs
            .into_iter()
            .map(|(label, input)| match (input, values.get(label.as_str())) {
                (ListEntry::InnerList(input), Some(ListEntry::Item(value))) => {
                    let value = value.bare_item.as_byte_sequence();
                    signature(input, value.ok_or(Refusal::Malformed)?)
                }
                _ => Err(Refusal::Malformed),
            });
    signatures.collect()
}

fn signature(input: InnerList, value: &[u8]) -> Result<Signature, Refusal> {
    let text = |name: &str| match input.params.get(name) {
        None => Ok(None),
        Some(item) => {
            let text = item.as_string().ok_or(Refusal::Malformed)?;
            Ok(Some(text.as_str().to_owned()))
        }
    };
    let time = |name: &str| match input.params.get(name) {
        None => Ok(None),
        Some(item) => {
            let seconds = item.as_integer().ok_or(Refusal::Malformed)?;
            Ok(Some(i64::from(seconds)))
        }
    };
    Ok(Signature {
        components: components(&input)?,
        key_id: text("keyid")?.ok_or(Refusal::Malformed)?,
        algorithm: text("alg")?,
        created: time("created")?.ok_or(Refusal::Malformed)?,
        expires: time("expires")?,
        nonce: text("nonce")?
            .filter(|nonce| !nonce.is_empty())
            .ok_or(Refusal::Malformed)?,
        tag: text("tag")?,
        value: value.to_vec(),
        input,
    })
}

/// Names without parameters, each once.
fn components(input: &InnerList) -> Result<Vec<String>, Refusal> {
    if input.items.len() > MAX_COMPONENTS {
        return Err(Refusal::Malformed);
    }
    let mut components: Vec<String> = Vec::with_capacity(input.items.len());
    for item in &input.items {
        let name = item.bare_item.as_string().ok_or(Refusal::Malformed)?;
        let name = name.as_str();
        let is_new = components.iter().all(|known| known != name);
        if !item.params.is_empty() || !is_name(name) || !is_new {
            return Err(Refusal::Malformed);
        }
        components.push(name.to_owned());
    }
    Ok(components)
}

/// A component that can be covered: a derived one that is known, or a field's name in lower case.
pub(crate) fn is_name(name: &str) -> bool {
    const DERIVED: [&str; 7] = [
        "@method",
        "@authority",
        "@scheme",
        "@target-uri",
        "@request-target",
        "@path",
        "@query",
    ];
    let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.');
    DERIVED.contains(&name) || !name.is_empty() && name.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const PARAMS: &str = ";created=1;keyid=\"k\";nonce=\"n\"";

    fn refused(inputs: &str, values: &str) -> Refusal {
        parse(inputs, values).unwrap_err()
    }

    #[test]
    fn a_signature_is_read_with_its_parameters() {
        let input = format!("a=(\"@method\" \"content-digest\"){PARAMS};alg=\"ed25519\"");
        let read = parse(&input, "a=:AQI=:").unwrap().remove(0);
        assert_eq!(read.components, ["@method", "content-digest"]);
        assert_eq!((read.created, &*read.key_id, &*read.nonce), (1, "k", "n"));
        assert_eq!(read.value, [1, 2]);
        assert_eq!(read.algorithm.as_deref(), Some("ed25519"));
    }

    /// With `signature = "verify"` absent signatures are let through, malformed ones are counted.
    #[test]
    fn a_field_that_is_no_text_is_malformed_and_not_absent() {
        let message = |fields| Message {
            method: "GET",
            authority: None,
            target: "/",
            has_body: false,
            fields,
        };
        let bytes: (&str, &[u8]) = ("signature-input", b"a=\xff");
        let other: (&str, &[u8]) = ("Signature", b"\xff");
        for fields in [vec![bytes], vec![other], vec![bytes, other]] {
            let refusal = signatures(&message(fields)).unwrap_err();
            assert_eq!(refusal, Refusal::Malformed);
        }
        assert_eq!(signatures(&message(vec![])).unwrap_err(), Refusal::Absent);
        let digest: (&str, &[u8]) = ("content-digest", b"sha-256=\xff");
        let refused = message(vec![digest]).component("content-digest");
        assert_eq!(refused, Err(Refusal::Malformed));
    }

    #[test]
    fn what_cannot_be_verified_is_malformed() {
        let many: String = (0..33).map(|n| format!("\"a{n}\" ")).collect();
        for components in [
            "\"@method\" \"@method\"",
            "\"@method\";req",
            "\"@status\"",
            "\"X-Upper\"",
            "method",
            many.trim_end(),
        ] {
            let input = format!("a=({components}){PARAMS}");
            assert_eq!(refused(&input, "a=:AQ==:"), Refusal::Malformed, "{input}");
        }
        let good = format!("(){PARAMS}");
        for (inputs, values) in [
            (format!("a={good}"), "b=:AQ==:"),
            (format!("a={good}, b={good}"), "a=:AQ==:"),
            (format!("a={good}"), "a=1"),
            ("a=1".to_owned(), "a=:AQ==:"),
            ("a=();created=1;keyid=\"k\"".to_owned(), "a=:AQ==:"),
            ("a=();keyid=\"k\";nonce=\"n\"".to_owned(), "a=:AQ==:"),
            ("a=();created=1;nonce=\"n\"".to_owned(), "a=:AQ==:"),
            ("a=(".to_owned(), "a=:AQ==:"),
            ("\u{e9}".to_owned(), "a=:AQ==:"),
        ] {
            assert_eq!(refused(&inputs, values), Refusal::Malformed, "{inputs}");
        }
        let five = ["a", "b", "c", "d", "e"];
        let inputs = five.map(|label| format!("{label}={good}")).join(", ");
        let values = five.map(|label| format!("{label}=:AQ==:")).join(", ");
        assert_eq!(refused(&inputs, &values), Refusal::Malformed);
        let long = "A".repeat(MAX_BYTES);
        assert_eq!(refused(&format!("a={good}"), &long), Refusal::Malformed);
    }
}
