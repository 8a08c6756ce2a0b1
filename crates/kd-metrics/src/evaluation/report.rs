//! The result of an evaluation.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::CalibrationBin;

/// What an [`Evaluation`](super::Evaluation) found. Its `Display` is an aligned table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvaluationReport {
    /// Samples evaluated.
    pub samples: u64,
    /// Fraction in [0, 1] of samples whose true class has the highest logit; of tied classes the lowest index counts as highest.
    pub top1: f64,
    /// Fraction in [0, 1] of samples whose true class is among the five highest logits, ties as for `top1`; 1 with five classes or fewer.
    pub top5: f64,
    /// Mean negative log-likelihood of the true class, in nats, 0 or more.
    pub nll: f64,
    /// Expected calibration error in [0, 1], over `calibration_bins`.
    pub ece: f64,
    /// Mean KL(human‖model) in nats, where human labels were given.
    pub kl_human: Option<f64>,
    /// The bins behind `ece`, from confidence 0 to 1.
    pub calibration_bins: Vec<CalibrationBin>,
}

impl fmt::Display for EvaluationReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |fraction: f64| 100.0 * fraction;
        writeln!(f, "samples           {:>9}", self.samples)?;
        writeln!(f, "top-1             {:>9.2} %", percent(self.top1))?;
        writeln!(f, "top-5             {:>9.2} %", percent(self.top5))?;
        writeln!(f, "NLL               {:>9.4} nats", self.nll)?;
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
    use super::*;

    #[test]
    fn the_table_is_aligned_in_percent_and_nats() {
        let report = EvaluationReport {
            samples: 10_000,
            top1: 0.9173,
            top5: 1.0,
            nll: 0.2816,
            ece: 0.03504,
            kl_human: Some(0.2731),
            calibration_bins: Vec::new(),
        };
        let expected = "\
samples               10000
top-1                 91.73 %
top-5                100.00 %
NLL                  0.2816 nats
ECE,   0 bins          3.50 %
KL(human||model)     0.2731 nats";
        assert_eq!(report.to_string(), expected);
    }
}
