//! hybridge
