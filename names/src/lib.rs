//! Names in certificates: distinguished names (RFC 5280, section 4.1.2.4) as text, and whether two of them are one; and
//! how algorithms are called.

pub mod algorithm;
mod kind;
mod same;
mod value;

use std::fmt::Write as _;

use hybridge_page::is_printable;
use x509_parser::der_parser::asn1_rs::{Any, ToDer};
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

pub use same::same;
pub use value::string;

/// `name` in the form of RFC 4514, which is that of Envoy and of `openssl x509 -nameopt RFC2253`: the last relative name
/// first, and what a value must not be taken for is escaped. So no two names have one text, and none breaks a line.
pub fn text(name: &X509Name<'_>) -> String {
    let mut text = String::new();
    let relative: Vec<_> = name.iter_rdn().collect();
    for attributes in relative.into_iter().rev() {
        let attributes: Vec<_> = attributes.iter().collect();
        for (index, attribute) in attributes.into_iter().rev().enumerate() {
            if !text.is_empty() {
                text.push(if index == 0 { ',' } else { '+' });
            }
            push(&mut text, attribute);
        }
    }
    text
}

/// Appends the octets of `c` as the hexadecimal pairs that RFC 4514 allows for every character.
pub fn push_pairs(text: &mut String, c: char) {
    for octet in c.encode_utf8(&mut [0; 4]).bytes() {
        let _ = write!(text, "\\{octet:02X}");
    }
}

fn push(text: &mut String, attribute: &AttributeTypeAndValue<'_>) {
    let object = attribute.attr_type().to_id_string();
    let kind = kind::name(&object);
    text.push_str(kind.unwrap_or(&object));
    text.push('=');
    // The value of a type without a name is written as its encoding, whatever it holds (RFC 4514, section 2.4).
    match string(attribute.attr_value()).filter(|_| kind.is_some()) {
        Some(value) => push_escaped(text, &value),
        None => push_encoding(text, attribute.attr_value()),
    }
}

fn push_escaped(text: &mut String, value: &str) {
    let last = value.chars().count().saturating_sub(1);
    for (index, c) in value.chars().enumerate() {
        let is_special = match c {
            '"' | '+' | ',' | ';' | '<' | '>' | '\\' => true,
            '#' => index == 0,
            ' ' => index == 0 || index == last,
            _ => false,
        };
        if is_special {
            text.push('\\');
        }
        if is_printable(c) {
            text.push(c);
        } else {
            push_pairs(text, c);
        }
    }
}

fn push_encoding(text: &mut String, value: &Any<'_>) {
    text.push('#');
    // Of a value in memory, of which only the length is computed.
    for octet in value.to_der_vec().unwrap_or_default() {
        let _ = write!(text, "{octet:02X}");
    }
}

#[cfg(test)]
mod tests;
