//! The figures usually quoted for these algorithms, to stand beside the measured ones.

use super::{Figure, Row};

/// One quoted figure, milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Quoted {
    pub what: &'static str,
    pub algorithm: &'static str,
    pub ms: f64,
    figure: fn(&Row) -> Option<Figure>,
}

/// Kyber is what became ML-KEM, Dilithium-5 what became ML-DSA-87, Falcon what becomes FN-DSA.
pub const QUOTED: [Quoted; 9] = [
    Quoted {
        what: "Kyber-1024 key generation",
        algorithm: "ML-KEM-1024",
        ms: 12.3,
        figure: |row| row.keygen,
    },
    Quoted {
        what: "Kyber-1024 encapsulation",
        algorithm: "ML-KEM-1024",
        ms: 15.6,
        figure: |row| row.encapsulate,
    },
    Quoted {
        what: "Kyber-1024 decapsulation",
        algorithm: "ML-KEM-1024",
        ms: 5.8,
        figure: |row| row.decapsulate,
    },
    Quoted {
        what: "Dilithium-5 key generation",
        algorithm: "ML-DSA-87",
        ms: 28.9,
        figure: |row| row.keygen,
    },
    Quoted {
        what: "Dilithium-5 signature",
        algorithm: "ML-DSA-87",
        ms: 45.2,
        figure: |row| row.sign,
    },
    Quoted {
        what: "Dilithium-5 verification",
        algorithm: "ML-DSA-87",
        ms: 12.7,
        figure: |row| row.verify,
    },
    Quoted {
        what: "ECDSA P-256 signature",
        algorithm: "ECDSA P-256",
        ms: 1.8,
        figure: |row| row.sign,
    },
    Quoted {
        what: "RSA-2048 signature",
        algorithm: "RSA-2048",
        ms: 25.3,
        figure: |row| row.sign,
    },
    Quoted {
        what: "Falcon-1024 signature",
        algorithm: "Falcon-1024 (FN-DSA)",
        ms: 8.9,
        figure: |row| row.sign,
    },
];

impl Quoted {
    /// The measured counterpart.
    pub fn measured(&self, rows: &[Row]) -> Option<Figure> {
        rows.iter()
            .find(|row| row.name == self.algorithm)
            .and_then(self.figure)
    }
}
