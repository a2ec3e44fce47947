#![allow(clippy::unwrap_used)]
use x509_parser::prelude::FromDer;
use x509_parser::x509::X509Name;

use super::*;

const UTF8: u8 = 12;
const PRINTABLE: u8 = 19;
const T61: u8 = 20;
const IA5: u8 = 22;
const BMP: u8 = 30;

const CN: &[u8] = b"\x55\x04\x03";
const O: &[u8] = b"\x55\x04\x0a";
const C: &[u8] = b"\x55\x04\x06";
const UID: &[u8] = b"\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x01";
const DC: &[u8] = b"\x09\x92\x26\x89\x93\xf2\x2c\x64\x01\x19";
const EMAIL: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x09\x01";
/// 2.3.4
const UNKNOWN: &[u8] = b"\x53\x04";

type Value<'a> = (&'a [u8], u8, &'a [u8]);

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u8::try_from(content.len()).unwrap();
    assert!(length < 128, "the short form of a length");
    [&[tag, length], content].concat()
}

/// The encoding of a name: its relative names, each with its attributes.
fn name(relative: &[&[Value<'_>]]) -> Vec<u8> {
    let attribute = |(kind, tag, value): &Value<'_>| {
        element(0x30, &[element(6, kind), element(*tag, value)].concat())
    };
    let set = |attributes: &&[Value<'_>]| {
        let attributes: Vec<_> = attributes.iter().map(attribute).collect();
        element(0x31, &attributes.concat())
    };
    let sets: Vec<_> = relative.iter().map(set).collect();
    element(0x30, &sets.concat())
}

fn text_of(relative: &[&[Value<'_>]]) -> String {
    let der = name(relative);
    let (rest, name) = X509Name::from_der(&der).unwrap();
    assert!(rest.is_empty());
    text(&name)
}

/// The expected texts are those of `openssl x509 -nameopt RFC2253,-esc_msb`.
#[test]
fn a_name_is_written_as_openssl_writes_it() {
    let common = |tag, value| text_of(&[&[(CN, tag, value)]]);
    assert_eq!(
        text_of(&[
            &[(C, PRINTABLE, b"DE")],
            &[(O, UTF8, b"Acme")],
            &[(CN, UTF8, b"x")]
        ]),
        "CN=x,O=Acme,C=DE"
    );
    assert_eq!(
        text_of(&[&[(CN, UTF8, b"x"), (UID, UTF8, b"u")], &[(DC, IA5, b"org")]]),
        "DC=org,UID=u+CN=x"
    );
    assert_eq!(
        text_of(&[&[(EMAIL, IA5, b"a@b.c")], &[(CN, UTF8, b"x")]]),
        "CN=x,emailAddress=a@b.c"
    );
    assert_eq!(
        common(UTF8, b"a+b=c\\d q\"<>;"),
        "CN=a\\+b=c\\\\d q\\\"\\<\\>\\;"
    );
    assert_eq!(common(UTF8, b"#a#"), "CN=\\#a#");
    assert_eq!(common(UTF8, b" a "), "CN=\\ a\\ ");
    assert_eq!(common(UTF8, b" "), "CN=\\ ");
    assert_eq!(common(UTF8, b""), "CN=");
    assert_eq!(common(UTF8, b"a\0\n\x7f"), "CN=a\\00\\0A\\7F");
    assert_eq!(text_of(&[]), "");
}

#[test]
fn no_value_imitates_another_name() {
    let one = text_of(&[&[(CN, UTF8, b"alice, O=Admins")]]);
    let two = text_of(&[&[(O, UTF8, b"Admins")], &[(CN, UTF8, b"alice")]]);
    assert_eq!(one, "CN=alice\\, O=Admins");
    assert_eq!(two, "CN=alice,O=Admins");
    let hex = text_of(&[&[(CN, UTF8, b"#0303006162")]]);
    assert_eq!(hex, "CN=\\#0303006162");
}

#[test]
fn a_value_is_read_in_every_string_type() {
    for (tag, value) in [
        (UTF8, "M\u{fc}ller".as_bytes()),
        (T61, b"M\xfcller"),
        (BMP, b"\0M\0\xfc\0l\0l\0e\0r"),
    ] {
        assert_eq!(text_of(&[&[(CN, tag, value)]]), "CN=M\u{fc}ller", "{tag}");
    }
    // NumericString.
    assert_eq!(text_of(&[&[(CN, 18, b"123")]]), "CN=123");
}

#[test]
fn what_is_no_text_is_written_as_its_encoding() {
    // BIT STRING, an INTEGER in a SEQUENCE, text of a type without a name, half a character of BMPString, and what
    // has the number of a string type but is of another class.
    for (kind, tag, value, expected) in [
        (CN, 3, &b"\0ab"[..], "CN=#0303006162"),
        (CN, 0x30, b"\x02\x01\x05", "CN=#3003020105"),
        (UNKNOWN, UTF8, b"foo", "2.3.4=#0C03666F6F"),
        (CN, BMP, b"\0", "CN=#1E0100"),
        (CN, 0x8c, b"foo", "CN=#8C03666F6F"),
    ] {
        assert_eq!(text_of(&[&[(kind, tag, value)]]), expected);
    }
}

#[test]
fn nothing_reorders_or_ends_a_line() {
    let value = "a\u{202e}b\u{85}c\r\n".as_bytes();
    assert_eq!(
        text_of(&[&[(CN, UTF8, value)]]),
        "CN=a\\E2\\80\\AEb\\C2\\85c\\0D\\0A"
    );
}

#[test]
fn one_name_may_be_written_in_several_ways() {
    let are_one = |one: &[Value<'_>], other: &[Value<'_>]| {
        let (one, other) = (name(&[one]), name(&[other]));
        let (_, one) = X509Name::from_der(&one).unwrap();
        let (_, other) = X509Name::from_der(&other).unwrap();
        same(&one, &other)
    };
    assert!(are_one(
        &[(CN, UTF8, b"Acme CA")],
        &[(CN, PRINTABLE, b"acme  ca ")]
    ));
    assert!(are_one(&[(CN, UTF8, b"1")], &[(CN, 18, b"1")]));
    assert!(are_one(
        &[(CN, UTF8, b"a"), (O, UTF8, b"b")],
        &[(O, UTF8, b"b"), (CN, UTF8, b"a")]
    ));
    assert!(!are_one(&[(CN, UTF8, b"a")], &[(O, UTF8, b"a")]));
    assert!(!are_one(&[(CN, UTF8, b"a")], &[(CN, 0x8c, b"a")]));
}
