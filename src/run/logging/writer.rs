//! Standard error for the log: a line that cannot be written is lost, and nothing else.
//!
//! The reader of a pipe may have gone and a disk may be full. An error here would make the log's library
//! print to the same place, which panics, and a panic's own line would meet the same end.

use std::io::{self, Write};

/// Standard error whose every write succeeds.
pub(super) struct Lossy;

impl Write for Lossy {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let _ = io::stderr().write_all(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
