use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::ImageSet;

/// Mean and standard deviation of each channel of a set of images, on the scale from 0 to 1.
///
/// With the bytes x of a channel and their number n, mean = Σx / 255n and std = sqrt(nΣx² − (Σx)²) / 255n (the population's).
/// The sums are exact integers: the result does not depend on the order of summation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChannelStatistics {
    /// One mean a channel; NaN for an empty set.
    pub mean: Vec<f32>,
    /// One standard deviation a channel; NaN for an empty set.
    pub std: Vec<f32>,
}

impl ChannelStatistics {
    pub(crate) fn of(set: &ImageSet) -> Self {
        let [channels, height, width] = set.shape();
        let plane = height * width;
        let count = (set.len() * plane) as f64;
        let (mean, std) = (0..channels)
            .map(|channel| {
                let (sum, squares) = sums(set, channel, plane);
                // n²·variance; never negative (Cauchy-Schwarz), and exact: both products fit in 128 bits.
                let spread = u128::from(squares) * (set.len() * plane) as u128
                    - u128::from(sum) * u128::from(sum);
                let scale = 255.0 * count;
                (
                    (sum as f64 / scale) as f32,
                    ((spread as f64).sqrt() / scale) as f32,
                )
            })
            .unzip();
        Self { mean, std }
    }
}

/// The sum of one channel's bytes and of their squares.
fn sums(set: &ImageSet, channel: usize, plane: usize) -> (u64, u64) {
    (0..set.len())
        .into_par_iter()
        .with_min_len(256)
        .map(|index| {
            let bytes = &set.image(index)[channel * plane..(channel + 1) * plane];
            bytes.iter().fold((0, 0), |(sum, squares), &byte| {
                let byte = u64::from(byte);
                (sum + byte, squares + byte * byte)
            })
        })
        .reduce(|| (0, 0), |a, b| (a.0 + b.0, a.1 + b.1))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn by_hand() {
        // Channel 0 holds 0, 255, 255, 0; channel 1 holds 51, 51, 153, 153.
        let pixels = vec![0, 255, 51, 51, 255, 0, 153, 153];
        let names = vec!["only".to_string()];
        let set = ImageSet::new(pixels, [2, 1, 2], vec![0, 0], names).unwrap();
        let statistics = set.statistics();
        assert_eq!(statistics.mean, [0.5, 0.4]);
        assert_eq!(statistics.std, [0.5, 0.2]);
        let first = set.take(1).statistics();
        assert_eq!(first.mean, [0.5, 0.2]);
        assert_eq!(first.std, [0.5, 0.0]);
        assert!(
            set.take(0)
                .statistics()
                .mean
                .iter()
                .all(|mean| mean.is_nan())
        );
    }
}
