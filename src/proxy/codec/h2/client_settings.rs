//! What a client's first SETTINGS frame says of the table for field compression (RFC 9113 §6.5.2,
//! RFC 7541 §4.2). The h2 crate does not tell.

use super::frame::{HEADER, PREFACE, SETTINGS, payload_length};

const HEADER_TABLE_SIZE: u16 = 1;
const DEFAULT_TABLE_SIZE: u32 = 4096;

/// Reads the beginning of a client's side of a connection.
#[derive(Default)]
pub(super) struct ClientSettings {
    begun: Vec<u8>,
    /// Whether the table has at least its usual size; `None` until that is known.
    usual_table: Option<bool>,
}

impl ClientSettings {
    /// Bytes that came. Nothing is kept of them once the frame is whole.
    pub(super) fn received(&mut self, bytes: &[u8]) {
        if self.usual_table.is_some() {
            return;
        }
        self.begun.extend_from_slice(bytes);
        if let Some(usual) = usual_table(&self.begun) {
            self.usual_table = Some(usual);
            self.begun = Vec::new();
        }
    }

    /// Whether a header block may be written without an update of the table's size before it.
    pub(super) fn allows_plain_blocks(&self) -> bool {
        self.usual_table == Some(true)
    }
}

/// `None` if the frame is not whole. Something else than a SETTINGS frame ends the connection anyway.
fn usual_table(bytes: &[u8]) -> Option<bool> {
    let frame = bytes.get(PREFACE.len()..)?;
    let header = frame.get(..HEADER)?;
    if header[3] != SETTINGS || !bytes.starts_with(PREFACE) {
        return Some(false);
    }
    let settings = frame.get(HEADER..HEADER + payload_length(header))?;
    let small = |setting: &[u8]| {
        let value = u32::from_be_bytes([setting[2], setting[3], setting[4], setting[5]]);
        u16::from_be_bytes([setting[0], setting[1]]) == HEADER_TABLE_SIZE
            && value < DEFAULT_TABLE_SIZE
    };
    Some(!settings.chunks_exact(6).any(small))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(settings: &[(u16, u32)]) -> Vec<u8> {
        let mut bytes = PREFACE.to_vec();
        bytes.extend_from_slice(&[0, 0, 6 * settings.len() as u8, SETTINGS, 0, 0, 0, 0, 0]);
        for (name, value) in settings {
            bytes.extend_from_slice(&name.to_be_bytes());
            bytes.extend_from_slice(&value.to_be_bytes());
        }
        bytes
    }

    #[test]
    fn a_smaller_table_is_known_however_the_bytes_come() {
        for (settings, usual) in [
            (&[][..], true),
            (&[(4, 65_535), (1, 4096)], true),
            (&[(1, 65_536)], true),
            (&[(3, 100), (1, 0)], false),
            (&[(1, 4095)], false),
        ] {
            let bytes = hello(settings);
            for step in 1..=bytes.len() {
                let mut client = ClientSettings::default();
                for piece in bytes.chunks(step) {
                    assert!(!client.allows_plain_blocks());
                    client.received(piece);
                }
                assert_eq!(
                    client.allows_plain_blocks(),
                    usual,
                    "{settings:?} by {step}"
                );
                assert!(client.begun.is_empty());
            }
        }
        let mut other = ClientSettings::default();
        other.received(&[b'x'; 64]);
        assert!(!other.allows_plain_blocks());
    }
}
