//! Expected calibration error with equal-width bins.

use serde::{Deserialize, Serialize};

/// One bin of a reliability diagram.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CalibrationBin {
    /// Lower edge; excluded, except in the first bin, which holds confidence 0.
    pub lower: f64,
    /// Upper edge; included.
    pub upper: f64,
    /// Samples whose confidence falls in the bin.
    pub count: u64,
    /// Their mean confidence; 0 in a bin without samples.
    pub confidence: f64,
    /// Their top-1 accuracy; 0 in a bin without samples.
    pub accuracy: f64,
}

/// Sums for the expected calibration error of Guo et al., "On Calibration of Modern Neural Networks" (2017), equation 3.
///
/// ECE = Σ_m (n_m / N) · |accuracy_m − confidence_m|, over M bins of equal width. A sample's confidence is the probability of the class
/// predicted. Bins are (lower, upper], and 0 belongs to the first: together they partition [0, 1].
#[derive(Clone, Debug)]
pub(crate) struct Calibration {
    bins: Vec<Sums>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    count: u64,
    correct: u64,
    confidence: f64,
}

impl Calibration {
    pub(crate) fn new(bins: usize) -> Self {
        Self {
            bins: vec![Sums::default(); bins],
        }
    }

    /// Number of bins.
    pub(crate) fn len(&self) -> usize {
        self.bins.len()
    }

    pub(crate) fn push(&mut self, confidence: f64, correct: bool) {
        let index = bin_index(confidence, self.bins.len());
        let bin = &mut self.bins[index];
        bin.count += 1;
        bin.correct += u64::from(correct);
        bin.confidence += confidence;
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (bin, more) in self.bins.iter_mut().zip(&other.bins) {
            bin.count += more.count;
            bin.correct += more.correct;
            bin.confidence += more.confidence;
        }
    }

    /// The error in [0, 1]; 0 without samples.
    pub(crate) fn ece(&self) -> f64 {
        let samples: u64 = self.bins.iter().map(|bin| bin.count).sum();
        let gaps: f64 = self
            .bins
            .iter()
            .map(|bin| (bin.correct as f64 - bin.confidence).abs())
            .sum();
        if samples == 0 {
            0.0
        } else {
            gaps / samples as f64
        }
    }

    pub(crate) fn bins(&self) -> Vec<CalibrationBin> {
        let width = self.bins.len() as f64;
        let mean = |sum: f64, count: u64| if count == 0 { 0.0 } else { sum / count as f64 };
        self.bins
            .iter()
            .enumerate()
            .map(|(index, bin)| CalibrationBin {
                lower: index as f64 / width,
                upper: (index + 1) as f64 / width,
                count: bin.count,
                confidence: mean(bin.confidence, bin.count),
                accuracy: mean(bin.correct as f64, bin.count),
            })
            .collect()
    }
}

/// The bin (lower, upper] that holds `confidence`, with 0 in the first.
fn bin_index(confidence: f64, bins: usize) -> usize {
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
        let mut calibration = Calibration::new(2);
        for (confidence, correct) in [(0.4, true), (0.2, false), (0.9, true), (1.0, false)] {
            calibration.push(confidence, correct);
        }
        // Lower bin: accuracy 0.5, confidence 0.3; upper bin: accuracy 0.5, confidence 0.95.
        let expected = 0.5 * 0.2 + 0.5 * 0.45;
        assert!((calibration.ece() - expected).abs() < 1e-15);
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
