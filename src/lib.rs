//! hybridge
pub mod certgen;
pub mod tls;
