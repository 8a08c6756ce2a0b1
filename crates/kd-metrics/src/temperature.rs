//! Temperature scaling.

use burn::tensor::{Int, Tensor};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::{MetricError, beyond_f32, check_positive, expect_count};
use crate::read::{floats, integers};

/// Between these the temperature is looked for.
const RANGE: (f64, f64) = (0.01, 100.0);
/// Rows that are summed at a time: fixed, so that threads do not change the sum.
const CHUNK: usize = 1024;
/// A bracket that is halved this often has closed.
const MOST_STEPS: usize = 200;

/// The one number that calibrates a network best: the temperature T that minimises the mean negative log-likelihood of softmax(z / T)
/// (Guo et al., "On Calibration of Modern Neural Networks", 2017, section 4.2).
///
/// It changes no prediction. Fit it on images that the network was not trained on, and measure what it gives on others. The logits are
/// kept on the host, four bytes each.
///
/// ```
/// use burn::prelude::*;
/// use kd_metrics::TemperatureScaling;
///
/// # fn main() -> Result<(), kd_metrics::MetricError> {
/// let device = Device::flex();
/// let mut scaling = TemperatureScaling::new(2)?;
/// // Sure of itself four times, and wrong once: softmax(3 / T) should be 3 / 4, so T = 3 / ln 3.
/// let logits = Tensor::<2>::from_data([[3.0, 0.0]; 4], &device);
/// scaling.update(logits, Tensor::<1, Int>::from_data([0, 0, 0, 1], &device))?;
/// let fit = scaling.fit()?;
/// assert!((fit.temperature - 3.0 / 3f64.ln()).abs() < 1e-9);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct TemperatureScaling {
    classes: usize,
    logits: Vec<f32>,
    labels: Vec<usize>,
}

/// What [`TemperatureScaling`] found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TemperatureFit {
    /// T, between 0.01 and 100. Above 1: the network was too sure of itself.
    pub temperature: f64,
    /// Whether T is the end of that range: the likelihood would still rise beyond it, as it does where every answer is right.
    pub at_limit: bool,
    /// Mean negative log-likelihood at T = 1, in nats.
    pub nll_before: f64,
    /// Mean negative log-likelihood at T, in nats.
    pub nll_after: f64,
}

impl TemperatureScaling {
    /// Without samples, for a network with this many classes.
    ///
    /// # Errors
    /// [`MetricError::Config`] without classes.
    pub fn new(classes: usize) -> Result<Self, MetricError> {
        check_positive("classes", classes)?;
        Ok(Self {
            classes,
            logits: Vec::new(),
            labels: Vec::new(),
        })
    }

    /// Adds a batch: logits `[B, C]`, labels `[B]`. They are read from the device at once.
    ///
    /// # Errors
    /// [`MetricError::Count`] when shapes do not agree, [`MetricError::Logits`] or [`MetricError::Label`] naming the first bad row, counted
    /// over all batches. A refused batch is not counted.
    pub fn update(&mut self, logits: Tensor<2>, labels: Tensor<1, Int>) -> Result<(), MetricError> {
        let [batch, classes] = logits.dims();
        expect_count("classes in the logits", self.classes, classes)?;
        expect_count("labels for the batch", batch, labels.dims()[0])?;
        let (logits, labels) = (floats(logits.inner())?, integers(labels.inner())?);
        let first = self.labels.len();
        if let Some(bad) = beyond_f32(&logits) {
            return Err(MetricError::Logits {
                row: first + bad / classes,
            });
        }
        let known = |label: i64| usize::try_from(label).ok().filter(|label| *label < classes);
        if let Some(bad) = labels.iter().position(|&label| known(label).is_none()) {
            return Err(MetricError::Label {
                row: first + bad,
                label: labels[bad],
                classes,
            });
        }
        self.logits.extend(logits.iter().map(|&z| z as f32));
        self.labels
            .extend(labels.iter().map(|&label| label as usize));
        Ok(())
    }

    /// Adds the samples of another one.
    ///
    /// # Errors
    /// [`MetricError::Count`] when the numbers of classes differ.
    pub fn merge(&mut self, other: &Self) -> Result<(), MetricError> {
        expect_count("classes of the merged logits", self.classes, other.classes)?;
        self.logits.extend_from_slice(&other.logits);
        self.labels.extend_from_slice(&other.labels);
        Ok(())
    }

