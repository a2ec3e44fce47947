//! What to do first, and the assumptions that it rests on: Mosca's inequality. What must stay secret for X
//! years while the migration takes Y is exposed today if X + Y is more than the years until a quantum computer.

use serde::Serialize;

use crate::args::ScanArgs;
use crate::certificates::Place;
use crate::level::level;
use crate::survey::Survey;

/// Lifetimes of data that are shown beside the one that was given, in years.
const LIFETIMES: [u16; 5] = [1, 3, 5, 10, 25];

/// The assumptions behind "exposed today", which nobody knows better than the reader.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Assumptions {
    /// Years for which traffic must stay secret.
    pub keep_secret_years: u16,
    /// Years that the migration takes.
    pub migration_years: u16,
    /// When classical key exchange is broken.
    pub quantum_by: u16,
    /// The year of the report.
    pub year: u16,
}

/// What the other assumptions mean for traffic that must stay secret for so long.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Lifetime {
    /// Years for which it must stay secret.
    pub keep_secret_years: u16,
    /// The last year in which a migration may begin so that nothing is exposed.
    pub begin_by: i32,
    /// What is recorded today is exposed.
    pub exposed: bool,
}

/// One thing to do, the most urgent first.
#[derive(Clone, Debug, Serialize)]
pub struct Advice {
    /// What.
    pub what: &'static str,
    /// The rule that made it.
    pub because: String,
    /// Where.
    pub endpoints: Vec<String>,
}

impl Assumptions {
    /// As they were given, at a moment in seconds since 1970.
    pub(super) fn new(args: &ScanArgs, at: u64) -> Self {
        Self {
            keep_secret_years: args.keep_secret,
            migration_years: args.migration,
            quantum_by: args.quantum_by,
            year: u16::try_from(1970 + at / 31_556_952).unwrap_or(u16::MAX),
        }
    }

    /// The lifetime that was given, and others.
    pub(super) fn lifetimes(self) -> Vec<Lifetime> {
        let mut years = LIFETIMES.to_vec();
        years.push(self.keep_secret_years);
        years.sort_unstable();
        years.dedup();
        years
            .into_iter()
            .map(|years| self.lifetime(years))
            .collect()
    }

    fn lifetime(self, keep_secret_years: u16) -> Lifetime {
        let needed = i32::from(keep_secret_years) + i32::from(self.migration_years);
        let begin_by = i32::from(self.quantum_by) - needed;
        Lifetime {
            keep_secret_years,
            begin_by,
            exposed: begin_by < i32::from(self.year),
        }
    }

    /// The inequality in words.
    fn rule(self) -> String {
        let until = self.quantum_by.saturating_sub(self.year);
        let exposed = self.lifetime(self.keep_secret_years).exposed;
        format!(
            "{} secret + {} of migration {} {} until {}",
            span(self.keep_secret_years),
            span(self.migration_years),
            if exposed { ">" } else { "<=" },
            span(until),
            self.quantum_by
        )
    }
}

/// A number of years in words.
pub(super) fn span(years: u16) -> String {
    if years == 1 {
        "1 year".to_owned()
    } else {
        format!("{years} years")
    }
}

/// What to do, why, and whether an endpoint needs it.
type Rule = (&'static str, String, fn(&Survey) -> bool);

/// What to do first, with the endpoints that need it.
pub(super) fn advice(endpoints: &[(&str, &Survey)], assumptions: Assumptions) -> Vec<Advice> {
    let exposed = assumptions.lifetime(assumptions.keep_secret_years).exposed;
    let rule = assumptions.rule();
    let rows: [Rule; 5] = [
        (
            if exposed {
                "Give these a hybrid group: what is recorded today is exposed"
            } else {
                "Give these a hybrid group"
            },
            format!("no hybrid group is accepted; {rule}"),
            Survey::is_classical,
        ),
        (
            "Prefer the hybrid group on the server",
            "a client that lists classical groups first gets a classical one".to_owned(),
            |survey| survey.hybrid.present == Some(true) && survey.hybrid.preferred == Some(false),
        ),
        (
            "Ask for the hybrid group with a HelloRetryRequest",
            "a client that lists it but sends a classical share stays classical".to_owned(),
            |survey| {
                let hybrid = survey.hybrid;
                hybrid.preferred == Some(true) && hybrid.held == Some(false)
            },
        ),
        (
            "Turn TLS 1.2 and older off",
            "no version before TLS 1.3 has hybrid key exchange".to_owned(),
            |survey| survey.hybrid.present == Some(true) && survey.versions.iter().any(|v| *v != "1.3"),
        ),
        (
            "Plan certificates that outlive ECDSA and RSA",
            "no certificate for clients with ML-DSA; forged signatures need a quantum computer at the time of the connection, so this comes after key exchange".to_owned(),
            |survey| {
                let seen = &survey.certificates;
                // What cannot be read, or did not arrive, may be the certificate that is wanted.
                let without = seen.ml_dsa.is_none() && !seen.may_have(Place::MlDsa);
                let leaf = seen.leaf();
                without && leaf.is_some_and(|leaf| level(&leaf.key) == Some(0))
            },
        ),
    ];
    let of = |is: fn(&Survey) -> bool| -> Vec<String> {
        let matching = endpoints.iter().filter(|(_, survey)| is(survey));
        matching.map(|(target, _)| (*target).to_owned()).collect()
    };
    let rows = rows.into_iter().map(|(what, because, is)| Advice {
        what,
        because,
        endpoints: of(is),
    });
    rows.filter(|advice| !advice.endpoints.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_years_decide_whether_what_is_recorded_today_is_exposed() {
        let assumptions = |migration_years| Assumptions {
            keep_secret_years: 7,
            migration_years,
            quantum_by: 2035,
            year: 2026,
        };
        let lifetimes = assumptions(3).lifetimes();
        let shown = lifetimes.iter();
        let shown: Vec<_> = shown
            .map(|of| (of.keep_secret_years, of.begin_by, of.exposed))
            .collect();
        assert_eq!(
            shown,
            [
                (1, 2031, false),
                (3, 2029, false),
                (5, 2027, false),
                (7, 2025, true),
                (10, 2022, true),
                (25, 2007, true),
            ]
        );
        let said = "7 years secret + 3 years of migration > 9 years until 2035";
        assert_eq!(assumptions(3).rule(), said);
        let said = "7 years secret + 2 years of migration <= 9 years until 2035";
        assert_eq!(assumptions(2).rule(), said);
        let said = "7 years secret + 1 year of migration <= 9 years until 2035";
        assert_eq!(assumptions(1).rule(), said);
        assert!(!assumptions(2).lifetime(7).exposed);
    }
}
