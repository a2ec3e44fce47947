//! Numbers as people read them: three significant digits, thousands grouped, times in the unit that suits them.

/// Three significant digits, thousands grouped: `0.123`, `4.56`, `78.9`, `1,234`.
pub fn number(value: f64) -> String {
    let size = value.abs();
    let digits = match size {
        _ if size >= 99.95 || size == 0.0 => 0,
        _ if size >= 9.995 => 1,
        _ if size >= 0.9995 => 2,
        _ => 3,
    };
    group(&format!("{value:.digits$}"))
}

/// A count with its noun: `1 pod`, `2 pods`, `1,200 pods`.
pub fn plural(count: impl Into<u64>, one: &str) -> String {
    let count = count.into();
    let ending = if count == 1 { "" } else { "s" };
    format!("{} {one}{ending}", group(&count.to_string()))
}

/// The same with its sign.
pub fn signed(value: f64) -> String {
    let text = number(value);
    if text
        .trim_start_matches('-')
        .chars()
        .all(|c| matches!(c, '0' | '.'))
    {
        return "0".into();
    }
    if value > 0.0 {
        format!("+{text}")
    } else {
        text
    }
}

fn group(text: &str) -> String {
    let (whole, rest) = text
        .split_once('.')
        .map_or((text, None), |(whole, rest)| (whole, Some(rest)));
    let (sign, digits) = whole
        .strip_prefix('-')
        .map_or(("", whole), |digits| ("-", digits));
    let mut grouped = String::from(sign);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if let Some(rest) = rest {
        grouped = format!("{grouped}.{rest}");
    }
    grouped
}

/// Microseconds in the unit that suits them.
pub fn time(us: f64) -> String {
    measured(us, "us")
}

/// The same of any unit.
pub fn measured(value: f64, unit: &'static str) -> String {
    let (factor, unit) = unit_for(unit, value.abs());
    format!("{} {unit}", number(value * factor))
}

/// Factor and name of the unit in which values of this size read best.
pub fn unit_for(unit: &'static str, largest: f64) -> (f64, &'static str) {
    match unit {
        "us" if largest >= 1e6 => (1e-6, "s"),
        "us" if largest >= 1e3 => (1e-3, "ms"),
        "us" => (1.0, "µs"),
        "ms" if largest >= 1e4 => (1e-3, "s"),
        unit => (1.0, unit),
    }
}

/// Labels of an axis, with as few digits after the point as tell each value and keep them apart.
pub fn tick_labels(ticks: &[f64]) -> Vec<String> {
    let with = |digits: usize| -> Vec<String> {
        ticks
            .iter()
            .map(|tick| group(&format!("{tick:.digits$}")))
            .collect()
    };
    let tells = |digits: usize| {
        let scale = 10_f64.powf(digits as f64);
        ticks.iter().all(|tick| {
            let off = (tick * scale - (tick * scale).round()).abs();
            off < 1e-6 * (tick * scale).abs().max(1.0)
        })
    };
    let distinct = |labels: &[String]| labels.array_windows().all(|[a, b]| a != b);
    let few = (0..9).find(|digits| tells(*digits) && distinct(&with(*digits)));
    with(few.unwrap_or(3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_three_digits_and_their_thousands() {
        let shown: Vec<_> = [0.1234, 4.561, 78.94, 1234.5, 1_234_567.0, -56.78, 0.0]
            .map(number)
            .to_vec();
        assert_eq!(
            shown,
            ["0.123", "4.56", "78.9", "1,234", "1,234,567", "-56.8", "0"]
        );
        assert_eq!(signed(0.000_01), "0");
        assert_eq!(signed(3.0), "+3.00");
    }

    #[test]
    fn times_are_told_in_the_unit_that_reads_best() {
        let shown: Vec<_> = [12.34, 999.4, 1500.0, 82_100.0, 2_500_000.0]
            .map(time)
            .to_vec();
        assert_eq!(shown, ["12.3 µs", "999 µs", "1.50 ms", "82.1 ms", "2.50 s"]);
    }

    #[test]
    fn no_two_ticks_of_an_axis_read_alike() {
        assert_eq!(tick_labels(&[0.0, 50.0, 100.0]), ["0", "50", "100"]);
        assert_eq!(
            tick_labels(&[1000.0, 1000.2, 1000.4]),
            ["1,000.0", "1,000.2", "1,000.4"]
        );
        assert_eq!(tick_labels(&[0.0, 0.05, 0.1]), ["0.00", "0.05", "0.10"]);
    }
}
