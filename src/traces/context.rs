//! W3C Trace Context: `traceparent` in and out. What is malformed is nobody's parent. Pure.

/// The trace that a request belongs to, and the span that is its parent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Parent {
    pub(super) trace: [u8; 16],
    pub(super) span: [u8; 8],
    pub(super) sampled: bool,
}

/// Bytes of a field of version 00.
pub(super) const LENGTH: usize = 55;

/// The one bit of the flags that is used: somebody records this trace.
const SAMPLED: u8 = 1;

impl Parent {
    /// Reads the one field of a request (W3C Trace Context §3.2.2); of several, none is used.
    pub(super) fn read<'a>(fields: impl IntoIterator<Item = &'a [u8]>) -> Option<Self> {
        let mut fields = fields.into_iter();
        let field = fields.next()?.trim_ascii();
        if fields.next().is_some() {
            return None;
        }
        Self::parse(field)
    }

    fn parse(field: &[u8]) -> Option<Self> {
        let (known, rest) = field.split_at_checked(LENGTH)?;
        let version = hex::<1>(known.get(0..2)?)?;
        // A later version may have more behind another dash; this one may not.
        let ends = match version {
            [0xff] => false,
            [0] => rest.is_empty(),
            _ => matches!(rest.first(), None | Some(b'-')),
        };
        let dashes = [2, 35, 52].iter().all(|at| known.get(*at) == Some(&b'-'));
        let parent = Self {
            trace: hex(known.get(3..35)?)?,
            span: hex(known.get(36..52)?)?,
            sampled: hex::<1>(known.get(53..55)?)?[0] & SAMPLED != 0,
        };
        let named = parent.trace != [0; 16] && parent.span != [0; 8];
        (ends && dashes && named).then_some(parent)
    }

    /// The field, in version 00.
    pub(super) fn write(&self) -> String {
        let mut field = String::with_capacity(LENGTH);
        field.push_str("00-");
        push_hex(&mut field, &self.trace);
        field.push('-');
        push_hex(&mut field, &self.span);
        field.push_str(if self.sampled { "-01" } else { "-00" });
        field
    }
}

/// Lower case only, as the field is defined.
fn hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    if text.len() != 2 * N {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

fn push_hex(text: &mut String, bytes: &[u8]) {
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            text.extend(char::from_digit(digit.into(), 16));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn read(field: &str) -> Option<Parent> {
        Parent::read([field.as_bytes()])
    }

    #[test]
    fn a_field_is_read_and_written() {
        let parent = read(GOOD).unwrap();
        assert_eq!(parent.trace[..2], [0x4b, 0xf9]);
        assert_eq!(parent.span[6..], [0x02, 0xb7]);
        assert!(parent.sampled);
        assert_eq!(parent.write(), GOOD);
        let unsampled = GOOD.replace("-01", "-00");
        assert_eq!(read(&unsampled).unwrap().write(), unsampled);
        // Flags that this version does not know are not forwarded.
        assert_eq!(read(&GOOD.replace("-01", "-ff")).unwrap().write(), GOOD);
        assert!(!read(&GOOD.replace("-01", "-fe")).unwrap().sampled);
    }

    #[test]
    fn a_later_version_is_read_as_far_as_it_is_known() {
        let later = format!("cc{}", &GOOD[2..]);
        assert_eq!(read(&later), read(GOOD));
        assert_eq!(read(&format!("{later}-what-comes")), read(GOOD));
        assert_eq!(read(&format!("{later}.what-comes")), None);
        assert_eq!(read(&format!("ff{}", &GOOD[2..])), None);
    }

    #[test]
    fn what_is_malformed_is_nobodys_parent() {
        let wrong = [
            String::new(),
            GOOD.to_uppercase(),
            format!("{GOOD}-00"),
            GOOD[..54].to_owned(),
            GOOD.replace('-', "_"),
            GOOD.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            GOOD.replace("00f067aa0ba902b7", &"0".repeat(16)),
            GOOD.replace("4bf9", "4bg9"),
            GOOD.replace("4bf9", "4bü"),
            format!("{GOOD},{GOOD}"),
        ];
        for field in wrong {
            assert_eq!(read(&field), None, "{field}");
        }
        assert_eq!(Parent::read([GOOD.as_bytes(), GOOD.as_bytes()]), None);
        assert_eq!(Parent::read([]), None);
        assert_eq!(read(&format!(" {GOOD} ")), read(GOOD));
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_strange(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            if let Some(parent) = Parent::read([&bytes[..]]) {
                prop_assert_eq!(Parent::parse(parent.write().as_bytes()), Some(parent));
            }
        }
    }
}
