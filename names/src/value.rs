//! Values of attributes, in every string type that names are written in.

use x509_parser::der_parser::asn1_rs::{Any, Class, Tag};

/// What a value says, whatever string type it is written in; `None`: it is no text.
pub fn string(value: &Any<'_>) -> Option<String> {
    if value.class() != Class::Universal {
        return None;
    }
    let bytes = value.data;
    match value.tag() {
        Tag::Utf8String
        | Tag::PrintableString
        | Tag::NumericString
        | Tag::Ia5String
        | Tag::VisibleString => std::str::from_utf8(bytes).ok().map(str::to_owned),
        // Latin-1 in practice, whatever T.61 says.
        Tag::T61String => Some(bytes.iter().map(|byte| char::from(*byte)).collect()),
        Tag::BmpString => {
            let (pairs, []) = bytes.as_chunks::<2>() else {
                return None;
            };
            let units: Vec<_> = pairs.iter().map(|pair| u16::from_be_bytes(*pair)).collect();
            String::from_utf16(&units).ok()
        }
        Tag::UniversalString => {
            let (quads, []) = bytes.as_chunks::<4>() else {
                return None;
            };
            let points = quads.iter().map(|quad| u32::from_be_bytes(*quad));
            points.map(char::from_u32).collect()
        }
        _ => None,
    }
}
