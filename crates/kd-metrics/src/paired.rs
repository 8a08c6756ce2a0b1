//! Whether one thing is better than another, measured side by side.

use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::error::{MetricError, check_finite, check_share, expect_count};

/// The mean difference of paired values, with its interval by Student's t: of the accuracies of two methods, each with the same seeds.
///
/// ```
/// use kd_metrics::PairedDifference;
///
/// // Three seeds, without and with distillation.
/// let gain = PairedDifference::of(&[0.71, 0.73, 0.70], &[0.75, 0.76, 0.75], 0.95)?;
/// assert!((gain.mean - 0.04).abs() < 1e-12 && gain.is_significant());
/// # Ok::<(), kd_metrics::MetricError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PairedDifference {
    /// Pairs.
    pub count: usize,
    /// Mean of second − first.
    pub mean: f64,
    /// Unbiased standard deviation of the differences.
    pub deviation: f64,
    /// mean ± t · deviation / √n, t the (1 + level)/2 quantile of Student's t with n − 1 degrees of freedom.
    pub interval: (f64, f64),
    /// Nominal coverage of the interval.
    pub level: f64,
}

impl PairedDifference {
    /// The difference of `second` from `first`.
    ///
    /// # Errors
    /// [`MetricError::Count`] when they are not equally many, [`MetricError::TooFew`] with fewer than two pairs, [`MetricError::Value`] for one that is
    /// not finite or a result that is beyond the range of f64, [`MetricError::Config`] for a level that is not between 0 and 1.
    pub fn of(first: &[f64], second: &[f64], level: f64) -> Result<Self, MetricError> {
        check_share("level", level)?;
        expect_count("values of the second", first.len(), second.len())?;
        if first.len() < 2 {
            return Err(MetricError::TooFew {
                what: "pairs of a difference",
                needed: 2,
                found: first.len(),
            });
        }
        for (what, values) in [("first", first), ("second", second)] {
            check_finite(what, values)?;
        }
        let count = first.len() as f64;
        let differences = || first.iter().zip(second).map(|(a, b)| b - a);
        check_finite("difference", &differences().collect::<Vec<_>>())?;
        let mean = differences().sum::<f64>() / count;
        let squares: f64 = differences().map(|d| (d - mean).powi(2)).sum();
        let deviation = (squares / (count - 1.0)).sqrt();
        // The parameters are valid: location 0, scale 1, freedom of 1 or more.
        let quantile = StudentsT::new(0.0, 1.0, count - 1.0).map_or(f64::INFINITY, |student| {
            student.inverse_cdf((1.0 + level) / 2.0)
        });
        let half = quantile * deviation / count.sqrt();
        check_finite("mean and half interval", &[mean, half])?;
        Ok(Self {
            count: first.len(),
            mean,
            deviation,
            interval: (mean - half, mean + half),
            level,
        })
    }

    /// Whether the interval leaves 0 out.
    pub fn is_significant(&self) -> bool {
        self.interval.0 > 0.0 || self.interval.1 < 0.0
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn two_pairs_by_hand() {
        // With one degree of freedom t is Cauchy's distribution: its 97.5 % quantile is tan(0.475 π) = 12.706.
        let found = PairedDifference::of(&[0.0, 0.0], &[1.0, 3.0], 0.95).unwrap();
        let half = (0.475 * std::f64::consts::PI).tan() * 2f64.sqrt() / 2f64.sqrt();
        assert_eq!(found.mean, 2.0);
        assert!((found.interval.1 - (2.0 + half)).abs() < 1e-8, "{found:?}");
        assert!(!found.is_significant());
    }

    #[test]
    fn equal_differences_have_no_width() {
        let found = PairedDifference::of(&[0.25; 3], &[0.5; 3], 0.9).unwrap();
        assert_eq!((found.deviation, found.interval), (0.0, (0.25, 0.25)));
        assert!(found.is_significant());
    }

    #[test]
    fn what_says_nothing_is_refused() {
        assert!(PairedDifference::of(&[1.0], &[2.0], 0.95).is_err());
        assert!(PairedDifference::of(&[1.0, 2.0], &[2.0], 0.95).is_err());
        assert!(PairedDifference::of(&[1.0, f64::NAN], &[2.0, 3.0], 0.95).is_err());
        assert!(PairedDifference::of(&[1.0, 2.0], &[2.0, 3.0], 1.0).is_err());
    }
}
