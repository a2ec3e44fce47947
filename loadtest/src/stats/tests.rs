//! Coverage by simulation: the share of experiments whose interval holds what is true, for independent rounds, for
//! correlated ones, and for rounds whose connections are drawn once or anew.

#![allow(clippy::unwrap_used)]

use super::*;
use crate::rng::Rng;

/// Normal deviates by Box and Muller.
fn normal(rng: &mut Rng) -> f64 {
    (-2.0 * (1.0 - rng.unit()).ln()).sqrt() * (2.0 * std::f64::consts::PI * rng.unit()).cos()
}

/// Share of 600 experiments of `n` pairs whose interval holds the true mean of 1.
fn coverage(n: usize, draw: impl Fn(&mut Rng) -> f64) -> f64 {
    let mut rng = Rng::new(7);
    let hits = (0..600)
        .filter(|_| {
            let found = interval(&(0..n).map(|_| draw(&mut rng)).collect::<Vec<_>>()).unwrap();
            found.low <= 1.0 && 1.0 <= found.high
        })
        .count();
    hits as f64 / 600.0
}

#[test]
fn the_interval_holds_the_true_mean_of_a_normal_distribution_about_95_times_in_100() {
    for n in [3, 6, 10, 20] {
        let share = coverage(n, |rng| 1.0 + 0.5 * normal(rng));
        assert!((0.92..=0.98).contains(&share), "n = {n}: {share}");
    }
}

#[test]
fn the_interval_stays_honest_on_a_skewed_distribution() {
    let share = coverage(12, |rng| -(1.0 - rng.unit()).ln());
    assert!((0.87..=0.98).contains(&share), "{share}");
}

#[test]
fn the_width_of_a_known_sample_agrees_with_students_t() {
    // In an order without correlation of neighbours, which would widen it.
    let values: Vec<f64> = (0..30).map(|i| f64::from(i * 7 % 10)).collect();
    let found = interval(&values).unwrap();
    let deviation = (values.iter().map(|v| (v - 4.5).powi(2)).sum::<f64>() / 29.0).sqrt();
    let half = 2.045 * deviation / 30_f64.sqrt();
    assert!((found.mean - 4.5).abs() < 1e-12);
    assert!(
        ((found.high - found.low) / 2.0 - half).abs() < 0.08 * half,
        "{found:?} against {half}"
    );
}

#[test]
fn pairing_removes_what_both_sides_share() {
    let mut rng = Rng::new(3);
    let drift: Vec<f64> = (0..12).map(|_| 100.0 * rng.unit()).collect();
    let b: Vec<f64> = drift
        .iter()
        .map(|d| d + 5.0 + 0.1 * normal(&mut rng))
        .collect();
    let found = paired(&drift, &b).unwrap();
    assert!(found.low > 4.8 && found.high < 5.2, "{found:?}");
    assert_eq!(found.verdict(1.0), Verdict::More);
}

#[test]
fn verdicts_follow_the_interval() {
    let of = |low, high| Interval {
        mean: f64::midpoint(low, high),
        low,
        high,
        n: 9,
        p: 0.5,
        error: 1.0,
        freedom: 8,
        steady: true,
    };
    assert_eq!(of(-2.0, -1.0).verdict(5.0), Verdict::Less);
    assert_eq!(of(-1.0, 2.0).verdict(5.0), Verdict::Equivalent);
    assert_eq!(of(-1.0, 7.0).verdict(5.0), Verdict::Open);
    assert!((of(-1.0, 7.0).bound() - 7.0).abs() < f64::EPSILON);
}

#[test]
fn a_ratio_of_constant_pairs_is_exact() {
    let found = paired_ratio(&[2.0, 4.0, 8.0], &[3.0, 6.0, 12.0]).unwrap();
    assert!((found.mean - 1.5).abs() < 1e-9 && (found.high - found.low).abs() < 1e-9);
}

/// Share of experiments of `n` rounds whose paired interval holds zero. The two targets are the same server: each
/// round has noise, drift that the rounds share in part (`rho`), and where the connections landed, drawn once for each
/// target (`kept`) or in every round.
fn holds_zero(n: usize, rho: f64, placement: f64, kept: bool) -> f64 {
    let mut rng = Rng::new(21);
    let experiment = |rng: &mut Rng| {
        let mut drift = normal(rng);
        let mut place = [normal(rng), normal(rng)];
        let (mut a, mut b) = (Vec::new(), Vec::new());
        for _ in 0..n {
            drift = rho * drift + (1.0 - rho * rho).sqrt() * normal(rng);
            if !kept {
                place = [normal(rng), normal(rng)];
            }
            // The second target of a round meets the drift later; the order is random.
            let (early, late) = (drift, drift + 0.2 * normal(rng));
            let [mine, other] = if rng.below(2) == 0 {
                [early, late]
            } else {
                [late, early]
            };
            a.push(10.0 + mine + placement * place[0] + 0.3 * normal(rng));
            b.push(10.0 + other + placement * place[1] + 0.3 * normal(rng));
        }
        !paired(&a, &b).unwrap().leaves_out_zero()
    };
    (0..400).filter(|_| experiment(&mut rng)).count() as f64 / 400.0
}

