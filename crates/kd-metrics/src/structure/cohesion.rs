//! Cohesion, adhesion and discrimination.

use burn::tensor::{Int, Tensor};
use serde::{Deserialize, Serialize};

use super::moments::{Standardization, check_rows};
use crate::error::{MetricError, check_positive, expect_count};
use crate::read::{floats, integers};

/// The second of two passes over embeddings: how alike those of one class are, and how alike those of different classes (Das et al., "An
/// Empirical Analysis of the Impact of Data Augmentation on Knowledge Distillation", 2020, section 3.4).
///
/// With embeddings standardised over all samples and S their cosine, cohesion of class k is the mean of S over the pairs inside k, adhesion
/// of classes k, l the mean over the pairs between them, and
///
/// D = (mean cohesion − mean adhesion) / √d.
///
/// The paper prints 1 / (N (N − 1)) before a sum over i < j, half of the mean over pairs; its tables hold the mean over pairs (cohesions
/// up to 0.917, which half of a mean cannot reach), so the mean it is. Its D agree with d = 10: measure the logits of a network of ten
/// classes to compare with them.
///
/// No pair is looked at: of unit vectors the sum over all pairs is ‖Σu‖² − Σ‖u‖², so that memory is classes × d and time one pass. A sample
/// whose embedding is the mean has no direction; its cosine with any other counts as 0.
#[derive(Clone, Debug)]
pub struct ClassStructure {
    classes: usize,
    standardization: Standardization,
    counts: Vec<u64>,
    /// Σ‖u‖², the number of embeddings with a direction.
    directed: Vec<f64>,
    /// `[classes, d]`.
    sums: Vec<f64>,
}

/// What [`ClassStructure`] found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StructureReport {
    /// d, the dimensions of the embeddings.
    pub dimensions: usize,
    /// Mean of `per_class`, in [−1, 1].
    pub cohesion: f64,
    /// Mean of `between` over pairs of classes, in [−1, 1].
    pub adhesion: f64,
    /// D = (cohesion − adhesion) / √d.
    pub discrimination: f64,
    /// Mean cosine over the pairs inside each class; nothing for a class of fewer than two samples.
    pub per_class: Vec<Option<f64>>,
    /// Mean cosine over the pairs between two classes; nothing on the diagonal and for classes without samples.
    pub between: Vec<Vec<Option<f64>>>,
}

impl ClassStructure {
    /// Without samples.
    ///
    /// # Errors
    /// [`MetricError::Config`] without classes.
    pub fn new(classes: usize, standardization: Standardization) -> Result<Self, MetricError> {
        check_positive("classes", classes)?;
        let dimensions = standardization.means.len();
        Ok(Self {
            classes,
            standardization,
            counts: vec![0; classes],
            directed: vec![0.0; classes],
            sums: vec![0.0; classes * dimensions],
        })
    }

    /// Adds embeddings `[B, d]` and their labels `[B]`.
    ///
    /// # Errors
    /// [`MetricError::Count`] when shapes do not agree, [`MetricError::Embedding`] or [`MetricError::Label`] naming the first bad row. A refused
    /// batch is not counted.
    pub fn update(
        &mut self,
        embeddings: Tensor<2>,
        labels: Tensor<1, Int>,
    ) -> Result<(), MetricError> {
        let [batch, dimensions] = embeddings.dims();
        let expected = self.standardization.means.len();
        expect_count("dimensions of the embeddings", expected, dimensions)?;
        expect_count("labels for the batch", batch, labels.dims()[0])?;
        let (rows, labels) = (floats(embeddings.inner())?, integers(labels.inner())?);
        let first = self.counts.iter().sum::<u64>() as usize;
        check_rows(&rows, dimensions, first)?;
        let labels = check_labels(&labels, self.classes, first)?;
        self.add(&rows, &labels);
        Ok(())
    }

