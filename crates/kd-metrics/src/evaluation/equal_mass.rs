//! Bins that hold equally many samples.

use super::calibration::{BinSums, CalibrationBin};

/// Every sample's confidence, and whether it was right: what bins of equal mass need. Four bytes a sample: the sign says it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Confidences(Vec<f32>);

impl Confidences {
    pub(crate) fn push(&mut self, confidence: f64, correct: bool) {
        let confidence = confidence as f32;
        self.0.push(if correct { confidence } else { -confidence });
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.0.extend_from_slice(&other.0);
    }

    /// At most `bins` bins of samples sorted by confidence, whose sizes differ by one at most, the
    /// larger first.
    ///
    /// Samples of equal confidence have no order. A bin that holds a part of them therefore gets
    /// the same part of their hits, which need not be a whole number: so the order in which
    /// samples came does not matter, and a calibrated predictor stays calibrated in every bin.
    pub(crate) fn equal_mass(&self, bins: usize) -> Vec<CalibrationBin> {
        let mut sorted = self.0.clone();
        sorted.sort_unstable_by(|a, b| a.abs().total_cmp(&b.abs()));
        let mut runs = sorted
            .chunk_by(|a, b| a.abs() == b.abs())
            .map(Run::of)
            .peekable();
        let (size, larger) = (sorted.len() / bins, sorted.len() % bins);
        let mut filled = Vec::new();
        for index in 0..bins {
            let mut room = size + usize::from(index < larger);
            let mut sums = BinSums::default();
            let (mut lower, mut upper) = (None, 0.0);
            while room > 0
                && let Some(run) = runs.peek_mut()
            {
                let taken = room.min(run.left);
                sums.push_tied(run.confidence, taken, run.hits_among(taken));
                lower = lower.or(Some(run.confidence));
                upper = run.confidence;
                room -= taken;
                run.left -= taken;
                if run.left == 0 {
                    runs.next();
                }
            }
            let Some(lower) = lower else {
                break;
            };
            filled.push(sums.bin(lower, upper));
        }
        filled
    }
}

/// Samples of equal confidence.
struct Run {
    confidence: f64,
    hits: usize,
    size: usize,
    /// Samples that are in no bin yet.
    left: usize,
}

impl Run {
    fn of(samples: &[f32]) -> Self {
        let right = samples.iter().filter(|value| value.is_sign_positive());
        Self {
            confidence: samples.first().map_or(0.0, |value| f64::from(value.abs())),
            hits: right.count(),
            size: samples.len(),
            left: samples.len(),
        }
    }

    /// The hits of `count` of the samples; exact if they are all of them.
    fn hits_among(&self, count: usize) -> f64 {
        (self.hits * count) as f64 / self.size as f64
    }
}

#[cfg(test)]
mod tests {
    use super::super::calibration::mean_gap;
    use super::*;
    use proptest::prelude::*;

    /// Samples of each level of confidence, of which that share is right, wrong ones first.
    fn calibrated(levels: &[(u32, u32)], copies: u32) -> Vec<(f64, bool)> {
        let level = |&(right, of): &(u32, u32)| {
            let confidence = f64::from(right) / f64::from(of);
            (0..of * copies).map(move |index| (confidence, index >= (of - right) * copies))
        };
        levels.iter().flat_map(level).collect()
    }

    fn of_equal_mass(samples: &[(f64, bool)], bins: usize) -> Vec<CalibrationBin> {
        let mut mass = Confidences::default();
        for &(confidence, correct) in samples {
            mass.push(confidence, correct);
        }
        mass.equal_mass(bins)
    }

    #[test]
    fn a_constant_predictor_that_is_right_as_often_as_it_says_has_no_error() {
        // Ten classes, 10 % right: with the wrong ones sorted first this was 0.1736.
        let bins = of_equal_mass(&calibrated(&[(1, 10)], 100), 15);
        assert!(mean_gap(&bins) < 1e-8, "{}", mean_gap(&bins));
        assert_eq!(bins.len(), 15);
        for bin in bins {
            assert!((bin.accuracy - 0.1).abs() < 1e-12, "{bin:?}");
            assert_eq!(bin.lower, bin.upper);
        }
    }

    #[test]
    fn a_cut_run_gives_each_bin_its_part_of_the_hits() {
        // Three of 0.5, of which one is right, and one of 1: two in each bin.
        let samples = [(0.5, true), (0.5, false), (1.0, true), (0.5, false)];
        let bins = of_equal_mass(&samples, 2);
        assert!((bins[0].accuracy - 1.0 / 3.0).abs() < 1e-15);
        assert!((bins[1].accuracy - 2.0 / 3.0).abs() < 1e-15);
        assert_eq!((bins[1].lower, bins[1].upper), (0.5, 1.0));
    }

    #[test]
    fn a_hand_made_case() {
        let samples = [(0.375, true), (0.25, false), (0.875, true), (1.0, false)];
        // Lower bin: accuracy 0.5, confidence 0.3125; upper bin: accuracy 0.5, confidence 0.9375.
        let expected = 0.5 * 0.1875 + 0.5 * 0.4375;
        assert!((mean_gap(&of_equal_mass(&samples, 2)) - expected).abs() < 1e-15);
        let bins = of_equal_mass(&samples, 3);
        let counts: Vec<_> = bins.iter().map(|bin| bin.count).collect();
        assert_eq!(counts, [2, 1, 1]);
        assert_eq!(of_equal_mass(&samples, 15).len(), 4, "no empty bins");
    }

    #[test]
    fn a_confidence_of_zero_keeps_its_sign() {
        let mut mass = Confidences::default();
        mass.push(0.0, false);
        mass.push(0.0, true);
        assert_eq!(mass.equal_mass(1)[0].accuracy, 0.5);
    }

    proptest! {
        #[test]
        fn calibrated_ties_have_no_error_in_any_bin(
            levels in prop::collection::btree_set(1u32..=20, 1..6),
            copies in 1u32..30,
            bins in 1usize..40,
        ) {
            let levels: Vec<_> = levels.into_iter().map(|right| (right, 20)).collect();
            for bin in of_equal_mass(&calibrated(&levels, copies), bins) {
                // Confidences are kept in f32.
                prop_assert!(bin.gap() < 1e-6, "{bin:?}");
            }
        }

        #[test]
        fn the_order_of_the_samples_does_not_matter(
            samples in prop::collection::vec((0u8..8, any::<bool>()), 1..80),
            turn in 0usize..80,
            bins in 1usize..20,
        ) {
            let mut samples: Vec<_> = samples
                .into_iter()
                .map(|(level, correct)| (f64::from(level) / 7.0, correct))
                .collect();
            let first = of_equal_mass(&samples, bins);
            let whole: f64 = first.iter().map(|bin| bin.accuracy * bin.count as f64).sum();
            let hits = samples.iter().filter(|sample| sample.1).count();
            prop_assert!((whole - hits as f64).abs() < 1e-9, "no hit is lost");
            let middle = turn % samples.len();
            samples.rotate_left(middle);
            prop_assert_eq!(&of_equal_mass(&samples, bins), &first);
            samples.reverse();
            prop_assert_eq!(&of_equal_mass(&samples, bins), &first);
        }
    }
}
