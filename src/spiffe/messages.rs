//! The messages of a gRPC stream: a flag, a length and so many bytes (gRPC over HTTP/2, Length-Prefixed-Message).

use zeroize::Zeroizing;

use super::error::Error;

/// Longest message that is read; the usual limit of gRPC.
const LONGEST: usize = 4 << 20;
const PREFIX: usize = 5;

/// Bytes as they come, cut into messages. Wiped when dropped: they hold a private key.
#[derive(Default)]
pub(super) struct Messages {
    prefix: Vec<u8>,
    /// Of the message whose prefix is whole.
    body: Option<(usize, Zeroizing<Vec<u8>>)>,
}

impl Messages {
    /// Takes bytes in, and gives each message that they complete.
    pub(super) fn push(
        &mut self,
        mut bytes: &[u8],
        mut deliver: impl FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        loop {
            let Some((length, body)) = &mut self.body else {
                let missing = PREFIX - self.prefix.len();
                let (taken, rest) = bytes.split_at(missing.min(bytes.len()));
                self.prefix.extend_from_slice(taken);
                bytes = rest;
                let Ok([flag, length @ ..]) = <[u8; PREFIX]>::try_from(self.prefix.as_slice())
                else {
                    return Ok(());
                };
                if flag != 0 {
                    return Err(Error::Malformed(
                        "a message is compressed, which nobody asked for",
                    ));
                }
                let length = u32::from_be_bytes(length) as usize;
                if length > LONGEST {
                    return Err(Error::Malformed("a message is longer than 4 MiB"));
                }
                self.prefix.clear();
                // Room for the whole: a buffer that grows leaves unwiped copies behind.
                self.body = Some((length, Zeroizing::new(Vec::with_capacity(length))));
                continue;
            };
            let missing = *length - body.len();
            let (taken, rest) = bytes.split_at(missing.min(bytes.len()));
            body.extend_from_slice(taken);
            bytes = rest;
            if body.len() < *length {
                return Ok(());
            }
            let body = self.body.take();
            if let Some((_, body)) = body {
                deliver(&body)?;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn messages_are_the_same_however_the_stream_is_cut() {
        let wire = [
            &[0, 0, 0, 0, 3][..],
            b"abc",
            &[0; 5],
            &[0, 0, 0, 0, 1],
            b"d",
            &[0, 0],
        ]
        .concat();
        for step in 1..=wire.len() {
            let mut messages = Messages::default();
            let mut seen = Vec::new();
            for piece in wire.chunks(step) {
                let taken = messages.push(piece, |message| {
                    seen.push(message.to_vec());
                    Ok(())
                });
                taken.unwrap();
            }
            assert_eq!(seen, [&b"abc"[..], b"", b"d"]);
        }
    }

    #[test]
    fn what_is_compressed_or_too_long_is_refused_at_its_prefix() {
        for prefix in [[1, 0, 0, 0, 0], [0, 0, 0x40, 0, 1]] {
            let mut messages = Messages::default();
            assert!(messages.push(&prefix, |_| Ok(())).is_err(), "{prefix:?}");
        }
    }
}
