//! Calibration errors: how far confidence is from accuracy.

use serde::{Deserialize, Serialize};

/// One bin of a reliability diagram.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CalibrationBin {
    /// Lower edge; excluded, except in the first bin of equal width, which holds confidence 0. Of a bin of equal mass, the smallest
    /// confidence in it.
    pub lower: f64,
    /// Upper edge; included. Of a bin of equal mass, the largest confidence in it.
    pub upper: f64,
    /// Samples whose confidence falls in the bin.
    pub count: u64,
    /// Their mean confidence; 0 in a bin without samples.
    pub confidence: f64,
    /// Their top-1 accuracy; 0 in a bin without samples.
    pub accuracy: f64,
}

impl CalibrationBin {
    fn gap(&self) -> f64 {
        (self.accuracy - self.confidence).abs()
    }
}

/// What the samples of a bin add up to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct BinSums {
    count: u64,
    /// A whole number, unless a bin of equal mass holds a part of some tied samples.
    correct: f64,
    confidence: f64,
}

impl BinSums {
    pub(crate) fn push(&mut self, confidence: f64, correct: bool) {
        self.count += 1;
        self.correct += f64::from(u8::from(correct));
        self.confidence += confidence;
    }

    /// Adds `count` samples of one confidence, of which `correct` are right.
    fn push_tied(&mut self, confidence: f64, count: usize, correct: f64) {
        self.count += count as u64;
        self.correct += correct;
        for _ in 0..count {
            self.confidence += confidence;
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.correct += other.correct;
        self.confidence += other.confidence;
    }

    fn bin(&self, lower: f64, upper: f64) -> CalibrationBin {
        let mean = |sum: f64| {
            if self.count == 0 {
                0.0
            } else {
                sum / self.count as f64
            }
        };
        CalibrationBin {
            lower,
            upper,
            count: self.count,
            confidence: mean(self.confidence),
            accuracy: mean(self.correct),
        }
    }
}

/// Sums over bins of equal width. Bins are (lower, upper], and 0 belongs to the first: together they partition [0, 1].
#[derive(Clone, Debug)]
pub(crate) struct EqualWidth(Vec<BinSums>);

impl EqualWidth {
    pub(crate) fn new(bins: usize) -> Self {
        Self(vec![BinSums::default(); bins])
    }

    /// Number of bins.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn push(&mut self, confidence: f64, correct: bool) {
        let index = bin_index(confidence, self.0.len());
        self.0[index].push(confidence, correct);
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (bin, more) in self.0.iter_mut().zip(&other.0) {
            bin.merge(more);
        }
    }

    pub(crate) fn ece(&self) -> f64 {
        ece(&self.0)
    }

    pub(crate) fn bins(&self) -> Vec<CalibrationBin> {
        let width = self.0.len() as f64;
        let bin = |(index, sums): (usize, &BinSums)| {
            sums.bin(index as f64 / width, (index + 1) as f64 / width)
        };
        self.0.iter().enumerate().map(bin).collect()
    }
}

/// Σ_m (n_m / N) · |accuracy_m − confidence_m| in [0, 1]; 0 without samples.
pub(crate) fn ece(bins: &[BinSums]) -> f64 {
    let samples: u64 = bins.iter().map(|bin| bin.count).sum();
    let gap = |bin: &BinSums| (bin.correct - bin.confidence).abs();
    let gaps: f64 = bins.iter().map(gap).sum();
    if samples == 0 {
        0.0
    } else {
        gaps / samples as f64
    }
}

/// max_m |accuracy_m − confidence_m| over bins with samples.
pub(crate) fn largest_gap(bins: &[CalibrationBin]) -> f64 {
    let filled = bins.iter().filter(|bin| bin.count > 0);
    filled.map(CalibrationBin::gap).fold(0.0, f64::max)
}

/// Mean gap, each bin weighted with its samples.
pub(crate) fn mean_gap(bins: &[CalibrationBin]) -> f64 {
    let samples: u64 = bins.iter().map(|bin| bin.count).sum();
    let sum: f64 = bins.iter().map(|bin| bin.count as f64 * bin.gap()).sum();
    if samples == 0 {
        0.0
    } else {
        sum / samples as f64
    }
}

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

/// The bin (lower, upper] that holds `confidence`, with 0 in the first.
pub(crate) fn bin_index(confidence: f64, bins: usize) -> usize {
    let above = (confidence * bins as f64).ceil() as usize;
    above.clamp(1, bins) - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_ends_of_the_unit_interval_have_a_bin() {
        assert_eq!(bin_index(0.0, 15), 0);
        assert_eq!(bin_index(1.0, 15), 14);
        assert_eq!(bin_index(0.5, 10), 4, "an edge belongs to the bin below it");
        assert_eq!(bin_index(f64::from(0.5f32.next_up()), 10), 5);
    }

    #[test]
    fn a_hand_made_case() {
        let mut width = EqualWidth::new(2);
        let mut mass = Confidences::default();
        for (confidence, correct) in [(0.375, true), (0.25, false), (0.875, true), (1.0, false)] {
            width.push(confidence, correct);
            mass.push(confidence, correct);
        }
        // Lower bin: accuracy 0.5, confidence 0.3125; upper bin: accuracy 0.5, confidence 0.9375.
        let expected = 0.5 * 0.1875 + 0.5 * 0.4375;
        assert!((width.ece() - expected).abs() < 1e-15);
        assert!((mean_gap(&width.bins()) - expected).abs() < 1e-15);
        assert!((largest_gap(&width.bins()) - 0.4375).abs() < 1e-15);
        // Here two and two as well; with three bins it is two, one and one.
        assert!((mean_gap(&mass.equal_mass(2)) - expected).abs() < 1e-15);
        let counts: Vec<_> = mass.equal_mass(3).iter().map(|bin| bin.count).collect();
        assert_eq!(counts, [2, 1, 1]);
        assert_eq!(mass.equal_mass(15).len(), 4, "no empty bins");
    }

    #[test]
    fn a_confidence_of_zero_keeps_its_sign() {
        let mut mass = Confidences::default();
        mass.push(0.0, false);
        mass.push(0.0, true);
        assert_eq!(mass.equal_mass(1)[0].accuracy, 0.5);
    }

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

        #[test]
        fn every_confidence_lies_between_the_edges_of_its_bin(edge in 0usize..=40, bins in 1usize..40, ulps in -2i32..=2) {
            // Around the edges, where rounding could go wrong, at the precision in which confidences arrive.
            let mut confidence = (edge.min(bins) as f64 / bins as f64) as f32;
            for _ in 0..ulps.abs() {
                confidence = if ulps < 0 { confidence.next_down() } else { confidence.next_up() };
            }
            let confidence = f64::from(confidence.clamp(0.0, 1.0));
            let index = bin_index(confidence, bins);
            prop_assert!(confidence <= (index + 1) as f64 / bins as f64);
            prop_assert!(index == 0 || confidence > index as f64 / bins as f64);
        }
    }
}
