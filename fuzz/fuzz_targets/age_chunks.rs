//! The chunks of a sealed file: what was sealed comes back, by a thread and by three, from a file and from
//! a stream; what was changed in any place does not.
#![no_main]

use std::io::Write;
use std::path::Path;

use hybridge_seal::age::FileKey;
use hybridge_seal::age::header::Header;
use hybridge_seal::age::payload::{CHUNK, PayloadKey};
use hybridge_seal::sealed::{Opened, Output, SEALED_GROUP};
use hybridge_seal::source::{Source, StreamSource};
use libfuzzer_sys::fuzz_target;

/// Not this key's: `with_key` is told the key, and the MAC is the business of `age_header`.
const HEAD: &[u8] =
    b"age-encryption.org/v1\n-> x\n\n--- AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n0123456789abcdef";

fuzz_target!(|input: (u8, u16, u32, Vec<u8>)| {
    let (change, length, at, bytes) = input;
    let key = FileKey::from_bytes(&[7; 16]).unwrap();
    let payload = PayloadKey::new(&key, b"0123456789abcdef", HEAD.len() as u64).unwrap();
    // Up to 20 chunks of a pattern, so that their borders are reached.
    let plain: Vec<u8> = bytes.iter().copied().cycle().take(if bytes.is_empty() { 0 } else { usize::from(length) * 20 }).collect();
    let mut file = HEAD.to_vec();
    let mut chunks = plain.chunks(CHUNK).enumerate().peekable();
    if plain.is_empty() {
        payload.seal(0, true, &[], &mut file).unwrap();
    }
    while let Some((number, chunk)) = chunks.next() {
        payload.seal(number as u64, chunks.peek().is_none(), chunk, &mut file).unwrap();
    }
    let good = file.clone();
    let body = HEAD.len() + at as usize % (file.len() - HEAD.len());
    match change % 5 {
        0 => {}
        1 => file[body] ^= 1 << (change / 5 % 8),
        2 => file.truncate(body),
        3 => file.extend_from_slice(&bytes),
        _ => file.insert(body, change),
    }
    let outcomes = [(1, false), (3, false), (1, true), (3, true)].map(|(threads, from_file)| open(&file, threads, from_file));
    for outcome in &outcomes {
        match outcome {
            Some(found) => assert!(file == good && *found == plain),
            None => assert!(file != good),
        }
    }
});

fn open(file: &[u8], threads: usize, from_file: bool) -> Option<Vec<u8>> {
    let mut rest = file;
    let header = Header::read(&mut rest).unwrap().unwrap();
    let key = FileKey::from_bytes(&[7; 16]).unwrap();
    let name = Path::new("fuzz");
    let opened = Opened::with_key(&header, &key, &mut rest, name).ok()?;
    let mut on_disk = tempfile();
    on_disk.write_all(file).unwrap();
    let of_file = opened.source(&on_disk, file.len() as u64);
    let of_stream = StreamSource::new(rest, SEALED_GROUP);
    let source: &dyn Source = if from_file { &of_file } else { &of_stream };
    let mut plain = Vec::new();
    let outcome = opened.open(source, name, Output::Stream(&mut plain), threads, &mut |_| {});
    outcome.ok().map(|()| plain)
}

/// A file without a name.
fn tempfile() -> std::fs::File {
    let path = std::env::temp_dir().join(format!("hybridge-fuzz-{}", std::process::id()));
    let mut options = std::fs::OpenOptions::new();
    let file = options.read(true).write(true).create(true).truncate(true).open(&path);
    let _ = std::fs::remove_file(&path);
    file.unwrap()
}
