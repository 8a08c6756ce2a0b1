//! T. stddev: how much the teacher's mean answer varies between draws of augmented data.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::bootstrap::Bootstrap;
use crate::error::{MetricError, check_distribution, check_positive};

/// Standard deviation of the teacher's mean probability (Wang et al., "What Makes a Good Data Augmentation in Knowledge Distillation",
/// NeurIPS 2022, equation 8), a measure of an augmentation that needs no student: lower predicts a better student.
///
/// A draw is a set of augmented samples; u is the teacher's mean probability over it, a vector with one value a class. Over M draws
///
/// T. stddev = (1/C) Σ_c sqrt( (1/(M−1)) Σ_m (u_mc − ū_c)² ),
///
/// the unbiased variance, as the reference code takes it. The value depends on how many samples make a draw and on whether their
/// augmentation parameters are shared within a batch: compare only values made alike. [`ReferenceWindow`](crate::ReferenceWindow) makes the draws.
#[derive(Clone, Debug)]
pub struct TStddev {
    classes: usize,
    /// The u's, one after the other.
    means: Vec<f64>,
}

impl TStddev {
    /// No draws yet, for a teacher with this many classes.
    ///
    /// # Errors
    /// [`MetricError::Config`] without classes.
    pub fn new(classes: usize) -> Result<Self, MetricError> {
        check_positive("classes", classes)?;
        Ok(Self {
            classes,
            means: Vec::new(),
        })
    }

    /// Adds u, the mean probabilities of one draw.
    ///
    /// # Errors
    /// [`MetricError::Count`] when it has another length than the number of classes, [`MetricError::Distribution`] when it is none.
    pub fn push(&mut self, mean_probs: &[f64]) -> Result<(), MetricError> {
        if mean_probs.len() != self.classes {
            return Err(MetricError::Count {
                what: "classes of a mean probability",
                expected: self.classes,
                found: mean_probs.len(),
            });
        }
        check_distribution(
            "the mean probabilities",
            mean_probs.iter().copied(),
            self.len(),
        )?;
        self.means.extend_from_slice(mean_probs);
        Ok(())
    }

    /// Draws so far.
    pub fn len(&self) -> usize {
        self.means.len() / self.classes
    }

    /// Whether there is no draw yet.
    pub fn is_empty(&self) -> bool {
        self.means.is_empty()
    }

    /// Adds the draws of another measurement of the same teacher and augmentation.
    ///
    /// # Errors
    /// [`MetricError::Count`] when the numbers of classes differ.
    pub fn merge(&mut self, other: &Self) -> Result<(), MetricError> {
        if other.classes != self.classes {
            return Err(MetricError::Count {
                what: "classes of the merged draws",
                expected: self.classes,
                found: other.classes,
            });
        }
        self.means.extend_from_slice(&other.means);
        Ok(())
    }

    /// The measure over the draws so far, with a bootstrap interval.
    ///
    /// # Errors
    /// [`MetricError::TooFew`] with fewer than two draws, [`MetricError::Config`] when the bootstrap's settings are out of range.
    pub fn compute(&self, bootstrap: Bootstrap) -> Result<TStddevReport, MetricError> {
        let means = self.enough()?;
        let deviations = self.deviations();
        let every_draw_once = vec![1.0; means];
        let per_class = self.weighted_stddev(&deviations, &every_draw_once);
        Ok(TStddevReport {
            value: mean(&per_class),
            interval: bootstrap.interval(self.resampled(bootstrap)?),
            level: bootstrap.level,
            means,
            per_class,
        })
    }

    /// The measure of each of the bootstrap's resamples, with the variance rescaled as [`Bootstrap`] says. Measurements of equally many
    /// draws are resampled alike, so that where draw m of one is of the same images as draw m of another, a comparison resample by
    /// resample says how sure their order is.
    ///
    /// # Errors
    /// Those of [`compute`](Self::compute).
    pub fn resampled(&self, bootstrap: Bootstrap) -> Result<Vec<f64>, MetricError> {
        let means = self.enough()?;
        let deviations = self.deviations();
        // A resample's variance is (M − 1)/M of the sample's on average, because draws repeat in it.
        let unbias = (means as f64 / (means - 1) as f64).sqrt();
        bootstrap.resample(means, |weights| {
            unbias * mean(&self.weighted_stddev(&deviations, weights))
        })
    }

    /// The measure over the first m draws, for about 40 m from 2 to all of them, evenly apart on a logarithmic scale: whether more draws
    /// would still change it. Empty with fewer than two draws.
    pub fn convergence(&self) -> Vec<(usize, f64)> {
        let all = self.len();
        let mut counts: Vec<usize> = (0..=40)
            .map(|step| 2.0 * (all as f64 / 2.0).powf(f64::from(step) / 40.0))
            .map(|count| count.round() as usize)
            .filter(|count| (2..=all).contains(count))
            .collect();
        counts.dedup();
        let value = |count: usize| {
            let first = Self {
                classes: self.classes,
                means: self.means[..count * self.classes].to_vec(),
            };
            mean(&first.weighted_stddev(&first.deviations(), &vec![1.0; count]))
        };
        counts
            .into_iter()
            .map(|count| (count, value(count)))
            .collect()
    }

