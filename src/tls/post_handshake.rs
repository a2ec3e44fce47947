//! What may follow a handshake besides data: KeyUpdate, alerts, and nothing else (RFC 8446 §4.6.3, §6).

use rustls::AlertDescription;

/// A KeyUpdate whole: type, length, request_update.
const KEY_UPDATE: [u8; 4] = [24, 0, 0, 1];
const KEY_UPDATE_LENGTH: usize = KEY_UPDATE.len() + 1;
/// Ours, which asks for none in return.
pub(super) const UPDATE_NOT_REQUESTED: [u8; KEY_UPDATE_LENGTH] = [24, 0, 0, 1, 0];

/// Records without content in a row, after which a peer only keeps us busy: BoringSSL's bound.
const MAX_IDLE_RECORDS: u8 = 32;

/// What a peer asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum KeyUpdate {
    /// Its own key changes.
    Theirs,
    /// Its own key changes, and ours is to follow.
    Both,
}

/// What a peer says by an alert.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum AlertEffect {
    /// It sends nothing more.
    CloseNotify,
    /// What carries no meaning in TLS 1.3 and ends nothing.
    Nothing,
    /// The connection is over.
    Fatal(AlertDescription),
}

/// Reads post-handshake messages, which may come in pieces.
#[derive(Debug, Default)]
pub(super) struct PostHandshake {
    partial: [u8; KEY_UPDATE_LENGTH],
    length: u8,
    idle: u8,
}

impl PostHandshake {
    /// Data arrived. A message that has begun must not be interrupted (RFC 8446 §5.1).
    pub(super) fn data(&mut self, length: usize) -> Result<(), AlertDescription> {
        self.uninterrupted()?;
        if length == 0 {
            return self.without_data();
        }
        self.idle = 0;
        Ok(())
    }

    /// A record of handshake content: a client may send KeyUpdate, the last thing under its key.
    pub(super) fn handshake(
        &mut self,
        content: &[u8],
    ) -> Result<Option<KeyUpdate>, AlertDescription> {
        self.without_data()?;
        if content.is_empty() {
            return Err(AlertDescription::UnexpectedMessage);
        }
        for (index, byte) in content.iter().enumerate() {
            let at = usize::from(self.length);
            self.partial[at] = *byte;
            match KEY_UPDATE.get(at) {
                Some(expected) if expected == byte => self.length += 1,
                Some(_) if at == 0 => return Err(AlertDescription::UnexpectedMessage),
                Some(_) => return Err(AlertDescription::DecodeError),
                None if index + 1 < content.len() => {
                    return Err(AlertDescription::UnexpectedMessage);
                }
                None => {
                    self.length = 0;
                    return key_update(*byte).map(Some);
                }
            }
        }
        Ok(None)
    }

    /// A record of handshake content of a server, whose messages are put together elsewhere.
    pub(super) fn of_server(&mut self, content: &[u8]) -> Result<(), AlertDescription> {
        self.without_data()?;
        if content.is_empty() {
            return Err(AlertDescription::UnexpectedMessage);
        }
        Ok(())
    }

    /// Whether such a message has begun and not ended: nothing else may come before its end.
    pub(super) fn set_begun(&mut self, begun: bool) {
        self.length = begun.into();
    }

    /// A record of alert content.
    pub(super) fn alert(&mut self, content: &[u8]) -> Result<AlertEffect, AlertDescription> {
        self.uninterrupted()?;
        self.without_data()?;
        let [level, description] = content else {
            // An empty one must not be sent at all (RFC 8446 §5.4).
            return Err(if content.is_empty() {
                AlertDescription::UnexpectedMessage
            } else {
                AlertDescription::DecodeError
            });
        };
        // The level says nothing in TLS 1.3, but must be one (RFC 8446 §6).
        if !matches!(level, 1 | 2) {
            return Err(AlertDescription::IllegalParameter);
        }
        Ok(match AlertDescription::from(*description) {
            AlertDescription::CloseNotify => AlertEffect::CloseNotify,
            AlertDescription::UserCanceled => AlertEffect::Nothing,
            other => AlertEffect::Fatal(other),
        })
    }

