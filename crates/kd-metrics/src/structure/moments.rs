//! Mean and variance of embeddings, dimension by dimension.

use burn::tensor::Tensor;

use crate::error::{MetricError, beyond_f32, check_positive, expect_count};
use crate::read::floats;

/// The first of two passes over embeddings: mean and standard deviation of each dimension, for the [`ClassStructure`](super::ClassStructure)
/// of the second.
///
/// Deviations are summed from a running mean (Welford), and merged by Chan's formula, so that a large mean costs no digits.
#[derive(Clone, Debug)]
pub struct EmbeddingMoments {
    count: usize,
    means: Vec<f64>,
    /// Sums of squared deviations.
    squares: Vec<f64>,
}

/// What standardises embeddings: x -> (x − mean) / std with the biased standard deviation, and 0 in a dimension that does not vary.
#[derive(Clone, Debug, PartialEq)]
pub struct Standardization {
    pub(crate) means: Vec<f64>,
    /// 1 / std, or 0.
    pub(crate) scales: Vec<f64>,
}

impl EmbeddingMoments {
    /// Without samples, for embeddings of this many dimensions.
    ///
    /// # Errors
    /// [`MetricError::Config`] without dimensions.
    pub fn new(dimensions: usize) -> Result<Self, MetricError> {
        check_positive("dimensions", dimensions)?;
        Ok(Self {
            count: 0,
            means: vec![0.0; dimensions],
            squares: vec![0.0; dimensions],
        })
    }

    /// Adds embeddings `[B, d]`.
    ///
    /// # Errors
    /// [`MetricError::Count`] for another number of dimensions, [`MetricError::Embedding`] naming the first row that is not finite. A refused
    /// batch is not counted.
    pub fn update(&mut self, embeddings: Tensor<2>) -> Result<(), MetricError> {
        let [_, dimensions] = embeddings.dims();
        expect_count("dimensions of the embeddings", self.means.len(), dimensions)?;
        let rows = floats(embeddings.inner())?;
        check_rows(&rows, dimensions, self.count)?;
        self.add(&rows);
        Ok(())
    }

    /// Adds rows that are known to be finite.
    pub(super) fn add(&mut self, rows: &[f64]) {
        for row in rows.chunks(self.means.len()) {
            self.count += 1;
            let weight = 1.0 / self.count as f64;
            for ((mean, square), value) in self.means.iter_mut().zip(&mut self.squares).zip(row) {
                let before = value - *mean;
                *mean += weight * before;
                *square += before * (value - *mean);
            }
        }
    }

    /// Adds the embeddings of another pass over other samples.
    ///
    /// # Errors
    /// [`MetricError::Count`] when the numbers of dimensions differ.
    pub fn merge(&mut self, other: &Self) -> Result<(), MetricError> {
        let what = "dimensions of the merged embeddings";
        expect_count(what, self.means.len(), other.means.len())?;
        if other.count == 0 {
            return Ok(());
        }
        let (a, b) = (self.count as f64, other.count as f64);
        self.count += other.count;
        for index in 0..self.means.len() {
            let apart = other.means[index] - self.means[index];
            self.means[index] += apart * b / (a + b);
            self.squares[index] += other.squares[index] + apart * apart * a * b / (a + b);
        }
        Ok(())
    }

    /// What standardises these embeddings.
    ///
    /// # Errors
    /// [`MetricError::TooFew`] without samples.
    pub fn compute(&self) -> Result<Standardization, MetricError> {
        if self.count == 0 {
            return Err(MetricError::TooFew {
                what: "embeddings",
                needed: 1,
                found: 0,
            });
        }
        let count = self.count as f64;
        let scale = |(square, mean): (&f64, &f64)| {
            let variance = square / count;
            // What rounding leaves of a dimension that does not vary.
            let noise = (count * mean * f64::EPSILON).powi(2) + count * f64::EPSILON * variance;
            if variance <= noise {
                0.0
            } else {
                1.0 / variance.sqrt()
            }
        };
        Ok(Standardization {
            scales: self.squares.iter().zip(&self.means).map(scale).collect(),
            means: self.means.clone(),
        })
    }
}

pub(super) fn check_rows(rows: &[f64], dimensions: usize, first: usize) -> Result<(), MetricError> {
    match beyond_f32(rows) {
        None => Ok(()),
        Some(index) => Err(MetricError::Embedding {
            row: first + index / dimensions,
        }),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn merging_is_concatenating_and_large_means_cost_no_digits() {
        let rows: Vec<f64> = (0..24).map(|i| 1e9 + f64::from(i * i % 7)).collect();
        let mut whole = EmbeddingMoments::new(2).unwrap();
        whole.add(&rows);
        let mut first = EmbeddingMoments::new(2).unwrap();
        let mut second = first.clone();
        first.add(&rows[..10]);
        second.add(&rows[10..]);
        first.merge(&second).unwrap();
        let (a, b) = (whole.compute().unwrap(), first.compute().unwrap());
        for (a, b) in a.scales.iter().zip(&b.scales) {
            // A value of 1e9 has steps of 1e-7.
            assert!((a / b - 1.0).abs() < 1e-6, "{a} {b}");
        }
        let column = || rows.iter().step_by(2).map(|x| x - 1e9);
        let mean = column().sum::<f64>() / 12.0;
        let variance = column().map(|x| (x - mean).powi(2)).sum::<f64>() / 12.0;
        assert!((a.scales[0] * variance.sqrt() - 1.0).abs() < 1e-6);
    }

    #[test]
    fn a_dimension_that_does_not_vary_becomes_zero() {
        let mut moments = EmbeddingMoments::new(2).unwrap();
        moments.add(&[0.1, 1.0, 0.1, 2.0, 0.1, 4.0]);
        let scales = moments.compute().unwrap().scales;
        assert_eq!(scales[0], 0.0);
        assert!(scales[1] > 0.0);
    }
}
