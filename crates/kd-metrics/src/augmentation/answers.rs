//! The teacher's answers themselves, image by image.

use serde::{Deserialize, Serialize};

use crate::error::{MetricError, check_distributions, check_positive, expect_count};

/// Mean, variance and entropy of a teacher's probabilities over images.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq)]
pub struct Answers {
    rows: u64,
    sums: Vec<f64>,
    squares: Vec<f64>,
    entropy: f64,
}

/// What [`Answers`] found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AnswerReport {
    /// Images.
    pub rows: u64,
    /// Mean probability of each class.
    pub mean: Vec<f64>,
    /// Unbiased variance of the probability of each class over images.
    pub variance: Vec<f64>,
    /// Mean entropy in nats: how undecided the teacher is about one image.
    pub entropy: f64,
}

impl Answers {
    /// Without images, for a teacher with this many classes.
    ///
    /// # Errors
    /// [`MetricError::Config`] without classes.
    pub fn new(classes: usize) -> Result<Self, MetricError> {
        check_positive("classes", classes)?;
        Ok(Self {
            rows: 0,
            sums: vec![0.0; classes],
            squares: vec![0.0; classes],
            entropy: 0.0,
        })
    }

    /// Images so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Adds rows of probabilities, one after the other.
    ///
    /// # Errors
    /// [`MetricError::Count`] for an incomplete row, [`MetricError::Distribution`] naming the first row that is none; nothing is counted then.
    pub fn push(&mut self, rows: &[f32]) -> Result<(), MetricError> {
        let classes = self.sums.len();
        let whole = rows.len().div_ceil(classes) * classes;
        expect_count("values in rows of answers", whole, rows.len())?;
        check_distributions("the answers", rows, classes, self.rows as usize)?;
        for row in rows.chunks_exact(classes) {
            self.rows += 1;
            for ((sum, square), &p) in self.sums.iter_mut().zip(&mut self.squares).zip(row) {
                let p = f64::from(p);
                *sum += p;
                *square += p * p;
                if p > 0.0 {
                    self.entropy -= p * p.ln();
                }
            }
        }
        Ok(())
    }

    /// Adds the answers of another measurement.
    ///
    /// # Errors
    /// [`MetricError::Count`] when the numbers of classes differ.
    pub fn merge(&mut self, other: &Self) -> Result<(), MetricError> {
        expect_count(
            "classes of the merged answers",
            self.sums.len(),
            other.sums.len(),
        )?;
        self.rows += other.rows;
        self.entropy += other.entropy;
        for (sum, more) in self.sums.iter_mut().zip(&other.sums) {
            *sum += more;
        }
        for (square, more) in self.squares.iter_mut().zip(&other.squares) {
            *square += more;
        }
        Ok(())
    }

    /// The measures over all images so far.
    ///
    /// # Errors
    /// [`MetricError::TooFew`] with fewer than two images.
    pub fn compute(&self) -> Result<AnswerReport, MetricError> {
        if self.rows < 2 {
            return Err(MetricError::TooFew {
                what: "answers",
                needed: 2,
                found: self.rows as usize,
            });
        }
        let rows = self.rows as f64;
        let spread =
            |(sum, square): (&f64, &f64)| (square - sum * sum / rows).max(0.0) / (rows - 1.0);
        Ok(AnswerReport {
            rows: self.rows,
            mean: self.sums.iter().map(|sum| sum / rows).collect(),
            variance: self.sums.iter().zip(&self.squares).map(spread).collect(),
            entropy: self.entropy / rows,
        })
    }
}