#[test]
fn a_server_against_itself_is_a_difference_about_once_in_twenty_where_connections_are_drawn_anew() {
    for (n, rho) in [(8, 0.0), (8, 0.8), (12, 0.8), (20, 0.5)] {
        let share = holds_zero(n, rho, 1.0, false);
        assert!(
            (0.92..=1.0).contains(&share),
            "n = {n}, rho = {rho}: {share}"
        );
    }
}

/// Why they are: a constant of each target cannot be seen by resampling its rounds.
#[test]
fn where_connections_are_kept_no_resampling_of_rounds_helps() {
    let share = holds_zero(12, 0.5, 1.0, true);
    assert!(share < 0.5, "{share}");
}

/// Share of experiments whose interval holds the true mean of a series with this correlation of neighbours.
fn correlated(n: usize, rho: f64) -> f64 {
    let mut rng = Rng::new(9);
    let hits = (0..400).filter(|_| {
        let mut value = normal(&mut rng);
        let series: Vec<f64> = (0..n)
            .map(|_| {
                value = rho * value + (1.0 - rho * rho).sqrt() * normal(&mut rng);
                1.0 + value
            })
            .collect();
        let found = interval(&series).unwrap();
        found.low <= 1.0 && 1.0 <= found.high
    });
    hits.count() as f64 / 400.0
}

#[test]
fn the_interval_of_correlated_rounds_stays_near_its_promise() {
    // Eight rounds cannot tell much of their own correlation; twenty can. Taken as independent, twenty rounds with a
    // correlation of 0.6 would hold the true mean 67 times in 100.
    for (n, rho, least) in [
        (8, 0.3, 0.87),
        (12, 0.3, 0.9),
        (12, 0.6, 0.86),
        (20, 0.6, 0.89),
    ] {
        let share = correlated(n, rho);
        assert!(share >= least, "n = {n}, rho = {rho}: {share}");
    }
}

#[test]
fn halves_that_contradict_each_other_are_no_difference() {
    let of = |values: &[f64]| interval(values).unwrap();
    // A regime that changed in the middle: the mean is far from zero, but nobody knows which half is right.
    let changed = of(&[1.0, 1.1, 0.9, 1.0, 9.0, 9.1, 8.9, 9.0]);
    assert!(!changed.steady);
    let leaves_out = Interval {
        low: 2.0,
        ..changed
    };
    assert_eq!(leaves_out.verdict(0.1), Verdict::Unsteady);
    assert!(!of(&[3.0, 3.1, 3.0, -0.1, 0.0, -0.2]).steady);
    assert!(of(&[4.0, 5.0, 4.5, 4.2, 5.1, 4.4]).steady);
    assert!(of(&[1.0, 2.0, 9.0]).steady, "too few to have halves");
}

#[test]
fn means_of_one_distribution_are_as_far_apart_as_welchs_test_says() {
    let mut rng = Rng::new(13);
    let mut of = |n: usize, scale: f64| {
        let values: Vec<f64> = (0..n).map(|_| 3.0 + scale * normal(&mut rng)).collect();
        interval(&values).unwrap()
    };
    let p: Vec<f64> = (0..800).map(|_| of(8, 1.0).p_from(&of(12, 0.3))).collect();
    let below = |limit: f64| p.iter().filter(|p| **p < limit).count() as f64 / 800.0;
    assert!((0.02..=0.07).contains(&below(0.05)), "{}", below(0.05));
    assert!((0.42..=0.56).contains(&below(0.5)), "{}", below(0.5));
    let of = |values: &[f64]| interval(values).unwrap();
    assert!(of(&[1.0, 2.0, 1.5, 1.2]).p_from(&of(&[7.0, 8.0, 7.2, 7.9])) < 1e-3);
}

#[test]
fn what_was_the_same_in_every_block_has_the_spread_of_what_was_not() {
    let of = |values: &[f64]| interval(values).unwrap();
    let (none, few) = (of(&[0.0; 6]), of(&[0.0, 0.0, -90.0, 0.0, -100.0, 0.0]));
    let many = of(&[-30.0, -32.0, -31.0, -33.0, -30.0, -32.0]);
    let compared = |a: Interval, b: Interval| {
        let (a, b) = (a.with_spread_of(&b), b.with_spread_of(&a));
        (a.is_apart_from(&b), a.p_from(&b))
    };
    let (apart, p) = compared(none, few);
    assert!(!apart && p > 0.2, "{p}");
    let (apart, p) = compared(none, many);
    assert!(apart && p < 1e-4, "{p}");
    // Exact counts, and the rounding of their sums.
    let tenth = of(&[0.1; 7]);
    assert_eq!(compared(tenth, of(&[0.1; 12])), (false, 1.0));
    assert_eq!(compared(tenth, of(&[0.2; 7])), (true, 0.0));
}
