//! HdrHistogram in the result file: its own compressed form in base64, so that merging loses nothing.
//! Values are nanoseconds, 0.1 us to one hour, three significant digits.

use std::io::Read;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use flate2::read::ZlibDecoder;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer, V2DeflateSerializer};
use serde::{Deserialize, Serialize};

const LOWEST: u64 = 100;
const HIGHEST: u64 = 3_600_000_000_000;
const DIGITS: u8 = 3;
/// What the compressed form begins with; its length and zlib follow.
const COMPRESSED: [u8; 4] = 0x1c84_9314_u32.to_be_bytes();
/// Cookie, length, offset, digits, lowest, highest and ratio.
const HEADER: usize = 40;

/// A histogram as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Packed(String);

/// An empty histogram of this file's bounds.
#[expect(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "these bounds are always accepted"
)]
pub fn empty() -> Histogram<u64> {
    Histogram::new_with_bounds(LOWEST, HIGHEST, DIGITS).expect("these bounds are valid")
}

impl Packed {
    /// Packs single values in nanoseconds.
    pub fn of(values: &[u64]) -> Self {
        let mut histogram = empty();
        for value in values {
            histogram.saturating_record((*value).max(LOWEST));
        }
        Self::from_histogram(&histogram)
    }

    pub fn from_histogram(histogram: &Histogram<u64>) -> Self {
        let mut bytes = Vec::new();
        match V2DeflateSerializer::new().serialize(histogram, &mut bytes) {
            Ok(_) => Self(BASE64.encode(bytes)),
            // Writing into memory does not fail; an empty text would be caught when it is read.
            Err(_) => Self(String::new()),
        }
    }

    /// Unpacks; the error says why the text is no histogram.
    pub fn histogram(&self) -> Result<Histogram<u64>, String> {
        let empty = empty();
        // A count is nine bytes at most.
        let most = HEADER + 9 * empty.distinct_values();
        if self.0.len() > 2 * most {
            return Err(format!("{} characters", self.0.len()));
        }
        let bytes = BASE64.decode(&self.0).map_err(|error| error.to_string())?;
        let plain = inflated(&bytes, most)?;
        check_head(&plain)?;
        Deserializer::new()
            .deserialize(&mut plain.as_slice())
            .map_err(|error| format!("{error:?}"))
    }
}

/// What is in the compressed form, at most so many bytes.
fn inflated(bytes: &[u8], most: usize) -> Result<Vec<u8>, String> {
    let deflated = bytes
        .strip_prefix(&COMPRESSED)
        .and_then(|rest| rest.get(4..))
        .ok_or("not the compressed form of HdrHistogram")?;
    let mut plain = Vec::new();
    ZlibDecoder::new(deflated)
        .take(most as u64 + 1)
        .read_to_end(&mut plain)
        .map_err(|error| error.to_string())?;
    if plain.len() > most {
        return Err(format!("more than {most} bytes"));
    }
    Ok(plain)
}

/// The library makes room for the length and the bounds that a histogram announces: they have to be those that it has,
/// and those that are written here.
fn check_head(plain: &[u8]) -> Result<(), String> {
    let long = |at: usize| {
        let bytes = plain
            .get(at..at + 8)
            .and_then(|bytes| bytes.try_into().ok());
        bytes
            .map(u64::from_be_bytes)
            .ok_or("it ends within its head")
    };
    let announced = (long(0)? & u64::from(u32::MAX)) as usize;
    let held = plain.len().saturating_sub(HEADER);
    if announced != held {
        return Err(format!("it announces {announced} bytes and has {held}"));
    }
    let digits = long(8)? & u64::from(u32::MAX);
    if (digits, long(16)?, long(24)?) != (DIGITS.into(), LOWEST, HIGHEST) {
        return Err("its bounds are not those that are written".to_owned());
    }
    Ok(())
}

/// All of them in one.
pub fn sum<'a>(parts: impl IntoIterator<Item = &'a Packed>) -> Result<Histogram<u64>, String> {
    let mut whole = empty();
    for part in parts {
        whole
            .add(part.histogram()?)
            .map_err(|error| format!("{error:?}"))?;
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn packing_keeps_every_count() {
        let values: Vec<u64> = (1..5000).map(|i| i * 777).collect();
        let packed = Packed::of(&values);
        let mut whole = empty();
        for value in &values {
            whole.record(*value).unwrap();
        }
        assert_eq!(packed.histogram().unwrap(), whole);
    }

    /// Its plain form, changed and packed again.
    fn forged(change: impl Fn(&mut Vec<u8>)) -> Packed {
        use std::io::Write;
        let bytes = BASE64.decode(&Packed::of(&[1000; 9]).0).unwrap();
        let mut plain = inflated(&bytes, 1 << 20).unwrap();
        change(&mut plain);
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        zlib.write_all(&plain).unwrap();
        let deflated = zlib.finish().unwrap();
        let length = (deflated.len() as u32).to_be_bytes();
        Packed(BASE64.encode([&COMPRESSED[..], &length, &deflated].concat()))
    }

    /// The library would make room for 4 GiB, or for the counts of other bounds.
    #[test]
    fn what_a_histogram_announces_has_to_be_so() {
        let kept = Packed::of(&[1000; 9]).histogram().unwrap();
        assert_eq!(forged(|_| {}).histogram().unwrap(), kept);
        for (packed, why) in [
            (
                forged(|plain| plain[4..8].fill(0xff)),
                "it announces 4294967295 bytes and has ",
            ),
            (forged(|plain| plain[15] = 5), "its bounds are not"),
            (
                forged(|plain| plain[24..32].fill(0x7f)),
                "its bounds are not",
            ),
            (forged(|plain| plain.resize(16 << 20, 0)), "more than "),
            (forged(|plain| plain.truncate(9)), "it announces "),
            (Packed("A".repeat(1 << 20)), "1048576 characters"),
        ] {
            let said = packed.histogram().unwrap_err();
            assert!(said.starts_with(why), "{said}");
        }
    }

    #[test]
    fn text_that_is_no_histogram_is_refused() {
        assert!(Packed("bm90IGEgaGlzdG9ncmFt".into()).histogram().is_err());
        assert!(Packed("%%".into()).histogram().is_err());
    }
}
