//! The mutating admission webhook: `hybridge inject serve`.

mod accept;
mod admin;
mod bodies;
mod connection;
mod planning;
mod respond;
mod responses;
mod review;
mod server;
mod streams;
mod values;
mod work;

pub use respond::{BODY_LIMIT, ENFORCED_PATH, NAMESPACE_PATH, OBJECT_PATH, Webhook};
pub use server::Server;
