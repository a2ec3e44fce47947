//! What TLS endpoints accept: groups in the server's order; hybrid key exchange present, preferred,
//! held and enforced; versions; certificates. For an inventory before a migration.
//!
//! No request is sent and nothing is trusted. Linked by the commands `scan` and `probe` only, never by
//! what serves traffic.

mod address_space;
pub mod answer;
pub mod args;
pub mod cbom;
pub mod certificate;
pub mod certificates;
pub mod dial;
pub mod doctor;
pub mod groups;
pub mod hello;
mod json;
pub mod kubectl;
mod level;
mod moment;
pub mod printable;
pub mod probe;
mod regular;
pub mod report;
pub mod run;
mod session;
pub mod survey;
pub mod target;

pub use args::{ProbeArgs, ScanArgs};
