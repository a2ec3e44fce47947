//! A door for the fuzz target into what parses a peer's records. Built for it alone (`cfg(fuzzing)`).

use super::post_handshake::PostHandshake;
use super::record::record_length;

/// What records of a peer come to: how many of each kind were taken, and the alert that ended it.
#[derive(Debug, Default, Eq, PartialEq)]
pub struct Taken {
    /// Bytes of data.
    pub data: usize,
    /// KeyUpdate messages.
    pub updates: usize,
    /// Alerts.
    pub alerts: usize,
    /// The alert it was refused with.
    pub refused: Option<u8>,
}

/// Reads records as if each had been opened: content type and content are taken as they stand.
/// Handshake content is cut into pieces of `step` bytes, as a peer may do.
pub fn records(mut bytes: &[u8], step: usize) -> Taken {
    let mut taken = Taken::default();
    let mut reader = PostHandshake::default();
    while let Some(length) = record_length(bytes) {
        let (record, rest) = bytes.split_at(length);
        bytes = rest;
        let content = record.get(5..).unwrap_or_default();
        let read = match record[0] {
            22 if !content.is_empty() => content.chunks(step).try_for_each(|piece| {
                let update = reader.handshake(piece)?;
                taken.updates += usize::from(update.is_some());
                Ok(())
            }),
            22 => reader.handshake(content).map(|_| ()),
            21 => reader.alert(content).map(|_| taken.alerts += 1),
            _ => reader
                .data(content.len())
                .map(|()| taken.data += content.len()),
        };
        if let Err(alert) = read {
            taken.refused = Some(alert.into());
            break;
        }
    }
    taken
}
