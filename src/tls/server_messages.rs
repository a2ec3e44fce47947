//! What a server may send after the handshake besides data and alerts: session tickets and KeyUpdate
//! (RFC 8446 §4.6.1, §4.6.3), put together however many records they take.

use bytes::{Buf, BytesMut};
use rustls::AlertDescription;

use super::post_handshake::KeyUpdate;

/// Message types (RFC 8446 §4).
const NEW_SESSION_TICKET: u8 = 4;
const KEY_UPDATE: u8 = 24;
/// Type and length of a message.
const HEADER: usize = 4;
/// The longest ticket that is put together: those with a chain of ML-DSA certificates have 11 kB.
const LONGEST: usize = 64 * 1024;

/// A message of a server.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum ServerMessage {
    /// A ticket, without its header.
    Ticket(BytesMut),
    /// The server's key changes; the last message under its key.
    Update(KeyUpdate),
}

/// Puts messages together.
#[derive(Debug, Default)]
pub(super) struct ServerMessages {
    partial: BytesMut,
}

impl ServerMessages {
    /// More of them.
    pub(super) fn add(&mut self, content: &[u8]) {
        self.partial.extend_from_slice(content);
    }

    /// A message has begun and not ended.
    pub(super) fn is_begun(&self) -> bool {
        !self.partial.is_empty()
    }

    /// What has begun is a ticket.
    pub(super) fn is_ticket(&self) -> bool {
        self.partial.first() == Some(&NEW_SESSION_TICKET)
    }

    /// The next message, if it is there in full.
    pub(super) fn next(&mut self) -> Result<Option<ServerMessage>, AlertDescription> {
        let [kind, rest @ ..] = &self.partial[..] else {
            self.partial = BytesMut::new();
            return Ok(None);
        };
        let kind = *kind;
        if !matches!(kind, NEW_SESSION_TICKET | KEY_UPDATE) {
            return Err(AlertDescription::UnexpectedMessage);
        }
        let &[high, middle, low, ..] = rest else {
            return Ok(None);
        };
        let length = u32::from_be_bytes([0, high, middle, low]) as usize;
        let most = if kind == KEY_UPDATE { 1 } else { LONGEST };
        if length > most {
            return Err(AlertDescription::DecodeError);
        }
        if self.partial.len() < HEADER + length {
            return Ok(None);
        }
        self.partial.advance(HEADER);
        let body = self.partial.split_to(length);
        if kind == NEW_SESSION_TICKET {
            return Ok(Some(ServerMessage::Ticket(body)));
        }
        // What follows is under the next key, so it cannot be in the same record.
        if self.is_begun() {
            return Err(AlertDescription::UnexpectedMessage);
        }
        match &body[..] {
            [0] => Ok(Some(ServerMessage::Update(KeyUpdate::Theirs))),
            [1] => Ok(Some(ServerMessage::Update(KeyUpdate::Both))),
            [] => Err(AlertDescription::DecodeError),
            _ => Err(AlertDescription::IllegalParameter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(parts: &[&[u8]]) -> Result<Vec<ServerMessage>, AlertDescription> {
        let (mut messages, mut read) = (ServerMessages::default(), Vec::new());
        for part in parts {
            messages.add(part);
            while let Some(message) = messages.next()? {
                read.push(message);
            }
        }
        assert!(!messages.is_begun(), "{messages:?}");
        Ok(read)
    }

    #[test]
    fn tickets_read_the_same_however_they_are_cut_and_however_many_come_at_once() {
        let two = [4, 0, 0, 3, 1, 2, 3, 4, 0, 0, 1, 9];
        let ticket = |body: &[u8]| ServerMessage::Ticket(BytesMut::from(body));
        let expected = vec![ticket(&[1, 2, 3]), ticket(&[9])];
        for cut in 0..=two.len() {
            assert_eq!(read(&[&two[..cut], &two[cut..]]).as_ref(), Ok(&expected));
        }
        let bytes: Vec<&[u8]> = two.chunks(1).collect();
        assert_eq!(read(&bytes), Ok(expected));
    }

    #[test]
    fn a_key_update_is_the_last_of_its_record() {
        let update = |request| Ok(vec![ServerMessage::Update(request)]);
        assert_eq!(read(&[&[24, 0, 0, 1, 0]]), update(KeyUpdate::Theirs));
        assert_eq!(read(&[&[24, 0, 0], &[1, 1]]), update(KeyUpdate::Both));
        let followed = [24, 0, 0, 1, 0, 4];
        assert_eq!(read(&[&followed]), Err(AlertDescription::UnexpectedMessage));
    }

    #[test]
    fn other_messages_and_malformed_ones_are_refused() {
        for (content, alert) in [
            (&[11, 0, 0, 0][..], AlertDescription::UnexpectedMessage),
            (&[13], AlertDescription::UnexpectedMessage),
            (&[4, 1, 0, 1], AlertDescription::DecodeError),
            (&[24, 0, 0, 2], AlertDescription::DecodeError),
            (&[24, 0, 0, 0], AlertDescription::DecodeError),
            (&[24, 0, 0, 1, 2], AlertDescription::IllegalParameter),
        ] {
            assert_eq!(read(&[content]), Err(alert), "{content:?}");
        }
    }
}