    /// Adds rows that are known to be finite and of known classes.
    pub(super) fn add(&mut self, rows: &[f64], labels: &[usize]) {
        let Standardization { means, scales } = &self.standardization;
        let dimensions = means.len();
        let mut unit = vec![0.0; dimensions];
        for (row, &label) in rows.chunks(dimensions).zip(labels) {
            for (index, value) in row.iter().enumerate() {
                unit[index] = (value - means[index]) * scales[index];
            }
            self.counts[label] += 1;
            let norm = unit.iter().map(|x| x * x).sum::<f64>().sqrt();
            if norm > 0.0 {
                self.directed[label] += 1.0;
                let sum = &mut self.sums[label * dimensions..][..dimensions];
                for (sum, value) in sum.iter_mut().zip(&unit) {
                    *sum += value / norm;
                }
            }
        }
    }

    /// Adds the samples of another second pass.
    ///
    /// # Errors
    /// [`MetricError::Count`] when classes differ, [`MetricError::Config`] when the embeddings were standardised differently.
    pub fn merge(&mut self, other: &Self) -> Result<(), MetricError> {
        expect_count(
            "classes of the merged structure",
            self.classes,
            other.classes,
        )?;
        if self.standardization != other.standardization {
            return Err(MetricError::Config {
                field: "standardization",
                value: "another one".into(),
                reason: "must be the same for both structures",
            });
        }
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        for (sum, more) in self.directed.iter_mut().zip(&other.directed) {
            *sum += more;
        }
        for (sum, more) in self.sums.iter_mut().zip(&other.sums) {
            *sum += more;
        }
        Ok(())
    }

    /// The measures over all samples so far.
    ///
    /// # Errors
    /// [`MetricError::TooFew`] when no class has two samples, or only one class has any.
    pub fn compute(&self) -> Result<StructureReport, MetricError> {
        let dimensions = self.standardization.means.len();
        let sum = |class: usize| &self.sums[class * dimensions..][..dimensions];
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let inside = |class: usize| {
            let count = self.counts[class] as f64;
            let pairs = dot(sum(class), sum(class)) - self.directed[class];
            (count > 1.0).then(|| pairs / (count * (count - 1.0)))
        };
        let between = |a: usize, b: usize| {
            let pairs = (self.counts[a] * self.counts[b]) as f64;
            (a != b && pairs > 0.0).then(|| dot(sum(a), sum(b)) / pairs)
        };
        let per_class: Vec<_> = (0..self.classes).map(inside).collect();
        let between: Vec<Vec<_>> = (0..self.classes)
            .map(|a| (0..self.classes).map(|b| between(a, b)).collect())
            .collect();
        let cohesion = mean(
            per_class.iter().flatten(),
            "classes with two samples or more",
        )?;
        let adhesion = mean(
            between.iter().flatten().flatten(),
            "pairs of classes with samples",
        )?;
        Ok(StructureReport {
            dimensions,
            cohesion,
            adhesion,
            discrimination: (cohesion - adhesion) / (dimensions as f64).sqrt(),
            per_class,
            between,
        })
    }
}

fn mean<'a>(values: impl Iterator<Item = &'a f64>, what: &'static str) -> Result<f64, MetricError> {
    let (sum, count) = values.fold((0.0, 0), |(sum, count), value| (sum + value, count + 1));
    if count == 0 {
        return Err(MetricError::TooFew {
            what,
            needed: 1,
            found: 0,
        });
    }
    Ok(sum / f64::from(count))
}

pub(super) fn check_labels(
    labels: &[i64],
    classes: usize,
    first: usize,
) -> Result<Vec<usize>, MetricError> {
    let check = |(index, &label): (usize, &i64)| {
        let known = usize::try_from(label).ok().filter(|label| *label < classes);
        known.ok_or(MetricError::Label {
            row: first + index,
            label,
            classes,
        })
    };
    labels.iter().enumerate().map(check).collect()
}
