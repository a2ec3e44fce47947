//! Many figures at once: of a hundred intervals that hold nothing, about five leave out zero. The procedure of
//! Benjamini and Hochberg (1995) keeps the expected share of false differences among those called one at 5 %; where no
//! difference exists at all, it calls any with that probability at most.

/// The expected share of false differences.
pub const RATE: f64 = 0.05;
/// What a report calls the procedure.
pub const NAME: &str = "Benjamini-Hochberg, false discovery rate 5 %";

/// Which of these probabilities survive, in the order given.
pub fn survivors(probabilities: &[f64]) -> Vec<bool> {
    let count = probabilities.len() as f64;
    let mut sorted = probabilities.to_vec();
    sorted.sort_by(f64::total_cmp);
    let limit = sorted
        .iter()
        .enumerate()
        .filter(|(rank, p)| **p <= RATE * (*rank as f64 + 1.0) / count)
        .map(|(_, p)| *p)
        .next_back();
    probabilities
        .iter()
        .map(|p| limit.is_some_and(|limit| *p <= limit))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    #[test]
    fn the_example_of_the_paper_keeps_its_four_hypotheses() {
        // Benjamini and Hochberg (1995), section 3.
        let p = [
            0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262,
            0.5719, 0.6528, 0.7590, 1.0,
        ];
        let kept = survivors(&p);
        assert!(kept[..4].iter().all(|kept| *kept) && kept[4..].iter().all(|kept| !kept));
        assert!(survivors(&[]).is_empty());
    }

    #[test]
    fn a_hundred_figures_without_a_difference_rarely_give_one() {
        let mut rng = Rng::new(5);
        let runs = (0..400)
            .filter(|_| {
                let p: Vec<f64> = (0..100).map(|_| rng.unit()).collect();
                survivors(&p).contains(&true)
            })
            .count();
        assert!(runs <= 36, "{runs} of 400 runs, 20 are to be expected");
    }
}
