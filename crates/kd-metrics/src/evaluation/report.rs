//! The result of an evaluation.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::class_means::MeanRows;
use super::{CalibrationBin, ConfusionMatrix, HumanReport, RowReport};

/// What an [`Evaluation`](super::Evaluation) found. Its `Display` is an aligned table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvaluationReport {
    /// Samples evaluated.
    pub samples: u64,
    /// Fraction in [0, 1] of samples whose true class has the highest score; of tied classes the lowest index counts as highest.
    pub top1: f64,
    /// Fraction in [0, 1] of samples whose true class is among the five highest scores, ties as for `top1`; 1 with five classes or fewer.
    pub top5: f64,
    /// Mean negative log-likelihood of the true class, in nats, 0 or more.
    pub nll: f64,
    /// Mean Brier score Σ_c (p_c − \[c = y\])², in [0, 2] (Brier, 1950).
    pub brier: f64,
    /// Mean entropy of the probabilities, in nats.
    pub entropy: f64,
    /// Mean probability of the predicted class.
    pub confidence: f64,
    /// Expected calibration error in [0, 1] over `calibration_bins`: Σ_m (n_m / N) · |accuracy_m − confidence_m| (Guo et al., "On
    /// Calibration of Modern Neural Networks", 2017, equation 3).
    pub ece: f64,
    /// Maximum calibration error in [0, 1]: the largest of those gaps (Guo et al., 2017, equation 5).
    pub mce: f64,
    /// The expected calibration error over `mass_bins`, which hold equally many samples each. A bin
    /// that cuts a run of samples of equal confidence gets its share of the run's hits, so the error
    /// of a calibrated predictor is 0 in every order of the samples. Implementations that part the
    /// sorted samples one by one (numpy's `array_split` after a stable sort) leave it to the order of
    /// the input which of them are right in which bin; without ties across an edge both agree.
    pub ece_equal_mass: f64,
    /// Mean of `per_class_ece` (Kull et al., "Beyond temperature scaling", 2019, equation 3).
    pub classwise_ece: f64,
    /// Mean KL(human‖model) in nats, where human labels were given.
    pub kl_human: Option<f64>,
    /// Class separability S_f = (1/C²) Σ_ij KL(p̄_i‖p̄_j) in nats over the mean distributions p̄ of the C classes that have samples (Das
    /// et al., "An Empirical Analysis of the Impact of Data Augmentation on Knowledge Distillation", 2020, section 5).
    pub separability: f64,
    /// For each class, the calibration error of its probability over all samples, over bins of equal width.
    pub per_class_ece: Vec<f64>,
    /// The bins behind `ece`, from confidence 0 to 1.
    pub calibration_bins: Vec<CalibrationBin>,
    /// The bins behind `ece_equal_mass`; fewer where samples are fewer.
    pub mass_bins: Vec<CalibrationBin>,
    /// Samples whose true class has rank 0, 1, 2, …
    pub ranks: Vec<u64>,
    /// Counts by true and predicted class: precision, recall, F1.
    pub confusion: ConfusionMatrix,
    /// Mean distribution of the model over the samples of each true class.
    pub class_means: MeanRows,
    /// How far the model is from people, where human labels were given.
    pub human: Option<HumanReport>,
    /// Each sample, in order; only where [`keep_rows`](super::EvaluationConfig::keep_rows) asks for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<RowReport>,
}

impl EvaluationReport {
    /// Fraction in [0, 1] of samples whose true class is among the `k` highest scores.
    pub fn top(&self, k: usize) -> f64 {
        let hits: u64 = self.ranks.iter().take(k).sum();
        hits as f64 / self.samples as f64
    }
}

impl fmt::Display for EvaluationReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |fraction: f64| 100.0 * fraction;
        let average = self.confusion.macro_average();
        writeln!(f, "samples           {:>9}", self.samples)?;
        writeln!(f, "top-1             {:>9.2} %", percent(self.top1))?;
        writeln!(f, "top-5             {:>9.2} %", percent(self.top5))?;
        writeln!(f, "F1, macro         {:>9.2} %", percent(average.f1))?;
        writeln!(f, "NLL               {:>9.4} nats", self.nll)?;
        writeln!(f, "Brier             {:>9.4}", self.brier)?;
        write!(
            f,
            "ECE, {:>3} bins     {:>9.2} %",
            self.calibration_bins.len(),
            percent(self.ece)
        )?;
        match self.kl_human {
            Some(kl) => write!(f, "\nKL(human||model)  {kl:>9.4} nats"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use burn::prelude::*;

    use super::super::EvaluationConfig;

    #[test]
    fn the_table_is_aligned_in_percent_and_nats() {
        let device = Device::flex();
        let mut evaluation = EvaluationConfig::new().with_bins(4).init(2).unwrap();
        let rows = Tensor::<2>::from_data([[0.75, 0.25], [0.75, 0.25]], &device);
        let labels = Tensor::<1, Int>::from_data([0, 1], &device);
        let people = Tensor::<2>::from_data([[1.0, 0.0], [0.5, 0.5]], &device);
        evaluation
            .update_probabilities(rows, labels, Some(people))
            .unwrap();
        let expected = "\
samples                   2
top-1                 50.00 %
top-5                100.00 %
F1, macro             33.33 %
NLL                  0.8370 nats
Brier                0.6250
ECE,   4 bins         25.00 %
KL(human||model)     0.2158 nats";
        assert_eq!(evaluation.compute().unwrap().to_string(), expected);
    }
}
