//! Random numbers with a name: what a stream gives depends on its key alone.

use rand::Rng as _;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

/// A ChaCha8 stream keyed by what it is for.
///
/// The conversions to floats and bounded integers are written here and use operations that are exact in IEEE arithmetic,
/// so the numbers stay the same over versions of `rand` and over machines.
pub(crate) struct Stream(ChaCha8Rng);

impl Stream {
    /// The stream number `index` under the key (`purpose`, `seed`, `part`).
    pub(crate) fn new(purpose: &[u8; 16], seed: u64, part: u64, index: u64) -> Self {
        let mut key = [0; 32];
        key[..16].copy_from_slice(purpose);
        key[16..24].copy_from_slice(&seed.to_le_bytes());
        key[24..].copy_from_slice(&part.to_le_bytes());
        let mut generator = ChaCha8Rng::from_seed(key);
        generator.set_stream(index);
        Self(generator)
    }

    /// Uniform in [0, 1), a multiple of 2⁻²⁴.
    pub(crate) fn unit(&mut self) -> f32 {
        (self.0.next_u32() >> 8) as f32 / (1 << 24) as f32
    }

    /// Uniform in [low, high).
    pub(crate) fn range(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// Uniform in 0..bound without bias; `bound` is at least 1.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        // The largest multiple of `bound` that fits: values from there on would favour small remainders.
        let accepted = u64::MAX - u64::MAX % bound;
        loop {
            let value = self.0.next_u64();
            if value < accepted {
                return value % bound;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PURPOSE: &[u8; 16] = b"kd-data test    ";

    #[test]
    fn every_part_of_the_key_counts() {
        let first = |purpose, seed, part, index| {
            let mut stream = Stream::new(purpose, seed, part, index);
            stream.below(u64::MAX)
        };
        let base = first(PURPOSE, 1, 2, 3);
        assert_eq!(base, first(PURPOSE, 1, 2, 3));
        assert_ne!(base, first(b"kd-data other   ", 1, 2, 3));
        assert_ne!(base, first(PURPOSE, 2, 2, 3));
        assert_ne!(base, first(PURPOSE, 1, 3, 3));
        assert_ne!(base, first(PURPOSE, 1, 2, 4));
    }

    #[test]
    fn below_is_even() {
        let mut stream = Stream::new(PURPOSE, 0, 0, 0);
        let mut counts = [0_f64; 7];
        for _ in 0..70_000 {
            counts[stream.below(7) as usize] += 1.0;
        }
        // Chi-square with 6 degrees of freedom: 22.5 is the 99.9 % point.
        let chi_square: f64 = counts
            .iter()
            .map(|count| (count - 10_000.0_f64).powi(2) / 10_000.0)
            .sum();
        assert!(chi_square < 22.5, "{chi_square}");
        assert_eq!(stream.below(1), 0);
    }

    #[test]
    fn unit_stays_in_its_range() {
        let mut stream = Stream::new(PURPOSE, 0, 1, 0);
        let draws: Vec<f32> = (0..10_000).map(|_| stream.unit()).collect();
        assert!(draws.iter().all(|draw| (0.0..1.0).contains(draw)));
        let mean = draws.iter().sum::<f32>() / 10_000.0;
        // Four standard errors of the mean of a uniform: 4 × 0.2887 / 100.
        assert!((mean - 0.5).abs() < 0.0116, "{mean}");
    }
}
