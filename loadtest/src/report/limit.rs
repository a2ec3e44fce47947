//! `--fail-if`: a limit on a difference, such as `full-handshake.cpu > 20%` or `h1-keepalive.p99 > 500us`. It is met where
//! the difference is called one and its mean lies beyond the limit, in any case of the scenario.

use super::figures::Assessed;
use super::numbers::signed;
use super::sides;
use crate::plan::Scenario;
use crate::results::Results;
use crate::results::findings::Metric;

/// One condition.
#[derive(Clone, Debug, PartialEq)]
pub struct Limit {
    text: String,
    scenario: Scenario,
    metric: Metric,
    above: bool,
    value: f64,
    /// Of the baseline; else in the unit of the metric.
    percent: bool,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Why each case that meets it does.
    Met(Vec<String>),
    NotMet,
    /// No case of the run has this figure.
    NotMeasured,
}

/// The names a condition may use for a scenario's cost whatever its unit of work is.
const CPU: [Metric; 3] = [
    Metric::ServerCpuPerToken,
    Metric::ServerCpuPerGib,
    Metric::ServerCpu,
];

impl Limit {
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Holds the condition against a run.
    pub fn check(&self, results: &Results) -> Outcome {
        let assessed = Assessed::of(results);
        let several = sides::are_several(results);
        let (mut seen, mut met) = (false, Vec::new());
        for case in assessed.cases() {
            if case.measured.case.scenario != self.scenario {
                continue;
            }
            for figure in case
                .figures
                .iter()
                .filter(|figure| figure.metric == self.metric)
            {
                seen = true;
                let value = if self.percent {
                    // Over a baseline of zero any difference is more than every share of it.
                    let beyond = f64::INFINITY.copysign(figure.difference.mean);
                    figure.percent().unwrap_or(beyond)
                } else {
                    figure.difference.mean
                };
                let beyond = if self.above {
                    value > self.value
                } else {
                    value < self.value
                };
                if figure.is_called() && beyond {
                    let change = if self.percent {
                        figure.change_cell()
                    } else {
                        format!("{} {}", signed(value), figure.metric.unit())
                    };
                    let pair = if several {
                        format!(
                            " of {} against {}",
                            figure.names.subject, figure.names.baseline
                        )
                    } else {
                        String::new()
                    };
                    met.push(format!(
                        "{}: {}{pair} {change} ({})",
                        case.measured.case.title(),
                        figure.metric.title(),
                        figure.difference_cell()
                    ));
                }
            }
        }
        match (seen, met.is_empty()) {
            (false, _) => Outcome::NotMeasured,
            (true, true) => Outcome::NotMet,
            (true, false) => Outcome::Met(met),
        }
    }
}

impl std::str::FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |what: &str| {
            format!(
                "\"{text}\": {what}; write such as 'full-handshake.cpu > 20%' or 'h1-keepalive.p99 > 500us'"
            )
        };
        let (left, above, right) = if let Some((left, right)) = text.split_once('>') {
            (left, true, right)
        } else if let Some((left, right)) = text.split_once('<') {
            (left, false, right)
        } else {
            return Err(wrong("has neither > nor <"));
        };
        let (scenario, figure) = left
            .trim()
            .split_once('.')
            .ok_or_else(|| wrong("has no SCENARIO.FIGURE"))?;
        let scenario = Scenario::named(scenario)?;
        let known = Metric::for_scenario(scenario);
        let metric = match figure {
            "cpu" => CPU.into_iter().find(|metric| known.contains(metric)),
            name => known.iter().copied().find(|metric| metric.name() == name),
        };
        let metric = metric.ok_or_else(|| {
            let names: Vec<_> = known.iter().map(|metric| metric.name()).collect();
            wrong(&format!(
                "{} has no figure \"{figure}\", it has cpu, {}",
                scenario.name(),
                names.join(", ")
            ))
        })?;
        let (value, percent) = amount(right.trim(), metric).ok_or_else(|| {
            wrong(&format!(
                "\"{}\" is no number with % or {}",
                right.trim(),
                metric.unit()
            ))
        })?;
        Ok(Self {
            text: text.to_owned(),
            scenario,
            metric,
            above,
            value,
            percent,
        })
    }
}

/// A number in per cent or in the metric's unit; times in any of theirs.
fn amount(text: &str, metric: Metric) -> Option<(f64, bool)> {
    let split = text
        .find(|c: char| !matches!(c, '0'..='9' | '.' | '-' | '+'))
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at(split);
    // Four hundred digits are read as infinity, which nothing is beyond.
    let value: f64 = digits
        .parse()
        .ok()
        .filter(|value: &f64| value.is_finite())?;
    match (unit.trim(), metric.unit()) {
        ("%", own) => Some((value, own != "%")),
        ("us" | "µs", "us") | ("ms", "ms") => Some((value, false)),
        ("ms", "us") | ("s", "ms") => Some((value * 1e3, false)),
        ("s", "us") => Some((value * 1e6, false)),
        (unit, own) if unit == own => Some((value, false)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn conditions_are_read_in_per_cent_and_in_units() {
        let read = |text: &str| text.parse::<Limit>().unwrap();
        let cpu = read("full-handshake.cpu > 20%");
        assert_eq!(
            (cpu.metric, cpu.value, cpu.percent, cpu.above),
            (Metric::ServerCpu, 20.0, true, true)
        );
        let p99 = read("h1-keepalive.p99>1.5ms");
        assert_eq!((p99.value, p99.percent), (1500.0, false));
        assert_eq!(read("download.cpu > 5 %").metric, Metric::ServerCpuPerGib);
        assert!(!read("h1-keepalive.rate < -10%").above);
        for (text, word) in [
            ("full-handshake.cpu = 3", "neither"),
            ("full-handshake > 3%", "SCENARIO.FIGURE"),
            ("full.cpu > 3%", "full-handshake"),
            ("full-handshake.gap > 3%", "latency"),
            ("full-handshake.cpu > lots", "lots"),
            ("full-handshake.cpu > 3 parsecs", "parsecs"),
            ("full-handshake.cpu > nan%", "nan%"),
        ] {
            let error = text.parse::<Limit>().unwrap_err();
            assert!(error.contains(word), "{error}");
        }
        let endless = format!("full-handshake.cpu > {}%", "9".repeat(400));
        assert!(endless.parse::<Limit>().is_err());
    }
}
