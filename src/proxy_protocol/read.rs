//! The header at the start of a connection, in either version.

use super::error::HeaderError;
use super::header::Header;
use super::{binary, text};

/// The header that the bytes begin with; `None` if it has not arrived whole.
pub fn read(bytes: &[u8]) -> Result<Option<Header>, HeaderError> {
    match bytes.first() {
        None => Ok(None),
        Some(b'P') => text::read(bytes),
        Some(_) => binary::read(bytes),
    }
}
