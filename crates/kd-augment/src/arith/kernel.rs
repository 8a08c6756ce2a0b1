//! Weights of a Gaussian filter.

use crate::plan::MAX_RADIUS;

/// Weights of the pixels 0 … `radius` steps from the centre; the whole two-sided filter sums to 1.
pub(crate) fn gaussian(radius: usize, sigma: f32) -> [f32; MAX_RADIUS + 1] {
    let sigma = f64::from(sigma);
    let weight = |step: usize| (-0.5 * (step as f64 / sigma).powi(2)).exp();
    let sum = 1.0 + 2.0 * (1..=radius).map(weight).sum::<f64>();
    let mut weights = [0.0; MAX_RADIUS + 1];
    for (step, out) in weights.iter_mut().enumerate().take(radius + 1) {
        *out = (weight(step) / sum) as f32;
    }
    weights
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_sum_to_one_and_fall() {
        for (radius, sigma) in [(0, 0.5), (1, 0.1), (2, 2.0), (11, 1.5), (255, 50.0)] {
            let weights = gaussian(radius, sigma);
            let sum: f32 = weights[0] + 2.0 * weights[1..].iter().sum::<f32>();
            assert!((sum - 1.0).abs() < 1e-5, "{sum}");
            assert!(weights.windows(2).all(|pair| pair[0] >= pair[1]));
        }
    }
}
