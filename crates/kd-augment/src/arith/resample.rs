//! Stretching one axis, in Pillow's fixed-point arithmetic.

/// Bits of a weight after its point.
pub(crate) const PRECISION: u32 = 22;

/// For each output position the first input position that counts, and the weights of those from there on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Taps {
    starts: Vec<u32>,
    weights: Vec<i32>,
    per_output: usize,
}

impl Taps {
    /// Triangle weights from `first..first + length` of an axis to `size` positions.
    pub(crate) fn set(&mut self, first: usize, length: usize, size: usize) {
        let scale = length as f64 / size as f64;
        let support = scale.max(1.0);
        let inverse = 1.0 / support;
        self.per_output = (2.0 * support).ceil() as usize + 1;
        self.starts.clear();
        self.weights.clear();
        for output in 0..size {
            let center = (output as f64 + 0.5) * scale;
            let low = (center - support + 0.5).max(0.0) as usize;
            let high = ((center + support + 0.5) as usize).min(length);
            let weight = |input: usize| {
                let distance = (input as f64 - center + 0.5) * inverse;
                (1.0 - distance.abs()).max(0.0)
            };
            let sum: f64 = (low..high).map(weight).sum();
            let one = f64::from(1 << PRECISION);
            let fixed = |input: usize| match sum == 0.0 {
                true => weight(input) * one + 0.5,
                false => weight(input) / sum * one + 0.5,
            };
            self.starts.push((first + low) as u32);
            let end = self.weights.len() + self.per_output;
            self.weights
                .extend((low..high).map(|input| fixed(input) as i32));
            self.weights.resize(end, 0);
        }
    }

    /// First input position of every output position.
    #[inline]
    pub(crate) fn starts(&self) -> &[u32] {
        &self.starts
    }

    /// First input position and weights of an output position. Weights beyond the axis are 0.
    #[inline]
    pub(crate) fn of(&self, output: usize) -> (usize, &[i32]) {
        let weights = &self.weights[output * self.per_output..][..self.per_output];
        (self.starts[output] as usize, weights)
    }
}

/// For each of `size` output positions the nearest of `first..first + length`. The position is accumulated in f64, which
/// decides some ties.
pub(crate) fn nearest_indices(first: usize, length: usize, size: usize, out: &mut Vec<u32>) {
    let scale = length as f64 / size as f64;
    let mut position = scale * 0.5;
    out.clear();
    for _ in 0..size {
        out.push((first + (position as usize).min(length - 1)) as u32);
        position += scale;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_sum_to_one() {
        let mut taps = Taps::default();
        for (first, length, size) in [(0, 1, 7), (3, 5, 32), (0, 32, 32), (2, 7, 224), (0, 9, 4)] {
            taps.set(first, length, size);
            for output in 0..size {
                let (start, weights) = taps.of(output);
                let sum: i32 = weights.iter().sum();
                assert!((sum - (1 << PRECISION)).abs() <= 2, "{sum}");
                let used = weights.iter().rposition(|weight| *weight != 0).unwrap_or(0);
                assert!(start >= first && start + used < first + length);
            }
        }
    }
}
