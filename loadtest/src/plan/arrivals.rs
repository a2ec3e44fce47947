//! What an open load brings in a block: a whole number of operations, and the time that they take at their rate.

use std::time::Duration;

use super::{Case, Load, Plan};
use crate::error::{Error, Result};

/// Operations that become due in this time. A product that rounding has left just below a whole number is that number.
pub fn arrivals(per_second: f64, time: Duration) -> u32 {
    (time.as_secs_f64() * per_second + 1e-9).floor() as u32
}

/// How long an open block lasts: until the operation after its last one would be due, so that its rate is the one asked for.
pub fn span(per_second: f64, time: Duration) -> Duration {
    Duration::from_secs_f64(f64::from(arrivals(per_second, time)) / per_second)
}

/// Refuses blocks in which no operation would become due, also of one of `shards` generators.
pub fn check(plan: &Plan, shards: u32) -> Result<()> {
    let rare = |case: &Case| {
        let Load::Open { per_second, .. } = case.load else {
            return None;
        };
        let own = per_second / f64::from(shards);
        let block = Duration::from_millis(case.block_ms);
        if arrivals(own, block) > 0 {
            return None;
        }
        let divided = if shards > 1 {
            format!(" for each of {shards} shards")
        } else {
            String::new()
        };
        Some(format!(
            "{}: not one operation is due in a block of {} ms{divided}; write a block of at least {} ms, or a higher rate",
            case.title(),
            case.block_ms,
            (1000.0 / own).ceil()
        ))
    };
    match plan.cases.iter().find_map(rare) {
        None => Ok(()),
        Some(message) => Err(Error::Plan {
            name: plan.name.clone(),
            message,
        }),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::plan::file::parse;

    #[test]
    fn a_block_has_whole_intervals() {
        let ms = Duration::from_millis;
        for (per_second, block, count, lasts) in [
            (500.0, ms(300), 150, ms(300)),
            (5.0, ms(300), 1, ms(200)),
            (10.0 / 3.0, ms(300), 1, ms(300)),
            (100.0, ms(290), 29, ms(290)),
            (1.0, ms(300), 0, ms(0)),
        ] {
            assert_eq!(arrivals(per_second, block), count, "{per_second}");
            let off = span(per_second, block).abs_diff(lasts);
            assert!(off < Duration::from_micros(1), "{per_second}: {off:?}");
        }
    }

    #[test]
    fn a_rate_that_brings_nothing_is_refused_with_the_block_that_would_do() {
        let text = "name = \"p\"\n[[case]]\nscenario = \"h1-keepalive\"\nrate = [4.0]\n";
        let plan = parse("p", text).unwrap();
        check(&plan, 1).unwrap();
        let refused = check(&plan, 3).unwrap_err().to_string();
        for words in ["4 per second", "each of 3 shards", "at least 750 ms"] {
            assert!(refused.contains(words), "{refused}");
        }
        let enough = parse("p", &format!("block = \"750ms\"\n{text}")).unwrap();
        check(&enough, 3).unwrap();
    }
}
