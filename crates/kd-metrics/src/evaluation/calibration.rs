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
    correct: u64,
    confidence: f64,
}

impl BinSums {
    pub(crate) fn push(&mut self, confidence: f64, correct: bool) {
        self.count += 1;
        self.correct += u64::from(correct);
        self.confidence += confidence;
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
            accuracy: mean(self.correct as f64),
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
    let gap = |bin: &BinSums| (bin.correct as f64 - bin.confidence).abs();
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

    /// At most `bins` bins of samples sorted by confidence, whose sizes differ by one at most, the larger first; tied samples in an order
    /// of their own, so that the order in which they came does not matter.
    pub(crate) fn equal_mass(&self, bins: usize) -> Vec<CalibrationBin> {
        let mut sorted = self.0.clone();
        let right = |value: &f32| value.is_sign_positive();
        sorted.sort_unstable_by(|a, b| a.abs().total_cmp(&b.abs()).then(right(a).cmp(&right(b))));
        let (size, larger) = (sorted.len() / bins, sorted.len() % bins);
        let mut rest = &sorted[..];
        let mut filled = Vec::new();
        for index in 0..bins {
            let (members, others) = rest.split_at(size + usize::from(index < larger));
            rest = others;
            let [Some(first), Some(last)] = [members.first(), members.last()] else {
                break;
            };
            let mut sums = BinSums::default();
            for value in members {
                sums.push(f64::from(value.abs()), right(value));
            }
            filled.push(sums.bin(f64::from(first.abs()), f64::from(last.abs())));
        }
        filled
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

    proptest! {
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
