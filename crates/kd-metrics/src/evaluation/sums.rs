//! The host's side of an evaluation: counts and `f64` sums.

use super::EvaluationReport;
use super::accuracy::TopHits;
use super::calibration::Calibration;
use super::human;
use crate::error::MetricError;

/// What the samples so far add up to, on the host.
#[derive(Clone, Debug)]
pub(crate) struct Sums {
    samples: u64,
    hits: TopHits,
    nll: f64,
    calibration: Calibration,
    kl_human: Option<f64>,
}

impl Sums {
    pub(crate) fn new(bins: usize) -> Self {
        Self {
            samples: 0,
            hits: TopHits::default(),
            nll: 0.0,
            calibration: Calibration::new(bins),
            kl_human: None,
        }
    }

    /// Samples counted.
    pub(crate) fn samples(&self) -> usize {
        self.samples as usize
    }

    /// Calibration bins.
    pub(crate) fn bins(&self) -> usize {
        self.calibration.len()
    }

    /// Adds one sample from its columns.
    pub(crate) fn push(&mut self, sample: &[f32], classes: usize) -> Result<(), MetricError> {
        let row = self.samples as usize;
        let &[finite, label, rank, nll, confidence, ref human @ ..] = sample else {
            return Err(MetricError::Count {
                what: "values of a sample",
                expected: 5,
                found: sample.len(),
            });
        };
        if finite == 0.0 || !nll.is_finite() {
            return Err(MetricError::Logits { row });
        }
        if label < 0.0 || label >= classes as f32 {
            return Err(MetricError::Label {
                row,
                label: label as i64,
                classes,
            });
        }
        if !human.is_empty() {
            let divergence = human::check(human, row)?;
            if !divergence.is_finite() {
                return Err(MetricError::Logits { row });
            }
            *self.kl_human.get_or_insert(0.0) += divergence;
        }
        self.samples += 1;
        self.hits.push(rank);
        self.nll += f64::from(nll);
        let confidence = f64::from(confidence).min(1.0);
        self.calibration.push(confidence, rank == 0.0);
        Ok(())
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.samples += other.samples;
        self.hits.merge(&other.hits);
        self.nll += other.nll;
        self.calibration.merge(&other.calibration);
        if let Some(sum) = other.kl_human {
            *self.kl_human.get_or_insert(0.0) += sum;
        }
    }

    pub(crate) fn report(&self) -> Result<EvaluationReport, MetricError> {
        if self.samples == 0 {
            return Err(MetricError::TooFew {
                what: "samples of an evaluation",
                needed: 1,
                found: 0,
            });
        }
        let (top1, top5) = self.hits.fractions(self.samples);
        let samples = self.samples as f64;
        Ok(EvaluationReport {
            samples: self.samples,
            top1,
            top5,
            nll: self.nll / samples,
            ece: self.calibration.ece(),
            kl_human: self.kl_human.map(|sum| sum / samples),
            calibration_bins: self.calibration.bins(),
        })
    }
}
