//! The covariance that T. stddev stands in for.

use serde::{Deserialize, Serialize};

use super::pair_covariance;
use crate::error::{MetricError, check_finite, expect_count};

/// The teacher–student cross-entropy q(x) = −Σ_c p_t(c|x) · ln p_s(c|x) in nats of each row, from rows of logits of both, at temperature 1.
///
/// # Errors
/// [`MetricError::Count`] for incomplete rows, [`MetricError::Logits`] naming the first row that is not finite.
pub fn teacher_student_cross_entropy(
    teacher: &[f32],
    student: &[f32],
    classes: usize,
) -> Result<Vec<f64>, MetricError> {
    let classes = classes.max(1);
    let whole = teacher.len().div_ceil(classes) * classes;
    expect_count(
        "values in rows of the teacher's logits",
        whole,
        teacher.len(),
    )?;
    expect_count(
        "values in rows of the student's logits",
        teacher.len(),
        student.len(),
    )?;
    let rows = teacher
        .chunks_exact(classes)
        .zip(student.chunks_exact(classes));
    rows.enumerate()
        .map(|(row, (teacher, student))| {
            if !teacher.iter().chain(student).all(|z| z.is_finite()) {
                return Err(MetricError::Logits { row });
            }
            let (ours, theirs) = (log_sum_exp(teacher), log_sum_exp(student));
            let terms = teacher
                .iter()
                .zip(student)
                .map(|(&t, &s)| (f64::from(t) - ours).exp() * (theirs - f64::from(s)));
            Ok(terms.sum())
        })
        .collect()
}

fn log_sum_exp(row: &[f32]) -> f64 {
    let highest = f64::from(row.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let sum: f64 = row.iter().map(|&z| (f64::from(z) - highest).exp()).sum();
    highest + sum.ln()
}

/// Variance of the teacher–student cross-entropy over images, of its mean over draws, and the covariance between two images of one draw
/// (Wang et al., "What Makes a Good Data Augmentation in Knowledge Distillation", 2022, equation 5). The smaller the variance of the mean,
/// the smaller the student's generalisation gap; T. stddev needs no student and stands in for it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CrossEntropySpread {
    /// Each draw: its values, their sum and the sum of their squares.
    draws: Vec<(u64, f64, f64)>,
}

/// What [`CrossEntropySpread`] found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CrossEntropyReport {
    /// Draws.
    pub means: usize,
    /// Mean cross-entropy in nats.
    pub mean: f64,
    /// Unbiased variance over images.
    pub variance: f64,
    /// Unbiased variance of the mean over draws.
    pub variance_of_mean: f64,
    /// Mean covariance of two images of one draw; nothing where draws are of one image.
    pub covariance: Option<f64>,
}

impl CrossEntropySpread {
    /// Adds the values of one draw.
    ///
    /// # Errors
    /// [`MetricError::TooFew`] without values, [`MetricError::Value`] for one that is not finite.
    pub fn push(&mut self, values: &[f64]) -> Result<(), MetricError> {
        if values.is_empty() {
            return Err(MetricError::TooFew {
                what: "cross-entropies of a draw",
                needed: 1,
                found: 0,
            });
        }
        check_finite("cross-entropy", values)?;
        let sum = values.iter().sum();
        let squares = values.iter().map(|value| value * value).sum();
        check_finite("sums of cross-entropies", &[sum, squares])?;
        self.draws.push((values.len() as u64, sum, squares));
        Ok(())
    }

    /// Whether there is no draw yet.
    pub fn is_empty(&self) -> bool {
        self.draws.is_empty()
    }

    /// Adds the draws of another measurement.
    pub fn merge(&mut self, other: &Self) {
        self.draws.extend_from_slice(&other.draws);
    }

    /// The measures over the draws so far.
    ///
    /// # Errors
    /// [`MetricError::TooFew`] with fewer than two draws.
    pub fn compute(&self) -> Result<CrossEntropyReport, MetricError> {
        let means = self.draws.len();
        if means < 2 {
            return Err(MetricError::TooFew {
                what: "draws behind a covariance",
                needed: 2,
                found: means,
            });
        }
        let rows = self.draws.iter().map(|draw| draw.0).sum::<u64>() as f64;
        let sum: f64 = self.draws.iter().map(|draw| draw.1).sum();
        let squares: f64 = self.draws.iter().map(|draw| draw.2).sum();
        let mean = sum / rows;
        let variance = (squares - sum * mean).max(0.0) / (rows - 1.0);
        let of_draws = || self.draws.iter().map(|&(count, sum, _)| sum / count as f64);
        let centre = of_draws().sum::<f64>() / means as f64;
        let variance_of_mean =
            of_draws().map(|u| (u - centre).powi(2)).sum::<f64>() / (means - 1) as f64;
        Ok(CrossEntropyReport {
            means,
            mean,
            variance,
            variance_of_mean,
            covariance: pair_covariance(variance_of_mean, variance, rows / means as f64),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn values_that_are_equal_within_a_draw_vary_together() {
        let mut spread = CrossEntropySpread::default();
        for value in [1.0, 3.0] {
            spread.push(&[value; 4]).unwrap();
        }
        let report = spread.compute().unwrap();
        assert_eq!((report.mean, report.variance_of_mean), (2.0, 2.0));
        assert!((report.variance - 8.0 / 7.0).abs() < 1e-12);
        assert!((report.covariance.unwrap() - (8.0 - 8.0 / 7.0) / 3.0).abs() < 1e-12);
    }

    #[test]
    fn the_cross_entropy_with_itself_is_the_entropy() {
        let logits = [0.0, 3.0_f32.ln(), 0.0, 0.0];
        let found = teacher_student_cross_entropy(&logits, &logits, 2).unwrap();
        assert!((found[0] - 0.562_335).abs() < 1e-6 && (found[1] - 2.0_f64.ln()).abs() < 1e-12);
        assert!(teacher_student_cross_entropy(&[f32::NAN, 0.0], &[0.0; 2], 2).is_err());
        assert!(teacher_student_cross_entropy(&[0.0; 3], &[0.0; 3], 2).is_err());
    }
}
