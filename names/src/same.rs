//! Whether two distinguished names are one (RFC 5280, section 7.1): the same attributes, whatever string
//! type, letter case and white space their values are written in.

use x509_parser::x509::{AttributeTypeAndValue, RelativeDistinguishedName, X509Name};

use crate::value::string;

/// Whether `one` and `other` name the same entity.
pub fn same(one: &X509Name<'_>, other: &X509Name<'_>) -> bool {
    one.as_raw() == other.as_raw() || parts(one) == parts(other)
}

/// Each relative name as its attributes, which are a set and so have no order.
fn parts(name: &X509Name<'_>) -> Vec<Vec<Attribute>> {
    name.iter_rdn().map(relative).collect()
}

fn relative(name: &RelativeDistinguishedName<'_>) -> Vec<Attribute> {
    let mut attributes: Vec<_> = name.iter().map(Attribute::of).collect();
    attributes.sort();
    attributes
}

#[derive(Eq, Ord, PartialEq, PartialOrd)]
struct Attribute {
    kind: String,
    value: Value,
}

#[derive(Eq, Ord, PartialEq, PartialOrd)]
enum Value {
    Text(String),
    /// Of a type that is no text, or text that cannot be read: compared as it stands.
    Bytes(u8, u32, Vec<u8>),
}

impl Attribute {
    fn of(attribute: &AttributeTypeAndValue<'_>) -> Self {
        let value = attribute.attr_value();
        Self {
            kind: attribute.attr_type().to_id_string(),
            value: string(value).map_or_else(
                || Value::Bytes(value.class() as u8, value.tag().0, value.data.to_vec()),
                |text| Value::Text(folded(&text)),
            ),
        }
    }
}

/// Letter case, and white space at the ends and in a row, make no difference (RFC 4518, sections 2.2, 2.6).
fn folded(text: &str) -> String {
    let words: Vec<_> = text.split_whitespace().map(str::to_lowercase).collect();
    words.join(" ")
}
