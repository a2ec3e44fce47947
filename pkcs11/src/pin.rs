//! The PIN, read from its file when a login needs it, wiped afterwards.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};
use cryptoki::types::AuthPin;
use zeroize::Zeroizing;

use crate::Error;

/// Longer than any PIN.
const MOST: u64 = 4096;

/// A PIN and what tells it from another.
pub(crate) struct Pin {
    pub(crate) secret: AuthPin,
    pub(crate) digest: [u8; 32],
}

/// The first line of the file.
pub(crate) fn read(path: &Path) -> Result<Pin, Error> {
    let failed = |cause: String| Error::PinFile {
        path: path.display().to_string(),
        cause,
    };
    let about = fs::metadata(path).map_err(|error| failed(error.to_string()))?;
    if !about.is_file() {
        return Err(failed("it is not a regular file".to_owned()));
    }
    // Room for all of it at once: a buffer that grows leaves copies behind.
    let mut text = Zeroizing::new(String::with_capacity(MOST as usize + 1));
    let file = File::open(path).map_err(|error| failed(error.to_string()))?;
    let read = file.take(MOST + 1).read_to_string(&mut text);
    // The error of a text that is not UTF-8 says nothing of it.
    read.map_err(|error| failed(error.to_string()))?;
    let line = text.trim_end_matches(['\r', '\n']);
    if line.is_empty() {
        return Err(failed("it is empty".to_owned()));
    }
    if line.len() as u64 > MOST || line.contains('\n') {
        return Err(failed("a PIN is one line".to_owned()));
    }
    let mut sum = [0; 32];
    sum.copy_from_slice(digest(&SHA256, line.as_bytes()).as_ref());
    Ok(Pin {
        secret: AuthPin::new(line.into()),
        digest: sum,
    })
}
