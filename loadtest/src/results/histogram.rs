//! HdrHistogram in the result file: its own compressed form in base64, so that merging loses nothing.
//! Values are nanoseconds, 0.1 us to one hour, three significant digits.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer, V2DeflateSerializer};
use serde::{Deserialize, Serialize};

const LOWEST: u64 = 100;
const HIGHEST: u64 = 3_600_000_000_000;

/// A histogram as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Packed(String);

/// An empty histogram of this file's bounds.
pub fn empty() -> Histogram<u64> {
    // The bounds are constants the constructor accepts; the default differs only in precision.
    Histogram::new_with_bounds(LOWEST, HIGHEST, 3).unwrap_or_else(|_| Histogram::default_bounds())
}

trait DefaultBounds {
    fn default_bounds() -> Self;
}

impl DefaultBounds for Histogram<u64> {
    #[expect(
        clippy::expect_used,
        reason = "three significant digits are always accepted"
    )]
    fn default_bounds() -> Self {
        Self::new(3).expect("three significant digits are valid")
    }
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
        let bytes = BASE64.decode(&self.0).map_err(|error| error.to_string())?;
        Deserializer::new()
            .deserialize(&mut bytes.as_slice())
            .map_err(|error| format!("{error:?}"))
    }
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

    #[test]
    fn text_that_is_no_histogram_is_refused() {
        assert!(Packed("bm90IGEgaGlzdG9ncmFt".into()).histogram().is_err());
        assert!(Packed("%%".into()).histogram().is_err());
    }
}
