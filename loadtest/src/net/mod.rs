//! Bytes on the wire: counted streams, dialling a target, the relay that emulates a link. No HTTP here.

pub mod accept;
pub mod counts;
pub mod dial;
pub mod forward;
pub mod inbox;
pub mod link;
mod poll_writer;
mod records;
pub mod relay;
pub mod served;
pub mod socket;
pub mod stamp;
pub mod stream;
pub mod timer;
