//! Embeddings on the host.

use burn::tensor::{Int, Tensor};

use super::cohesion::{ClassStructure, StructureReport, check_labels};
use super::moments::{EmbeddingMoments, check_rows};
use super::pca::{Pca, pca};
use super::tsne::{TsneConfig, TsneLayout};
use crate::error::{MetricError, check_positive, expect_count};
use crate::read::{floats, integers};

/// Embeddings and labels of a test set, kept on the host up to a cap: for [`structure`](Self::structure) in one call, and for pictures.
///
/// Where there are more than fit, [`EmbeddingMoments`] and [`ClassStructure`] need two passes and no memory.
#[derive(Clone, Debug)]
pub struct Embeddings {
    classes: usize,
    cap: usize,
    dimensions: usize,
    rows: Vec<f32>,
    labels: Vec<usize>,
}

impl Embeddings {
    /// Samples that are kept if nothing else is said: 100,000, which are 26 MB of 64 dimensions.
    pub const CAP: usize = 100_000;

    /// Without samples, for this many classes and at most `cap` samples.
    ///
    /// # Errors
    /// [`MetricError::Config`] without classes or with a cap of 0.
    pub fn new(classes: usize, cap: usize) -> Result<Self, MetricError> {
        check_positive("classes", classes)?;
        check_positive("cap", cap)?;
        Ok(Self {
            classes,
            cap,
            dimensions: 0,
            rows: Vec::new(),
            labels: Vec::new(),
        })
    }

    /// Adds embeddings `[B, d]` and their labels `[B]`. The first batch says what d is.
    ///
    /// # Errors
    /// [`MetricError::Count`] when shapes do not agree, [`MetricError::Embedding`] or [`MetricError::Label`] naming the first bad row,
    /// [`MetricError::Cap`] for more samples than the cap. A refused batch is not counted.
    pub fn update(
        &mut self,
        embeddings: Tensor<2>,
        labels: Tensor<1, Int>,
    ) -> Result<(), MetricError> {
        let [batch, dimensions] = embeddings.dims();
        if !self.is_empty() {
            expect_count("dimensions of the embeddings", self.dimensions, dimensions)?;
        }
        expect_count("labels for the batch", batch, labels.dims()[0])?;
        if batch == 0 {
            return Ok(());
        }
        if self.len() + batch > self.cap {
            return Err(MetricError::Cap {
                what: "embeddings",
                cap: self.cap,
                found: self.len() + batch,
            });
        }
        let (rows, labels) = (floats(embeddings.inner())?, integers(labels.inner())?);
        check_rows(&rows, dimensions.max(1), self.len())?;
        let labels = check_labels(&labels, self.classes, self.len())?;
        self.dimensions = dimensions;
        self.rows.extend(rows.iter().map(|&value| value as f32));
        self.labels.extend(labels);
        Ok(())
    }

    /// Adds the samples of another one.
    ///
    /// # Errors
    /// [`MetricError::Count`] when classes or dimensions differ, [`MetricError::Cap`] for more samples than the cap; nothing is added then.
    pub fn merge(&mut self, other: &Self) -> Result<(), MetricError> {
        expect_count(
            "classes of the merged embeddings",
            self.classes,
            other.classes,
        )?;
        if !self.is_empty() && !other.is_empty() {
            let what = "dimensions of the merged embeddings";
            expect_count(what, self.dimensions, other.dimensions)?;
        }
        if self.len() + other.len() > self.cap {
            return Err(MetricError::Cap {
                what: "embeddings",
                cap: self.cap,
                found: self.len() + other.len(),
            });
        }
        if self.is_empty() {
            self.dimensions = other.dimensions;
        }
        self.rows.extend_from_slice(&other.rows);
        self.labels.extend_from_slice(&other.labels);
        Ok(())
    }

    /// Samples kept.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The class of each sample.
    pub fn labels(&self) -> &[usize] {
        &self.labels
    }

    /// Cohesion, adhesion and discrimination, as [`ClassStructure`] defines them.
    ///
    /// # Errors
    /// [`MetricError::TooFew`], as there.
    pub fn structure(&self) -> Result<StructureReport, MetricError> {
        let rows: Vec<f64> = self.rows.iter().map(|&value| f64::from(value)).collect();
        let mut moments = EmbeddingMoments::new(self.dimensions.max(1))?;
        moments.add(&rows);
        let mut structure = ClassStructure::new(self.classes, moments.compute()?)?;
        structure.add(&rows, &self.labels);
        structure.compute()
    }

    /// Dimensions of an embedding; 0 before the first.
    pub fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// The samples of the first `count` classes.
    #[must_use]
    pub fn of_classes(&self, count: usize) -> Self {
        self.filtered(|label| label < count)
    }

    /// The first `count` samples of each class, in their order: what a picture can show.
    #[must_use]
    pub fn sample(&self, count: usize) -> Self {
        let mut taken = vec![0; self.classes];
        self.filtered(|label| {
            taken[label] += 1;
            taken[label] <= count
        })
    }

    fn filtered(&self, mut keep: impl FnMut(usize) -> bool) -> Self {
        let mut sample = Self {
            rows: Vec::new(),
            labels: Vec::new(),
            ..*self
        };
        let rows = self.rows.chunks(self.dimensions.max(1)).zip(&self.labels);
        for (row, &label) in rows.filter(|(_, label)| keep(**label)) {
            sample.rows.extend_from_slice(row);
            sample.labels.push(label);
        }
        sample
    }

    /// Principal components.
    ///
    /// # Errors
    /// Those of [`pca`].
    pub fn pca(&self, components: usize) -> Result<Pca, MetricError> {
        pca(&self.rows, self.dimensions.max(1), components)
    }

    /// A layout in two dimensions by t-SNE.
    ///
    /// # Errors
    /// Those of [`TsneConfig::fit`].
    pub fn tsne(&self, config: &TsneConfig) -> Result<TsneLayout, MetricError> {
        config.fit(&self.rows, self.dimensions.max(1))
    }
}
