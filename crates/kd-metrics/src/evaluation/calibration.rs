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
    pub(super) fn gap(&self) -> f64 {
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
    pub(super) fn push_tied(&mut self, confidence: f64, count: usize, correct: f64) {
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

    pub(super) fn bin(&self, lower: f64, upper: f64) -> CalibrationBin {
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
        for (confidence, correct) in [(0.375, true), (0.25, false), (0.875, true), (1.0, false)] {
            width.push(confidence, correct);
        }
        // Lower bin: accuracy 0.5, confidence 0.3125; upper bin: accuracy 0.5, confidence 0.9375.
        let expected = 0.5 * 0.1875 + 0.5 * 0.4375;
        assert!((width.ece() - expected).abs() < 1e-15);
        assert!((mean_gap(&width.bins()) - expected).abs() < 1e-15);
        assert!((largest_gap(&width.bins()) - 0.4375).abs() < 1e-15);
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
