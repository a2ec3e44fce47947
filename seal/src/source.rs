//! Bytes in groups of chunks, from a file (any group at any time) or a stream (one after the other).

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// A group that was taken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Group {
    /// Its number, from 0.
    pub number: u64,
    /// Nothing follows it.
    pub last: bool,
}

/// Where groups come from. Threads take them at the same time.
pub trait Source: Sync {
    /// The next group, its bytes into the buffer; `None` after the last. There is at least one, which
    /// may be empty.
    fn take(&self, buffer: &mut Vec<u8>) -> io::Result<Option<Group>>;
}

/// A part of a file.
pub struct FileSource<'a> {
    file: &'a File,
    at: u64,
    length: u64,
    size: u64,
    next: AtomicU64,
}

impl<'a> FileSource<'a> {
    /// `length` bytes from `at` to the end, in groups of `size`. A byte more is an error: the file grew, or has
    /// no size, and what is left out would be missing without a word.
    pub fn new(file: &'a File, at: u64, length: u64, size: usize) -> Self {
        Self {
            file,
            at,
            length,
            size: size as u64,
            next: AtomicU64::new(0),
        }
    }
}

impl Source for FileSource<'_> {
    fn take(&self, buffer: &mut Vec<u8>) -> io::Result<Option<Group>> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let groups = self.length.div_ceil(self.size).max(1);
        if number >= groups {
            return Ok(None);
        }
        let from = number * self.size;
        let bytes = self.size.min(self.length - from);
        fit(buffer, bytes as usize);
        self.file
            .read_exact_at(buffer, self.at + from)
            .map_err(shrank)?;
        let last = number + 1 == groups;
        if last && self.file.read_at(&mut [0], self.at + self.length)? > 0 {
            return Err(io::Error::other(format!(
                "it is longer than {} bytes, the size that it had: it grew while it was read, or has no size; then read it by a pipe",
                self.at + self.length
            )));
        }
        Ok(Some(Group { number, last }))
    }
}

/// Makes a buffer as long as what is written over it. New zeroes come from the system: in this crate, which
/// is compiled for size, `resize` would write them byte by byte.
pub(crate) fn fit(buffer: &mut Vec<u8>, length: usize) {
    if buffer.len() < length {
        *buffer = vec![0; length];
    } else {
        buffer.truncate(length);
    }
}

fn shrank(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => io::Error::other("it became shorter while it was read"),
        _ => error,
    }
}

/// A pipe. A byte more than a group is read, so that the last one is known as such.
pub struct StreamSource<R> {
    size: usize,
    state: Mutex<State<R>>,
}

struct State<R> {
    from: R,
    next: u64,
    ahead: Option<u8>,
    ended: bool,
}

impl<R: Read> StreamSource<R> {
    /// Everything that is left, in groups of `size`.
    pub fn new(from: R, size: usize) -> Self {
        Self {
            size,
            state: Mutex::new(State {
                from,
                next: 0,
                ahead: None,
                ended: false,
            }),
        }
    }
}

impl<R: Read + Send> Source for StreamSource<R> {
    fn take(&self, buffer: &mut Vec<u8>) -> io::Result<Option<Group>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.ended {
            return Ok(None);
        }
        buffer.clear();
        buffer.extend(state.ahead.take());
        let wanted = (self.size + 1 - buffer.len()) as u64;
        Read::take(&mut state.from, wanted).read_to_end(buffer)?;
        if buffer.len() > self.size {
            state.ahead = buffer.pop();
        } else {
            state.ended = true;
        }
        let number = state.next;
        state.next += 1;
        Ok(Some(Group {
            number,
            last: state.ended,
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn groups(source: &dyn Source) -> Vec<(Vec<u8>, bool)> {
        let (mut buffer, mut groups) = (Vec::new(), Vec::new());
        while let Some(group) = source.take(&mut buffer).unwrap() {
            assert_eq!(group.number, groups.len() as u64);
            groups.push((buffer.clone(), group.last));
        }
        groups
    }

    #[test]
    fn a_file_and_a_stream_give_the_same_groups() {
        for length in 0..10_u8 {
            let bytes: Vec<u8> = (0..length).collect();
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(b"xx").unwrap();
            file.write_all(&bytes).unwrap();
            let of_file = groups(&FileSource::new(&file, 2, u64::from(length), 3));
            let of_stream = groups(&StreamSource::new(bytes.as_slice(), 3));
            assert_eq!(of_file, of_stream);
            assert_eq!(of_file.concat_bytes(), bytes);
            assert!(of_file.iter().rev().skip(1).all(|(_, last)| !last));
            assert!(of_file.last().unwrap().1);
        }
    }

    trait Concat {
        fn concat_bytes(&self) -> Vec<u8>;
    }

    impl Concat for Vec<(Vec<u8>, bool)> {
        fn concat_bytes(&self) -> Vec<u8> {
            self.iter().flat_map(|(bytes, _)| bytes.clone()).collect()
        }
    }

    #[test]
    fn a_file_that_shrinks_is_an_error() {
        let file = tempfile::tempfile().unwrap();
        let error = FileSource::new(&file, 0, 5, 3)
            .take(&mut Vec::new())
            .unwrap_err();
        assert_eq!(error.to_string(), "it became shorter while it was read");
    }

    /// What is left out would be missing, and the exit code 0. A file of procfs says that it has no bytes.
    #[test]
    fn a_file_that_is_longer_than_it_said_is_an_error() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"longer").unwrap();
        for (length, groups) in [(0, 0), (3, 0), (5, 1)] {
            let source = FileSource::new(&file, 0, length, 3);
            for _ in 0..groups {
                assert!(!source.take(&mut Vec::new()).unwrap().unwrap().last);
            }
            let error = source.take(&mut Vec::new()).unwrap_err().to_string();
            let begin = format!("it is longer than {length} bytes");
            assert!(error.starts_with(&begin), "{error}");
        }
    }
}
