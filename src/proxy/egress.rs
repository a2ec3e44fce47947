//! The other half of the connection: plaintext from an app of this host in, TLS to a server out.

mod allowed;
mod app;
mod capture;
mod frontend;
mod http;
mod log;
mod pools;
mod service;
mod settings;
mod socks;
mod template;
mod tunnel;

pub use self::allowed::{TargetRule, TargetRuleError};
pub use self::frontend::EgressFrontend;
pub use self::service::EgressService;
pub use self::settings::{Capture, Destination, Named, Settings};
pub use self::template::Template;
