//! A sealed file as a whole: header and payload, written and read through threads; any range of it.

mod plaintext;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use aws_lc_rs::rand;

pub use self::plaintext::Plaintext;
use crate::age::header::Header;
use crate::age::keys::{Identity, Recipient};
use crate::age::payload::{CHUNK, NONCE, PayloadKey, SEALED_CHUNK, TAG, plain_length};
use crate::age::{self, FileKey, Resistance};
use crate::error::{Error, failed, sealed};
use crate::flow::{self, Buffers};
use crate::source::{FileSource, Group, Source, fit};

/// Chunks that a thread takes at once: what fits into the cache of a core.
const GROUP: u64 = 4;
/// Bytes of plaintext that a thread takes at once.
pub const PLAIN_GROUP: usize = GROUP as usize * CHUNK;
/// The same, sealed.
pub const SEALED_GROUP: usize = GROUP as usize * SEALED_CHUNK;

/// Where the result goes.
pub enum Output<'a> {
    /// Into a file, each group where it belongs.
    File(&'a File, &'a Path),
    /// One after the other.
    Stream(&'a mut dyn Write),
}

/// What sees the plaintext go by, in order.
pub type Watch<'a> = dyn FnMut(&[u8]) + 'a;

/// Seals everything of the source for the recipients.
pub fn seal(
    source: &dyn Source,
    from: &Path,
    recipients: &[Recipient],
    mut output: Output<'_>,
    threads: usize,
    watch: &mut Watch<'_>,
) -> Result<(), Error> {
    let cannot = sealed(from);
    let (mut head, payload) = new_head(recipients).map_err(&cannot)?;
    let (file, start) = match &mut output {
        Output::File(file, path) => {
            file.write_all_at(&head, 0).map_err(failed("write", path))?;
            (Some((*file, *path)), head.len() as u64)
        }
        Output::Stream(stream) => {
            stream.write_all(&head).map_err(Error::Output)?;
            (None, 0)
        }
    };
    head.clear();
    let work = |group: Group, buffers: &mut Buffers| {
        let Buffers { input, output } = buffers;
        output.clear();
        let mut chunks = input.chunks(CHUNK).peekable();
        let mut number = group.number * GROUP;
        if input.is_empty() {
            payload.seal(number, true, &[], output).map_err(&cannot)?;
        }
        while let Some(chunk) = chunks.next() {
            let last = group.last && chunks.peek().is_none();
            payload.seal(number, last, chunk, output).map_err(&cannot)?;
            number += 1;
        }
        let Some((file, path)) = file else {
            return Ok(());
        };
        let at = start + group.number * SEALED_GROUP as u64;
        file.write_all_at(output, at).map_err(failed("write", path))
    };
    flow::run(source, threads, &reading(from), &work, &mut |buffers| {
        watch(&buffers.input);
        match &mut output {
            Output::Stream(stream) => stream.write_all(&buffers.output).map_err(Error::Output),
            Output::File(..) => Ok(()),
        }
    })
}

/// A new file key: the header with the nonce behind it, and the key of the payload.
fn new_head(recipients: &[Recipient]) -> Result<(Vec<u8>, PayloadKey), age::Error> {
    let key = FileKey::generate()?;
    let mut nonce = [0; NONCE];
    rand::fill(&mut nonce).map_err(|_| age::Error::Random)?;
    let mut head = Header::write(recipients, &key)?;
    head.extend_from_slice(&nonce);
    let payload = PayloadKey::new(&key, &nonce, head.len() as u64)?;
    Ok((head, payload))
}

/// A sealed file whose header was unwrapped and whose MAC holds.
pub struct Opened {
    payload: PayloadKey,
    /// Where its first chunk begins.
    start: u64,
    /// Whether a quantum computer has a way in.
    pub resistance: Resistance,
}

impl Opened {
    /// Reads the head, up to the first chunk.
    pub fn read(
        from: &mut dyn BufRead,
        name: &Path,
        identities: &[Identity],
    ) -> Result<Self, Error> {
        let header = Header::read(from).map_err(failed("read", name))?;
        let header = header.map_err(sealed(name))?;
        let key = header.unwrap(identities).map_err(sealed(name))?;
        Self::with_key(&header, &key, from, name)
    }

