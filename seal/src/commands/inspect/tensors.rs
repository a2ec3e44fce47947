//! The header of a safetensors file: its length in 8 bytes, then JSON. Parsed while it is read, so that a
//! hostile one costs little more memory than it lists.

use std::fmt;
use std::io::{self, BufReader, Read};

use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::shown::size;

/// Bytes of the header, at most: some 100,000 tensors. The format itself allows 100 MB.
const MAX_HEADER: u64 = 16 << 20;
/// Dimensions of a tensor, at most.
const MAX_DIMENSIONS: usize = 16;
/// Characters of a type's name, at most.
const MAX_TYPE: usize = 16;

/// A tensor of the list.
#[derive(Serialize)]
pub(super) struct Tensor {
    pub(super) name: String,
    pub(super) dtype: String,
    pub(super) shape: Vec<u64>,
    pub(super) bytes: u64,
}

/// What the beginning of a file is.
pub(super) enum Listed {
    /// Another kind of file.
    No,
    /// Every tensor.
    Yes(Vec<Tensor>),
    /// A safetensors file whose list is too long, and what to say of it.
    TooLong(String),
}

/// The tensors, of a file whose first 8 bytes are known.
pub(super) fn listed(
    first: &[u8],
    plain: u64,
    read: &dyn Fn(u64, u64) -> Result<Vec<u8>, Error>,
) -> Result<Listed, Error> {
    let Ok(length) = first.try_into().map(u64::from_le_bytes) else {
        return Ok(Listed::No);
    };
    let fits = length.checked_add(8).is_some_and(|length| length <= plain);
    if length < 2 || !fits || read(8, 1)? != b"{" {
        return Ok(Listed::No);
    }
    if length > MAX_HEADER {
        return Ok(Listed::TooLong(format!(
            "a header of {}, and {} is the most that is listed: open the file",
            size(length),
            size(MAX_HEADER)
        )));
    }
    let mut pieces = Pieces {
        read,
        at: 8,
        end: 8 + length,
        failure: None,
    };
    let from = BufReader::with_capacity(64 << 10, &mut pieces);
    let mut json = serde_json::Deserializer::from_reader(from);
    let parsed = json.deserialize_map(Names);
    let parsed = parsed.and_then(|tensors| json.end().map(|()| tensors));
    match (pieces.failure, parsed) {
        (Some(failure), _) => Err(failure),
        (None, Ok(tensors)) => Ok(Listed::Yes(tensors)),
        (None, Err(_)) => Ok(Listed::No),
    }
}

/// The header, piece by piece.
struct Pieces<'a> {
    read: &'a dyn Fn(u64, u64) -> Result<Vec<u8>, Error>,
    at: u64,
    end: u64,
    failure: Option<Error>,
}

impl Read for Pieces<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let wanted = (self.end - self.at).min(to.len() as u64);
        let piece = (self.read)(self.at, wanted).map_err(|error| {
            self.failure = Some(error);
            io::Error::other("the file")
        })?;
        let bytes = piece.len().min(to.len());
        to[..bytes].copy_from_slice(&piece[..bytes]);
        self.at += bytes as u64;
        Ok(bytes)
    }
}

struct Names;

impl<'de> Visitor<'de> for Names {
    type Value = Vec<Tensor>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tensors by name")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vec<Tensor>, A::Error> {
        let mut tensors = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            if name == "__metadata__" {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let Entry {
                dtype,
                shape,
                data_offsets: [from, to],
            } = map.next_value()?;
            let bytes = u64::checked_sub(to, from);
            let bytes = bytes.ok_or_else(|| serde::de::Error::custom("offsets"))?;
            tensors.push(Tensor {
                name,
                dtype,
                shape,
                bytes,
            });
        }
        Ok(tensors)
    }
}

#[derive(Deserialize)]
struct Entry {
    #[serde(deserialize_with = "short")]
    dtype: String,
    #[serde(deserialize_with = "few")]
    shape: Vec<u64>,
    data_offsets: [u64; 2],
}

fn short<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let text = String::deserialize(from)?;
    if text.len() > MAX_TYPE {
        return Err(serde::de::Error::custom("a longer type"));
    }
    Ok(text)
}

fn few<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u64>, D::Error> {
    from.deserialize_seq(Few)
}

struct Few;

impl<'de> Visitor<'de> for Few {
    type Value = Vec<u64>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at most {MAX_DIMENSIONS} numbers")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<u64>, A::Error> {
        let mut numbers = Vec::new();
        while let Some(number) = seq.next_element()? {
            if numbers.len() == MAX_DIMENSIONS {
                return Err(serde::de::Error::custom("more dimensions"));
            }
            numbers.push(number);
        }
        Ok(numbers)
    }
}
