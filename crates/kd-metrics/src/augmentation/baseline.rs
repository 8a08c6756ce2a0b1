//! What drawing images alone does to T. stddev, and what is left when it is taken off.

use crate::error::{MetricError, check_positive};

/// T. stddev of a teacher whose answers depend on the image alone: what remains when the augmentation does nothing, because each mean is
/// taken over other images.
///
/// `variance` is the unbiased variance of the teacher's probability of each class over the `population` images; a mean is taken over
/// `images` of them, drawn without replacement within an epoch, and the measure over `means` of these. Then
///
/// Var(u) = v/n · (1 − n/N), Cov(u, u') = −v/N for two means of one epoch and 0 for means of different ones,
///
/// and what an unbiased variance over the means estimates is Var(u) − the mean covariance over all pairs of them. The value is the mean of
/// its square root over the classes. An epoch holds ⌊N/n⌋ means; a mean that takes images from two epochs is not looked at more closely.
///
/// # Errors
/// [`MetricError::Config`] for a count of 0, [`MetricError::TooFew`] with fewer than two means or fewer images in the population than behind a
/// mean.
pub fn sampling_baseline(
    variance: &[f64],
    images: usize,
    population: usize,
    means: usize,
) -> Result<f64, MetricError> {
    check_positive("classes", variance.len())?;
    check_positive("images", images)?;
    for (what, needed, found) in [
        ("means behind a baseline", 2, means),
        ("images of the population", images, population),
    ] {
        if found < needed {
            return Err(MetricError::TooFew {
                what,
                needed,
                found,
            });
        }
    }
    let (n, whole) = (images as f64, population as f64);
    let per_epoch = population / images;
    let pairs = |count: usize| (count * count.saturating_sub(1)) as f64 / 2.0;
    let (epochs, rest) = (means / per_epoch, means % per_epoch);
    let in_one_epoch = epochs as f64 * pairs(per_epoch) + pairs(rest);
    let covariance = -in_one_epoch / pairs(means) / whole;
    let factor = (1.0 - n / whole) / n - covariance;
    let deviations = variance.iter().map(|v| (v * factor).max(0.0).sqrt());
    Ok(deviations.sum::<f64>() / variance.len() as f64)
}

/// The mean covariance of the teacher's answers to two images of one draw, solved from the variance of the mean of n answers (Wang et al., "What
/// Makes a Good Data Augmentation in Knowledge Distillation", 2022, equation 7):
///
/// Var(u) = Var(p)/n + (n − 1)/n · Cov(p_j, p_k), so Cov = (n · Var(u) − Var(p)) / (n − 1).
///
/// Both variances are unbiased estimates; `answers` may be a mean count. With one answer behind each mean there are no pairs: nothing.
pub fn pair_covariance(variance_of_mean: f64, variance: f64, answers: f64) -> Option<f64> {
    (answers > 1.0).then(|| (answers * variance_of_mean - variance) / (answers - 1.0))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_sure_teacher_on_a_hundred_balanced_classes() {
        // One-hot answers: variance 0.01 · 0.99; with a large population the published sqrt(0.01 · 0.99 / 320).
        let value = sampling_baseline(&[0.0099; 100], 320, 1_000_000_000, 64).unwrap();
        assert!((value - 0.005_562).abs() < 1e-6, "{value}");
        assert!((value - (0.0099_f64 / 320.0).sqrt()).abs() < 1e-9);
    }

    #[test]
    fn within_one_epoch_the_missing_images_cancel() {
        // Means of one epoch differ as means of an infinite population do: v/n(1 − n/N) + v/N = v/n.
        let value = sampling_baseline(&[0.04], 10, 100, 10).unwrap();
        assert!((value - (0.04_f64 / 10.0).sqrt()).abs() < 1e-15);
        // The whole population in each mean: nothing is drawn.
        let whole = sampling_baseline(&[0.04], 100, 100, 5).unwrap();
        assert_eq!(whole, 0.0);
    }

    #[test]
    fn counts_that_do_not_fit_are_refused() {
        assert!(sampling_baseline(&[0.1], 10, 9, 5).is_err());
        assert!(sampling_baseline(&[0.1], 10, 90, 1).is_err());
        assert!(sampling_baseline(&[], 10, 90, 4).is_err());
    }
}