    fn uninterrupted(&self) -> Result<(), AlertDescription> {
        if self.length > 0 {
            return Err(AlertDescription::UnexpectedMessage);
        }
        Ok(())
    }

    fn without_data(&mut self) -> Result<(), AlertDescription> {
        self.idle += 1;
        if self.idle > MAX_IDLE_RECORDS {
            return Err(AlertDescription::UnexpectedMessage);
        }
        Ok(())
    }
}

fn key_update(request: u8) -> Result<KeyUpdate, AlertDescription> {
    match request {
        0 => Ok(KeyUpdate::Theirs),
        1 => Ok(KeyUpdate::Both),
        _ => Err(AlertDescription::IllegalParameter),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_update_reads_the_same_however_it_is_cut() {
        let whole = [24, 0, 0, 1, 1];
        for cut in 1..whole.len() {
            let mut reader = PostHandshake::default();
            assert_eq!(reader.handshake(&whole[..cut]), Ok(None));
            assert_eq!(
                reader.data(3),
                Err(AlertDescription::UnexpectedMessage),
                "data in the middle"
            );
            assert_eq!(reader.handshake(&whole[cut..]), Ok(Some(KeyUpdate::Both)));
            assert_eq!(reader.data(3), Ok(()));
        }
        let whole = PostHandshake::default().handshake(&UPDATE_NOT_REQUESTED);
        assert_eq!(whole, Ok(Some(KeyUpdate::Theirs)));
    }

    #[test]
    fn other_messages_and_malformed_ones_are_refused() {
        for (content, alert) in [
            (&[][..], AlertDescription::UnexpectedMessage),
            (&[11, 0, 0, 1, 0], AlertDescription::UnexpectedMessage),
            (&[24, 0, 0, 2, 0, 0], AlertDescription::DecodeError),
            (&[24, 0, 0, 1, 2], AlertDescription::IllegalParameter),
            (
                &[24, 0, 0, 1, 0, 24, 0, 0, 1, 0],
                AlertDescription::UnexpectedMessage,
            ),
        ] {
            let read = PostHandshake::default().handshake(content);
            assert_eq!(read, Err(alert), "{content:?}");
        }
    }

    #[test]
    fn alerts_end_what_they_say_they_end() {
        let said = |content: &[u8]| PostHandshake::default().alert(content);
        assert_eq!(said(&[1, 0]), Ok(AlertEffect::CloseNotify));
        assert_eq!(said(&[2, 0]), Ok(AlertEffect::CloseNotify));
        assert_eq!(said(&[1, 90]), Ok(AlertEffect::Nothing));
        let fatal = AlertEffect::Fatal(AlertDescription::HandshakeFailure);
        assert_eq!(said(&[2, 40]), Ok(fatal));
        assert_eq!(said(&[1, 40]), Ok(fatal));
        assert_eq!(said(&[3, 0]), Err(AlertDescription::IllegalParameter));
        assert_eq!(said(&[]), Err(AlertDescription::UnexpectedMessage));
        assert_eq!(said(&[1]), Err(AlertDescription::DecodeError));
        assert_eq!(said(&[1, 0, 0]), Err(AlertDescription::DecodeError));
    }

    #[test]
    fn a_peer_that_sends_nothing_but_overhead_is_ended() {
        let mut reader = PostHandshake::default();
        for _ in 0..MAX_IDLE_RECORDS {
            assert_eq!(reader.data(0), Ok(()));
        }
        assert_eq!(reader.data(1), Ok(()), "data begins the count anew");
        for _ in 0..MAX_IDLE_RECORDS {
            assert!(reader.handshake(&UPDATE_NOT_REQUESTED).is_ok());
        }
        let next = reader.handshake(&UPDATE_NOT_REQUESTED);
        assert_eq!(next, Err(AlertDescription::UnexpectedMessage));
    }
}
