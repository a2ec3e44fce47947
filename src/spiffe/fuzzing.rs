//! For the fuzzer: what an agent may send.

use super::messages::Messages;
use super::response::Response;

/// How many answers a stream holds, cut every `step` bytes; `None` if it cannot be read.
pub fn answers(wire: &[u8], step: usize) -> Option<usize> {
    let mut messages = Messages::default();
    let mut count = 0;
    for piece in wire.chunks(step.max(1)) {
        let taken = messages.push(piece, |message| {
            let response = Response::decode(message)?;
            assert!(response.svids.len() <= 64);
            count += 1;
            Ok(())
        });
        taken.ok()?;
    }
    Some(count)
}
