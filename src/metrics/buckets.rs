//! The bounds of the histograms.

/// Seconds: from a loopback handshake to the handshake timeout.
pub(super) const HANDSHAKE_SECONDS: &[f64] = &[
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0,
];
/// Seconds: one operation to a handshake of a process that lacks CPU, which an alert asks for.
pub(super) const COMPUTE_SECONDS: &[f64] = &[
    0.000_01, 0.000_025, 0.000_05, 0.000_075, 0.000_1, 0.000_15, 0.000_2, 0.000_3, 0.000_5, 0.001,
    0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0,
];
/// Bytes: fine where classical and hybrid hellos differ, coarse where chains make the size.
pub(super) const HANDSHAKE_BYTES: &[f64] = &[
    256.0, 384.0, 512.0, 640.0, 768.0, 1024.0, 1280.0, 1536.0, 1792.0, 2048.0, 2560.0, 3072.0,
    4096.0, 6144.0, 8192.0, 12288.0, 16384.0, 32768.0,
];
/// Seconds: a health check to a long generation.
pub(super) const REQUEST_SECONDS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
    120.0, 300.0, 600.0,
];
/// Seconds: between two tokens of a fast model to a pause that is noticed.
pub(super) const GAP_SECONDS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75,
    1.0, 2.5, 5.0, 10.0, 30.0,
];
