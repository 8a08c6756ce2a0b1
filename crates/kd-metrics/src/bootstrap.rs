//! Percentile bootstrap over draws.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::error::{MetricError, check_positive, check_share};

/// Settings of a percentile bootstrap (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, section 13.3).
///
/// A resample takes as many draws as there are, with replacement, and the interval lies between the (1 − level)/2 and (1 + level)/2
/// quantiles of the statistic over all resamples. Equal seeds give equal intervals on every machine.
///
/// Intervals of a standard deviation rescale each resample's variance by M/(M − 1), the factor by which repeated draws shrink it. They are
/// still narrow when draws are few: for ten classes and M = 16, 64 and 256 draws a nominal 95 % covers about 85, 92 and 94 %.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bootstrap {
    /// Resamples, 1 or more.
    pub resamples: usize,
    /// Nominal coverage, between 0 and 1.
    pub level: f64,
    /// Seed of the resampling.
    pub seed: u64,
}

impl Default for Bootstrap {
    /// 1,000 resamples, 95 %, seed 0.
    fn default() -> Self {
        Self {
            resamples: 1000,
            level: 0.95,
            seed: 0,
        }
    }
}

impl Bootstrap {
    /// The interval of what [`resample`](Self::resample) gave.
    pub(crate) fn interval(&self, mut values: Vec<f64>) -> (f64, f64) {
        values.sort_by(f64::total_cmp);
        let tail = (1.0 - self.level) / 2.0;
        (quantile(&values, tail), quantile(&values, 1.0 - tail))
    }

    /// A statistic of `draws` draws, given as a function of how often each of them was taken, of every resample.
    pub(crate) fn resample(
        &self,
        draws: usize,
        statistic: impl Fn(&[f64]) -> f64,
    ) -> Result<Vec<f64>, MetricError> {
        self.check()?;
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let mut weights = vec![0.0; draws];
        let values = (0..self.resamples).map(|_| {
            weights.fill(0.0);
            for _ in 0..draws {
                // Drawn as u64, because a draw of usize differs between 32 and 64 bits.
                weights[rng.random_range(0..draws as u64) as usize] += 1.0;
            }
            statistic(&weights)
        });
        Ok(values.collect())
    }

    fn check(&self) -> Result<(), MetricError> {
        check_positive("resamples", self.resamples)?;
        check_share("level", self.level)
    }
}

/// Quantile of sorted values, linear between neighbours.
fn quantile(sorted: &[f64], q: f64) -> f64 {
    let position = q * (sorted.len() - 1) as f64;
    let below = position.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (position - below as f64) * (sorted[above] - sorted[below])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn quantiles_are_linear_between_values() {
        let values = [0.0, 1.0, 2.0, 10.0];
        assert_eq!(quantile(&values, 0.0), 0.0);
        assert_eq!(quantile(&values, 0.5), 1.5);
        assert_eq!(quantile(&values, 1.0), 10.0);
    }

    #[test]
    fn the_seed_alone_decides() {
        let interval = |seed| {
            let bootstrap = Bootstrap {
                seed,
                ..Bootstrap::default()
            };
            let weighted =
                |weights: &[f64]| weights.iter().enumerate().map(|(i, w)| i as f64 * w).sum();
            bootstrap.interval(bootstrap.resample(20, weighted).unwrap())
        };
        assert_eq!(interval(7), interval(7));
        assert_ne!(interval(7), interval(8));
    }

    #[test]
    fn settings_out_of_range_are_refused() {
        for level in [0.0, 1.0, -0.5, 95.0, f64::NAN] {
            let bootstrap = Bootstrap {
                level,
                ..Bootstrap::default()
            };
            assert!(bootstrap.resample(3, |_| 0.0).is_err(), "level {level}");
        }
        let none = Bootstrap {
            resamples: 0,
            ..Bootstrap::default()
        };
        assert!(none.resample(3, |_| 0.0).is_err());
    }
}