    /// With a file key that is known.
    pub fn with_key(
        header: &Header,
        key: &FileKey,
        from: &mut dyn BufRead,
        name: &Path,
    ) -> Result<Self, Error> {
        let mut nonce = [0; NONCE];
        from.read_exact(&mut nonce)
            .map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => {
                    sealed(name)(age::Error::Truncated { at: header.length })
                }
                _ => failed("read", name)(error),
            })?;
        let start = header.length + NONCE as u64;
        let payload = PayloadKey::new(key, &nonce, start).map_err(sealed(name))?;
        Ok(Self {
            payload,
            start,
            resistance: header.resistance(),
        })
    }

    /// Opens everything of the source, which gives what follows the head.
    pub fn open(
        &self,
        source: &dyn Source,
        from: &Path,
        mut output: Output<'_>,
        threads: usize,
        watch: &mut Watch<'_>,
    ) -> Result<(), Error> {
        let cannot = sealed(from);
        let file = match &output {
            Output::File(file, path) => Some((*file, *path)),
            Output::Stream(_) => None,
        };
        let work = |group: Group, buffers: &mut Buffers| {
            self.open_group(group, buffers).map_err(&cannot)?;
            let Some((file, path)) = file else {
                return Ok(());
            };
            let at = group.number * PLAIN_GROUP as u64;
            file.write_all_at(&buffers.output, at)
                .map_err(failed("write", path))
        };
        flow::run(source, threads, &reading(from), &work, &mut |buffers| {
            watch(&buffers.output);
            match &mut output {
                Output::Stream(stream) => stream.write_all(&buffers.output).map_err(Error::Output),
                Output::File(..) => Ok(()),
            }
        })
    }

    fn open_group(&self, group: Group, buffers: &mut Buffers) -> Result<(), age::Error> {
        let Buffers { input, output } = buffers;
        let (whole, rest) = (input.len() / SEALED_CHUNK, input.len() % SEALED_CHUNK);
        fit(output, whole * CHUNK + rest.saturating_sub(TAG));
        let mut number = group.number * GROUP;
        if input.is_empty() {
            return self.payload.open(number, true, &[], &mut []);
        }
        let mut sealed = input.chunks(SEALED_CHUNK).peekable();
        let mut rest = output.as_mut_slice();
        while let Some(chunk) = sealed.next() {
            let last = group.last && sealed.peek().is_none();
            let (plain, behind) =
                rest.split_at_mut(chunk.len().saturating_sub(TAG).min(rest.len()));
            self.payload.open(number, last, chunk, plain)?;
            rest = behind;
            number += 1;
        }
        Ok(())
    }

    /// What follows the head in a file, for `open`.
    pub fn source<'a>(&self, file: &'a File, length: u64) -> FileSource<'a> {
        let left = length.saturating_sub(self.start);
        FileSource::new(file, self.start, left, SEALED_GROUP)
    }

    /// Bytes of the plaintext of a file of this length. `None`: its end is missing.
    pub fn plain_length(&self, length: u64) -> Option<u64> {
        plain_length(length.checked_sub(self.start)?)
    }

    /// Whether the end of a file is the one that was sealed: its last chunk, and how many bytes there are.
    pub fn check_end(&self, file: &File, name: &Path, length: u64) -> Result<u64, Error> {
        let truncated = || sealed(name)(age::Error::Truncated { at: length });
        let plain = self.plain_length(length).ok_or_else(truncated)?;
        self.chunk(file, name, length, final_chunk(plain), true)?;
        Ok(plain)
    }

    /// Bytes of the plaintext, from any place. The last chunk is opened first: a file whose end is
    /// missing shows nothing.
    pub fn read_at(
        &self,
        file: &File,
        name: &Path,
        length: u64,
        at: u64,
        bytes: u64,
    ) -> Result<Vec<u8>, Error> {
        let plain = self.check_end(file, name, length)?;
        let final_chunk = final_chunk(plain);
        let end = at.saturating_add(bytes).min(plain);
        let mut out = Vec::new();
        for number in at / CHUNK as u64..end.div_ceil(CHUNK as u64) {
            let chunk = self.chunk(file, name, length, number, number == final_chunk)?;
            let base = number * CHUNK as u64;
            let from = at.saturating_sub(base).min(chunk.len() as u64) as usize;
            let to = (end - base).min(chunk.len() as u64) as usize;
            out.extend_from_slice(chunk.get(from..to).unwrap_or_default());
        }
        Ok(out)
    }

    fn chunk(
        &self,
        file: &File,
        name: &Path,
        length: u64,
        number: u64,
        last: bool,
    ) -> Result<Vec<u8>, Error> {
        let at = self.start + number * SEALED_CHUNK as u64;
        let bytes = length.saturating_sub(at).min(SEALED_CHUNK as u64) as usize;
        let mut chunk = vec![0; bytes];
        file.read_exact_at(&mut chunk, at)
            .map_err(failed("read", name))?;
        let mut plain = vec![0; bytes.saturating_sub(TAG)];
        let opened = self.payload.open(number, last, &chunk, &mut plain);
        opened.map_err(sealed(name))?;
        Ok(plain)
    }
}

/// The number of the last chunk of so many bytes.
fn final_chunk(plain: u64) -> u64 {
    plain.div_ceil(CHUNK as u64).max(1) - 1
}

/// What a source's error is called; one that comes from the payload keeps its words.
fn reading(from: &Path) -> impl Fn(io::Error) -> Error {
    let (file, cannot) = (failed("read", from), sealed(from));
    move |error| match error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<age::Error>())
    {
        Some(inner) => cannot(inner.clone()),
        None => file(error),
    }
}

/// A reader of a file's head; the payload is read from the file itself.
pub fn head(file: &File) -> BufReader<&File> {
    BufReader::with_capacity(16 << 10, file)
}