    /// The number of draws, if a deviation can be taken of them.
    fn enough(&self) -> Result<usize, MetricError> {
        match self.len() {
            means if means < 2 => Err(MetricError::TooFew {
                what: "mean probabilities behind T. stddev",
                needed: 2,
                found: means,
            }),
            means => Ok(means),
        }
    }

    /// u_mc − ū_c: small numbers, whose squares can be summed without cancellation.
    fn deviations(&self) -> Vec<f64> {
        let draws = self.len() as f64;
        let mut centre = vec![0.0; self.classes];
        for u in self.means.chunks_exact(self.classes) {
            add_scaled(&mut centre, u, 1.0 / draws);
        }
        self.means
            .chunks_exact(self.classes)
            .flat_map(|u| u.iter().zip(&centre).map(|(value, centre)| value - centre))
            .collect()
    }

    /// Unbiased standard deviation of each class where draw m occurs `weights[m]` times.
    fn weighted_stddev(&self, deviations: &[f64], weights: &[f64]) -> Vec<f64> {
        let draws: f64 = weights.iter().sum();
        let mut sums = vec![0.0; self.classes];
        let mut squares = vec![0.0; self.classes];
        for (deviation, &weight) in deviations.chunks_exact(self.classes).zip(weights) {
            for ((sum, square), value) in sums.iter_mut().zip(&mut squares).zip(deviation) {
                *sum += weight * value;
                *square += weight * value * value;
            }
        }
        sums.iter()
            .zip(&squares)
            .map(|(sum, square)| ((square - sum * sum / draws).max(0.0) / (draws - 1.0)).sqrt())
            .collect()
    }
}

fn add_scaled(sums: &mut [f64], values: &[f64], scale: f64) {
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum += scale * value;
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// What [`TStddev`] found. Its `Display` is one line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TStddevReport {
    /// The measure, in units of probability: the mean of `per_class`.
    pub value: f64,
    /// Bootstrap interval (low, high) of `value`.
    pub interval: (f64, f64),
    /// The interval's nominal coverage.
    pub level: f64,
    /// Draws behind the measure.
    pub means: usize,
    /// Unbiased standard deviation of the mean probability of each class.
    pub per_class: Vec<f64>,
}

impl fmt::Display for TStddevReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (low, high) = self.interval;
        let level = 100.0 * self.level;
        write!(
            f,
            "{:.6} [{low:.6}, {high:.6}] ({level:.0} % interval, {} means)",
            self.value, self.means
        )
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn two_draws_by_hand() {
        let mut measure = TStddev::new(2).unwrap();
        measure.push(&[0.4, 0.6]).unwrap();
        measure.push(&[0.6, 0.4]).unwrap();
        let report = measure.compute(Bootstrap::default()).unwrap();
        // Deviations ±0.1, squares 0.01 + 0.01 over M − 1 = 1.
        assert!((report.value - 0.02f64.sqrt()).abs() < 1e-15);
        assert_eq!(report.means, 2);
    }

    #[test]
    fn convergence_ends_at_the_measure() {
        let mut measure = TStddev::new(2).unwrap();
        assert!(measure.convergence().is_empty());
        for step in 0..50 {
            let p = 0.5 + 0.01 * f64::from(step * step % 13);
            measure.push(&[p, 1.0 - p]).unwrap();
        }
        let curve = measure.convergence();
        let report = measure.compute(Bootstrap::default()).unwrap();
        assert_eq!(curve.last(), Some(&(50, report.value)));
        assert!(curve.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert_eq!(curve[0].0, 2);
    }

    #[test]
    fn a_teacher_that_never_varies_has_none() {
        let mut measure = TStddev::new(3).unwrap();
        for _ in 0..5 {
            measure.push(&[0.2, 0.3, 0.5]).unwrap();
        }
        let report = measure.compute(Bootstrap::default()).unwrap();
        assert!(report.value < 1e-15, "{report}");
        assert!(report.interval.1 < 1e-15, "{report}");
    }

    #[test]
    fn bad_draws_are_refused_by_number() {
        let mut measure = TStddev::new(2).unwrap();
        measure.push(&[0.5, 0.5]).unwrap();
        for bad in [
            [f64::NAN, 0.5],
            [-0.1, 1.1],
            [50.0, 50.0],
            [f64::INFINITY, 0.0],
        ] {
            let error = measure.push(&bad).unwrap_err();
            assert!(
                matches!(error, MetricError::Distribution { row: 1, .. }),
                "{error}"
            );
        }
        assert!(matches!(
            measure.push(&[1.0]),
            Err(MetricError::Count { .. })
        ));
        assert!(matches!(
            measure.compute(Bootstrap::default()),
            Err(MetricError::TooFew { found: 1, .. })
        ));
    }
}
