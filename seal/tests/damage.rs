//! A sealed file with one bit changed, at 10,000 places, never gets its name.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use hybridge_seal::Error;
use hybridge_seal::age::keys::Identity;
use hybridge_seal::sealed::{Opened, Output, PLAIN_GROUP, head, seal};
use hybridge_seal::source::StreamSource;
use hybridge_seal::staging::StagedFile;

/// In the header and the nonce, where each costs a decapsulation, and in the chunks.
const PLACES: [usize; 2] = [2_000, 8_000];

fn head_of(sealed: &Path, identities: &[Identity]) -> Result<Opened, Error> {
    let file = fs::File::open(sealed).unwrap();
    Opened::read(&mut head(&file), sealed, identities)
}

fn open(opened: &Opened, sealed: &Path, to: &Path) -> Result<(), Error> {
    let file = fs::File::open(sealed).unwrap();
    let source = opened.source(&file, file.metadata().unwrap().len());
    let staged = StagedFile::create(to, false)?;
    let output = Output::File(staged.file(), staged.path());
    opened.open(&source, sealed, output, 1, &mut |_| {})?;
    staged.place(false)
}

#[test]
fn one_flipped_bit_never_yields_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let [sealed, target] = ["sealed.age", "target"].map(|name| directory.path().join(name));
    let identities = [Identity::generate().unwrap(), Identity::generate().unwrap()];
    let recipients: Vec<_> = identities.iter().map(Identity::recipient).collect();
    // Two chunks, of which the second is short.
    let plain: Vec<u8> = (0..65_536 + 100).map(|i| (i % 253) as u8).collect();
    let mut good = Vec::new();
    let source = StreamSource::new(plain.as_slice(), PLAIN_GROUP);
    let output = Output::Stream(&mut good);
    seal(&source, &sealed, &recipients, output, 1, &mut |_| {}).unwrap();
    let header = good.len() - 65_536 - 100 - 32;
    fs::write(&sealed, &good).unwrap();
    let opened = head_of(&sealed, &identities[1..]).unwrap();
    open(&opened, &sealed, &target).unwrap();
    assert_eq!(fs::read(&target).unwrap(), plain);
    fs::remove_file(&target).unwrap();
    let parts = [(0, header), (header, good.len() - header)];
    for ((from, length), places) in parts.into_iter().zip(PLACES) {
        for place in 0..places {
            // Spread by the golden ratio; every bit has its turn.
            let at = from + ((place as f64 * 0.618_033_988_75).fract() * length as f64) as usize;
            let mut bad = good.clone();
            bad[at] ^= 1 << (place % 8);
            fs::write(&sealed, &bad).unwrap();
            let outcome = match from {
                0 => head_of(&sealed, &identities[1..]).and_then(|it| open(&it, &sealed, &target)),
                _ => open(&opened, &sealed, &target),
            };
            assert!(outcome.is_err(), "{at} {}", place % 8);
            let left = fs::read_dir(directory.path()).unwrap().count();
            assert_eq!(left, 1, "{at}");
        }
    }
}
