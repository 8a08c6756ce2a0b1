//! The order of an epoch.

use crate::stream::Stream;

/// The numbers 0..len in an order drawn from (seed, epoch): Fisher and Yates' shuffle, from the back, on a ChaCha8 stream.
pub(super) fn shuffled(len: usize, seed: u64, epoch: u64) -> Vec<usize> {
    let mut stream = Stream::new(b"kd-data order  1", seed, 0, epoch);
    let mut order: Vec<usize> = (0..len).collect();
    for last in (1..len).rev() {
        let chosen = stream.below(last as u64 + 1) as usize;
        order.swap(last, chosen);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All six orders of three, each as often as the others over epochs and over seeds.
    #[test]
    fn every_order_is_as_likely() {
        for by_epoch in [true, false] {
            let mut counts = std::collections::BTreeMap::new();
            for draw in 0..6000 {
                let order = if by_epoch {
                    shuffled(3, 1, draw)
                } else {
                    shuffled(3, draw, 1)
                };
                *counts.entry(order).or_insert(0.0) += 1.0;
            }
            assert_eq!(counts.len(), 6);
            // Chi-square with 5 degrees of freedom: 20.5 is the 99.9 % point.
            let chi_square: f64 = counts
                .values()
                .map(|count: &f64| (count - 1000.0).powi(2) / 1000.0)
                .sum();
            assert!(chi_square < 20.5, "{chi_square}");
        }
    }

    #[test]
    fn small_sets() {
        assert!(shuffled(0, 0, 0).is_empty());
        assert_eq!(shuffled(1, 0, 0), [0]);
    }
}
