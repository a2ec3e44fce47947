//! The plaintext of a sealed file as a stream, for what seals it anew.

use std::io::{self, Read};

use super::{Opened, SEALED_GROUP};
use crate::flow::Buffers;
use crate::source::{Source, StreamSource};

/// The plaintext of a payload as a stream, for what seals it anew.
pub struct Plaintext<R> {
    opened: Opened,
    source: StreamSource<R>,
    buffers: Buffers,
    read: usize,
}

impl<R: Read + Send> Plaintext<R> {
    /// Of what follows the head.
    pub fn new(opened: Opened, from: R) -> Self {
        Self {
            opened,
            source: StreamSource::new(from, SEALED_GROUP),
            buffers: Buffers::default(),
            read: 0,
        }
    }
}

impl<R: Read + Send> Read for Plaintext<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        while self.read == self.buffers.output.len() {
            let Some(group) = self.source.take(&mut self.buffers.input)? else {
                return Ok(0);
            };
            let opened = self.opened.open_group(group, &mut self.buffers);
            opened.map_err(io::Error::other)?;
            self.read = 0;
        }
        let left = self.buffers.output.get(self.read..).unwrap_or_default();
        let bytes = left.len().min(to.len());
        to[..bytes].copy_from_slice(&left[..bytes]);
        self.read += bytes;
        Ok(bytes)
    }
}
