//! Stretching one axis, in Pillow's fixed-point arithmetic.

/// Bits of a weight after its point.
pub(crate) const PRECISION: u32 = 22;

/// For each output position the first input position that counts, and the weights of three from there on.
///
/// A region lies inside its image, so that an axis is stretched, never reduced, and no more than three weigh in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Taps {
    starts: Vec<u32>,
    weights: Vec<[i32; 3]>,
}

impl Taps {
    /// Triangle weights from `first..first + length` of an axis to `size` positions, at least as many.
    pub(crate) fn set(&mut self, first: usize, length: usize, size: usize) {
        debug_assert!(length <= size, "an axis is not reduced");
        let scale = length as f64 / size as f64;
        self.starts.clear();
        self.weights.clear();
        for output in 0..size {
            let center = (output as f64 + 0.5) * scale;
            let low = (center - 0.5).max(0.0) as usize;
            let high = ((center + 1.5) as usize).min(length);
            let weight = |input: usize| {
                let distance = input as f64 - center + 0.5;
                (1.0 - distance.abs()).max(0.0)
            };
            let sum: f64 = (low..high).map(weight).sum();
            let mut fixed = [0; 3];
            for (fixed, input) in fixed.iter_mut().zip(low..high) {
                *fixed = (weight(input) / sum * f64::from(1 << PRECISION) + 0.5) as i32;
            }
            self.starts.push((first + low) as u32);
            self.weights.push(fixed);
        }
    }

    /// First input position of every output position.
    #[inline]
    pub(crate) fn starts(&self) -> &[u32] {
        &self.starts
    }

    /// First input position and weights of an output position. Weights beyond the axis are 0.
    #[inline]
    pub(crate) fn of(&self, output: usize) -> (usize, &[i32; 3]) {
        (self.starts[output] as usize, &self.weights[output])
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
        for (first, length, size) in [(0, 1, 7), (3, 5, 32), (0, 32, 32), (2, 7, 224), (0, 31, 32)]
        {
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