    /// The temperature of all samples so far.
    ///
    /// The likelihood is concave in 1 / T, so that Newton's steps inside a shrinking bracket find its only maximum.
    ///
    /// # Errors
    /// [`MetricError::TooFew`] without samples.
    pub fn fit(&self) -> Result<TemperatureFit, MetricError> {
        if self.labels.is_empty() {
            return Err(MetricError::TooFew {
                what: "samples of a temperature",
                needed: 1,
                found: 0,
            });
        }
        let (mut low, mut high) = (1.0 / RANGE.1, 1.0 / RANGE.0);
        let found = |beta: f64, at_limit| TemperatureFit {
            temperature: 1.0 / beta,
            at_limit,
            nll_before: self.at(1.0).nll,
            nll_after: self.at(beta).nll,
        };
        let slopes = (self.at(low).slope, self.at(high).slope);
        if slopes == (0.0, 0.0) {
            // All logits of a row are equal: no temperature changes anything.
            return Ok(found(1.0, false));
        }
        if slopes.0 >= 0.0 {
            return Ok(found(low, true));
        }
        if slopes.1 <= 0.0 {
            return Ok(found(high, true));
        }
        let mut beta = 1.0;
        for _ in 0..MOST_STEPS {
            let here = self.at(beta);
            if here.slope < 0.0 {
                low = beta;
            } else {
                high = beta;
            }
            let newton = beta - here.slope / here.curvature;
            let next = if newton > low && newton < high {
                newton
            } else {
                0.5 * (low + high)
            };
            let step = (next - beta).abs();
            beta = next;
            if step <= 1e-14 * beta || high - low <= 1e-14 * beta {
                break;
            }
        }
        Ok(found(beta, false))
    }

    /// The mean negative log-likelihood at β = 1 / T, and its derivatives by β.
    fn at(&self, beta: f64) -> Likelihood {
        let chunks = self.logits.par_chunks(CHUNK * self.classes);
        let parts: Vec<Likelihood> = chunks
            .zip(self.labels.par_chunks(CHUNK))
            .map(|(logits, labels)| {
                let rows = logits.chunks(self.classes).zip(labels);
                rows.fold(Likelihood::default(), |sum, (row, &label)| {
                    sum.plus(Likelihood::of(row, label, beta))
                })
            })
            .collect();
        let sum = parts
            .into_iter()
            .fold(Likelihood::default(), Likelihood::plus);
        let count = self.labels.len() as f64;
        Likelihood {
            nll: sum.nll / count,
            slope: sum.slope / count,
            curvature: sum.curvature / count,
        }
    }
}

#[derive(Clone, Copy, Default)]
struct Likelihood {
    nll: f64,
    slope: f64,
    curvature: f64,
}

impl Likelihood {
    /// ln Σ_c exp(β z_c) − β z_y, E_p\[z\] − z_y and Var_p\[z\].
    fn of(row: &[f32], label: usize, beta: f64) -> Self {
        let highest = f64::from(row.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        let (mut sum, mut first, mut second) = (0.0, 0.0, 0.0);
        for &z in row {
            let z = f64::from(z) - highest;
            let weight = (beta * z).exp();
            sum += weight;
            first += weight * z;
            second += weight * z * z;
        }
        let own = f64::from(row[label]) - highest;
        let mean = first / sum;
        Self {
            nll: sum.ln() - beta * own,
            slope: mean - own,
            curvature: second / sum - mean * mean,
        }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            nll: self.nll + other.nll,
            slope: self.slope + other.slope,
            curvature: self.curvature + other.curvature,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use burn::tensor::Device;

    use super::*;

    fn scaling(logits: [[f32; 2]; 3], labels: [i32; 3]) -> Result<TemperatureScaling, MetricError> {
        let mut scaling = TemperatureScaling::new(2)?;
        let device = Device::flex();
        scaling.update(
            Tensor::from_data(logits, &device),
            Tensor::from_data(labels, &device),
        )?;
        Ok(scaling)
    }

    #[test]
    fn who_is_always_right_could_be_surer_still() {
        let right = scaling([[1.0, 0.0]; 3], [0; 3]).unwrap().fit().unwrap();
        assert!(right.at_limit && (right.temperature - 0.01).abs() < 1e-12);
        let wrong = scaling([[1.0, 0.0]; 3], [1; 3]).unwrap().fit().unwrap();
        assert!(wrong.at_limit && (wrong.temperature - 100.0).abs() < 1e-9);
        assert!(wrong.nll_after < wrong.nll_before);
        let blank = scaling([[0.0; 2]; 3], [0, 1, 1]).unwrap().fit().unwrap();
        assert_eq!((blank.temperature, blank.at_limit), (1.0, false));
        assert_eq!(blank.nll_before, blank.nll_after);
    }

    #[test]
    fn bad_rows_are_named() {
        let nan = scaling([[0.0, 0.0], [0.0, f32::NAN], [0.0, 0.0]], [0; 3]).unwrap_err();
        assert!(matches!(nan, MetricError::Logits { row: 1 }), "{nan}");
        let label = scaling([[0.0; 2]; 3], [0, 0, 2]).unwrap_err();
        assert!(
            matches!(
                label,
                MetricError::Label {
                    row: 2,
                    label: 2,
                    ..
                }
            ),
            "{label}"
        );
        assert!(TemperatureScaling::new(3).unwrap().fit().is_err());
    }
}
