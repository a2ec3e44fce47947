//! What government agencies ask for, and by when. `docs/compliance.md` has the same table.

use serde::Serialize;

/// One source.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Date {
    /// The document, with its date.
    pub source: &'static str,
    /// What it asks for.
    pub asks: &'static str,
}

const fn date(source: &'static str, asks: &'static str) -> Date {
    Date { source, asks }
}

/// Every source.
pub const DATES: [Date; 7] = [
    date(
        "US Executive Order 14412 (2026-06-22, 91 FR 38483)",
        "high-value assets and high-impact systems: key establishment by 2030-12-31, signatures by 2031-12-31",
    ),
    date(
        "NIST IR 8547, initial public draft (2024-11-12)",
        "RSA, ECDSA and ECDH at 112 bits deprecated after 2030, all RSA and elliptic curves disallowed after 2035",
    ),
    date(
        "NSA CNSA 2.0 (2022-09; FAQ 2.1, 2024-12)",
        "ML-KEM-1024, ML-DSA-87, AES-256, SHA-384 or SHA-512; new acquisitions for national security systems from 2027-01-01; what cannot is phased out by 2030-12-31",
    ),
    date(
        "EU NIS Cooperation Group, roadmap 1.1 (2025-06-11)",
        "first steps by 2026-12-31; high risk by 2030-12-31; medium risk by 2035-12-31",
    ),
    date(
        "BSI TR-02102-1, version 2026-01",
        "purely classical key agreement until the end of 2031, for very high protection until 2030; hybrid; classical signatures until the end of 2035",
    ),
    date(
        "ANSSI, roadmap (2026-04-09)",
        "inventory 2026, components 2027, classified systems 2030",
    ),
    date(
        "UK NCSC (2025-03-20)",
        "discovery by 2028, priority systems by 2031, all by 2035",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_has_the_same_table() {
        let text = include_str!("../../../docs/compliance.md");
        let table = text.split("## Dates").nth(1).unwrap_or_default();
        let table = table.split("## ").next().unwrap_or_default();
        let rows: Vec<_> = table
            .lines()
            .filter(|line| line.starts_with("| "))
            .collect();
        let expected = DATES.map(|date| format!("| {} | {} |", date.source, date.asks));
        assert_eq!(rows.get(1..).unwrap_or_default(), expected);
    }
}
