//! The fields of a protobuf message (Protocol Buffers, Encoding). Reads what it is given and no further.

use super::error::Error;

/// What a field holds.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Value<'a> {
    /// A string, bytes, or a message.
    Bytes(&'a [u8]),
    /// A number, of no use here.
    Number,
}

/// The fields that are left.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

const BROKEN: Error = Error::Malformed("a protobuf field is cut off, or of a kind that is no more");

impl<'a> Fields<'a> {
    fn varint(&mut self) -> Result<u64, Error> {
        let mut number = 0_u64;
        for at in 0..10 {
            let (byte, rest) = self.0.split_first().ok_or(BROKEN)?;
            self.0 = rest;
            let bits = u64::from(byte & 0x7f);
            if at == 9 && bits > 1 {
                return Err(BROKEN);
            }
            number |= bits << (7 * at);
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(BROKEN)
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], Error> {
        let length = usize::try_from(length).map_err(|_| BROKEN)?;
        let (taken, rest) = self.0.split_at_checked(length).ok_or(BROKEN)?;
        self.0 = rest;
        Ok(taken)
    }

    fn field(&mut self) -> Result<(u64, Value<'a>), Error> {
        let tag = self.varint()?;
        let number = tag >> 3;
        if number == 0 {
            return Err(BROKEN);
        }
        let value = match tag & 7 {
            0 => self.varint().map(|_| Value::Number)?,
            1 => self.take(8).map(|_| Value::Number)?,
            2 => {
                let length = self.varint()?;
                Value::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Value::Number)?,
            _ => return Err(BROKEN),
        };
        Ok((number, value))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Value<'a>), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn fields_of_every_kind_are_read_or_passed_over() {
        let wire = [
            &[0x08, 0x96, 0x01][..],
            &[0x12, 2, b'h', b'i'],
            &[0x19, 1, 2, 3, 4, 5, 6, 7, 8],
            &[0x25, 1, 2, 3, 4],
            &[0x2a, 0],
        ];
        let wire = wire.concat();
        let fields: Result<Vec<_>, _> = Fields(&wire).collect();
        let expected = vec![
            (1, Value::Number),
            (2, Value::Bytes(b"hi")),
            (3, Value::Number),
            (4, Value::Number),
            (5, Value::Bytes(b"")),
        ];
        assert_eq!(fields.unwrap(), expected);
    }

    #[test]
    fn what_is_cut_off_or_too_long_ends_the_reading() {
        let endless = [0xff; 11];
        let wrong: [&[u8]; 7] = [
            &[0x12, 3, b'h', b'i'],
            &[0x12],
            &[0x0b],
            &[0x00, 0],
            &[0x19, 1],
            &endless,
            &[
                0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01,
            ],
        ];
        for wire in wrong {
            let mut fields = Fields(wire);
            assert!(fields.any(|field| field.is_err()), "{wire:?}");
            assert!(fields.next().is_none());
        }
    }
}
