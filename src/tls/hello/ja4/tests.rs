#![allow(clippy::unwrap_used)]
use super::*;

fn vector16(data: &[u8]) -> Vec<u8> {
    [&(data.len() as u16).to_be_bytes(), data].concat()
}

fn codes(list: &str) -> Vec<u8> {
    let codes = list.split(',').filter(|code| !code.is_empty());
    codes
        .flat_map(|code| u16::from_str_radix(code, 16).unwrap().to_be_bytes())
        .collect()
}

/// A record with a hello of these cipher suites and extensions.
fn hello(legacy_version: u16, suites: &str, extensions: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let mut body = legacy_version.to_be_bytes().to_vec();
    body.extend([7; 32]);
    body.push(0);
    body.extend(vector16(&codes(suites)));
    body.extend([1, 0]);
    let extensions = extensions.iter();
    let extensions =
        extensions.flat_map(|(kind, data)| [kind.to_be_bytes().to_vec(), vector16(data)].concat());
    body.extend(vector16(&extensions.collect::<Vec<_>>()));
    let length = (body.len() as u32).to_be_bytes();
    let message = [&[1], &length[1..], &body].concat();
    [&[22, 3, 1][..], &vector16(&message)].concat()
}

fn alpn(first: &[u8]) -> Vec<u8> {
    vector16(&[&[first.len() as u8], first].concat())
}

fn of(records: &[u8]) -> String {
    ja4(records).unwrap().to_string()
}

/// The example of the specification: Chrome, with its values that only grease.
#[test]
fn the_published_example_has_the_published_fingerprint() {
    let suites = "3a3a,1301,1302,1303,c02b,c02f,c02c,c030,cca9,cca8,c013,c014,009c,009d,002f,0035";
    let schemes = "0403,0804,0401,0503,0805,0501,0806,0601";
    let plain = "001b,0033,0017,0023,000b,000a,0012,0005,002d,ff01,4469,0015";
    let versions = [&[6][..], &codes("4a4a,0304,0303")].concat();
    let mut extensions = vec![
        (0x1a1a, Vec::new()),
        (0, b"anything".to_vec()),
        (13, vector16(&codes(schemes))),
        (16, vector16(b"\x02h2\x08http/1.1")),
        (43, versions),
    ];
    let others = plain.split(',');
    extensions.extend(others.map(|code| (u16::from_str_radix(code, 16).unwrap(), vec![0])));
    extensions.push((0xbaba, vec![0]));
    let published = "t13d1516h2_8daaf6152771_e5627efa2ab1";
    assert_eq!(of(&hello(0x0303, suites, &extensions)), published);
    // However its extensions are shuffled.
    extensions.reverse();
    assert_eq!(of(&hello(0x0303, suites, &extensions)), published);
}

/// The table of the specification.
#[test]
fn a_protocol_that_is_no_text_is_shown_by_its_hex() {
    for (name, expected) in [
        (&b"h2"[..], *b"h2"),
        (b"http/1.1", *b"h1"),
        (&[0xab], *b"ab"),
        (&[0xab, 0xcd], *b"ad"),
        (&[0x30, 0xab], *b"3b"),
        (&[0x30, 0x31, 0xab, 0xcd], *b"3d"),
        (&[0x30, 0xab, 0xcd, 0x31], *b"01"),
        (b"h", *b"hh"),
        (b"", *b"00"),
    ] {
        assert_eq!(ends(name), expected, "{name:?}");
        let records = hello(0x0303, "002f", &[(16, alpn(name))]);
        let shown = String::from_utf8_lossy(&expected);
        assert_eq!(of(&records)[..10], format!("t12i0101{shown}"));
    }
}

#[test]
fn a_hello_without_anything_has_zeros() {
    let expected = "t12i000000_000000000000_000000000000";
    assert_eq!(of(&hello(0x0303, "", &[])), expected);
    assert_eq!(of(&hello(0x0301, "", &[]))[..3], *"t10");
    let many = ["002f"; 120].join(",");
    assert_eq!(of(&hello(0x0303, &many, &[]))[..10], *"t12i990000");
}

/// Of a client whose hello has more numbers than are kept, the text is, and says the same.
#[test]
fn endless_lists_are_kept_as_their_hash() {
    for count in [MAX_NUMBERS, MAX_NUMBERS + 1] {
        let fingerprint = ja4(&hello(0x0303, &vec!["002f"; count].join(","), &[])).unwrap();
        let is_text = matches!(fingerprint.0, Form::Text(_));
        assert_eq!(is_text, count > MAX_NUMBERS);
        let mut digits = [b'0'; 12];
        let listed = vec!["002f"; count].join(",");
        for (pair, byte) in digits
            .chunks_exact_mut(2)
            .zip(digest(&SHA256, listed.as_bytes()).as_ref())
        {
            pair.copy_from_slice(&[byte >> 4, byte & 0xf].map(digit));
        }
        let digits = std::str::from_utf8(&digits).unwrap();
        assert_eq!(
            fingerprint.to_string(),
            format!("t12i990000_{digits}_000000000000")
        );
    }
}

#[test]
fn no_truncation_or_flipped_byte_panics() {
    let records = hello(
        0x0303,
        "1301,002f",
        &[(13, vector16(&codes("0403"))), (16, alpn(b"h2"))],
    );
    for place in 0..records.len() {
        assert_eq!(ja4(&records[..place]), None);
        for flip in [1, 0x80, 0xff] {
            let mut changed = records.clone();
            changed[place] ^= flip;
            let _ = ja4(&changed);
        }
    }
}
