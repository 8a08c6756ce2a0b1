//! Which class is taken for which.

use serde::{Deserialize, Serialize};

/// Counts of samples by true and predicted class, and the scores that follow from them. As scikit-learn counts with `labels=range(C), zero_division=0`: a class that
/// is never predicted has precision 0, one without samples has recall 0, and both count in the macro average.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfusionMatrix {
    classes: usize,
    /// `[true, predicted]`.
    counts: Vec<u64>,
}

/// Precision, recall and their harmonic mean, each in [0, 1].
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ClassScores {
    /// Of the samples predicted to be of the class, the share that is.
    pub precision: f64,
    /// Of the samples of the class, the share that is predicted to be.
    pub recall: f64,
    /// 2 · precision · recall / (precision + recall).
    pub f1: f64,
    /// Samples of the class.
    pub support: u64,
}

impl ConfusionMatrix {
    pub(crate) fn new(classes: usize) -> Self {
        Self {
            classes,
            counts: vec![0; classes * classes],
        }
    }

    pub(crate) fn push(&mut self, label: usize, predicted: usize) {
        self.counts[label * self.classes + predicted] += 1;
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// Samples of class `label` that were predicted to be `predicted`.
    ///
    /// # Panics
    /// If one of them is not a class.
    pub fn count(&self, label: usize, predicted: usize) -> u64 {
        assert!(
            label < self.classes && predicted < self.classes,
            "{label}, {predicted}: no class"
        );
        self.counts[label * self.classes + predicted]
    }

    /// Counts by true class, each a row over predicted classes.
    pub fn rows(&self) -> impl Iterator<Item = &[u64]> {
        self.counts.chunks(self.classes.max(1))
    }

    /// Samples of each class.
    pub fn support(&self) -> Vec<u64> {
        self.rows().map(|row| row.iter().sum()).collect()
    }

    /// Scores of each class.
    pub fn per_class(&self) -> Vec<ClassScores> {
        let mut predicted = vec![0; self.classes];
        for row in self.rows() {
            for (sum, count) in predicted.iter_mut().zip(row) {
                *sum += count;
            }
        }
        let share = |part: u64, whole: u64| {
            if whole == 0 {
                0.0
            } else {
                part as f64 / whole as f64
            }
        };
        let scores = self.rows().enumerate().map(|(class, row)| {
            let hits = row[class];
            let support: u64 = row.iter().sum();
            ClassScores {
                precision: share(hits, predicted[class]),
                recall: share(hits, support),
                f1: share(2 * hits, predicted[class] + support),
                support,
            }
        });
        scores.collect()
    }

    /// The mean over classes, each with the same weight.
    pub fn macro_average(&self) -> ClassScores {
        self.average(|_| 1.0)
    }

    /// The mean over classes, each weighted with its samples.
    pub fn weighted_average(&self) -> ClassScores {
        self.average(|scores| scores.support as f64)
    }

    fn average(&self, weight: impl Fn(&ClassScores) -> f64) -> ClassScores {
        let classes = self.per_class();
        let total: f64 = classes.iter().map(&weight).sum();
        let mean = |of: fn(&ClassScores) -> f64| {
            let sum: f64 = classes
                .iter()
                .map(|scores| weight(scores) * of(scores))
                .sum();
            if total == 0.0 { 0.0 } else { sum / total }
        };
        ClassScores {
            precision: mean(|scores| scores.precision),
            recall: mean(|scores| scores.recall),
            f1: mean(|scores| scores.f1),
            support: classes.iter().map(|scores| scores.support).sum(),
        }
    }

    /// The pairs (true, predicted, samples) that are most often confused, the most frequent first.
    pub fn most_confused(&self, count: usize) -> Vec<(usize, usize, u64)> {
        let cells = self.rows().enumerate().flat_map(|(label, row)| {
            let wrong = row
                .iter()
                .enumerate()
                .filter(move |(predicted, n)| *predicted != label && **n > 0);
            wrong.map(move |(predicted, n)| (label, predicted, *n))
        });
        let mut cells: Vec<_> = cells.collect();
        cells.sort_by_key(|&(label, predicted, n)| (std::cmp::Reverse(n), label, predicted));
        cells.truncate(count);
        cells
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_frequent_mistake_stands_first() {
        let mut matrix = ConfusionMatrix::new(3);
        for (label, predicted) in [(0, 0), (0, 1), (2, 1), (2, 1), (1, 1)] {
            matrix.push(label, predicted);
        }
        assert_eq!(matrix.most_confused(1), [(2, 1, 2)]);
        assert_eq!(matrix.most_confused(9).len(), 2);
        let scores = matrix.per_class();
        assert_eq!((scores[1].precision, scores[1].recall), (0.25, 1.0));
        assert_eq!((scores[2].precision, scores[2].f1), (0.0, 0.0));
    }
}
