//! What a record is, and where it ends (RFC 8446 §5).

use rustls::AlertDescription;

/// Length of a record header: type, legacy version, length.
pub(super) const RECORD_HEADER: usize = 5;
/// Content types (RFC 8446 §5.1).
const CHANGE_CIPHER_SPEC: u8 = 20;
pub(super) const ALERT: u8 = 21;
pub(super) const HANDSHAKE: u8 = 22;
pub(super) const APPLICATION_DATA: u8 = 23;
/// Content of one record at most (RFC 8446 §5.1).
pub(super) const MAX_CONTENT: usize = 1 << 14;
/// The same with what encryption may add (RFC 8446 §5.2).
pub(super) const MAX_FRAGMENT: usize = MAX_CONTENT + 256;

/// Length of the first record if it is there in full. What cannot become a record counts as one.
pub(super) fn record_length(received: &[u8]) -> Option<usize> {
    let content_type = *received.first()?;
    if !(20..=24).contains(&content_type) {
        return Some(received.len());
    }
    let header = received.get(..RECORD_HEADER)?;
    let fragment = usize::from(u16::from_be_bytes([header[3], header[4]]));
    if fragment > MAX_FRAGMENT {
        return Some(received.len());
    }
    let length = RECORD_HEADER + fragment;
    (received.len() >= length).then_some(length)
}

/// Whether the first record is longer than one in plaintext may be (RFC 8446 §5.1).
pub(super) fn is_too_long_plaintext(received: &[u8]) -> bool {
    announced(received).is_some_and(|length| length > MAX_CONTENT)
}

/// The same for one that is encrypted (RFC 8446 §5.2).
pub(super) fn is_too_long_ciphertext(received: &[u8]) -> bool {
    announced(received).is_some_and(|length| length > MAX_FRAGMENT)
}

/// The length in the header of the first record, if it is one of TLS.
fn announced(received: &[u8]) -> Option<usize> {
    match received {
        [20..=24, 3, _, high, low, ..] => Some(u16::from_be_bytes([*high, *low]).into()),
        _ => None,
    }
}

/// A change_cipher_spec that nobody may send: rustls answers it with `unexpected_message` (RFC 8446 §5),
/// under the keys in use.
pub(super) const UNEXPECTED: [u8; 6] = [20, 3, 3, 0, 1, 2];

/// Which records a peer must not send during a handshake, where rustls lets them pass or closes
/// without an alert.
#[derive(Default)]
pub(super) struct RecordRules {
    /// change_cipher_spec records so far.
    changes: u8,
}

impl RecordRules {
    /// As many as rustls ignores (RFC 8446 §5 and D.4).
    const MAX_CHANGES: u8 = 2;

    /// Whether the first record must not be; `keyed` behind the ServerHello.
    pub(super) fn refuses(&mut self, received: &[u8], keyed: bool) -> bool {
        match received {
            // Handshake messages and alerts have content (RFC 8446 §5.1).
            [HANDSHAKE | ALERT, _, _, 0, 0, ..] => true,
            // Behind the ServerHello they are encrypted, and their outer type is application_data (§5.2).
            [HANDSHAKE, ..] => keyed,
            [CHANGE_CIPHER_SPEC, _, _, 0, 1, 1, ..] => {
                self.changes = self.changes.saturating_add(1);
                self.changes > Self::MAX_CHANGES
            }
            _ => false,
        }
    }
}

/// The alert in a record, if it is none that closes and is called a warning: TLS 1.3 knows no such level,
/// and rustls passes over it before there is a version (RFC 8446 §6).
pub(super) fn warning(record: &[u8]) -> Option<AlertDescription> {
    const WARNING: u8 = 1;
    match record {
        [ALERT, _, _, 0, 2, WARNING, alert] => Some(AlertDescription::from(*alert))
            .filter(|alert| *alert != AlertDescription::CloseNotify),
        _ => None,
    }
}

/// A fatal alert in a plaintext record, as it is sent before there are keys (RFC 8446 §6).
pub(super) fn fatal_alert(alert: AlertDescription) -> [u8; RECORD_HEADER + 2] {
    const FATAL: u8 = 2;
    [ALERT, 3, 3, 0, 2, FATAL, alert.into()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_ends_where_its_header_says() {
        let record = [22, 3, 1, 0, 2, 7, 7];
        for end in 0..record.len() {
            assert_eq!(record_length(&record[..end]), None, "{end}");
        }
        assert_eq!(record_length(&record), Some(7));
        assert_eq!(record_length(&[&record[..], &record].concat()), Some(7));
    }

    #[test]
    fn what_cannot_become_a_record_is_handed_on_as_it_is() {
        assert_eq!(record_length(b"GET"), Some(3));
        assert_eq!(record_length(&[22, 3, 1, 0x41, 0]), None);
        assert_eq!(record_length(&[22, 3, 1, 0x41, 1]), Some(5));
    }
}
