//! The two bundles of a model, read and verified one after the other: each may be 64 MiB, and no two are in memory.

use std::io::{self, Read};
use std::path::Path;

use super::bundle::{Bundle, MAX_BUNDLE};
use super::keys::Verifier;
use super::manifest::Manifest;
use super::model::refused;
use crate::digest::sha256;
use crate::error::{Error, failed};
use crate::regular::regular;
use crate::shown::Shown;

/// The bytes of a bundle's file.
pub fn read_bundle(path: &Path) -> Result<Vec<u8>, Error> {
    let cannot = failed("read", path);
    let (file, length) = match regular(path) {
        Err(Error::File { cause, .. }) if cause.kind() == io::ErrorKind::NotFound => {
            let path = Shown::from(path);
            return Err(Error::Refused(format!(
                "{path}: missing: a model is signed twice, ECDSA and ML-DSA, and both signatures have to be there"
            )));
        }
        opened => opened?,
    };
    // Of its full length at once: what grows is in memory twice.
    let mut bytes = Vec::with_capacity(length.min(MAX_BUNDLE) as usize + 1);
    file.take(MAX_BUNDLE + 1)
        .read_to_end(&mut bytes)
        .map_err(&cannot)?;
    if bytes.len() as u64 > MAX_BUNDLE {
        let path = Shown::from(path);
        return Err(Error::Refused(format!(
            "{path}: larger than 64 MiB, so no bundle"
        )));
    }
    Ok(bytes)
}

/// The manifest that every given bundle signs, as `read` finds them. One bundle alone is the caller's weakening.
pub fn verified<'a, Text: AsRef<[u8]>>(
    bundles: impl IntoIterator<Item = (&'a Path, &'a Verifier)>,
    read: impl Fn(&Path) -> Result<Text, Error>,
) -> Result<Manifest, Error> {
    let mut bundles = bundles.into_iter().peekable();
    let mut first = None;
    while let Some((path, verifier)) = bundles.next() {
        let bundle = {
            let text = read(path)?;
            Bundle::read(text.as_ref()).map_err(refused(path))?
        };
        let digest = sha256(&bundle.payload);
        let (first, signed) = first.get_or_insert((path, digest));
        // What is not the same is not two signatures of one thing.
        if *signed != digest {
            return Err(refused(first)(super::Error::PayloadsDiffer));
        }
        bundle.verify(verifier).map_err(refused(path))?;
        if bundles.peek().is_none() {
            return Manifest::read(&bundle.payload).map_err(refused(first));
        }
    }
    Err(Error::Usage("no signature to verify".to_owned()))
}
